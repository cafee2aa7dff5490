"""Rows in several streams at once: cut by the rows alone, each answered once, nothing lost when a stream fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.engines._padded import no_memory
from evalsuite.engines._rows import Row
from evalsuite.engines._streams import in_streams, n_streams_of, pieces_of
from evalsuite.types import Failure, Outcome, Response

N_TOKENS = 4


def row_of(request: int, ids: Sequence[int]) -> Row:
    return Row(request=request, part=0, ids=tuple(ids), first=len(ids) - 1, wanted=((),))


def rows_of_lengths(*lengths: int) -> list[Row]:
    """Rows that share nothing."""
    return [row_of(number, [number] * length) for number, length in enumerate(lengths)]


def answered(rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
    for row in rows:
        yield row, Response(logprobs=(float(-row.request),))


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=60), st.integers(1, 4))
def test_every_row_stands_in_one_piece_in_prefix_order(ids: list[list[int]], n_streams: int) -> None:
    rows = [row_of(number, one) for number, one in enumerate(ids)]
    pieces = pieces_of(rows, n_streams, N_TOKENS)
    joined = [row for piece in pieces for row in piece]
    assert sorted(row.request for row in joined) == list(range(len(rows)))
    assert all(pieces)
    assert len(pieces) <= 2 * n_streams
    if len(pieces) > 1:
        assert [row.ids for row in joined] == sorted(row.ids for row in rows)
    assert pieces == pieces_of(rows, n_streams, N_TOKENS)


def test_pieces_are_sized_by_the_tokens_that_are_computed() -> None:
    rows = rows_of_lengths(*[10] * 80)
    assert [len(piece) for piece in pieces_of(rows, 2, N_TOKENS)] == [30, 30, 10, 10]
    # a long beginning that all share counts once
    shared = [row_of(number, [7] * 1000 + [number]) for number in range(8)]
    assert pieces_of(shared, 2, 1000) == [shared]


def test_few_rows_stay_together() -> None:
    rows = rows_of_lengths(*[N_TOKENS] * 3)
    assert pieces_of(rows, 2, N_TOKENS) == [rows]
    assert [row.request for row, _ in in_streams(rows, answered, 2, N_TOKENS)] == [0, 1, 2]


@pytest.mark.parametrize("n_streams", [1, 2, 3])
def test_every_row_is_answered_once(n_streams: int) -> None:
    rows = rows_of_lengths(*[10] * 50)
    found = {row.request: outcome for row, outcome in in_streams(rows, answered, n_streams, N_TOKENS)}
    assert found == {row.request: outcome for row, outcome in answered(rows)}


def test_streams_work_at_once_each_with_its_share_of_threads() -> None:
    """Each piece waits until another one is begun: one stream alone would wait for ever."""
    before = torch.get_num_threads()
    meet = threading.Barrier(2, timeout=30)
    shares = []

    def answers(rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        shares.append(torch.get_num_threads())
        if len(shares) <= 2:
            meet.wait()
        yield from answered(rows)

    torch.set_num_threads(4)
    try:
        assert len(list(in_streams(rows_of_lengths(*[10] * 50), answers, 2, N_TOKENS))) == 50
        assert set(shares) == {2}
        assert torch.get_num_threads() == 4
        assert n_streams_of(torch.device("cpu")) == 2
        torch.set_num_threads(1)
        assert n_streams_of(torch.device("cpu")) == 1
        assert n_streams_of(torch.device("cuda")) == 1
    finally:
        torch.set_num_threads(before)


def test_rows_without_memory_are_answered_again_when_no_stream_is_beside_them() -> None:
    rows = rows_of_lengths(*[10] * 50)
    caller = threading.get_ident()

    def answers(some: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        for row in some:
            yield row, no_memory(row) if row.request % 7 == 0 and threading.get_ident() != caller else Response()

    found = list(in_streams(rows, answers, 2, N_TOKENS))
    assert sorted(row.request for row, _ in found) == list(range(50))
    assert not any(isinstance(outcome, Failure) for _, outcome in found)


def test_what_a_stream_raises_is_raised_once_all_have_ended() -> None:
    rows = rows_of_lengths(*[10] * 50)
    running = []

    def answers(some: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        running.append(1)
        try:
            for row in some:
                if row.request == 20:
                    raise ValueError("broken")
                yield row, Response()
        finally:
            running.pop()

    with pytest.raises(ValueError, match="broken"):
        list(in_streams(rows, answers, 2, N_TOKENS))
    assert running == []


def test_whoever_stops_listening_stops_the_streams() -> None:
    begun: list[int] = []

    def answers(some: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        for row in some:
            begun.append(row.request)
            yield row, Response()

    listening = in_streams(rows_of_lengths(*[10] * 50), answers, 1, N_TOKENS)
    next(listening)
    streams = in_streams(rows_of_lengths(*[10] * 50_000), answers, 2, N_TOKENS)
    next(streams)
    streams.close()  # type: ignore[attr-defined]
    n_threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("stream")]
    assert n_threads == []
    assert len(begun) < 50_000
