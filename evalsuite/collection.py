"""How often the interpreter looks for dead cycles while a study is planned, run and scored, and when what it freed is given back."""

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


def give_freed_memory_back() -> None:
    """Give memory that was freed back to the system where the C library can be asked to (glibc); elsewhere nothing happens.

    Between what lives on after a run lies what its waves took: of a million requests a third of a GiB, which statistics would come upon.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
