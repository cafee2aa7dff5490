"""What became of first answers, against plain loops over planted dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.ratios import ratio_interval
from evalsuite.stats.second_turns import COLUMNS, second_turn_frame
from evalsuite.stats.tables import split_conditions

Turn = tuple[int | None, int | str, int, int | None]
"""First choice or None, last choice or a status, right choice of both turns, suggested choice."""


def talked(model: str, turns: Sequence[Turn], **changes: Any) -> pd.DataFrame:
    rows = [
        {"model": model, "task": "t", "metric": "accuracy", "strategy": "zero", "perturbation": "said", "variant": 0, "replicate": 0,
         "sample_id": f"q{at:03d}", "group": f"g{at // 2:03d}", "value": float(last == right) if isinstance(last, int) else None,
         "status": "scored" if isinstance(last, int) else last, "answer_index": last if isinstance(last, int) else None,
         "target": str(right), "first_target": str(right), "first_index": first, "suggested_index": suggested}
        for at, (first, last, right, suggested) in enumerate(turns)
    ]  # fmt: skip
    return pd.DataFrame([row | changes for row in rows])


def design(**changes: Any) -> AnalysisDesign:
    content: dict[str, Any] = {
        "study": "s", "pairs": (("a", "b"),), "primary_strategy": "zero", "primary_perturbation": "none",
        "primary_metric": {"t": "accuracy"}, "metrics": METRICS,
    }  # fmt: skip
    return AnalysisDesign(**(content | changes))


def frame(parts: list[pd.DataFrame], **changes: Any) -> pd.DataFrame:
    found = second_turn_frame(split_conditions(pd.concat(parts, ignore_index=True), METRICS), design(**changes))
    assert tuple(found.columns) == COLUMNS
    return found


def one(turns: Sequence[Turn], design_changes: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    (row,) = frame([talked("a", turns, **changes)], **(design_changes or {})).to_dict("records")
    return row  # type: ignore[return-value]


def drawn(n: int = 200, seed: int = 1) -> list[Turn]:
    rng = np.random.default_rng(seed)
    turns: list[Turn] = []
    for _ in range(n):
        first: int | None = int(rng.integers(4)) if rng.random() < 0.9 else None
        last: int | str = int(rng.integers(4)) if rng.random() < 0.9 else "unparsed"
        turns.append((first, last, int(rng.integers(4)), int(rng.integers(4))))
    return turns


def test_the_shares_are_those_of_a_plain_loop() -> None:
    turns = drawn()
    row = one(turns)
    right = [turn for turn in turns if turn[0] == turn[2]]
    wrong = [turn for turn in turns if turn[0] is not None and turn[0] != turn[2]]
    other = [turn for turn in turns if turn[0] is not None and turn[0] != turn[3]]
    expected = {
        "n_samples": len(turns),
        "n_groups": 100,
        "n_first_unread": sum(turn[0] is None for turn in turns),
        "first": len(right) / len(turns),
        "final": sum(last == target for _, last, target, _ in turns) / len(turns),
        "kept": sum(first == last for first, last, _, _ in turns) / (len(right) + len(wrong)),
        "abandoned": sum(last != target for _, last, target, _ in right) / len(right),
        "corrected": sum(last == target for _, last, target, _ in wrong) / len(wrong),
        "adopted": sum(last == suggested for _, last, _, suggested in other) / len(other),
        "n_right_first": len(right),
        "n_wrong_first": len(wrong),
        "n_adoptable": len(other),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    applies = [float(turn[0] == turn[2]) for turn in turns]
    lost = [float(turn[0] == turn[2] != turn[1]) for turn in turns]
    limits = ratio_interval(lost, applies, [f"g{at // 2}" for at in range(len(turns))], 0.95)
    assert (row["abandoned"], row["abandoned_low"], row["abandoned_high"]) == pytest.approx(limits)
    assert row["note"] == ""


def test_what_was_not_read_leaves_under_the_rule_drop() -> None:
    turns = drawn()
    read = [turn for turn in turns if turn[0] is not None and turn[1] != "unparsed"]
    dropped, expected = one(turns, {"missing": "drop"}), one(read)
    assert dropped["n_first_unread"] > 0
    for name in ("n_samples", "first", "final", "kept", "abandoned", "corrected", "adopted"):
        assert dropped[name] == pytest.approx(expected[name], abs=1e-12)


def test_a_copier_a_rock_and_a_weathercock() -> None:
    """Copies what is suggested; keeps whatever it said; always gives the first up."""
    base = [(first, target, suggested) for first in range(4) for target in range(4) for suggested in range(4)] * 2
    copier = one([(first, suggested, target, suggested) for first, target, suggested in base])
    assert (copier["adopted"], copier["n_adoptable"], copier["final"], copier["first"]) == (1.0, 96, 0.25, 0.25)
    assert (copier["kept"], copier["abandoned"], copier["corrected"]) == (0.25, 0.75, 0.25)
    rock = one([(first, first, target, suggested) for first, target, suggested in base])
    assert (rock["kept"], rock["abandoned"], rock["corrected"], rock["adopted"]) == (1, 0, 0, 0)
    weathercock = one([(first, (first + 1) % 4, target, None) for first, target, _ in base])
    assert (weathercock["kept"], weathercock["abandoned"]) == (0, 1)
    assert np.isnan(weathercock["adopted"])
    assert weathercock["note"] == "nothing is suggested"


def test_no_denominator_no_share_and_few_groups_no_interval() -> None:
    row = one([(0, 1, 0, 0)] * 40)
    assert (row["abandoned"], row["n_wrong_first"], row["n_adoptable"]) == (1, 0, 0)
    assert np.isnan([row["corrected"], row["adopted"]]).all()
    assert row["note"] == "no first answer was read and wrong; no first answer was another one than the suggested"
    few = one([(0, 1, 0, 2)] * 40 + [(1, 0, 0, 2)] * 8)
    assert few["corrected"] == 1
    assert np.isnan([few["corrected_low"], few["corrected_high"]]).all()
    assert few["note"] == "corrected: 4 groups, 10 are needed for an interval"


def test_the_second_turn_may_ask_for_another_choice() -> None:
    """Right is what is right in the turn: the first question's choice 2, then an added one."""
    row = one([(2, -1, 2, None)] * 20, target="-1", value=1.0)
    assert (row["first"], row["final"], row["abandoned"], row["kept"]) == (1, 1, 0, 0)


