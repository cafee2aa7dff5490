"""Estimates and pairing: what a missing answer counts as, who leaves, and what is averaged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.tables import (
    ESTIMATE_COLUMNS,
    class_number,
    class_numbers,
    estimate_frame,
    pair_units,
    sample_means,
    split_conditions,
)

NO = frozenset()


def scores_of(model, values, *, metric="accuracy", replicates=1, variants=1, groups=None):
    """One model's answers; `values` holds numbers or names of statuses, samples outermost, then variants, then replicates."""
    rows = []
    for number, value in enumerate(values):
        sample, rest = divmod(number, replicates * variants)
        variant, replicate = divmod(rest, replicates)
        scored = not isinstance(value, str)
        rows.append(
            {
                "study": "s", "model": model, "task": "t", "language": "en", "strategy": "zero_shot", "perturbation": "none",
                "variant": variant, "replicate": replicate, "sample_id": f"q{sample:05d}",
                "group": groups[sample] if groups else f"g{sample:05d}", "content_hash": f"h{sample}.{variant}", "metric": metric,
                "value": float(value) if scored else None, "status": "scored" if scored else value,
                "answer_index": (0 if value else 1) if scored else None, "target": "0", "label_mass": 0.5 if scored else None,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def estimate(scores, *, missing="incorrect", exclude=()):
    return estimate_frame(scores, METRICS, missing=missing, exclude=exclude, level=0.95).iloc[0]


def paired(a, b, *, metric="accuracy", missing="incorrect", excluded=NO):
    (models,) = split_conditions(pd.concat([a, b]), METRICS).values()
    return pair_units(models.get("a"), models.get("b"), METRICS[metric], missing, excluded)


def test_plain_estimate_is_the_t_interval():
    values = np.random.default_rng(0).integers(0, 2, size=50)
    row = estimate(scores_of("a", values))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (row["mean"], row["ci_low"], row["ci_high"]) == pytest.approx((values.mean(), expected.low, expected.high))
    assert (row["n_samples"], row["n_groups"], row["n_answers"], row["n_scored"], row["n_excluded"]) == (50, 50, 50, 50, 0)
    assert row["established"]
    assert row["label_mass"] == 0.5


def test_missing_answers_count_as_wrong_or_leave():
    values = [1, 1, 0, "unparsed", "truncated", "too_long"]
    wrong, left = estimate(scores_of("a", values)), estimate(scores_of("a", values), missing="drop")
    assert (wrong["mean"], wrong["n_samples"]) == (2 / 6, 6)
    assert (left["mean"], left["n_samples"], left["n_excluded"]) == (2 / 3, 3, 3)
    for row in (wrong, left):
        assert [row[f"n_{s}"] for s in ("scored", "unparsed", "truncated", "too_long", "refused", "failed")] == [3, 1, 1, 1, 0, 0]


def test_missing_answers_count_as_the_metric_s_worst_value():
    from dataclasses import replace

    brier = replace(METRICS["accuracy"], name="accuracy", higher_is_better=False, worst=2.0, best=0.0, binary=False)
    row = estimate_frame(scores_of("a", [0.5, "unparsed"]), {"accuracy": brier}, missing="incorrect", exclude=(), level=0.95).iloc[0]
    assert row["mean"] == 1.25


def test_failures_leave_no_number_until_excluded_by_name():
    scores = scores_of("a", [1, 0, "failed", 1])
    row = estimate(scores)
    assert not row["established"]
    assert np.isnan([row["mean"], row["se"], row["ci_low"], row["ci_high"]]).all()
    assert (row["n_failed"], row["status_note"]) == (1, "1 failed answers")
    mended = estimate(scores, exclude=(Exclusion(task="t", sample_id="q00002", reason="engine fault"),))
    assert (mended["mean"], mended["n_samples"], mended["n_excluded"], mended["n_failed"]) == (2 / 3, 3, 1, 0)
    other_task = estimate(scores, exclude=(Exclusion(task="u", sample_id="q00002", reason="engine fault"),))
    assert not other_task["established"]


def test_estimates_of_nothing_have_their_columns():
    scores = scores_of("a", [1, 0])
    full = estimate_frame(scores, METRICS, missing="incorrect", exclude=(), level=0.95)
    for empty in (scores.iloc[:0], scores.iloc[:0].astype(object)):
        found = estimate_frame(empty, METRICS, missing="incorrect", exclude=(), level=0.95)
        assert len(found) == 0
        assert list(found.columns) == list(full.columns) == list(ESTIMATE_COLUMNS)


def test_an_exclusion_counts_though_nobody_was_asked():
    row = estimate(scores_of("a", [1, 0, 1]), exclude=[Exclusion(task="t", sample_id=s, reason="wrong key") for s in ("q00000", "x")])
    assert (row["n_samples"], row["n_excluded"], row["n_answers"]) == (2, 2, 2)


def test_refused_answers_leave_the_mean():
    row = estimate(scores_of("a", [1, "refused", 0, "refused"]))
    assert (row["mean"], row["n_samples"], row["n_refused"], row["n_excluded"]) == (0.5, 2, 2, 2)


def test_replicates_and_variants_are_averaged_within_a_sample():
    values = [1, 0, 1, 1, 0, 0, 0, 1]  # two samples, two variants, two replicates
    units = paired(scores_of("a", values, variants=2, replicates=2), scores_of("b", [1] * 8, variants=2, replicates=2))
    means = sample_means(units)
    assert means.a.tolist() == [0.75, 0.25]
    assert means.b.tolist() == [1.0, 1.0]
    row = estimate(scores_of("a", values, variants=2, replicates=2))
    assert (row["mean"], row["n_samples"], row["n_answers"]) == (0.5, 2, 8)
    assert row["se"] == pytest.approx(0.25)


@pytest.mark.parametrize(("n_draws", "reduction"), [(2, 1 / 3), (4, 1 / 2), (6, 5 / 9)])
def test_resampling_reduces_the_variance_as_miller_prints(n_draws, reduction):
    # Miller 2024: binary answers, uniform difficulty, K draws per question reduce the variance by 1/3, 1/2 and 5/9.
    n = 6000
    rng = np.random.default_rng(1)
    difficulty = (np.arange(n) + 0.5) / n
    draws = rng.random((n, n_draws)) < difficulty[:, None]
    once, often = (estimate(scores_of("a", x.ravel().astype(int), replicates=k)) for x, k in ((draws[:, :1], 1), (draws, n_draws)))
    assert 1 - often["se"] ** 2 / once["se"] ** 2 == pytest.approx(reduction, abs=0.03)


def test_pairs_leave_together():
    a = scores_of("a", [1, "refused", "unparsed", 0, 1])
    b = scores_of("b", [0, 1, 1, "truncated", 1])
    units = paired(a, b)
    assert units.samples.tolist() == ["q00000", "q00002", "q00003", "q00004"]
    assert (units.a.tolist(), units.b.tolist()) == ([1, 0, 0, 1], [0, 1, 0, 1])
    assert (units.n_all_samples, units.n_a_missing, units.n_b_missing, units.faults) == (5, 1, 1, ())
    dropped = paired(a, b, missing="drop")
    assert dropped.samples.tolist() == ["q00000", "q00004"]
    assert (dropped.n_a_missing, dropped.n_b_missing) == (1, 1)
    assert paired(a, b, excluded=frozenset({"q00000"})).samples.tolist() == ["q00002", "q00003", "q00004"]


def test_a_refusal_outweighs_a_failure_of_the_other_side():
    assert paired(scores_of("a", ["refused", 1]), scores_of("b", ["failed", 1])).faults == ()


def test_what_forbids_a_number():
    a, b = scores_of("a", [1, 0, 1]), scores_of("b", [1, 1, 0])
    assert paired(a, scores_of("b", [1, "failed", 0])).faults == ("1 failed answers",)
    assert paired(a, b.iloc[:2]).faults == ("1 answers that only one side has",)
    changed = b.assign(content_hash=["h0.0", "other", "h2.0"])
    assert paired(a, changed).faults == ("1 renditions that differ between the sides",)
    assert paired(a, b.assign(content_hash=None)).faults == ()
    (models,) = split_conditions(a, METRICS).values()
    assert pair_units(models["a"], None, METRICS["accuracy"], "incorrect", NO).faults == ("no scores of b",)


def test_set_metric_estimate_is_computed_from_the_answers():
    rng = np.random.default_rng(2)
    targets, answers = rng.integers(0, 3, size=60), rng.integers(0, 3, size=60)
    scores = scores_of("a", (targets == answers).astype(int), metric="macro_f1").assign(target=targets.astype(str), answer_index=answers)
    scores.loc[[4, 9], ["value", "status", "answer_index"]] = [None, "unparsed", None]
    row = estimate(scores)
    read = np.where(np.isin(np.arange(60), [4, 9]), -1, answers)
    assert row["mean"] == pytest.approx(METRICS["macro_f1"].of_set(targets, read, 3))
    kept = read >= 0
    assert estimate(scores, missing="drop")["mean"] == pytest.approx(METRICS["macro_f1"].of_set(targets[kept], read[kept], 3))
    assert row["ci_low"] < row["mean"] < row["ci_high"]


def test_a_set_metric_refuses_answers_that_contradict_their_values():
    scores = scores_of("a", [1, 0] * 6, metric="macro_f1")
    assert estimate(scores)["established"]
    assert "differ from the agreement" in estimate(scores.assign(answer_index=0))["status_note"]
    assert "without one target class" in estimate(scores.assign(target="0,1"))["status_note"]
    assert "without one target class" in estimate(scores.assign(target=None))["status_note"]


def test_classes_are_read_from_text_numbers_and_lists():
    entries = ["2", "0,1", None, np.nan, 3, 4.0, [5], [], "-1", np.array([1, 2])]
    assert [class_number(entry) for entry in entries] == [2, -2, -1, -1, 3, 4, 5, -1, -1, -2]
    assert class_numbers(pd.Series([1.0, np.nan])).tolist() == [1, -1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.drop(columns="group"), "lack the columns group"),
        (lambda s: s.assign(group=[None, "g1"]), "empty entries in the columns group"),
        (lambda s: s.assign(status="odd"), "unknown status"),
        (lambda s: s.assign(metric="odd"), "unknown metric"),
        (lambda s: s.assign(status=["scored", "failed"]), "1 scores have a value without"),
        (lambda s: s.assign(value=[None, 1.0]), "1 scores have a value without"),
        (lambda s: s.assign(value=[np.inf, 1.0]), "1 scores have a value without"),
        (lambda s: pd.concat([s, s.iloc[:1]]), "1 answers stand twice"),
        (lambda s: pd.concat([s, s.iloc[:1].assign(model="b", group="other")]), "two groups"),
    ],
)
def test_a_table_that_is_not_one_of_scores_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        split_conditions(change(scores_of("a", [1, 0])), METRICS)
