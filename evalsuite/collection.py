"""How often the interpreter looks for dead cycles while a study is planned, run and scored, and what becomes of memory that was freed."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

THRESHOLDS = (1_000_000, 20, 100)
"""Objects more than before until the young ones are looked through, and how often that happens until the older and all others are. Two
waves with their programs and answers are about as many: at fewer each of them is looked through while it lives."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """While it lasts, cycles are looked for seldom; what it was before comes back.

    A plan, two waves and their answers are millions of small objects that live long and die by their reference counts. To look
    through them as often as Python does by default takes as long as all else that a study does with them.
    """
    before = gc.get_threshold()
    # Whoever wants it more seldom still, or never, keeps that.
    if 0 < before[0] < THRESHOLDS[0]:
        gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


KEPT, KEPT_BY_DEFAULT = 1 << 30, 1 << 26
"""Bytes that were freed and are kept: beside a network on a CPU, and as glibc has it once it has seen large arrays."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of what `mallopt` sets."""
_LARGEST = 1 << 25
"""Most bytes that glibc lets one take from what is kept; larger ones come from the system each time."""


def keep_freed_memory(n_bytes: int) -> None:
    """Let the C library (glibc) keep so much of what was freed for whoever asks next; elsewhere nothing happens.

    A network asks for the same arrays again and again. What is given back in between the system fills with zeros each time, a page at a
    time: a twentieth to a tenth of all time.

    Args:
        n_bytes: `KEPT` or `KEPT_BY_DEFAULT`.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST)
        library.mallopt(_TRIM_THRESHOLD, n_bytes)


def give_freed_memory_back() -> None:
    """Give memory that was freed back to the system where the C library can be asked to (glibc); elsewhere nothing happens.

    Between what lives on after a run lies what its waves took: of a million requests a third of a GiB, which statistics would come upon.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
