"""Advancing many small programs over requests together, wave by wave (DESIGN 2.3).

A wave is what all living programs ask at the same moment. Whoever answers it (engine and store, or the store alone) sees
it whole, so that it can drop repeats, sort by prefix and batch. Resume keeps no state: programs run again from the start
and the store answers what is known.

Where there are more programs than one wave takes, they form two cohorts in turn: while a wave of one is answered, a second
thread goes on with the programs of the other, so that no engine waits for prompts to be rendered. One thread at a time goes
on with programs, and only the caller's thread answers waves and receives results. Where the source answers in the interpreter
itself, two threads would only take it from each other: then programs go on when their wave is answered, in the same order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from evalsuite.types import Asking, Failure, Outcome, Request

N_ALIVE = 20_000
"""Requests of all living programs from which on none is started: bounds memory. Half of it is a wave, far more than an engine batches."""

SWITCH_S = 1e-4
"""Seconds for which the thread that renders may keep an engine's thread waiting for the interpreter; Python's own 5 ms starve an engine
that comes back to it after every operation."""

T = TypeVar("T")
Name = TypeVar("Name")


# Not frozen, as `Answered` and `Finished` below: there is one per request, and to make a frozen one takes three times as long.
@dataclass(kw_only=True, slots=True)
class Asked(Generic[Name]):
    """One request of a wave, and whose it is; never changed."""

    name: Name
    """The program's name."""
    ordinal: int
    """How many requests this program asked before."""
    request: Request
    """What is asked."""
    known_by: tuple[str, bytes] | None = None
    """What a source that is `Keyed` made of the request beforehand; None for every other one."""


@dataclass(kw_only=True, slots=True)
class Answered:
    """An outcome and the key under which the store holds it; never changed."""

    key: str
    """The request's key."""
    outcome: Outcome
    """What came back."""


@dataclass(kw_only=True, slots=True)
class Finished(Generic[Name, T]):
    """A program that has returned; never changed."""

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


@runtime_checkable
class Keyed(Protocol):
    """A source that can say beforehand, and in another thread, what takes time and needs the request alone."""

    def known_by(self, request: Request) -> tuple[str, bytes]:
        """Key of the request, and the packed ids of its prompt."""
        ...


@runtime_checkable
class Interpreted(Protocol):
    """A source that can say whether it answers in the interpreter itself, without waiting for anything outside."""

    @property
    def interpreted(self) -> bool:
        """True: while it answers, nothing else can be done."""
        ...


@runtime_checkable
class Loads(Protocol):
    """A source that loads what it answers with, in a way that nothing else in the process may run beside."""

    @property
    def loading(self) -> AbstractContextManager[Any]:
        """Held while it loads, and by whoever runs programs meanwhile."""
        ...


@dataclass(slots=True)
class _Alive(Generic[Name, T]):
    """A program between two waves."""

    name: Name
    program: Asking[T]
    pending: Sequence[Asked[Name]] = ()
    keys: list[str] = field(default_factory=list)
    first_prompt: str | None = None
    last_prompt: str | None = None
    n_prompt_tokens: int = 0
    n_output_tokens: int = 0
    n_failed: int = 0


@dataclass(slots=True)
class _Cohort(Generic[Name, T]):
    """Programs that are asked together."""

    alive: list[_Alive[Name, T]] = field(default_factory=list)
    answered: Sequence[Answered] = ()
    """Answers to the wave that they asked, not yet handed to them."""

    def wave(self) -> list[Asked[Name]]:
        """What they ask."""
        return [asked for state in self.alive for asked in state.pending]


