"""Cycles are looked for seldom while a study runs, and as before afterwards; freed memory is kept for a network and then given back."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest

from evalsuite.collection import THRESHOLDS, seldom_collected


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_it_lasts_as_long_as_the_block_whatever_ends_it() -> None:
    gc.set_threshold(701, 11, 12)
    with pytest.raises(KeyboardInterrupt), seldom_collected():
        assert gc.get_threshold() == THRESHOLDS
        raise KeyboardInterrupt
    assert gc.get_threshold() == (701, 11, 12)


@pytest.mark.parametrize("wanted", [(0, 10, 10), (THRESHOLDS[0] * 2, 5, 5)])
def test_who_wants_it_more_seldom_still_keeps_that(wanted: tuple[int, int, int]) -> None:
    gc.set_threshold(*wanted)
    with seldom_collected():
        assert gc.get_threshold() == wanted


def test_cycles_are_still_found() -> None:
    class Ring:
        n_alive = 0

        def __init__(self) -> None:
            Ring.n_alive += 1
            self.me = self

        def __del__(self) -> None:
            Ring.n_alive -= 1

    with seldom_collected():
        for _ in range(3 * THRESHOLDS[0]):
            Ring()
        assert Ring.n_alive < 2 * THRESHOLDS[0]


ROUNDS = """
import resource
import numpy as np
from evalsuite.collection import KEPT, KEPT_BY_DEFAULT, give_freed_memory_back, keep_freed_memory

def faults_of_rounds():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        blocks = [np.ones(1 << 20) for _ in range(20)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

faults_of_rounds()
without = faults_of_rounds()
keep_freed_memory(KEPT)
faults_of_rounds()
kept, held = faults_of_rounds(), held_mib()
keep_freed_memory(KEPT_BY_DEFAULT)
give_freed_memory_back()
print(without, kept, held - held_mib())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or sys.platform != "linux", reason="the C library keeps and gives back as it likes")
def test_freed_memory_is_kept_for_whoever_asks_next_and_given_back_in_the_end() -> None:
    """In a process of its own, since what a C library keeps depends on all that happened before."""
    done = subprocess.run([sys.executable, "-c", ROUNDS], check=True, capture_output=True, text=True)
    without, kept, given_back_mib = map(float, done.stdout.split())
    assert kept < 0.1 * without
    # 20 blocks of 8 MiB
    assert given_back_mib > 100
