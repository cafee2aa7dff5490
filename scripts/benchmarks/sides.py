"""A side of a comparison: a process of its own that loads once and is asked again and again; it stands still while the other works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[1]

Values = Sequence[Sequence[float] | Sequence[str]]
"""For each question the log-probability of each of its continuations, or the one text that was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """A case measured on both sides, in turn."""

    case: str
    """Name."""
    target: float | None
    """How many times the peer's seconds ours must be below; None: nothing is promised, the row stands beside one that is."""
    ours_s: Sequence[float]
    """Seconds of each repeat, engine loaded."""
    peer_s: Sequence[float]
    """Likewise, of the same work in the same order."""
    ours_load_s: float
    """Seconds from starting the process until it can be asked."""
    peer_load_s: float
    """Likewise."""
    difference: float
    """Largest difference of the two sides' results."""
    tolerance: float
    """Most that it may be; times of results that differ by more do not count."""
    detail: str
    """What was measured beside what, in words."""


class Side:
    """A module of this package run as a process: prints one JSON line when it is loaded, then one for each line that it is given."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._name = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            cwd=SCRIPTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        started = time.perf_counter()
        self._read()
        self.load_s = time.perf_counter() - started
        self._still(True)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Let it work on one thing."""
        self._still(False)
        try:
            self._line(question)
            return self._read()
        finally:
            self._still(True)

    def close(self) -> None:
        """End it and all its children."""
        for name in _family(self._process.pid):
            os.kill(name, signal.SIGKILL)
        self._process.wait()

    def _line(self, message: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the process takes no questions")
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"the process of benchmarks.{self._name} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _still(self, still: bool) -> None:
        """Stop or go on, children included: some engines spin while they wait."""
        for name in _family(self._process.pid):
            os.kill(name, signal.SIGSTOP if still else signal.SIGCONT)


def _family(name: int) -> list[int]:
    """A process and all that descend from it."""
    members = [name]
    for member in members:
        for tasks in Path(f"/proc/{member}/task").glob("*/children"):
            members.extend(int(child) for child in tasks.read_text().split())
    return members


@contextmanager
def two_sides(ours: Sequence[str], peer: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[tuple[Side, Side]]:
    """Both sides, each a module and its arguments, loaded one after the other.

    Args:
        ours: our side.
        peer: the peer's.
        environment: variables of both, beside those of this process.
    """
    left = Side(*ours, environment=environment)
    try:
        right = Side(*peer, environment=environment)
        try:
            yield left, right
        finally:
            right.close()
    finally:
        left.close()


def answer_lines(answer: Callable[[dict[str, Any]], Any]) -> None:
    """The loop of a side: `answer` gives the values of a question; the seconds that it takes are told with them."""
    # Only our lines go to the standard output; whatever a library prints goes to the other one.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"loaded": True}), file=out, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        started = time.perf_counter()
        values = answer(question)
        print(json.dumps({"seconds": time.perf_counter() - started, "values": values}), file=out, flush=True)


def largest_difference(left: Values, right: Values) -> float:
    """Of two tables of the same shape; infinite otherwise, and for texts that differ at all."""
    if [len(row) for row in left] != [len(row) for row in right]:
        return float("inf")
    pairs = ((a, b) for row, other in zip(left, right, strict=True) for a, b in zip(row, other, strict=True))
    return max((_apart(a, b) for a, b in pairs), default=0.0)


def _apart(left: object, right: object) -> float:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right)
    return 0.0 if left == right else float("inf")
