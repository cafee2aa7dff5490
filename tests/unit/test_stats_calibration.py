"""Calibration: hand computation, perfect calibration by simulation, ties, and which cells of a study qualify."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.arrays import partition
from evalsuite.stats.calibration import (
    CALIBRATION_COLUMNS,
    COVERAGES,
    PAIR_COLUMNS,
    RELIABILITY_COLUMNS,
    SELECTIVE_COLUMNS,
    brier_of,
    calibration_frames,
)
from evalsuite.stats.confidence import Judged, bin_numbers, calibration_error, judge, selective_accuracy, share_interval
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.randomisation import sign_flip_p
from evalsuite.types import Answer, Reading, Sample

DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="letters", primary_perturbation="none", primary_metric={"t": "accuracy"},
    metrics=METRICS, n_resamples=500,
)  # fmt: skip


def judged(confidence, right):
    nothing = np.zeros(len(confidence))
    return Judged(confidence=np.asarray(confidence, dtype=float), right=np.asarray(right, dtype=float), brier=nothing, nll=nothing)


def singles(n):
    return np.array([f"g{i:05d}" for i in range(n)])


def test_brier_and_surprise_by_hand():
    found = judge([[0.7, 0.2, 0.1], [0.5, 0.5], [0.0, 1.0]], [0, 0, 1], [0, 1, 0])
    assert found.confidence.tolist() == [0.7, 0.5, 1.0]
    assert found.right.tolist() == [1, 0, 0]
    assert found.brier == pytest.approx([0.3**2 + 0.2**2 + 0.1**2, 0.5, 2.0], abs=1e-12)
    assert found.nll == pytest.approx([-np.log(0.7), np.log(2), -np.log(np.finfo(float).tiny)], abs=1e-12)


def test_a_uniform_guess_has_the_brier_score_that_is_stated():
    for n_choices in (2, 4, 5):
        assert judge([[1 / n_choices] * n_choices], [0], [1]).brier[0] == pytest.approx(1 - 1 / n_choices, abs=1e-12)


@pytest.mark.parametrize(
    ("p", "chosen", "target"),
    [([0.5, 0.6], 0, 0), ([-0.1, 1.1], 0, 0), ([np.nan, 0.5], 0, 0), ([0.5, 0.5], 2, 0), ([0.5, 0.5], 0, -1), ([1.0], 0, 0)],
)
def test_what_is_no_probability_is_refused(p, chosen, target):
    with pytest.raises(ValueError, match=r"probabilit|choice"):
        judge([p], [chosen], [target])


def test_ece_by_hand():
    confidence = np.repeat([0.6, 0.9], [5, 15])
    right = np.r_[np.repeat([1, 0], [4, 1]), np.repeat([1, 0], [12, 3])]
    bins = bin_numbers(confidence, 2)
    found = calibration_error(judged(confidence, right), singles(20), bins)
    assert found.ece == pytest.approx(0.25 * 0.2 + 0.75 * 0.1, abs=1e-12)
    assert found.rms == pytest.approx(np.sqrt(0.25 * 0.2**2 + 0.75 * 0.1**2), abs=1e-12)
    # Kumar, Liang and Ma's plug-in correction: accuracy (1 - accuracy) / (n_b - 1) off each squared gap.
    squared = 0.25 * (0.2**2 - 0.8 * 0.2 / 4) + 0.75 * (0.1**2 - 0.8 * 0.2 / 14)
    assert found.rms_debiased == pytest.approx(np.sign(squared) * np.sqrt(abs(squared)), abs=1e-12)


def test_calibrated_answers_have_no_debiased_error_and_a_biased_plain_one():
    rng = np.random.default_rng(3)
    plain, squares, roots = [], [], []
    for _ in range(400):
        confidence = rng.uniform(0.3, 1.0, size=200)
        found = calibration_error(judged(confidence, rng.random(200) < confidence), singles(200), bin_numbers(confidence))
        plain.append(found.ece)
        roots.append(found.rms_debiased)
        squares.append(np.sign(found.rms_debiased) * found.rms_debiased**2)
    assert abs(np.mean(squares)) < 4 * np.std(squares) / 20
    assert abs(np.mean(roots)) < 0.01
    assert np.mean(plain) > 0.06


def test_the_debiased_error_finds_a_known_error_also_in_groups_that_hang_together():
    # Confidence 0.9 where 0.7 are right; groups of five that are all right or all wrong.
    rng = np.random.default_rng(4)
    groups = np.repeat(singles(40), 5)
    squares, naive = [], []
    for _ in range(400):
        right = np.repeat(rng.random(40) < 0.7, 5)
        sample = judged(np.full(200, 0.9), right)
        bins = np.zeros(200, dtype=int)
        squares.append(calibration_error(sample, groups, bins).rms_debiased)
        naive.append(calibration_error(sample, singles(200), bins).rms_debiased)
    squares, naive = np.sign(squares) * np.square(squares), np.sign(naive) * np.square(naive)
    assert np.mean(squares) == pytest.approx(0.04, abs=4 * np.std(squares) / 20)
    assert np.mean(naive) > np.mean(squares) + 0.003


def test_bins_hold_equal_numbers_and_keep_ties_together():
    rng = np.random.default_rng(0)
    distinct = rng.permutation(np.arange(103) / 103)
    sizes = np.bincount(bin_numbers(distinct, 10))
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() <= 1
    tied = bin_numbers([0.5] * 60 + [0.9] * 30 + [0.95] * 10, 10)
    assert [set(part) for part in (tied[:60], tied[60:90], tied[90:])] == [{0}, {1}, {2}]
    assert [len(set(bin_numbers(np.arange(n) / n))) for n in (1, 39, 40, 100, 5000)] == [1, 1, 2, 5, 10]


def test_a_selective_curve_by_hand():
    confidence, right = [0.9, 0.8, 0.8, 0.8, 0.1], [1, 1, 0, 0, 1]
    curve = selective_accuracy(confidence, right, [0.2, 0.4, 0.6, 0.8, 1.0])
    third = 1 / 3
    assert curve == pytest.approx([1, (1 + third) / 2, (1 + 2 * third) / 3, 2 / 4, 3 / 5], abs=1e-12)


def test_ties_are_the_mean_over_their_orders():
    rng = np.random.default_rng(5)
    confidence, right = rng.choice([0.3, 0.6, 0.9], 30), rng.integers(0, 2, 30)
    drawn = []
    for _ in range(4000):
        order = rng.permutation(30)
        order = order[np.argsort(-confidence[order], kind="stable")]
        drawn.append(right[order][:11].mean())
    assert selective_accuracy(confidence, right, [11 / 30])[0] == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(4000))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 9)), min_size=1, max_size=80), st.integers(1, 12), st.randoms())
def test_properties_of_calibration(rows, n_bins, random):
    def measured(entries):
        confidence, right, groups = zip(*entries, strict=True)
        sample, names = judged(confidence, right), np.array([f"g{g}" for g in groups])
        bins = bin_numbers(sample.confidence, n_bins)
        error = calibration_error(sample, names, bins)
        return error, selective_accuracy(sample.confidence, sample.right, COVERAGES), share_interval(sample.right, names, 0.95), sample

    error, curve, (low, high), sample = measured(rows)
    assert 0 <= error.ece <= 1
    assert error.ece <= error.rms + 1e-12
    assert np.isnan(error.rms_debiased) or error.rms_debiased <= error.rms + 1e-12
    assert curve[-1] == pytest.approx(sample.right.mean(), abs=1e-12)
    assert ((curve >= -1e-12) & (curve <= 1 + 1e-12)).all()
    assert np.isnan(low) or 0 <= low <= sample.right.mean() <= high <= 1
    assert np.isnan(low) or high > low
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = measured(shuffled)
    assert (again[0].ece, again[0].rms) == pytest.approx((error.ece, error.rms), abs=1e-9)
    assert again[1] == pytest.approx(curve, abs=1e-9)


def test_the_interval_of_a_bin_holds_its_share_to_the_last_digit():
    rng = np.random.default_rng(0)
    for n in range(2, 80):
        names = [f"g{number if number < 2 else rng.integers(n)}" for number in range(n)]
        assert share_interval(np.ones(n), names, 0.95)[1] == 1
        assert share_interval(np.zeros(n), names, 0.95)[0] == 0


def test_the_interval_of_a_bin_is_wilsons_with_t():
    right = np.r_[np.ones(37), np.zeros(3)]
    # Singles have the variance spread / (n - 1), so that the effective number is n - 1.
    n, t = 39, stats.t.ppf(0.975, 39)
    center = (0.925 + t**2 / 2 / n) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * np.sqrt(0.925 * 0.075 / n + t**2 / 4 / n**2)
    assert share_interval(right, singles(40), 0.95) == pytest.approx((center - half, center + half), abs=1e-9)
    # Where nothing varies: Wilson's interval of as many answers as there are groups, at the normal level that t has.
    level = 2 * stats.norm.cdf(t) - 1
    expected = proportion_confint(40, 40, 1 - level, method="wilson")
    for groups in (singles(40), np.repeat(singles(40), 5)):
        assert share_interval(np.ones(len(groups)), groups, 0.95) == pytest.approx(expected, abs=1e-9)


def test_the_interval_of_a_bin_covers():
    rng = np.random.default_rng(6)
    groups = np.repeat(singles(20), 3)
    for share in (0.6, 0.9, 0.97):
        inside = 0
        for _ in range(400):
            themes = np.repeat(rng.random(20) < share, 3)
            right = np.where(rng.random(60) < 0.5, themes, rng.random(60) < share)
            low, high = share_interval(right, groups, 0.95)
            inside += low <= share <= high
        assert inside / 400 >= 0.93


def cells(model, n=60, seed=0, sharpness=2.0, *, task="t", perturbation="none", strategy="letters", shuffled=False):
    """Answers with probabilities, four choices, two samples per group; `shuffled`: shown in another order."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        target = int(np.random.default_rng(number).integers(4))
        logits = rng.normal(size=4) + sharpness * (np.arange(4) == target)
        order = np.random.default_rng(number + 1).permutation(4) if shuffled else np.arange(4)
        p = np.exp(logits) / np.exp(logits).sum()
        shown = int(np.argmax(p[order]))
        rows.append(
            {
                "study": "s", "model": model, "task": task, "strategy": strategy, "perturbation": perturbation,
                "variant": 0, "replicate": 0, "sample_id": f"q{number:04d}", "group": f"t:{number // 2}",
                "content_hash": f"h{number}", "metric": "accuracy",
                "value": float(order[shown] == target), "status": "scored", "answer_index": int(order[shown]), "shown_position": shown,
                "p_choices": p[order].tolist(), "target": str(target), "shown_targets": str(int(np.argmax(order == target))),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def missing(scores, rows, status):
    at = scores.index[list(rows)]
    scores = scores.astype({"answer_index": float, "shown_position": float})
    scores.loc[at, "status"] = status
    scores.loc[at, ["value", "answer_index", "shown_position"]] = np.nan
    scores["p_choices"] = [None if i in set(at) else p for i, p in scores["p_choices"].items()]
    return scores


def test_frames_agree_with_the_arrays():
    scores = cells("a")
    frames = calibration_frames(scores, DESIGN)
    assert [list(frame.columns) for frame in (frames.calibration, frames.reliability, frames.selective, frames.calibration_pairs)] == [
        list(columns) for columns in (CALIBRATION_COLUMNS, RELIABILITY_COLUMNS, SELECTIVE_COLUMNS, PAIR_COLUMNS)
    ]
    (row,) = frames.calibration.to_dict("records")
    p = np.array(scores["p_choices"].tolist())
    target = scores["target"].astype(int).to_numpy()
    brier = ((p - np.eye(4)[target]) ** 2).sum(axis=1)
    assert (row["n_samples"], row["n_groups"], row["n_answers"], row["n_bins"]) == (60, 30, 60, 3)
    assert row["accuracy"] == pytest.approx((p.argmax(axis=1) == target).mean(), abs=1e-12)
    assert row["confidence"] == pytest.approx(p.max(axis=1).mean(), abs=1e-12)
    assert row["nll"] == pytest.approx(-np.log(p[np.arange(60), target]).mean(), abs=1e-12)
    by_group = brier.reshape(30, 2).mean(axis=1)
    expected = stats.ttest_1samp(by_group, 0).confidence_interval(0.95)
    assert (row["brier"], row["brier_low"], row["brier_high"]) == pytest.approx((brier.mean(), expected.low, expected.high), abs=1e-9)
    assert (frames.reliability["n_answers"].sum(), set(frames.reliability["bin"])) == (60, {0, 1, 2})
    at = frames.selective.set_index("coverage")["accuracy"]
    assert (at[0.5], at[0.8], at[1.0]) == pytest.approx((row["selective_50"], row["selective_80"], row["accuracy"]), abs=1e-12)


def test_shown_order_changes_nothing():
    plain, moved = (calibration_frames(cells("a", shuffled=s), DESIGN).calibration.iloc[0] for s in (False, True))
    for name in ("accuracy", "confidence", "ece", "ece_debiased", "brier", "brier_low", "nll", "selective_50"):
        assert moved[name] == pytest.approx(plain[name], abs=1e-12), name


def test_without_shown_targets_only_cells_in_original_order_qualify():
    both = pd.concat([cells("a"), cells("a", perturbation="shuffle", shuffled=True)]).drop(columns="shown_targets")
    whole = calibration_frames(cells("a"), DESIGN).calibration
    pd.testing.assert_frame_equal(calibration_frames(both, DESIGN).calibration, whole)


def test_missing_answers_leave_and_are_counted():
    full = cells("a")
    row = calibration_frames(missing(full, range(50, 60), "too_long"), DESIGN).calibration.iloc[0]
    short = calibration_frames(full.iloc[:50], DESIGN).calibration.iloc[0]
    assert (row["n_left_out"], row["n_answers"]) == (10, 50)
    assert (row["ece"], row["brier"]) == (short["ece"], short["brier"])
    refused = calibration_frames(missing(full, range(50, 60), "refused"), DESIGN).calibration.iloc[0]
    assert (refused["n_left_out"], refused["n_answers"]) == (0, 50)


def test_failures_leave_no_number_until_excluded_by_name():
    scores = missing(cells("a"), [3], "failed")
    frames = calibration_frames(scores, DESIGN)
    row = frames.calibration.iloc[0]
    assert row["status_note"] == "1 failed answers"
    assert row[["accuracy", "ece", "ece_debiased", "brier", "nll", "selective_50"]].isna().all()
    assert len(frames.reliability) == len(frames.selective) == 0
    mended = replace(DESIGN, exclude=(Exclusion(task="t", sample_id="q0003", reason="engine fault"),))
    row = calibration_frames(scores, mended).calibration.iloc[0]
    assert (row["status_note"], row["n_answers"]) == ("", 59)
    assert row["ece"] == row["ece"]


def test_which_cells_have_no_row():
    def silent(frame):
        return frame.assign(p_choices=None)

    generated, several = silent(cells("a", strategy="generate")), cells("a", strategy="several")
    several.loc[0, "shown_targets"] = "0,3"
    partly = cells("a", strategy="partly")
    partly.loc[0, "p_choices"] = None
    frames = calibration_frames(pd.concat([generated, several, partly, cells("a")], ignore_index=True), DESIGN)
    assert list(frames.calibration["strategy"]) == ["letters"]
    for nothing in (generated, cells("a").iloc[:0], cells("a").drop(columns="p_choices")):
        frames = calibration_frames(nothing, DESIGN)
        assert len(frames.calibration) == len(frames.reliability) == len(frames.selective) == len(frames.calibration_pairs) == 0
        assert list(frames.calibration.columns) == list(CALIBRATION_COLUMNS)


def test_probabilities_that_are_none_leave_a_note():
    scores = cells("a")
    scores.at[5, "p_choices"] = [0.5, 0.5, 0.5, 0.5]
    row = calibration_frames(scores, DESIGN).calibration.iloc[0]
    assert "sum to 1" in row["status_note"]
    assert np.isnan(row["ece"])


def test_pairs_by_hand():
    a, b = cells("a", seed=1, sharpness=3.0), missing(cells("b", seed=2, sharpness=1.0), [0], "too_long")
    (row,) = calibration_frames(pd.concat([a, b], ignore_index=True), DESIGN).calibration_pairs.to_dict("records")

    def brier(frame):
        p, target = np.array(frame["p_choices"].tolist()), frame["target"].astype(int).to_numpy()
        return ((p - np.eye(4)[target]) ** 2).sum(axis=1)

    d = brier(a.iloc[1:]) - brier(b.iloc[1:])
    groups = a["group"].iloc[1:].to_numpy(dtype=str)
    sums = np.array([(d - d.mean())[groups == g].sum() for g in sorted(set(groups))])
    se = np.sqrt(30 / 29 * (sums**2).sum()) / 59
    half = stats.t.ppf(0.975, 29) * se
    assert (row["brier_difference"], row["ci_low"], row["ci_high"]) == pytest.approx((d.mean(), d.mean() - half, d.mean() + half), abs=1e-9)
    assert row["brier_difference"] < 0
    assert (row["n_samples"], row["n_groups"], row["n_left_out"]) == (59, 30, 1)
    named = replace(DESIGN, exclude=(Exclusion(task="t", sample_id="q0009", reason="wrong key"),))
    (fewer,) = calibration_frames(pd.concat([a, b], ignore_index=True), named).calibration_pairs.to_dict("records")
    assert (fewer["n_samples"], fewer["n_left_out"]) == (58, 1)
    assert row["p_value"] <= 0.05
    assert row["p_value"] == pytest.approx(sign_flip_p(d, partition(groups).index, 20_000, 0).p_value, abs=0.02)


def test_a_pair_of_equal_models_does_not_differ():
    a = cells("a")
    (row,) = calibration_frames(pd.concat([a, a.assign(model="b")]), DESIGN).calibration_pairs.to_dict("records")
    assert (row["brier_difference"], row["ci_low"], row["ci_high"], row["p_value"]) == (0, 0, 0, 1)


def test_renditions_that_differ_forbid_a_pair():
    a, b = cells("a"), cells("b")
    b.loc[4, "content_hash"] = "other"
    (row,) = calibration_frames(pd.concat([a, b]), DESIGN).calibration_pairs.to_dict("records")
    assert row["status_note"] == "1 renditions that differ between the sides"
    assert np.isnan(row["brier_difference"])


def test_rows_in_any_order_and_further_metrics_change_nothing():
    scores = pd.concat([cells("a", seed=1), cells("b", seed=2)], ignore_index=True)
    doubled = pd.concat([scores, scores.assign(metric="macro_f1")]).sample(frac=1, random_state=1)
    for name in ("calibration", "reliability", "selective", "calibration_pairs"):
        pd.testing.assert_frame_equal(getattr(calibration_frames(scores, DESIGN), name), getattr(calibration_frames(doubled, DESIGN), name))


def test_the_brier_metric_reads_an_answer():
    sample = Sample(id="q", group="q", question="?", choices=("x", "y"), targets=(1,))
    answer = Answer(reading=Reading(status="scored", index=0), p_choices=(0.6, 0.4))
    assert brier_of(sample, answer) == pytest.approx(0.72, abs=1e-12)
    with pytest.raises(ValueError, match="one right choice"):
        brier_of(replace(sample, targets=(0, 1)), answer)
