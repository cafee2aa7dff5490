"""What answers took and what the asked form cost, against hand computation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.costs import COLUMNS, cost_frame
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import split_conditions


def answers(
    model: str, task: str, values: Sequence[float | str], *, strategy: str = "zero", metric: str = "accuracy", **changes: Any
) -> pd.DataFrame:
    """One row per value, which is a number or the name of a status."""
    rows = [
        {"model": model, "task": task, "metric": metric, "strategy": strategy, "perturbation": "none", "variant": 0, "replicate": 0,
         "sample_id": f"q{at}", "group": f"{task}:{at}", "content_hash": f"{task}{at}", "target": "0", "answer_index": 0,
         "label_mass": None,
         "value": None if isinstance(value, str) else value, "status": value if isinstance(value, str) else "scored",
         "finish_reason": "stop", "n_calls": 1, "n_prompt_tokens": 10 + at, "n_output_tokens": 2}
        for at, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame([row | changes for row in rows])


def design(*tasks: str, metric: str = "accuracy", **changes: Any) -> AnalysisDesign:
    content: dict[str, Any] = {
        "study": "s", "pairs": (("a", "b"),), "primary_strategy": "zero", "primary_perturbation": "none",
        "primary_metric": dict.fromkeys(tasks, metric), "metrics": METRICS,
    }  # fmt: skip
    return AnalysisDesign(**(content | changes))


def costs(parts: list[pd.DataFrame], plan: AnalysisDesign) -> dict[str, dict[Any, Any]]:
    """Model to its row."""
    scores = pd.concat(parts, ignore_index=True)
    return {row["model"]: row for row in cost_frame(scores, split_conditions(scores, METRICS), plan).to_dict("records")}


def test_costs_and_means_are_over_the_same_answers() -> None:
    values = [1.0, 0.0, 1.0, "unparsed"]
    found = costs([answers("a", "t", values), answers("b", "t", [1.0, 1.0, 1.0, 0.0])], design("t"))
    row = found["a"]
    # The missing answer was paid for, and counts as wrong.
    assert (row["prompt_tokens"], row["output_tokens"], row["calls"], row["n_answers"]) == (11.5, 2.0, 1.0, 4)
    expected = stats.ttest_1samp([1, 0, 1, 0], 0).confidence_interval(0.95)
    assert (row["mean"], row["ci_low"], row["ci_high"]) == pytest.approx((0.5, expected.low, expected.high), abs=1e-9)
    assert found["b"]["mean"] == 0.75


def test_dropped_answers_leave_the_mean_but_not_the_cost() -> None:
    found = costs([answers("a", "t", [1.0, 0.0, 1.0, "unparsed"])], design("t", missing="drop"))
    assert found["a"]["mean"] == pytest.approx(2 / 3)
    assert found["a"]["n_answers"] == 4


def test_excluded_samples_and_refused_answers_leave_both() -> None:
    plan = design("t", exclude=(Exclusion(task="t", sample_id="q0", reason="broken"),))
    row = costs([answers("a", "t", [1.0, 0.0, 1.0, "refused"])], plan)["a"]
    assert (row["n_answers"], row["prompt_tokens"], row["mean"]) == (2, 11.5, 0.5)


def test_a_question_in_two_tasks_counts_once() -> None:
    """Task u repeats the two questions of t and holds two of its own: four distinct ones."""
    other = answers("a", "u", [0.0, 0.0, 1.0, 1.0])
    other["group"] = ["t:0", "t:1", "u:2", "u:3"]
    found = costs([answers("a", "t", [1.0, 1.0]), other], design("t", "u"))
    assert found["a"]["n_questions"] == 4
    assert found["a"]["mean"] == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)


def test_tasks_that_not_everyone_has_and_failures_are_left_out_by_name() -> None:
    parts = [
        answers("a", "t", [1.0, 0.0]), answers("b", "t", [1.0, 0.0]),
        answers("a", "half", [1.0, 1.0]),
        answers("a", "broken", [1.0, "failed"]), answers("b", "broken", [1.0, 1.0]),
        answers("a", "scaled", [0.3, 0.4], metric="rougeL"), answers("b", "scaled", [0.3, 0.4], metric="rougeL"),
    ]  # fmt: skip
    plan = design("t", "half", "broken")
    found = costs(parts, design("t", primary_metric={**plan.primary_metric, "scaled": "rougeL"}))
    row = found["a"]
    assert row["tasks"] == "t"
    assert row["left_out"] == (
        "half (not asked of every model under every strategy); broken (failed answers, or none left); "
        "scaled (rougeL is not right or wrong per sample)"
    )


def test_without_shares_there_are_costs_and_no_mean() -> None:
    found = costs([answers("a", "t", [0.3, 0.4], metric="rougeL")], design("t", metric="rougeL"))
    assert found["a"]["prompt_tokens"] == 10.5
    assert np.isnan(float(found["a"]["mean"]))


def test_nothing_in_common_or_no_costs_is_no_row() -> None:
    parts = pd.concat([answers("a", "t", [1.0]), answers("b", "u", [1.0])])
    empty = cost_frame(parts, split_conditions(parts, METRICS), design("t", "u"))
    assert (len(empty), list(empty.columns)) == (0, list(COLUMNS))
    bare = parts.drop(columns=["n_calls"])
    assert len(cost_frame(bare, split_conditions(bare, METRICS), design("t", "u"))) == 0


def test_order_of_rows_changes_nothing() -> None:
    scores = pd.concat([answers(model, "t", [1.0, 0.0, 1.0], strategy=s) for model in "ab" for s in ("zero", "few")], ignore_index=True)
    mixed = scores.sample(frac=1, random_state=3)
    plan = design("t")
    pd.testing.assert_frame_equal(
        cost_frame(scores, split_conditions(scores, METRICS), plan), cost_frame(mixed, split_conditions(mixed, METRICS), plan)
    )
