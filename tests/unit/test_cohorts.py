"""While the wave of one cohort is answered, another thread goes on with the programs of the other; nothing else changes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.types import Asking, Failure, Outcome, Prompt, Request, Response
from evalsuite.waves import Answered, Asked, Finished, drive

PATIENCE_S = 20.0
"""How long is waited for what happens at once, or never."""


def request(number: int) -> Request:
    return Request(kind="next", prompt=Prompt(token_ids=(number,), text=f"p{number}"), candidates=(1,))


def outcome_of(asked: Request) -> Outcome:
    (number,) = asked.prompt.token_ids
    if number % 7 == 3:
        return Failure(reason="engine_error", message=str(number), transient=True)
    return Response(text=str(number), n_prompt_tokens=number, n_output_tokens=1)


def echo(wave: Sequence[Asked[Any]]) -> list[Answered]:
    return [Answered(key=f"k{asked.request.prompt.token_ids[0]}", outcome=outcome_of(asked.request)) for asked in wave]


def program(steps: Sequence[Sequence[int]]) -> Asking[tuple[Outcome, ...]]:
    seen: list[Outcome] = []
    for numbers in steps:
        seen.extend((yield [request(number) for number in numbers]))
    return tuple(seen)


def alone(name: int, steps: Sequence[Sequence[int]]) -> Finished[int, tuple[Outcome, ...]]:
    """What a program comes to, by hand."""
    numbers = [number for step in steps for number in step]
    prompts = [f"p{step[0]}" for step in steps if step]
    outcomes = [outcome_of(request(number)) for number in numbers]
    responses = [outcome for outcome in outcomes if isinstance(outcome, Response)]
    return Finished(
        name=name,
        result=tuple(outcomes),
        keys=tuple(f"k{number}" for number in numbers),
        first_prompt=prompts[0] if prompts else None,
        last_prompt=prompts[-1] if prompts else None,
        n_prompt_tokens=sum(response.n_prompt_tokens for response in responses),
        n_output_tokens=len(responses),
        n_failed=len(outcomes) - len(responses),
    )


steps_of_programs = st.lists(st.lists(st.lists(st.integers(0, 40), max_size=4), max_size=4), max_size=12)


@settings(deadline=None, max_examples=60)
@given(programs=steps_of_programs, n_alive=st.integers(2, 12))
def test_every_program_comes_to_what_it_comes_to_alone(programs: list[list[list[int]]], n_alive: int) -> None:
    def drawn() -> Iterator[tuple[int, Asking[tuple[Outcome, ...]]]]:
        return ((name, program(steps)) for name, steps in enumerate(programs))

    found = list(drive(drawn(), echo, n_alive))
    assert {item.name: item for item in found} == {name: alone(name, steps) for name, steps in enumerate(programs)}
    assert len(found) == len(programs)
    assert [item.name for item in drive(drawn(), echo, n_alive)] == [item.name for item in found]


@settings(deadline=None, max_examples=40)
@given(n_requests=st.lists(st.integers(1, 4), max_size=20), n_alive=st.integers(2, 12))
def test_no_more_requests_live_than_allowed_but_for_the_last_program_of_each_cohort(n_requests: list[int], n_alive: int) -> None:
    alive: Counter[int] = Counter()
    most = 0

    def counted(name: int, n: int) -> Asking[None]:
        nonlocal most
        alive[name] = n
        most = max(most, sum(alive.values()))
        yield [request(number) for number in range(n)]
        del alive[name]

    list(drive(((name, counted(name, n)) for name, n in enumerate(n_requests)), echo, n_alive))
    assert most <= n_alive + 2 * (4 - 1)


def test_the_next_wave_is_prepared_while_this_one_is_answered() -> None:
    """The source waits for what the programs of the other cohort do: it would wait in vain if they waited for it."""
    began, went_on = threading.Event(), threading.Event()

    def first() -> Asking[str]:
        yield [request(1)]
        went_on.set()
        yield [request(2)]
        return "first"

    def second() -> Asking[str]:
        began.set()
        yield [request(5)]
        return "second"

    def waiting(wave: Sequence[Asked[Any]]) -> list[Answered]:
        (asked,) = wave
        if asked.request.prompt.token_ids == (1,):
            assert began.wait(PATIENCE_S)
        if asked.request.prompt.token_ids == (5,):
            assert went_on.wait(PATIENCE_S)
        return echo(wave)

    assert [item.result for item in drive([("a", first()), ("b", second())], waiting, n_alive=2)] == ["second", "first"]


def test_programs_never_run_two_at_a_time_and_waves_are_answered_in_the_callers_thread() -> None:
    busy, caller = threading.Lock(), threading.current_thread()
    threads = set()

    def watched(name: int) -> Asking[int]:
        for step in range(3):
            assert busy.acquire(blocking=False)
            threads.add(threading.current_thread())
            time.sleep(0.001)
            busy.release()
            yield [request(name * 10 + step)]
        return name

    def source(wave: Sequence[Asked[Any]]) -> list[Answered]:
        assert threading.current_thread() is caller
        return echo(wave)

    assert sorted(item.result for item in drive(((n, watched(n)) for n in range(40)), source, n_alive=8)) == list(range(40))
    assert len(threads - {caller}) == 1
    threads.clear()
    list(drive(((n, watched(n)) for n in range(40)), source, n_alive=100))
    assert threads == {caller}  # one wave takes them all


def test_what_a_program_raises_comes_out_once_the_wave_beside_it_is_answered() -> None:
    answered: list[int] = []

    def broken() -> Asking[int]:
        raise KeyError("wrong")
        yield []

    def source(wave: Sequence[Asked[Any]]) -> list[Answered]:
        answered.extend(asked.name for asked in wave)
        return echo(wave)

    driving = drive([(0, program([[1]])), (1, broken()), (2, program([[2]]))], source, n_alive=2)
    with pytest.raises(KeyError, match="wrong"):
        list(driving)
    assert answered == [0]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("programs")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_where_the_wave_ends_in_an_error_no_further_program_is_started(error: type[BaseException]) -> None:
    started: list[int] = []
    more = threading.Event()

    def endless() -> Iterator[tuple[int, Asking[Any]]]:
        for name in range(10**9):
            started.append(name)
            more.set()
            yield name, program([])  # asks nothing, so that it never fills a wave

    def programs() -> Iterator[tuple[int, Asking[Any]]]:
        yield -1, program([[1]])
        yield from endless()

    def interrupted(wave: Sequence[Asked[Any]]) -> list[Answered]:
        assert more.wait(PATIENCE_S)
        raise error("stop")

    with pytest.raises(error, match="stop"):
        list(drive(programs(), interrupted, n_alive=2))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("programs")]
    assert started == [0]  # half of `n_alive` is one


class InterpretedEcho:
    """A source that answers in the interpreter itself."""

    interpreted = True

    def __call__(self, wave: Sequence[Asked[Any]]) -> list[Answered]:
        return echo(wave)


@settings(deadline=None, max_examples=60)
@given(programs=steps_of_programs, n_alive=st.integers(2, 12))
def test_a_source_in_the_interpreter_gets_the_same_waves_without_a_thread(programs: list[list[list[int]]], n_alive: int) -> None:
    threads = set()

    def watched(steps: list[list[int]]) -> Asking[tuple[Outcome, ...]]:
        threads.add(threading.current_thread())
        found = yield from program(steps)
        threads.add(threading.current_thread())
        return found

    own = list(drive(((name, watched(steps)) for name, steps in enumerate(programs)), InterpretedEcho(), n_alive))
    assert own == list(drive(((name, program(steps)) for name, steps in enumerate(programs)), echo, n_alive))
    assert threads <= {threading.current_thread()}


class KeyedEcho:
    """A source that makes something of requests beforehand."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes] | None] = []

    def known_by(self, asked: Request) -> tuple[str, bytes]:
        return asked.prompt.text, b"packed"

    def __call__(self, wave: Sequence[Asked[Any]]) -> list[Answered]:
        self.seen.extend(asked.known_by for asked in wave)
        return echo(wave)


def test_what_a_source_makes_of_requests_beforehand_comes_with_them() -> None:
    source = KeyedEcho()
    list(drive(((n, program([[n, n + 1]])) for n in range(3)), source, n_alive=4))
    assert source.seen == [(f"p{number}", b"packed") for n in range(3) for number in (n, n + 1)]
