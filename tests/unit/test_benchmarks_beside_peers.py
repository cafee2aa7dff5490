"""What the benchmarks ask is what they say, and times count only beside equal results."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import bench
from benchmarks.bare_forward import common_length
from benchmarks.questions import FORMS, N_ORDERS, questions
from benchmarks.sides import Measurement, largest_difference
from benchmarks.transformers_scoring import BATCH_SIZES, CASES, endless, peers_of


@pytest.mark.parametrize("form", FORMS)
def test_questions_are_drawn_by_their_seed_alone(form: str) -> None:
    drawn = questions(7, 3, form=form)
    assert len(drawn) == 7
    assert drawn == questions(7, 3, form=form)
    assert not {one.context for one in drawn} & {one.context for one in questions(7, 4, form=form)}


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="no form 'letter'"):
        questions(1, 0, form="letter")


def test_fixed_shots_are_the_same_before_every_question() -> None:
    heads = {one.context.rpartition("\n\n")[0] for one in questions(6, 0, form="five_shot_letters")}
    assert len(heads) == 1
    assert heads.pop().count("Answer: ") == 5


def test_medprompt_asks_each_question_under_five_orders_behind_shots_of_its_own() -> None:
    asked = [one.context.rpartition("\n\n") for one in questions(4 * N_ORDERS, 0, form="medprompt_letters")]
    rounds = [asked[start : start + N_ORDERS] for start in range(0, len(asked), N_ORDERS)]
    for orders in rounds:
        assert len({shots for shots, _, _ in orders}) == 1
        assert orders[0][0].count("Answer: ") == 5
        stems = {question.partition("\nA. ")[0] for _, _, question in orders}
        assert len(stems) == 1
        listed = [[line[3:] for line in question.splitlines()[1:5]] for _, _, question in orders]
        assert len({tuple(choices) for choices in listed}) == N_ORDERS
        assert len({frozenset(choices) for choices in listed}) == 1
    assert len({orders[0][0] for orders in rounds}) == len(rounds)


@pytest.mark.parametrize(
    ("prompts", "n"),
    [([(1, 2, 3), (1, 2, 4), (1, 2, 3, 5)], 2), ([(1, 2), (1, 2, 3)], 1), ([(5, 1), (6, 1)], 0), ([(1, 2, 3)], 2)],
)
def test_common_length(prompts: list[tuple[int, ...]], n: int) -> None:
    assert common_length(min(prompts), max(prompts)) == n


def test_texts_are_equal_or_infinitely_far_apart() -> None:
    assert largest_difference([["a"], ["b"]], [["a"], ["b"]]) == 0
    assert math.isinf(largest_difference([["a"], ["b"]], [["a"], ["c"]]))
    assert math.isinf(largest_difference([[1.0]], [[1.0, 2.0]]))
    assert largest_difference([[1.0, -2.0]], [[1.5, -4.0]]) == 2


def measured(target: float | None, difference: float) -> Measurement:
    return Measurement(
        case="c",
        target=target,
        ours_s=[1.0, 2.0, 1.0],
        peer_s=[3.0, 2.0, 2.0],
        ours_load_s=1.0,
        peer_load_s=2.0,
        difference=difference,
        tolerance=1e-3,
        detail="",
    )


@pytest.mark.parametrize(
    ("target", "difference", "holds"), [(2.0, 0.0, True), (2.1, 0.0, False), (None, 0.0, None), (2.0, 1.0, False), (None, 1.0, False)]
)
def test_a_ratio_holds_only_beside_equal_results(target: float | None, difference: float, holds: bool | None) -> None:
    row = bench.row_of(measured(target, difference))
    assert (row["ratio"], row["ratio_min"], row["ratio_max"]) == (2.0, 1.0, 3.0)
    assert row["ratio_with_load"] == 2.0
    assert row["holds"] is holds
    assert ("unequal" in bench.line_of(row)) is (difference > 0)


def test_the_peer_has_a_row_at_its_best_unless_that_is_its_default() -> None:
    case = CASES["transformers_letters"]
    as_it_is, tuned = peers_of("x", case, 16)
    assert (as_it_is.target, as_it_is.asked, tuned.asked) == (2.2, {"batch_size": BATCH_SIZES[0]}, {"batch_size": 16})
    (only,) = peers_of("x", case, BATCH_SIZES[0])
    assert "also its best" in only.detail


def test_the_copy_never_ends_by_the_taught_end_token(tmp_path: Path) -> None:
    from evalsuite.engines import open_engine
    from evalsuite.engines.base import EngineSettings
    from evalsuite.types import Prompt, Request, Response, Sampling

    request = Request(kind="generate", prompt=Prompt(token_ids=(1, 300), text=""), sampling=Sampling(max_tokens=64))
    with open_engine(str(endless(tmp_path / "copy")), EngineSettings(name="transformers", dtype="float32", device="cpu")) as engine:
        ((_, outcome),) = engine.run([request])
    assert isinstance(outcome, Response)
    assert (outcome.n_output_tokens, outcome.finish_reason) == (64, "length")
