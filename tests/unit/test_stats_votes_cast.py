"""How ensembles voted: against hand counts and plain loops; what is missing is counted."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.votes_cast import COLUMNS, vote_frame

DESIGN = AnalysisDesign(
    study="s", pairs=(), primary_strategy="zero", primary_perturbation="none", primary_metric={"t": "accuracy"}, metrics=METRICS
)


def scores(votes: list[str | None], given_answers: list[Any], **changes: Any) -> pd.DataFrame:
    """One answer per entry; an answer of None could not be read."""
    rows = [
        {"model": "m", "task": "t", "metric": "accuracy", "strategy": "five", "perturbation": "none", "variant": 0, "replicate": 0,
         "sample_id": f"q{at}", "group": f"q{at}", "status": "unparsed" if answer is None else "scored",
         "value": None if answer is None else 1.0, "answer_indices": answer, "votes": vote}
        for at, (vote, answer) in enumerate(zip(votes, given_answers, strict=True))
    ]  # fmt: skip
    return pd.DataFrame([row | changes for row in rows])


def counted(votes: list[str | None], given_answers: list[Any]) -> dict[Any, Any]:
    (row,) = vote_frame(scores(votes, given_answers), DESIGN).to_dict("records")
    return row


def test_votes_by_hand() -> None:
    # 5 of 5; 3 of 4 with one missing; 2 against 2 with one missing; nothing could be read
    row = counted(["1,1,1,1,1", "0,0,-,2,0", "3,1,1,3,-", "-,-,-,-,-"], ["1", "0", "3", None])
    assert (row["n_answers"], row["members"], row["n_silent"]) == (4, 5, 1)
    assert row["votes_missing"] == pytest.approx(7 / 20)
    assert row["answers_missing"] == 0.75
    assert row["agreement"] == pytest.approx((1 + 3 / 4 + 2 / 4) / 3)
    assert row["ties"] == pytest.approx(1 / 3)
    assert row["outvoted"] == 0


def test_an_answer_that_was_outvoted_is_counted() -> None:
    row = counted(["1,1,0", "2,2,2"], ["0", "2"])
    assert (row["outvoted"], row["agreement"]) == (0.5, pytest.approx((1 / 3 + 1) / 2))


def test_several_right_choices_are_one_vote() -> None:
    row = counted(["0+2,0+2,1"], ["0,2"])
    assert (row["agreement"], row["ties"]) == (pytest.approx(2 / 3), 0)


def test_free_text_has_agreement_and_no_ties() -> None:
    row = counted(["=,x,=,-", "=,x,x,x"], [None, None])
    assert row["agreement"] == pytest.approx((2 / 3 + 1 / 4) / 2)
    assert row["votes_missing"] == pytest.approx(1 / 8)
    assert math.isnan(row["ties"])
    assert math.isnan(row["outvoted"])


def test_what_is_no_ensemble_has_no_row_and_older_scores_have_none() -> None:
    mixed = pd.concat([scores([None, None], ["0", "1"], strategy="zero"), scores(["1,1"], ["1"])])
    assert list(vote_frame(mixed, DESIGN)["strategy"]) == ["five"]
    for table in (mixed.drop(columns="votes"), scores([None], ["0"])):
        frame = vote_frame(table, DESIGN)
        assert (len(frame), list(frame.columns)) == (0, list(COLUMNS))


def test_other_metrics_perturbations_excluded_and_refused_answers_are_not_counted_again() -> None:
    table = scores(["1,1", "1,-", "-,-"], ["1", "1", None])
    twice = pd.concat([table, table.assign(metric="accuracy_strict"), table.assign(perturbation="shuffled"), table.assign(variant=1)])
    twice.loc[(twice["variant"] == 1) & (twice["sample_id"] == "q0"), "status"] = "refused"
    plan = AnalysisDesign(
        study="s", pairs=(), primary_strategy="zero", primary_perturbation="none", primary_metric={"t": "accuracy"}, metrics=METRICS,
        exclude=(Exclusion(task="t", sample_id="q2", reason="broken"),),
    )  # fmt: skip
    (row,) = vote_frame(twice, plan).to_dict("records")
    assert (row["n_answers"], row["votes_missing"]) == (3, pytest.approx(2 / 6))


def test_without_the_answers_the_commonest_vote_is_taken() -> None:
    (row,) = vote_frame(scores(["1,1,0"], ["1"]).drop(columns="answer_indices"), DESIGN).to_dict("records")
    assert (row["agreement"], row["outvoted"]) == (pytest.approx(2 / 3), 0)
    (row,) = vote_frame(scores(["1,1,0"], ["1"]).drop(columns="answer_indices").assign(answer_index=0.0), DESIGN).to_dict("records")
    assert (row["agreement"], row["outvoted"]) == (pytest.approx(1 / 3), 1)


@given(st.lists(st.lists(st.sampled_from("0123-"), min_size=1, max_size=7), min_size=1, max_size=12))
def test_counts_are_those_of_plain_loops(answers: list[list[str]]) -> None:
    winners: list[str | None] = []
    n_tied = n_readable = 0
    agreement = []
    for votes in answers:
        readable = [vote for vote in votes if vote != "-"]
        if not readable:
            winners.append(None)
            continue
        n_readable += 1
        most = max(readable.count(vote) for vote in readable)
        best = [vote for vote in readable if readable.count(vote) == most]
        winners.append(best[0])
        n_tied += len(set(best)) > 1
        agreement.append(most / len(readable))
    row = counted([",".join(votes) for votes in answers], winners)
    assert row["votes_missing"] == pytest.approx(sum(votes.count("-") for votes in answers) / sum(map(len, answers)))
    assert row["answers_missing"] == pytest.approx(sum("-" in votes for votes in answers) / len(answers))
    assert row["n_silent"] == winners.count(None)
    if n_readable:
        assert row["agreement"] == pytest.approx(sum(agreement) / n_readable)
        assert row["ties"] == pytest.approx(n_tied / n_readable)
        assert row["outvoted"] == 0
    else:
        assert math.isnan(row["agreement"])
