"""Strict, lenient, validity and penalty, and the parts of a pair's difference, against plain loops and SciPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.contracts_kept import CONTRACT_COLUMNS, PART_COLUMNS, VOTED, contracts_kept_frame, format_parts_frame
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import split_conditions

Said = tuple[str | float, bool | None]
"""A value or a status, and whether the contract was kept."""


def written(model: str, said: Sequence[Said], **changes: Any) -> pd.DataFrame:
    """One answer per entry, each of its own sample and group."""
    rows = [
        {"model": model, "task": "t", "metric": "accuracy", "strategy": "zero", "perturbation": "json", "variant": 0, "replicate": 0,
         "sample_id": f"q{at:03d}", "group": f"g{at:03d}", "value": value if isinstance(value, float) else None,
         "status": "scored" if isinstance(value, float) else value, "strict_kept": kept}
        for at, (value, kept) in enumerate(said)
    ]  # fmt: skip
    return pd.DataFrame([row | changes for row in rows])


def design(**changes: Any) -> AnalysisDesign:
    content: dict[str, Any] = {
        "study": "s", "pairs": (("a", "b"),), "primary_strategy": "zero", "primary_perturbation": "none",
        "primary_metric": {"t": "accuracy"}, "metrics": METRICS,
    }  # fmt: skip
    return AnalysisDesign(**(content | changes))


def kept(parts: list[pd.DataFrame], **changes: Any) -> list[dict[str, Any]]:
    cells = split_conditions(pd.concat(parts, ignore_index=True), METRICS)
    frame = contracts_kept_frame(cells, design(**changes))
    assert tuple(frame.columns) == CONTRACT_COLUMNS
    return frame.to_dict("records")  # type: ignore[return-value]


def parts_of(parts: list[pd.DataFrame], **changes: Any) -> list[dict[str, Any]]:
    cells = split_conditions(pd.concat(parts, ignore_index=True), METRICS)
    frame = format_parts_frame(cells, design(**changes))
    assert tuple(frame.columns) == PART_COLUMNS
    return frame.to_dict("records")  # type: ignore[return-value]


# right and kept, right and broken, wrong and kept, wrong and broken, unread, cut off
SEVEN: Sequence[Said] = ((1.0, True), (1.0, True), (1.0, False), (1.0, False), (0.0, True), (0.0, False), ("unparsed", False))
MIXED: Sequence[Said] = (*SEVEN, *SEVEN, ("truncated", False))


def test_each_number_is_the_mean_over_samples_with_the_one_sample_t() -> None:
    for missing in ("incorrect", "drop"):
        (row,) = kept([written("a", MIXED)], missing=missing)
        columns = {
            "lenient": [float(value == 1.0) for value, _ in MIXED],
            "strict": [float(value == 1.0 and bool(form)) for value, form in MIXED],
            "validity": [float(bool(form)) for _, form in MIXED],
        }
        columns["penalty"] = [one - two for one, two in zip(columns["lenient"], columns["strict"], strict=True)]
        for name, values in columns.items():
            expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
            assert row[name] == pytest.approx(np.mean(values), abs=1e-12)
            assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert (row["n_samples"], row["n_groups"], row["note"], row["ci_level"]) == (15, 15, "", 0.95)


def test_a_prompt_that_was_too_long_follows_the_missing_rule_and_was_no_output() -> None:
    said: Sequence[Said] = [*[(1.0, True)] * 12, *[("too_long", None)] * 4]
    (counted,) = kept([written("a", said)])
    assert (counted["lenient"], counted["strict"], counted["validity"], counted["n_samples"]) == (0.75, 0.75, 0.75, 16)
    (dropped,) = kept([written("a", said)], missing="drop")
    assert (dropped["lenient"], dropped["strict"], dropped["validity"], dropped["n_samples"]) == (1, 1, 1, 12)


def test_refused_and_excluded_samples_leave_and_failures_forbid_numbers() -> None:
    said: Sequence[Said] = [*[(1.0, True)] * 10, *[("refused", None)] * 3, (0.0, False)]
    excluded = Exclusion(task="t", sample_id="q013", reason="no key")
    (row,) = kept([written("a", said)], exclude=(excluded,))
    assert (row["n_samples"], row["strict"], row["validity"]) == (10, 1, 1)
    (failed,) = kept([written("a", [*said, ("failed", None)])])
    assert failed["note"] == "1 failed answers"
    assert all(np.isnan(failed[name]) for name in ("strict", "lenient", "validity", "penalty", "validity_low"))


def test_the_strict_metric_counts_where_the_task_has_one() -> None:
    """Of votes the strict election may have another winner than the lenient one, so that no product of the two can stand for it."""
    lenient = written("a", [(1.0, True)] * 12, votes="0,0,1")
    strict = written("a", [(0.0, True)] * 12, votes="0,0,1", metric="accuracy_strict")
    (row,) = kept([lenient, strict])
    assert (row["lenient"], row["strict"], row["validity"], row["penalty"]) == (1, 0, 1, 1)
    (alone,) = kept([lenient])
    assert (alone["lenient"], alone["validity"], alone["note"]) == (1, 1, VOTED)
    assert np.isnan([alone["strict"], alone["penalty"]]).all()


def test_the_reading_of_an_output_decides_whatever_the_task_is_compared_on() -> None:
    own = {"metric": "accuracy_strict"}
    both = [written("a", MIXED), written("a", [(v if f else "unparsed", f) for v, f in MIXED], **own)]
    (row,) = kept(both, primary_metric={"t": "accuracy_strict"})
    assert (row["lenient"], row["strict"]) == pytest.approx((8 / 15, 4 / 15))
    f1 = written("a", MIXED, metric="macro_f1", target="0", answer_index=0)
    (of_set,) = kept([f1], primary_metric={"t": "macro_f1"})
    assert (of_set["lenient"], of_set["strict"], of_set["validity"]) == (row["lenient"], row["strict"], row["validity"])


def test_log_probabilities_have_no_contract_and_no_row() -> None:
    assert kept([written("a", [(1.0, None)] * 12)]) == []
    assert parts_of([written("a", [(1.0, None)] * 12), written("b", [(1.0, None)] * 12)]) == []


def test_variants_are_averaged_within_samples_and_groups_widen() -> None:
    one = [written("a", MIXED, variant=number) for number in range(3)]
    (row,), (single,) = kept(one), kept([written("a", MIXED)])
    for name in ("strict", "penalty", "penalty_low", "penalty_high", "n_samples"):
        assert row[name] == pytest.approx(single[name], abs=1e-12)
    doubled = pd.concat([written("a", MIXED), written("a", MIXED).assign(sample_id=lambda frame: "r" + frame["sample_id"])])
    (grouped,) = kept([doubled])
    assert (grouped["n_samples"], grouped["n_groups"]) == (30, 15)
    assert (grouped["penalty_low"], grouped["penalty_high"]) == pytest.approx((single["penalty_low"], single["penalty_high"]), abs=1e-12)


ANSWER = st.sampled_from([(1.0, True), (1.0, False), (0.0, True), (0.0, False), ("unparsed", False), ("refused", None)])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(ANSWER, ANSWER), min_size=12, max_size=30))
def test_knowledge_and_format_add_up_and_change_sign_with_the_pair(said: Sequence[tuple[Said, Said]]) -> None:
    scores = [written("a", [a for a, _ in said]), written("b", [b for _, b in said])]
    (row,) = parts_of(scores)
    both = [(a, b) for a, b in said if "refused" not in (a[0], b[0])]
    assert row["n_samples"] == len(both)
    if not both:
        assert row["note"] == "no answers are left"
        return
    lenient = [float(a[0] == 1.0) - float(b[0] == 1.0) for a, b in both]
    strict = [float(a == (1.0, True)) - float(b == (1.0, True)) for a, b in both]
    assert row["knowledge"] == pytest.approx(np.mean(lenient), abs=1e-12)
    assert row["strict_difference"] == pytest.approx(np.mean(strict), abs=1e-12)
    assert row["knowledge"] + row["format"] == pytest.approx(row["strict_difference"], abs=1e-12)
    (turned,) = parts_of(scores, pairs=(("b", "a"),))
    for name in ("strict_difference", "knowledge", "format"):
        assert turned[name] == pytest.approx(-row[name], abs=1e-12)
        if len(both) > 1:
            assert (turned[f"{name}_low"], turned[f"{name}_high"]) == pytest.approx((-row[f"{name}_high"], -row[f"{name}_low"]), abs=1e-12)


def test_each_part_has_the_paired_interval() -> None:
    rng = np.random.default_rng(5)
    draws = {model: [(float(r), bool(k)) for r, k in zip(rng.random(30) < p, rng.random(30) < q, strict=True)] for model, p, q in
             (("a", 0.6, 0.9), ("b", 0.5, 0.4))}  # fmt: skip
    (row,) = parts_of([written(model, list(said)) for model, said in draws.items()])
    penalty = {model: np.array([right - right * form for right, form in said]) for model, said in draws.items()}
    right = {model: np.array([value for value, _ in said]) for model, said in draws.items()}
    expected: Mapping[str, Any] = {"knowledge": right["a"] - right["b"], "format": penalty["b"] - penalty["a"]}
    for name, values in expected.items():
        limits = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx((limits.low, limits.high), abs=1e-12)


def test_a_side_without_answers_has_a_note_and_no_parts() -> None:
    (row,) = parts_of([written("a", MIXED)])
    assert row["note"] == "no scores of b"
    assert np.isnan([row["strict_difference"], row["knowledge"], row["format"]]).all()


def test_order_of_rows_changes_nothing() -> None:
    scores = pd.concat([written("a", MIXED), written("b", MIXED[::-1])], ignore_index=True)
    assert parts_of([scores]) == parts_of([scores.sample(frac=1, random_state=1)])
