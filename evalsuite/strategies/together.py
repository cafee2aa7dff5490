"""Running several small programs over requests as one: their requests share waves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from evalsuite.types import Asking, Request

T = TypeVar("T")


def together(programs: Sequence[Asking[T]]) -> Asking[list[T]]:
    """What the programs return, in their order. What they ask at the same moment is asked in one go.

    Args:
        programs: not started yet; each may take any number of steps.
    """
    results: dict[int, T] = {}
    pending: dict[int, Sequence[Request]] = {}
    for number, program in enumerate(programs):
        try:
            pending[number] = next(program)
        except StopIteration as stop:
            results[number] = stop.value
    while pending:
        outcomes = iter((yield [request for requests in pending.values() for request in requests]))
        asked, pending = pending, {}
        for number, requests in asked.items():
            try:
                pending[number] = programs[number].send([next(outcomes) for _ in requests])
            except StopIteration as stop:
                results[number] = stop.value
    return [results[number] for number in range(len(programs))]
