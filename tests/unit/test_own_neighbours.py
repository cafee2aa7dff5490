"""Neighbours by the evaluated model's own hidden states: those of the states, and none while a state may yet come."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evalsuite.strategies.exemplars import Candidates, Choosing, candidates_for, question_of
from evalsuite.types import Failure, Outcome, Prompt, Response, Sample

POOL = tuple(Sample(id=f"p{n}", group=f"p{n}", question=f"Pool {n}?") for n in range(30))
QUESTIONS = tuple(Sample(id=f"q{n}", group=f"q{n}", question=f"Question {n}?") for n in range(4))
STATES = np.random.default_rng(5).normal(size=(34, 6)).astype("<f4")
SELF = Choosing(n=2, by="knn", embedder="self")


def found(failures: Mapping[int, Failure]) -> tuple[Candidates, Mapping[Any, Failure]]:
    context: Any = SimpleNamespace(renderer=SimpleNamespace(render_whole=lambda text: Prompt(token_ids=(1,), text=text)))
    asking = candidates_for(SELF, POOL, QUESTIONS, context)
    requests = next(asking)
    assert [request.prompt.text for request in requests] == [sample.question for sample in (*POOL, *QUESTIONS)]
    outcomes: list[Outcome] = [failures.get(n) or Response(vector=STATES[n].tobytes()) for n in range(34)]
    with pytest.raises(StopIteration) as stopped:
        asking.send(outcomes)
    value: tuple[Candidates, Mapping[Any, Failure]] = stopped.value.value
    return value


def failure(reason: Any, *, transient: bool) -> Failure:
    return Failure(reason=reason, message="planted", transient=transient)


@pytest.mark.parametrize("lost", [failure("too_long", transient=True), failure("invalid_logprob", transient=False)])
def test_what_the_model_cannot_read_is_nobodys_neighbour(lost: Failure) -> None:
    candidates, failed = found({3: lost, 17: lost, 31: lost})
    assert dict(failed) == {question_of(QUESTIONS[1]): lost}
    unit = STATES.astype(np.float64) / np.linalg.norm(STATES.astype(np.float64), axis=1, keepdims=True)
    for number in (0, 2, 3):
        order = np.argsort(-(unit[:30] @ unit[30 + number]), kind="stable").tolist()
        assert list(candidates(QUESTIONS[number], 2)) == [position for position in order if position not in (3, 17)]


def test_a_state_that_may_yet_come_could_be_anybodys_neighbour() -> None:
    lost = failure("engine_error", transient=True)
    _, failed = found({3: failure("too_long", transient=True), 17: lost})
    assert dict(failed) == {question_of(question): lost for question in QUESTIONS}


def test_a_pool_of_which_nothing_can_be_read_has_no_candidates() -> None:
    candidates, failed = found({n: failure("too_long", transient=True) for n in range(30)})
    assert not failed
    assert list(candidates(QUESTIONS[0], 2)) == []
