"""Advancing many small programs over requests together, wave by wave (DESIGN 2.3).

A wave is what all living programs ask at the same moment. Whoever answers it (engine and store, or the store alone) sees
it whole, so that it can drop repeats, sort by prefix and batch. Resume keeps no state: programs run again from the start
and the store answers what is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from evalsuite.types import Asking, Failure, Outcome, Request

N_ALIVE = 20_000
"""Requests in a wave from which on no further program is started: bounds memory, and is far more than an engine batches."""

T = TypeVar("T")
Name = TypeVar("Name")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked(Generic[Name]):
    """One request of a wave, and whose it is."""

    name: Name
    """The program's name."""
    ordinal: int
    """How many requests this program asked before."""
    request: Request
    """What is asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """An outcome and the key under which the store holds it."""

    key: str
    """The request's key."""
    outcome: Outcome
    """What came back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished(Generic[Name, T]):
    """A program that has returned."""

    name: Name
    """The program's name."""
    result: T
    """What it returned."""
    keys: tuple[str, ...]
    """Keys of all its requests, in the order asked."""
    first_prompt: str | None
    """Text of its first prompt as sent; None if it asked nothing."""
    last_prompt: str | None = None
    """Text of the last of its prompts that was asked alone or first of several; None if it asked nothing."""
    n_prompt_tokens: int = 0
    """Prompt tokens of all its requests."""
    n_output_tokens: int = 0
    """Output tokens likewise."""
    n_failed: int = 0
    """Requests that failed."""


Source = Callable[[Sequence[Asked[Any]]], Sequence[Answered]]
"""Answers a wave, in its order."""


@dataclass(slots=True)
class _Alive(Generic[Name, T]):
    """A program between two waves."""

    name: Name
    program: Asking[T]
    pending: Sequence[Request] = ()
    keys: list[str] = field(default_factory=list)
    first_prompt: str | None = None
    last_prompt: str | None = None
    n_prompt_tokens: int = 0
    n_output_tokens: int = 0
    n_failed: int = 0


def drive(programs: Iterable[tuple[Name, Asking[T]]], source: Source, n_alive: int = N_ALIVE) -> Iterator[Finished[Name, T]]:
    """Run programs to their end; yields each as it finishes, in an order that depends on the programs alone.

    Args:
        programs: (name, program), started lazily: none while those alive ask `n_alive` requests or more.
        source: answers each wave.
        n_alive: requests that are enough for a wave, at least 1; a program that asks many may exceed it.
    """
    waiting = iter(programs)
    alive: list[_Alive[Name, T]] = []
    while True:
        n_pending = sum(len(state.pending) for state in alive)
        while n_pending < n_alive and (started := next(waiting, None)) is not None:
            state: _Alive[Name, T] = _Alive(name=started[0], program=started[1])
            finished = _advance(state, None)
            if finished is None:
                alive.append(state)
                n_pending += len(state.pending)
            else:
                yield finished
        if not alive:
            return
        answered = iter(source([asked for state in alive for asked in _asked(state)]))
        still: list[_Alive[Name, T]] = []
        for state in alive:
            received = [next(answered) for _ in state.pending]
            state.keys.extend(item.key for item in received)
            outcomes = [item.outcome for item in received]
            _count(state, outcomes)
            finished = _advance(state, outcomes)
            if finished is not None:
                yield finished
            else:
                still.append(state)
        alive = still


def _asked(state: _Alive[Name, T]) -> Iterator[Asked[Name]]:
    for ordinal, request in enumerate(state.pending, start=len(state.keys)):
        yield Asked(name=state.name, ordinal=ordinal, request=request)


def _count(state: _Alive[Name, T], outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            state.n_failed += 1
        else:
            state.n_prompt_tokens += outcome.n_prompt_tokens
            state.n_output_tokens += outcome.n_output_tokens


def _advance(state: _Alive[Name, T], outcomes: Sequence[Outcome] | None) -> Finished[Name, T] | None:
    """Send outcomes (None: start); the finished program, or None with its next requests in `pending`."""
    try:
        state.pending = next(state.program) if outcomes is None else state.program.send(outcomes)
    except StopIteration as stop:
        return Finished(
            name=state.name,
            result=stop.value,
            keys=tuple(state.keys),
            first_prompt=state.first_prompt,
            last_prompt=state.last_prompt,
            n_prompt_tokens=state.n_prompt_tokens,
            n_output_tokens=state.n_output_tokens,
            n_failed=state.n_failed,
        )
    if state.pending:
        state.last_prompt = state.pending[0].prompt.text
        state.first_prompt = state.first_prompt or state.last_prompt
    return None