@dataclass(slots=True)
class _Programs(Generic[Name, T]):
    """The programs that were not started yet, and how cohorts go on."""

    waiting: Iterator[tuple[Name, Asking[T]]]
    keyed: Keyed | None
    n_alive: int
    loading: AbstractContextManager[Any]
    started_all: bool = False
    stopped: Event = field(default_factory=Event)

    def go_on(self, cohort: _Cohort[Name, T]) -> list[Finished[Name, T]]:
        """Hand a cohort its answers and fill it with new programs; those that have returned."""
        found: list[Finished[Name, T]] = []
        answered, cohort.answered = iter(cohort.answered), ()
        before, cohort.alive = cohort.alive, []
        for state in before:
            if self.stopped.is_set():
                return found
            received = [next(answered) for _ in state.pending]
            state.keys.extend(item.key for item in received)
            outcomes = [item.outcome for item in received]
            _count(state, outcomes)
            self._advance(state, outcomes, cohort, found)
        n_pending = sum(len(state.pending) for state in cohort.alive)
        n_before = len(found)
        # Programs that ask nothing count too: what they return waits here.
        while n_pending + len(found) - n_before < self.n_alive and not self.stopped.is_set():
            started = next(self.waiting, None)
            if started is None:
                self.started_all = True
                break
            state = _Alive(name=started[0], program=started[1])
            self._advance(state, None, cohort, found)
            n_pending += len(state.pending)
        return found

    def go_on_beside(self, cohort: _Cohort[Name, T]) -> list[Finished[Name, T]]:
        """The same in a thread of its own, which lets the engine's come first."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(min(before, SWITCH_S))
        try:
            return self.go_on(cohort)
        finally:
            sys.setswitchinterval(before)

    def _advance(
        self, state: _Alive[Name, T], outcomes: Sequence[Outcome] | None, cohort: _Cohort[Name, T], found: list[Finished[Name, T]]
    ) -> None:
        """Send outcomes (None: start); the program joins its cohort with what it asks next, or what was found."""
        try:
            with self.loading:
                requests = next(state.program) if outcomes is None else state.program.send(outcomes)
        except StopIteration as stop:
            state.pending = ()
            found.append(_finished(state, stop.value))
            return
        known_by = (lambda _: None) if self.keyed is None else self.keyed.known_by
        state.pending = [
            Asked(name=state.name, ordinal=ordinal, request=request, known_by=known_by(request))
            for ordinal, request in enumerate(requests, start=len(state.keys))
        ]
        if state.pending:
            state.last_prompt = requests[0].prompt.text
            state.first_prompt = state.first_prompt or state.last_prompt
        cohort.alive.append(state)


def drive(
    programs: Iterable[tuple[Name, Asking[T]]], source: Source, n_alive: int = N_ALIVE, *, beside: bool = True
) -> Iterator[Finished[Name, T]]:
    """Run programs to their end; yields each as it finishes, in an order that depends on the programs alone.

    What a program raises is raised here once the wave that was being answered meanwhile has its answers; an interrupt of the caller
    waits for the step that a program is at.

    Args:
        programs: (name, program), started lazily, and in another thread where they are many and the source is not `Interpreted`: none
            while those alive ask `n_alive` requests or more.
        source: answers each wave, in the caller's thread.
        n_alive: requests that are enough for two waves, at least 2; a program that asks many may exceed it.
        beside: False: programs that compute much themselves all run in the caller's thread.
    """
    answers: object = source
    keyed = answers if isinstance(answers, Keyed) else None
    apart = beside and not (isinstance(answers, Interpreted) and answers.interpreted)
    loading: AbstractContextManager[Any] = answers.loading if isinstance(answers, Loads) else nullcontext()
    todo = _Programs(waiting=iter(programs), keyed=keyed, n_alive=max(1, n_alive // 2), loading=loading)
    asking: _Cohort[Name, T] = _Cohort()
    other: _Cohort[Name, T] = _Cohort()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="programs") as other_thread:
        try:
            while asking.alive or not todo.started_all:
                if not asking.alive:
                    yield from todo.go_on(asking)
                    continue
                # Where there is one wave only, there is nothing to do meanwhile and no thread.
                two = bool(other.alive) or not todo.started_all
                preparing = other_thread.submit(todo.go_on_beside, other) if two and apart else None
                asking.answered = source(asking.wave())
                if not two:
                    yield from todo.go_on(asking)
                    continue
                yield from todo.go_on(other) if preparing is None else preparing.result()
                asking, other = other, asking
                if not asking.alive:
                    # Every program of the one cohort has returned; the other one goes on alone.
                    asking, other = other, asking
                    yield from todo.go_on(asking)
        finally:
            todo.stopped.set()


def _count(state: _Alive[Name, T], outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            state.n_failed += 1
        else:
            state.n_prompt_tokens += outcome.n_prompt_tokens
            state.n_output_tokens += outcome.n_output_tokens


def _finished(state: _Alive[Name, T], result: T) -> Finished[Name, T]:
    return Finished(
        name=state.name,
        result=result,
        keys=tuple(state.keys),
        first_prompt=state.first_prompt,
        last_prompt=state.last_prompt,
        n_prompt_tokens=state.n_prompt_tokens,
        n_output_tokens=state.n_output_tokens,
        n_failed=state.n_failed,
    )
