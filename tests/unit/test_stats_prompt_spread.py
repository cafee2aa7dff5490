"""Scores over prompts: against NumPy, hand computation and SciPy's Friedman test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.metrics import METRICS
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.perturbed import Perturbed
from evalsuite.stats.prompt_spread import RANK_COLUMNS, SPREAD_COLUMNS, kendall_w, prompt_rank_frame, prompt_spread_frame
from evalsuite.stats.tables import split_conditions

PROMPTS = {"p": Perturbed(name="prompts", family="multi-prompt", preserves_meaning=True)}
OTHER = {"p": Perturbed(name="shuffle_choices", family="meaning-preserving", preserves_meaning=True)}


def asked(model: str, values: Any, **changes: Any) -> pd.DataFrame:
    """values: (prompts, samples); NaN for an answer that was not read."""
    rows = [
        {"model": model, "task": "t", "metric": "accuracy", "strategy": "zero", "perturbation": "p", "variant": variant, "replicate": 0,
         "sample_id": f"q{at:03d}", "group": f"g{at:03d}", "value": value, "status": "unparsed" if np.isnan(value) else "scored"}
        for variant, row in enumerate(np.asarray(values, dtype=float)) for at, value in enumerate(row)
    ]  # fmt: skip
    return pd.DataFrame([row | changes for row in rows])


def design(**changes: Any) -> AnalysisDesign:
    content: dict[str, Any] = {
        "study": "s", "pairs": (("a", "b"),), "primary_strategy": "zero", "primary_perturbation": "none",
        "primary_metric": {"t": "accuracy"}, "metrics": METRICS,
    }  # fmt: skip
    return AnalysisDesign(**(content | changes))


def spread(parts: list[pd.DataFrame], **changes: Any) -> list[dict[str, Any]]:
    frame = prompt_spread_frame(split_conditions(pd.concat(parts, ignore_index=True), METRICS), design(**changes), PROMPTS)
    assert tuple(frame.columns) == SPREAD_COLUMNS
    return frame.to_dict("records")  # type: ignore[return-value]


def ranks(parts: list[pd.DataFrame], **changes: Any) -> list[dict[str, Any]]:
    frame = prompt_rank_frame(split_conditions(pd.concat(parts, ignore_index=True), METRICS), design(**changes), PROMPTS)
    assert tuple(frame.columns) == RANK_COLUMNS
    return frame.to_dict("records")  # type: ignore[return-value]


def drawn(seed: int, n_prompts: int = 5, n: int = 40) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.random((n_prompts, n)) < rng.random(n_prompts)[:, None]).astype(float)


def test_the_spread_is_that_of_the_means_per_prompt() -> None:
    values = drawn(1)
    (row,) = spread([asked("a", values)])
    means = values.mean(axis=1)
    expected = {"mean": means.mean(), "worst": means.min(), "best": means.max(), "sd": np.std(means, ddof=1), "range": np.ptp(means)}
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert (row["n_prompts"], row["note"]) == (5, "")


def test_only_variants_of_prompts_are_prompts() -> None:
    cells = split_conditions(asked("a", drawn(1)), METRICS)
    assert len(prompt_spread_frame(cells, design(), OTHER)) == 0
    assert len(prompt_rank_frame(cells, design(), {})) == 0


def test_every_prompt_is_scored_on_the_same_samples() -> None:
    values = drawn(2)
    values[3, 7] = np.nan
    (counted,) = spread([asked("a", values)])
    assert counted["mean"] == pytest.approx(np.nan_to_num(values).mean(), abs=1e-12)
    (dropped,) = spread([asked("a", values)], missing="drop")
    assert dropped["mean"] == pytest.approx(np.delete(values, 7, axis=1).mean(), abs=1e-12)
    assert dropped["note"] == "1 samples without an answer to every prompt are left out"


def test_one_prompt_has_no_spread_and_a_failure_no_number() -> None:
    (row,) = spread([asked("a", drawn(3, 1))])
    assert row["range"] == 0
    assert np.isnan(row["sd"])
    broken = asked("a", drawn(3))
    broken.loc[0, "value"], broken.loc[0, "status"] = np.nan, "failed"
    (failed,) = spread([broken])
    assert failed["note"] == "1 failed answers"
    assert np.isnan([failed["mean"], failed["worst"], failed["sd"]]).all()


def test_ranks_of_a_pair_over_prompts_with_ties_half() -> None:
    a = np.zeros((4, 20))
    b = np.zeros((4, 20))
    a[0, :8], a[1, :4], a[2, :5], b[2, 5:10], b[3, :10] = 1, 1, 1, 1, 1
    (row,) = ranks([asked("a", a), asked("b", b)])
    # Ahead by 8, ahead by 4, tied at 5 each, behind by 10 of 20.
    assert (row["p_a_ahead"], row["p_b_ahead"], row["p_tied"], row["n_prompts"]) == (0.625, 0.375, 0.25, 4)
    assert (row["difference_mean"], row["difference_low"], row["difference_high"]) == pytest.approx((0.025, -0.5, 0.4))
    # Ranks of a: 2, 2, 1.5, 1 of 4 prompts: sums 6.5 and 5.5; S = 0.5; one tie of two: T = 6.
    assert row["kendall_w"] == pytest.approx(12 * 0.5 / (16 * 6 - 4 * 6))
    (turned,) = ranks([asked("a", a), asked("b", b)], pairs=(("b", "a"),))
    assert (turned["p_a_ahead"], turned["difference_low"], turned["kendall_w"]) == pytest.approx((0.375, -0.4, row["kendall_w"]))


def test_concordance_is_over_all_models_not_the_pair() -> None:
    tables = {name: drawn(seed) for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 4))}
    rows = ranks([asked(name, values) for name, values in tables.items()], pairs=(("a", "b"), ("c", "d")))
    means = np.array([values.mean(axis=1) for values in tables.values()]).T
    statistic = stats.friedmanchisquare(*means.T).statistic
    assert [row["kendall_w"] for row in rows] == pytest.approx([statistic / (5 * 3)] * 2, abs=1e-12)
    broken = asked("d", tables["d"])
    broken.loc[0, "value"], broken.loc[0, "status"] = np.nan, "failed"
    rows = ranks([*(asked(name, tables[name]) for name in "abc"), broken], pairs=(("a", "b"), ("c", "d")))
    three = stats.friedmanchisquare(*means[:, :3].T).statistic
    assert rows[0]["kendall_w"] == pytest.approx(three / (5 * 2), abs=1e-12)
    assert [row["note"] for row in rows] == ["W without d", "1 failed answers; W without d"]
    assert np.isnan(rows[1]["difference_mean"])


def test_one_model_has_no_concordance() -> None:
    (row,) = ranks([asked("a", drawn(1))])
    assert np.isnan(row["kendall_w"])
    assert row["note"] == "no scores of b; no W: one model"
    same = ranks([asked("a", drawn(1)), asked("b", drawn(1))])[0]
    assert (same["p_a_ahead"], same["difference_mean"], same["note"]) == (0.5, 0, "no W: one prompt, or all tied")


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(3, 6), st.integers(0, 2**31))
def test_w_is_friedmans_statistic_scaled_and_lies_between_0_and_1(m: int, n: int, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, size=(m, n)).astype(float)
    found = kendall_w(scores)
    if all(len(set(row)) == 1 for row in scores.tolist()):
        assert np.isnan(found)
        return
    # SciPy corrects the chi-square for ties in the same way; W = chi2 / (m (n - 1)).
    assert found == pytest.approx(stats.friedmanchisquare(*scores.T).statistic / (m * (n - 1)), abs=1e-12)
    assert -1e-12 <= found <= 1 + 1e-12
    assert kendall_w(np.tile(np.arange(n, dtype=float), (m, 1))) == pytest.approx(1)


def test_order_of_rows_changes_nothing() -> None:
    scores = pd.concat([asked("a", drawn(1)), asked("b", drawn(2))], ignore_index=True)
    assert ranks([scores]) == ranks([scores.sample(frac=1, random_state=1)])
    assert spread([scores]) == spread([scores.sample(frac=1, random_state=1)])
