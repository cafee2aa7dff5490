"""Score, drop and flips under perturbations: by hand, for planted models, against plain loops, SciPy and statsmodels."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.arrays import cluster_t_interval
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.judged_under import judged_metric, judged_under
from evalsuite.stats.perturbed import COLUMNS, Perturbed, perturbed_frame
from evalsuite.stats.tables import split_conditions
from tests.unit.perturbed_scores import AS_WRITTEN, SHIFTS, always_first, asked, by_text, perfect, row, silent, table

DESIGN = AnalysisDesign(
    study="s", pairs=(), primary_strategy="zero", primary_perturbation="none", primary_metric={"t": "accuracy"}, metrics=METRICS
)
MEANING = Perturbed(name="cyclic_shift", family="meaning-preserving", preserves_meaning=True)
OTHER = Perturbed(name="negated", family="target-changing", preserves_meaning=False)
STUDY = {"none": Perturbed(name="none", family="meaning-preserving", preserves_meaning=True), "p": MEANING, "changed": OTHER}


def frame(scores, design=DESIGN, perturbations=STUDY, strategies=("zero",)):
    return perturbed_frame(split_conditions(scores, METRICS), design, perturbations, strategies)


def only(scores, design=DESIGN, perturbations=STUDY):
    (found,) = frame(scores, design, perturbations).to_dict("records")
    return found


def of_values(before, now, **changes):
    """Right (1) and wrong (0) answers as written before and now; None could not be read."""
    position = {1: 0, 0: 1, None: None}
    names = [f"q{at:03d}" for at in range(len(before))]
    parts = [
        [row(name, position[value], perturbation=perturbation, **changes) for name, value in zip(names, values, strict=True)]
        for perturbation, values in (("none", before), ("p", now))
    ]
    return table(*parts)


def test_by_hand_and_by_scipy():
    # 12 right before, of which 3 are wrong now; 8 wrong before, of which 2 are right now
    before, now = [1] * 12 + [0] * 8, [0] * 3 + [1] * 9 + [1] * 2 + [0] * 6
    found = only(of_values(before, now))
    assert list(frame(of_values(before, now)).columns) == list(COLUMNS)
    assert (found["n_samples"], found["n_groups"], found["n_refused"], found["ci_level"]) == (20, 20, 0, 0.95)
    assert (found["mean_before"], found["mean"], found["change"]) == pytest.approx((0.6, 0.55, -0.05))
    limits = stats.ttest_1samp(np.array(now) - np.array(before), 0).confidence_interval(0.95)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((limits.low, limits.high))
    assert (found["p_right_to_wrong"], found["n_right_before"]) == (0.25, 12)
    limits = stats.ttest_1samp([1] * 3 + [0] * 9, 0).confidence_interval(0.95)
    assert (found["p_right_to_wrong_low"], found["p_right_to_wrong_high"]) == pytest.approx((limits.low, limits.high))
    assert (found["p_wrong_to_right"], found["n_wrong_before"]) == (0.25, 8)
    assert math.isnan(found["p_wrong_to_right_low"]) and math.isnan(found["p_wrong_to_right_high"])
    assert found["note"] == "wrong before in 8 groups, 10 are needed for an interval"
    # five changed their answer, so that it is another one
    assert (found["n_compared"], found["consistency"]) == (20, 0.75)


def test_planted_models_have_what_theory_gives():
    targets = [0, 1, 2, 3] * 5
    parts = [
        part
        for model, engine in (("first", always_first), ("perfect", perfect), ("text", by_text))
        for part in (asked(engine, targets, model=model), asked(engine, targets, SHIFTS, model=model, perturbation="p"))
    ]
    found = frame(table(*parts)).set_index("model")
    first, right, text = (found.loc[name] for name in ("first", "perfect", "text"))
    # what stands first is never the same: right before only where the target is 0, now in one of three for each other target
    assert (first["mean_before"], first["mean"], first["change"]) == pytest.approx((0.25, 0.25, 0), abs=1e-15)
    assert (first["consistency"], first["p_right_to_wrong"], first["n_right_before"]) == (0, 1, 5)
    assert (first["p_wrong_to_right"], first["n_wrong_before"]) == (pytest.approx(1 / 3), 15)
    assert (right["mean"], right["change"], right["consistency"], right["p_right_to_wrong"]) == (1, 0, 1, 0)
    assert math.isnan(right["p_wrong_to_right"]) and right["note"] == "nothing was wrong before"
    # one and the same choice, right or wrong: nothing flips
    assert (text["mean_before"], text["mean"], text["consistency"], text["consistency_low"]) == (0.25, 0.25, 1, 1)
    assert (text["p_right_to_wrong"], text["p_wrong_to_right"]) == (0, 0)


def test_consistency_is_of_perturbations_that_preserve_the_meaning():
    scores = table(asked(perfect, [0] * 12), asked(perfect, [0] * 12, perturbation="changed"))
    found = only(scores)
    assert (found["mean"], found["n_compared"], found["note"]) == (1, 0, "nothing was wrong before")
    assert math.isnan(found["consistency"])
    assert math.isnan(only(scores, perturbations={})["consistency"])


def test_refused_samples_leave_both_sides_and_are_counted():
    before, now = [1] * 6 + [0] * 6, [1] * 12
    scores = of_values(before, now)
    told = scores["perturbation"].eq("p") & scores["sample_id"].isin(["q000", "q001"])
    scores = scores.assign(status=scores["status"].mask(told, "refused"), value=scores["value"].mask(told))
    found = only(scores)
    assert (found["n_refused"], found["n_samples"], found["mean_before"], found["n_right_before"]) == (2, 10, 0.4, 4)
    left = replace(
        DESIGN, exclude=(Exclusion(task="t", sample_id="q000", reason="no key"), Exclusion(task="t", sample_id="q011", reason="no key"))
    )
    found = only(scores, left)
    assert (found["n_refused"], found["n_samples"], found["n_wrong_before"]) == (1, 9, 5)


def test_a_missing_answer_is_wrong_and_inconsistent_or_leaves():
    before, now = [1, 1, 1, None, None, 0] * 2, [1, None, 0, 1, None, 0] * 2
    found = only(of_values(before, now))
    assert (found["n_samples"], found["mean_before"], found["mean"]) == (12, 0.5, pytest.approx(1 / 3))
    assert (found["p_right_to_wrong"], found["n_right_before"]) == (pytest.approx(2 / 3), 6)
    assert (found["p_wrong_to_right"], found["n_wrong_before"]) == (pytest.approx(1 / 3), 6)
    assert (found["n_compared"], found["consistency"]) == (12, pytest.approx(1 / 3))
    found = only(of_values(before, now), replace(DESIGN, missing="drop"))
    assert (found["n_samples"], found["n_compared"], found["mean_before"], found["mean"]) == (
        6,
        6,
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
    )
    assert (found["p_right_to_wrong"], found["n_right_before"], found["consistency"]) == (0.5, 4, pytest.approx(2 / 3))


def test_a_model_that_falls_silent_is_told():
    found = only(table(asked(perfect, [0] * 12), asked(silent, [0] * 12, perturbation="p")))
    assert (found["change"], found["p_right_to_wrong"], found["consistency"]) == (-1, 1, 0)
    assert found["note"] == "no answer could be read under p; nothing was wrong before"
    found = only(table(asked(perfect, [0] * 12), asked(silent, [0] * 12, perturbation="p")), replace(DESIGN, missing="drop"))
    assert found["note"] == "no answers left: every sample was refused, excluded or unread"
    assert math.isnan(found["change"])


def test_failed_answers_forbid_every_number_and_are_counted_once():
    scores = table(asked(perfect, [0] * 12), asked(perfect, [0] * 12, SHIFTS, perturbation="p"))
    for side, what in (("none", "none: 1 failed answers"), ("p", "p: 1 failed answers")):
        hit = scores["perturbation"].eq(side) & scores["sample_id"].eq("q003") & scores["variant"].eq(0)
        found = only(scores.assign(status=scores["status"].mask(hit, "failed"), value=scores["value"].mask(hit)))
        assert found["note"] == what
        assert all(pd.isna(found[name]) for name in ("mean", "change", "ci_low", "consistency", "p_right_to_wrong", "n_right_before"))


def test_samples_that_only_one_side_has_forbid_every_number():
    scores = of_values([1] * 12, [1] * 12)
    found = only(scores[~(scores["perturbation"].eq("p") & scores["sample_id"].eq("q003"))])
    assert found["note"] == "1 answers that only one side has" and math.isnan(found["mean"])
    assert only(scores[scores["perturbation"] == "p"])["note"] == "no answers under none"


def test_replicates_are_set_against_their_own():
    # takes another choice in each replicate, and the same one under the perturbation
    parts = [
        [row(f"q{at}", replicate, target=0, perturbation=perturbation, replicate=replicate) for at in range(12) for replicate in (0, 1)]
        for perturbation in ("none", "p")
    ]
    found = only(table(*parts))
    assert (found["mean_before"], found["mean"], found["consistency"], found["p_right_to_wrong"]) == (0.5, 0.5, 1, 0)
    assert (found["n_samples"], found["n_right_before"], found["n_wrong_before"]) == (12, 12, 12)


def test_several_right_choices_are_compared_as_sets():
    # the first shown of two choices differs between the orders, the choices do not
    pairs = {"none": ("0,2", 0), "p": ("0,2", 2)}
    parts = [
        [row(f"q{at}", 0, perturbation=name, answer_indices=taken, answer_index=index) for at in range(12)]
        for name, (taken, index) in pairs.items()
    ]
    assert only(table(*parts))["consistency"] == 1
    assert only(table(*parts).drop(columns="answer_indices"))["consistency"] == 0


def test_text_has_no_consistency_and_no_flips():
    design = replace(DESIGN, primary_metric={"t": "rougeL"})
    own = {"metric": "rougeL", "answer_index": None, "answer_indices": None}
    scores = table(
        [row(f"q{at}", 0, value=0.5, **own) for at in range(12)], [row(f"q{at}", 0, value=0.2, perturbation="p", **own) for at in range(12)]
    )
    found = only(scores, design)
    assert found["change"] == pytest.approx(-0.3)
    assert found["note"] == "rougeL is not right or wrong: no flips; answers are no choices: no consistency"
    assert pd.isna(found["n_right_before"]) and pd.isna(found["p_right_to_wrong"]) and pd.isna(found["consistency"])


def test_a_change_is_negative_where_it_loses_whatever_the_metric():
    metrics = {**METRICS, "error": replace(METRICS["rougeL"], name="error", higher_is_better=False, worst=1.0, best=0.0)}
    design = replace(DESIGN, primary_metric={"t": "error"}, metrics=metrics)
    own = {"metric": "error", "answer_index": None, "answer_indices": None}
    scores = table(
        [row(f"q{at}", 0, value=0.25, **own) for at in range(12)],
        [row(f"q{at}", 0, value=0.5, perturbation="p", **own) for at in range(12)],
    )
    (found,) = perturbed_frame(split_conditions(scores, metrics), design, STUDY).to_dict("records")
    assert (found["mean_before"], found["mean"], found["change"]) == (0.25, 0.5, -0.25)


def test_a_metric_of_a_set_is_read_as_accuracy():
    design = replace(DESIGN, primary_metric={"t": "macro_f1"})
    scores = of_values([1] * 12, [1] * 6 + [0] * 6)
    both = pd.concat([scores, scores.assign(metric="macro_f1")])
    found = only(both, design)
    assert (found["metric"], found["change"]) == ("accuracy", -0.5)
    assert judged_metric(split_conditions(both, METRICS), design, "t") == "accuracy"
    found = only(scores.assign(metric="macro_f1"), design)
    assert (found["metric"], found["n_samples"]) == ("macro_f1", 0)
    assert found["note"] == "macro_f1 has no value per sample, and there is no accuracy of these answers"


def test_every_strategy_has_its_own_reference_and_the_study_gives_the_order():
    targets = [0] * 12
    parts = [
        asked(engine, targets, strategy=strategy, perturbation=perturbation)
        for strategy, perturbation, engine in (
            ("zero", "none", perfect), ("zero", "b", perfect), ("zero", "p", perfect), ("few", "none", by_text), ("few", "p", perfect),
        )
    ]  # fmt: skip
    found = frame(table(*parts), perturbations={"none": MEANING, "p": MEANING}, strategies=("zero", "few"))
    assert found[["strategy", "perturbation"]].to_records(index=False).tolist() == [("zero", "p"), ("zero", "b"), ("few", "p")]
    assert found["change"].tolist() == [0, 0, 1]
    found = frame(table(*parts), perturbations={"none": MEANING, "b": MEANING}, strategies=("few",))
    assert found[["strategy", "perturbation"]].to_records(index=False).tolist() == [("few", "p"), ("zero", "b"), ("zero", "p")]


def test_where_a_perturbation_is_judged():
    targets = [0] * 3
    ran = (("zero", "none"), ("zero", "p"), ("few", "none"), ("few", "q"), ("cot", "none"), ("cot", "q"), ("many", "r"))
    cells = split_conditions(table(*(asked(perfect, targets, strategy=s, perturbation=p) for s, p in ran)), METRICS)
    assert judged_under(cells, DESIGN, "p", "t", ("few", "zero", "cot")) == "zero"
    assert judged_under(cells, DESIGN, "q", "t", ("zero", "few", "cot")) == "few"
    assert judged_under(cells, DESIGN, "q", "t", ("cot", "few")) == "cot"
    assert judged_under(cells, DESIGN, "q", "t", ()) == "cot"  # by name
    assert judged_under(cells, DESIGN, "r", "t", ("many",)) is None  # without its reference
    assert judged_under(cells, DESIGN, "p", "other", ("zero",)) is None


def test_nothing_perturbed_has_the_columns():
    found = frame(table(asked(perfect, [0] * 3)))
    assert list(found.columns) == list(COLUMNS) and len(found) == 0


def test_flips_over_groups_agree_with_weighted_least_squares():
    rng = np.random.default_rng(4)
    rows = []
    for at in range(60):
        for replicate in range(3):
            name, group = f"q{at:03d}", f"g{at // 3:02d}"
            rows.append(row(name, int(rng.integers(2)), group=group, replicate=replicate))
            rows.append(row(name, int(rng.integers(2)), group=group, replicate=replicate, perturbation="p"))
    scores = table(rows)
    wide = scores.pivot_table(index=["sample_id", "replicate"], columns="perturbation", values="value").reset_index()
    wide["flipped"] = (1 - wide["p"]) * wide["none"]
    means = wide.groupby("sample_id")[["none", "flipped"]].mean()
    means = means[means["none"] > 0]
    groups = np.array([int(name[1:]) // 3 for name in means.index])
    fit = sm.WLS(means["flipped"] / means["none"], np.ones(len(means)), weights=means["none"]).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    found = only(scores)
    low, high = fit.conf_int(0.05).to_numpy()[0]
    assert found["p_right_to_wrong"] == pytest.approx(fit.params.iloc[0], abs=1e-12)
    assert (found["p_right_to_wrong_low"], found["p_right_to_wrong_high"]) == pytest.approx((low, high), abs=1e-10)


def drawn(seed, n_samples, n_variants, n_replicates):
    """Answers to questions in pairs of one group, some refused, some unread; the perturbed ones in several orders."""
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(n_samples):
        own = {"group": f"g{at // 2}", "target": int(rng.integers(4))}
        name, refused = f"q{at}", rng.random() < 0.15
        for replicate in range(n_replicates):
            for perturbation, orders in (("none", [AS_WRITTEN]), ("p", [tuple(rng.permutation(4).tolist()) for _ in range(n_variants)])):
                for variant, order in enumerate(orders[:1] if refused else orders):
                    shown = None if rng.random() < 0.2 else int(rng.integers(4))
                    status = "refused" if refused and perturbation == "p" else None
                    more = {"perturbation": perturbation, "variant": variant, "replicate": replicate, "order": order, "status": status}
                    rows.append(row(name, shown, **own, **more))
    return table(rows)


def plain(scores, missing):
    """The same numbers in loops over samples, replicates and variants."""
    by_sample = {}
    for entry in scores.to_dict("records"):
        by_sample.setdefault(entry["sample_id"], []).append(entry)
    kept = {}
    for name, entries in sorted(by_sample.items()):
        if any(entry["status"] == "refused" for entry in entries):
            continue
        for now in (entry for entry in entries if entry["perturbation"] == "p"):
            (before,) = [e for e in entries if e["perturbation"] == "none" and e["replicate"] == now["replicate"]]
            read = now["status"] == before["status"] == "scored"
            if read or missing == "incorrect":
                values = [entry["value"] if entry["status"] == "scored" else 0.0 for entry in (before, now)]
                same = read and now["answer_index"] == before["answer_index"]
                b, a = values
                one = {"b": b, "a": a, "same": float(same), "d": a - b, "lost": b * (1 - a), "won": (1 - b) * a, "wrong": 1 - b}
                kept.setdefault((name, now["group"]), []).append(one)
    means = {
        key: [fmean(pair[key] for pair in pairs) for pairs in kept.values()] for key in ("b", "a", "same", "d", "lost", "won", "wrong")
    }
    if not kept:
        return {"n_samples": 0}
    return {
        "n_samples": len(kept),
        "n_groups": len({group for _, group in kept}),
        "mean_before": fmean(means["b"]),
        "mean": fmean(means["a"]),
        "change": fmean(means["d"]),
        "consistency": fmean(means["same"]),
        "p_right_to_wrong": sum(means["lost"]) / sum(means["b"]) if sum(means["b"]) else math.nan,
        "p_wrong_to_right": sum(means["won"]) / sum(means["wrong"]) if sum(means["wrong"]) else math.nan,
        "n_right_before": sum(value > 0 for value in means["b"]),
        "n_wrong_before": sum(value > 0 for value in means["wrong"]),
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 14), st.integers(1, 3), st.integers(1, 2), st.sampled_from(["incorrect", "drop"]))
def test_it_is_what_plain_loops_give_in_any_order_of_rows(seed, n_samples, n_variants, n_replicates, missing):
    scores = drawn(seed, n_samples, n_variants, n_replicates)
    design = replace(DESIGN, missing=missing)
    found = only(scores, design)
    for name, value in plain(scores, missing).items():
        assert found[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name
    assert found["n_refused"] == scores.loc[scores["status"] == "refused", "sample_id"].nunique()
    mixed = scores.sample(frac=1, random_state=seed % 2**31)
    pd.testing.assert_frame_equal(frame(mixed, design), frame(scores, design), check_exact=True)


def test_a_reference_with_variants_is_set_against_each_of_them():
    design = replace(DESIGN, primary_perturbation="p")
    targets = [0, 1, 2, 3] * 3
    scores = table(asked(always_first, targets), asked(always_first, targets, SHIFTS, perturbation="p"))
    (found,) = frame(scores, design).to_dict("records")
    assert (found["perturbation"], found["n_samples"]) == ("none", 12)
    # now at target 0 alone; before in one of three renditions of each other target
    assert (found["mean"], found["mean_before"], found["consistency"]) == pytest.approx((0.25, 0.25, 0))
    assert found["p_right_to_wrong"] == 1
    assert found["p_wrong_to_right"] == pytest.approx(3 / (3 + 9 * 2 / 3))


def test_intervals_are_over_groups():
    scores = of_values([1] * 24, [1, 0] * 12).assign(group=lambda table: table["sample_id"].str[1:].astype(int).floordiv(2).astype(str))
    found = only(scores)
    # every group loses one of its two: nothing varies between groups
    assert (found["n_groups"], found["change"], found["ci_low"], found["ci_high"]) == (12, -0.5, -0.5, -0.5)
    index = np.arange(24) // 2
    assert cluster_t_interval([1.0, 0.0] * 12, index, 0.95).low == found["consistency_low"] == 0.5
