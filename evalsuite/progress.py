"""Progress on a terminal, or plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from evalsuite.runner import ModelRun, Watch

LINE_EVERY_S = 10.0
"""Seconds between plain lines; a log of a night's job stays readable."""


def told(run: ModelRun, elapsed_s: float) -> str:
    """One line about a model that is running: how far, how fast, how long still."""
    done = run.n_known + run.n_asked
    share = f"{run.n_finished}/{run.n_items} samples"
    asked = f"{run.n_asked}/{run.n_wanted} asked" if run.n_wanted else "nothing asked"
    rate = run.n_asked / elapsed_s if elapsed_s > 0 else 0.0
    left = (run.n_wanted - run.n_asked) / rate if rate > 0 else 0.0
    clock = f", {rate:.0f}/s, {duration(left)} left in this wave" if run.n_asked and run.n_wanted > run.n_asked else ""
    failed = f", {run.n_failed} FAILED" if run.n_failed else ""
    return f"{run.model}: {share}, {done} answers ({run.n_known} from the store, {asked}){failed}{clock}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@contextmanager
def watching(stream: TextIO | None = None) -> Iterator[Watch]:
    """A watch that shows a live line on a terminal, and a plain line every ten seconds elsewhere.

    Args:
        stream: where to; standard error by default, so that standard output stays for results.
    """
    target = stream or sys.stderr
    watch = _Live(target) if target.isatty() else _Plain(target)
    try:
        yield watch
    finally:
        watch.finish()


class _Plain:
    """A line now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._model = ""
        self._started = self._last = 0.0

    def __call__(self, run: ModelRun) -> None:
        now = time.perf_counter()
        if run.model != self._model:
            self._model, self._started, self._last = run.model, now, now
        if now - self._last >= LINE_EVERY_S:
            self._last = now
            self._write(told(run, now - self._started))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def finish(self) -> None:
        """Nothing is left open."""


class _Live(_Plain):
    """One line that is written over."""

    REFRESH_S = 0.2

    def __call__(self, run: ModelRun) -> None:
        now = time.perf_counter()
        if run.model != self._model:
            self.finish()
            self._model, self._started, self._last = run.model, now, 0.0
        if now - self._last >= self.REFRESH_S:
            self._last = now
            self._write(told(run, now - self._started))

    def _write(self, line: str) -> None:
        self._stream.write("\r\x1b[K" + line)
        self._stream.flush()

    def finish(self) -> None:
        """End the live line."""
        if self._model:
            self._stream.write("\n")
            self._stream.flush()