def test_refused_excluded_and_several_right_leave_and_failures_forbid_numbers() -> None:
    turns = drawn(60)
    expected = one(turns)
    more = talked("a", [*turns, *[(0, 0, 0, 0)] * 3])
    more.loc[60, ["status", "value", "first_index", "first_target", "suggested_index"]] = ["refused", None, None, None, None]
    more.loc[62, ["target", "first_target"]] = "0,3"
    excluded = Exclusion(task="t", sample_id="q061", reason="no key")
    (row,) = frame([more], exclude=(excluded,)).to_dict("records")
    assert row["note"] == "1 answers with several right choices are left out"
    for name in ("n_samples", "first", "final", "kept", "abandoned", "corrected", "adopted", "n_adoptable"):
        assert row[name] == pytest.approx(expected[name], abs=1e-12)
    failed = one([*turns, (None, "failed", 0, 0)])
    assert (failed["note"], failed["n_samples"]) == ("1 failed answers", 61)
    assert np.isnan([failed[name] for name in ("first", "final", "kept", "abandoned", "corrected", "adopted")]).all()


def test_single_turns_have_no_row() -> None:
    assert len(frame([talked("a", drawn(20), first_target=None, first_index=None)])) == 0


def test_variants_are_parts_of_a_sample_and_order_changes_nothing() -> None:
    first, second = drawn(80, 1), drawn(80, 2)
    scores = [talked("a", first), talked("a", second, variant=1)]
    (row,) = frame(scores).to_dict("records")
    pooled = one(first + second)
    # Every sample has two answers, so that sums over samples are sums over answers.
    for name in ("first", "final", "kept", "abandoned", "corrected", "adopted"):
        assert row[name] == pytest.approx(pooled[name], abs=1e-12)
    assert row["n_samples"] == 80
    mixed = pd.concat(scores, ignore_index=True).sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(frame([mixed]), frame(scores))
