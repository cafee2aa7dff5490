"""Progress on a terminal, or plain lines where there is none. Everything goes to standard error: standard output is for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from evalsuite.runner import ModelRun

LIVE_EVERY_S = 0.2
"""Seconds between looks of a live line."""
PLAIN_EVERY_S = 10.0
"""Seconds between plain lines; a log of a night's job stays readable."""
QUIET_S = 1.0
"""What is done sooner is not worth a word."""


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Screen]:
    """A screen for one command; its live line is wiped at the end.

    Args:
        stream: where to; standard error by default.
    """
    target = stream or sys.stderr
    screen = Screen(stream=target, live=target.isatty())
    try:
        yield screen
    finally:
        screen.wipe()


@dataclass(slots=True)
class Screen:
    """Shows one thing at a time: a live line that is written over, or a plain line now and then."""

    stream: TextIO
    """Where to."""
    live: bool
    """Whether lines can be written over."""
    _topic: str = ""
    _began: float = 0.0
    _last: float = 0.0
    _n_at_start: int = 0
    _open: bool = False

    def watch(self, run: ModelRun) -> None:
        """Progress of a model that is being asked."""
        elapsed_s = self._elapsed(run.model, run.n_asked)
        if elapsed_s is not None:
            self._write(told(run, run.n_asked - self._n_at_start, elapsed_s))

    def tell(self, what: str, n_done: int, n_all: int) -> None:
        """Progress of anything else."""
        elapsed_s = self._elapsed(what, n_done)
        if elapsed_s is not None:
            left = clock(n_done - self._n_at_start, n_all - n_done, elapsed_s)
            share = f" {100 * n_done // max(n_all, 1)} %" if n_all >= 1_000_000 else f" {n_done}/{n_all}"
            self._write(f"{what}{share}{left}")

    def wipe(self) -> None:
        """Take the live line away."""
        if self._open:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self._open = False

    def _elapsed(self, topic: str, n_done: int) -> float | None:
        """Seconds spent on a topic if it is time to show it again, else None."""
        now = time.perf_counter()
        if topic != self._topic:
            self._topic, self._began, self._n_at_start = topic, now, n_done
            self._last = now - (LIVE_EVERY_S if self.live else PLAIN_EVERY_S) + (0.0 if self.live else QUIET_S)
        if now - self._last < (LIVE_EVERY_S if self.live else PLAIN_EVERY_S):
            return None
        self._last = now
        return now - self._began

    def _write(self, line: str) -> None:
        self.stream.write(f"\r\x1b[K{line}" if self.live else f"{line}\n")
        self.stream.flush()
        self._open = self.live


def told(run: ModelRun, n_asked: int, elapsed_s: float) -> str:
    """One line about a model: how far, how fast, how long still.

    Args:
        run: the model's record.
        n_asked: requests answered by the engine in `elapsed_s`.
        elapsed_s: seconds.
    """
    if run.loading:
        return f"{run.model}: loading the checkpoint"
    # A model that only prepares for others has no samples.
    parts = ["preparing prompts"] if run.preparing or not run.n_items else [f"{run.n_finished}/{run.n_items} samples"]
    if run.n_known:
        parts.append(f"{run.n_known} answers from the store")
    if run.n_wanted:
        parts.append(f"{run.n_asked}/{run.n_wanted} asked{clock(n_asked, run.n_wanted - run.n_asked, elapsed_s)}")
    if run.n_failed:
        parts.append(f"{run.n_failed} FAILED")
    return f"{run.model}: {', '.join(parts)}"


def clock(n_done: int, n_left: int, elapsed_s: float) -> str:
    """Rate and time left, empty while neither can be known."""
    if n_done <= 0 or elapsed_s <= 0:
        return ""
    rate = n_done / elapsed_s
    shown_rate = f"{rate:.0f}/s" if rate < 100_000 else f"{rate / 1e6:.0f} M/s"
    return f" ({shown_rate}, {duration(n_left / rate)} left)" if n_left > 0 else f" ({shown_rate})"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
