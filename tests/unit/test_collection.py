"""Cycles are looked for seldom while a study runs, and as before afterwards."""

from __future__ import annotations

import gc
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
