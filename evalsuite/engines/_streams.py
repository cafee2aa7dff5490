"""Rows in several streams at once on one CPU, each in a thread of its own with its share of the cores.

An operation that is spread over all cores waits for the slowest of them, thousands of times in a wave. Streams wait for each other once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from queue import SimpleQueue
from threading import Event

import numpy as np
import torch

from evalsuite.engines._prefix_order import arrange
from evalsuite.engines._rows import Row
from evalsuite.types import Failure, Outcome

LARGE, SMALL = 3, 1
"""Sizes of the pieces: one large for each stream, then one small, for whichever is done first."""

Answers = Callable[[Sequence[Row]], Iterator[tuple[Row, Outcome]]]
"""Answers rows, each once, in any order."""


def n_streams_of(device: torch.device) -> int:
    """How many streams a device has by default: on a CPU two where its threads can be halved, on a GPU one."""
    return 2 if device.type == "cpu" and torch.get_num_threads() % 2 == 0 else 1


def in_streams(rows: Sequence[Row], answers: Answers, n_streams: int, n_tokens: int) -> Iterator[tuple[Row, Outcome]]:
    """Answer rows. The pieces that streams take follow from the rows alone, so that no number depends on which stream is faster.

    Rows for which there was no memory beside another stream are answered again without one.

    Args:
        rows: all of a kind.
        answers: called once for each piece, from several threads.
        n_streams: at once.
        n_tokens: of a pack; rows that are no more than two for each stream stay together.

    Raises:
        Whatever `answers` raises; the other streams end with the outcome that they are at.
    """
    pieces = pieces_of(rows, n_streams, n_tokens)
    if len(pieces) == 1:
        yield from answers(rows)
        return
    without_memory: list[Row] = []
    for row, outcome in _at_once(pieces, answers, n_streams):
        if isinstance(outcome, Failure) and outcome.reason == "out_of_memory":
            without_memory.append(row)
        else:
            yield row, outcome
    if without_memory:
        yield from answers(without_memory)


def pieces_of(rows: Sequence[Row], n_streams: int, n_tokens: int) -> list[Sequence[Row]]:
    """Rows in prefix order cut into pieces, by the tokens that are computed for them; what neighbours share is computed once in each."""
    if n_streams == 1 or len(rows) < n_streams:
        return [rows]
    arranged = arrange(rows)
    n_all = int(arranged.starts[-1])
    if n_all < 2 * n_streams * n_tokens:
        return [rows]
    sizes = np.cumsum([LARGE] * n_streams + [SMALL] * n_streams)
    # Rows that equal the last one add no token and belong to the last piece.
    borders = [0, *np.searchsorted(arranged.starts, n_all * sizes[:-1] / sizes[-1]).tolist(), len(rows)]
    return [arranged.rows[begin:end] for begin, end in pairwise(borders) if begin < end]


def _at_once(pieces: Sequence[Sequence[Row]], answers: Answers, n_streams: int) -> Iterator[tuple[Row, Outcome]]:
    """Outcomes of all pieces as they come."""
    n_threads = torch.get_num_threads()
    found: SimpleQueue[tuple[Row, Outcome] | Future[None]] = SimpleQueue()
    stopped = Event()

    def work(piece: Sequence[Row]) -> None:
        for one in answers(piece):
            found.put(one)
            if stopped.is_set():
                return

    share = max(1, n_threads // n_streams)
    streams = ThreadPoolExecutor(n_streams, thread_name_prefix="stream", initializer=torch.set_num_threads, initargs=(share,))
    try:
        for piece in pieces:
            streams.submit(work, piece).add_done_callback(found.put)
        n_left = len(pieces)
        while n_left:
            one = found.get()
            if isinstance(one, Future):
                one.result()  # raises what the stream raised
                n_left -= 1
            else:
                yield one
    finally:
        stopped.set()
        streams.shutdown(cancel_futures=True)
        # Threads to come are to have what this one has.
        torch.set_num_threads(n_threads)
