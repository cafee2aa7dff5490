"""Two disjoint parts of the same tasks: effective numbers, the interval of their difference, and the frames."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as distributions

from evalsuite.metrics import METRICS
from evalsuite.stats.arrays import Interval, cluster_t_interval, partition
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.eyes_off import effective_number, eyes_off_frames, share_gap, square_and_add
from evalsuite.stats.unpaired import unpaired_interval, wilson_interval

LEVEL = 0.95


def share_of(values: np.ndarray, size: int) -> Interval:
    """Share of right answers in groups of `size`."""
    return cluster_t_interval(values.astype(float), np.arange(len(values)) // size, LEVEL)


def test_single_samples_are_worth_themselves_but_for_the_t() -> None:
    values = np.array([1] * 300 + [0] * 700)
    # se^2 of n single samples is p (1 - p) / (n - 1).
    t = distributions.t.ppf(0.975, 999)
    assert effective_number(share_of(values, 1), 1000) == pytest.approx(999 * (1.959963984540054 / t) ** 2)


def test_answers_that_hang_together_are_worth_their_groups() -> None:
    values = np.repeat([1] * 12 + [0] * 28, 5)
    t = distributions.t.ppf(0.975, 39)
    assert effective_number(share_of(values, 5), 200) == pytest.approx(39 * (1.959963984540054 / t) ** 2)


def test_answers_that_balance_within_groups_are_worth_no_more_than_there_are() -> None:
    values = np.tile([1, 1, 0, 0], 50)
    values[0] = 0
    assert effective_number(share_of(values, 4), 200) == 200


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_at_its_end_is_worth_its_groups(value: float) -> None:
    assert effective_number(share_of(np.full(40, value), 5), 40) == 8
    assert share_gap(share_of(np.full(40, 0.0), 5), share_of(np.full(160, 1.0), 5), 40, 160) == unpaired_interval(0, 8, 1, 32, level=LEVEL)


def test_large_parts_of_single_samples_have_newcombes_interval() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    off, on = np.array([1] * 1400 + [0] * 1600), np.array([1] * 7000 + [0] * 5000)
    reference = confint_proportions_2indep(1400, 3000, 7000, 12000, method="newcomb", compare="diff", alpha=0.05)
    assert share_gap(share_of(off, 1), share_of(on, 1), 3000, 12000) == pytest.approx(reference, abs=2e-5)


def test_one_group_has_no_interval() -> None:
    assert all(math.isnan(limit) for limit in share_gap(share_of(np.ones(5), 5), share_of(np.ones(50), 5), 5, 50))


def test_the_interval_covers_the_true_difference_where_groups_vary() -> None:
    rng = np.random.default_rng(5)
    n_covered, n_plain = 0, 0
    for _ in range(400):
        off, on = (rng.binomial(1, np.repeat(rng.beta(1.2, 0.8, n), 5)) for n in (30, 120))
        low, high = share_gap(share_of(off, 5), share_of(on, 5), len(off), len(on))
        n_covered += low <= 0 <= high
        low, high = unpaired_interval(off.mean(), len(off), on.mean(), len(on), level=LEVEL)
        n_plain += low <= 0 <= high
    assert n_covered >= 0.92 * 400
    assert n_plain < 0.85 * 400, "taking samples for independent would have been wrong here"


def test_square_and_add_of_wilson_intervals_is_newcombes() -> None:
    def part(share: float, n: int) -> Interval:
        low, high = wilson_interval(share, n)
        return Interval(estimate=share, low=low, high=high, se=np.nan, df=n - 1, level=LEVEL)

    assert square_and_add(part(0.3, 50), part(0.6, 200)) == pytest.approx(unpaired_interval(0.3, 50, 0.6, 200))


def scores(right: dict[tuple[str, str], list[int]], first: int, size: int = 2) -> pd.DataFrame:
    """(task, model) to right or wrong, in groups of `size`; samples are numbered from `first` on."""
    rows = []
    for (task, model), values in right.items():
        for number, value in enumerate(values, start=first):
            row = {"task": task, "metric": "accuracy", "strategy": "zero_shot", "perturbation": "none", "model": model}
            row |= {"sample_id": f"{task}{number}", "variant": 0, "replicate": 0, "group": f"{task}{number // size}"}
            rows.append({**row, "value": float(value), "status": "scored", "content_hash": f"{task}{number}"})
    return pd.DataFrame(rows)


def design(**changes: object) -> AnalysisDesign:
    content = {
        "study": "s", "pairs": (("a", "b"),), "primary_strategy": "zero_shot", "primary_perturbation": "none",
        "primary_metric": {"t": "accuracy", "u": "accuracy"}, "metrics": METRICS,
    }  # fmt: skip
    return AnalysisDesign(**{**content, **changes})  # type: ignore[arg-type]


ON = {("t", "a"): [1] * 30 + [0] * 10, ("t", "b"): [0, 1] * 20, ("u", "a"): [1] * 8 + [0] * 12, ("u", "b"): [1] * 4 + [0] * 16}
OFF = {("t", "a"): [1] * 5 + [0] * 5, ("t", "b"): [1] * 5 + [0] * 5, ("u", "a"): [1] * 6 + [0] * 4, ("u", "b"): [0] * 10}


def test_both_parts_stand_side_by_side() -> None:
    found = eyes_off_frames(scores(ON, 0), scores(OFF, 1000), design(), ["zero_shot"])
    models = found.models.set_index(["model", "task"])
    row = models.loc[("a", "t")]
    assert (row["on"], row["off"], row["gap"]) == (0.75, 0.5, -0.25)
    assert (row["on_n_samples"], row["on_n_groups"], row["off_n_samples"], row["off_n_groups"]) == (40, 20, 10, 5)
    expected = share_gap(share_of(np.array(OFF["t", "a"]), 2), share_of(np.array(ON["t", "a"]), 2), 10, 40)
    assert (row["gap_low"], row["gap_high"]) == pytest.approx(expected)
    pooled = found.models[found.models["task"].isna() & (found.models["model"] == "a")].iloc[0]
    assert (pooled["on"], pooled["off"]) == pytest.approx((38 / 60, 11 / 20))
    assert (pooled["on_n_samples"], pooled["on_n_groups"], pooled["off_n_samples"], pooled["off_n_groups"]) == (60, 30, 20, 10)
    pair = found.pairs.set_index("task").loc["t"]
    assert (pair["on"], pair["off"], pair["gap"]) == pytest.approx((0.25, 0.0, -0.25))
    on = cluster_t_interval(np.subtract(ON["t", "a"], ON["t", "b"], dtype=float), np.arange(40) // 2, LEVEL)
    assert (pair["on_low"], pair["on_high"]) == pytest.approx((on.low, on.high))
    assert pair["gap_low"] == pytest.approx(-0.25 - math.hypot(pair["off"] - pair["off_low"], pair["on_high"] - pair["on"]))
    assert len(found.pairs) == 3
    assert (found.models["status_note"] == "").all()


def test_the_order_of_rows_decides_nothing() -> None:
    on, off = scores(ON, 0), scores(OFF, 1000)
    straight = eyes_off_frames(on, off, design(), ["zero_shot"])
    mixed = eyes_off_frames(on.sample(frac=1, random_state=1), off.sample(frac=1, random_state=2), design(), ["zero_shot"])
    pd.testing.assert_frame_equal(straight.models, mixed.models)
    pd.testing.assert_frame_equal(straight.pairs, mixed.pairs)


def test_what_failed_or_was_not_asked_has_a_note_and_no_number() -> None:
    off = scores(OFF, 1000)
    off.loc[0, ["value", "status"]] = [np.nan, "failed"]
    on = scores({key: values for key, values in ON.items() if key != ("u", "b")}, 0)
    found = eyes_off_frames(on, off, design(), ["zero_shot"])
    models = found.models.set_index(["model", "task"])
    assert math.isnan(models.loc[("a", "t"), "gap"])
    assert models.loc[("a", "t"), "status_note"] == "t, eyes-off: 1 failed answers"
    assert models.loc[("b", "u"), "status_note"] == "u, eyes-on: not asked"
    assert models.loc[("b", "u"), "off"] == 0.0
    pooled = found.models[found.models["task"].isna()]
    assert pooled["gap"].isna().all()
    assert pooled["status_note"].str.contains("not asked|failed").all()


def test_a_stated_task_that_was_not_run_takes_the_pooled_numbers_with_it() -> None:
    found = eyes_off_frames(scores(ON, 0), scores(OFF, 1000), design(not_run={"v": "accuracy"}), ["zero_shot"])
    pooled = found.models[found.models["task"].isna()]
    assert pooled["gap"].isna().all()
    assert (pooled["status_note"] == "v not run").all()
    assert found.models["gap"].notna().sum() == 4


def test_a_metric_of_a_set_and_its_groups() -> None:
    def classes(frame: pd.DataFrame) -> pd.DataFrame:
        kept = frame[frame["task"] == "t"].assign(metric="macro_f1", target="1")
        return kept.assign(answer_index=kept["value"].astype(int))

    wanted = design(primary_metric={"t": "macro_f1"})
    found = eyes_off_frames(classes(scores(ON, 0)), classes(scores(OFF, 1000)), wanted, ["zero_shot"])
    row = found.models.set_index("model").loc["a"]
    # All targets are class 1: its F1 is 2 x 0.75 / 1.75, that of class 0 is 0, and both occur.
    assert row["on"] == pytest.approx(0.75 / 1.75)
    assert row["gap"] == pytest.approx(0.5 / 1.5 - 0.75 / 1.75)
    assert row["gap_low"] < row["gap"] < row["gap_high"]
    assert len(partition(np.array(["g"])).names) == 1
