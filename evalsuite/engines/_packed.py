"""The fast way: scoring and embedding in packs, in which no token is computed twice and none is padding."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from evalsuite.engines._logits import embedded, read_logits, scored
from evalsuite.engines._packed_attention import KeysValues
from evalsuite.engines._packed_model import PackedModel
from evalsuite.engines._padded import give_memory_back, is_out_of_memory, no_memory
from evalsuite.engines._prefix_order import Arranged, Pack, Place, arrange, cut
from evalsuite.engines._rows import Row
from evalsuite.types import Outcome

T = TypeVar("T")

N_LEAST_TOKENS = 32
"""Packs are not made smaller than this when memory runs out: what does not fit then has a path that does not."""


@dataclass(slots=True)
class PackSize:
    """How large packs are; smaller from where memory ran out."""

    n_tokens: int
    """Most tokens."""
    n_places: int
    """Most places whose logits are wanted."""

    def halved(self, pack: Pack) -> bool:
        """Make the next packs half of one that did not fit; False if that is too small to help."""
        if len(pack.ids) <= N_LEAST_TOKENS:
            return False
        self.n_tokens = max(N_LEAST_TOKENS, len(pack.ids) // 2)
        return True


@dataclass(slots=True)
class _Tally:
    """A row of which a part is known."""

    values: Any
    """Log-probabilities so far, float32 [wanted ids]."""
    firsts: Any
    """Where the values of each wanted place begin, int64 [places + 1]."""
    means: Any
    """Per place."""
    variances: Any
    """Per place."""
    tops: Any
    """Per place."""
    n_left: int
    """Places to come."""


class Packed:
    """Answers rows of one checkpoint.

    When memory runs out, packs get smaller from there on; when the smallest does not fit, the row at which it fails is given up, and
    the others go on.
    """

    def __init__(self, model: PackedModel, size: PackSize) -> None:
        self._model = model
        self._size = size

    def score(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Log-probabilities; each row once, as soon as all its places are known."""
        waiting: Sequence[Row] = rows
        while waiting:
            waiting = yield from self._scored(waiting)

    def embed(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Means of the last hidden states, each row whole."""
        waiting: Sequence[Row] = rows
        while waiting:
            waiting = yield from self._embedded(waiting)

    def _scored(self, rows: Sequence[Row]) -> Generator[tuple[Row, Outcome], None, Sequence[Row]]:
        """Score until all are done, or one is given up; returns those that are left."""
        arranged, place, kept = arrange(rows), Place(), dict[int, KeysValues]()
        done: set[int] = set()
        tallies: dict[int, _Tally] = {}
        while place.flat < arranged.starts[-1]:
            pack = cut(arranged, place, self._size.n_tokens, self._size.n_places)
            found = in_memory(partial(self._model.logits, pack, kept))
            if found is None:
                if self._size.halved(pack):
                    continue
                return (yield from _given_up(arranged, place, done))
            logits, kept = found
            place = pack.then
            for row in _read(arranged, pack, logits, tallies):
                done.add(row)
                yield arranged.rows[row], _outcome(arranged.rows[row], tallies.pop(row))
        return ()

    def _embedded(self, rows: Sequence[Row]) -> Generator[tuple[Row, Outcome], None, Sequence[Row]]:
        """Likewise. Nothing is shared: a mean needs the hidden states of all its tokens."""
        arranged, place, kept = arrange(rows, share=False), Place(), dict[int, KeysValues]()
        done: set[int] = set()
        total: torch.Tensor | float = 0.0
        while place.flat < arranged.starts[-1]:
            pack = cut(arranged, place, self._size.n_tokens, 1)
            found = in_memory(partial(self._model.hidden, pack, kept))
            if found is None:
                if self._size.halved(pack):
                    continue
                return (yield from _given_up(arranged, place, done))
            hidden, kept = found
            first = int(np.searchsorted(arranged.starts, place.flat, side="right")) - 1
            for row in range(first, len(arranged.rows)):
                begin, end = (int(flat) - place.flat for flat in arranged.starts[row : row + 2])
                if begin >= len(hidden):
                    break
                total = total + hidden[max(0, begin) : end].sum(dim=0)
                if end <= len(hidden):
                    done.add(row)
                    yield arranged.rows[row], embedded(total / len(arranged.rows[row].ids))
                    total = 0.0
            place = pack.then
        return ()


def in_memory(compute: Callable[[], T]) -> T | None:
    """What `compute` gives, None if memory runs out."""
    try:
        return compute()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    # Outside the `except`: while it lasts, the error's traceback holds on to the tensors.
    give_memory_back()
    return None


def _given_up(arranged: Arranged, place: Place, done: Set[int]) -> Generator[tuple[Row, Outcome], None, Sequence[Row]]:
    """The row at a place fails; returns what is left."""
    row = int(np.searchsorted(arranged.starts, place.flat, side="right")) - 1
    yield arranged.rows[row], no_memory(arranged.rows[row])
    return [other for number, other in enumerate(arranged.rows) if number not in done and number != row]


def _read(arranged: Arranged, pack: Pack, logits: torch.Tensor, tallies: dict[int, _Tally]) -> Iterator[int]:
    """Enter what a pack gives into the rows' tallies; yields the rows that are complete."""
    if not pack.asks:
        return
    wanted = [(ask, owner, arranged.rows[ask.row]) for ask, owner in pack.asks]
    owners: list[int] = []
    tokens: list[int] = []
    for ask, owner, row in wanted:
        for number, ids in enumerate(row.wanted[ask.offset : ask.offset + ask.n]):
            owners.extend([owner + number] * len(ids))
            tokens.extend(ids)
    # Several rows may want the same place: numbers are read in the order of places, and given out in the order of rows.
    order = np.argsort(owners, kind="stable")
    moments, tops = any(row.moments for _, _, row in wanted), any(row.greedy for _, _, row in wanted)
    numbers = read_logits(logits, np.array(owners)[order], np.array(tokens)[order], moments=moments, tops=tops)
    values = np.empty(len(order), dtype=np.float32)
    values[order] = numbers.values
    begin = 0
    for ask, owner, row in wanted:
        tally = tallies.get(ask.row)
        if tally is None:
            tally = tallies[ask.row] = _begun(row)
        places = slice(ask.offset, ask.offset + ask.n)
        of_values = slice(int(tally.firsts[places.start]), int(tally.firsts[places.stop]))
        n_values = of_values.stop - of_values.start
        tally.values[of_values] = values[begin : begin + n_values]
        begin += n_values
        for stored, found in ((tally.means, numbers.means), (tally.variances, numbers.variances), (tally.tops, numbers.tops)):
            stored[places] = found[owner : owner + ask.n]
        tally.n_left -= ask.n
        if not tally.n_left:
            yield ask.row


def _begun(row: Row) -> _Tally:
    n_places = len(row.wanted)
    firsts = np.cumsum([0, *map(len, row.wanted)])
    return _Tally(
        values=np.empty(firsts[-1], dtype=np.float32),
        firsts=firsts,
        means=np.zeros(n_places, dtype=np.float32),
        variances=np.zeros(n_places, dtype=np.float32),
        tops=np.zeros(n_places, dtype=np.int64),
        n_left=n_places,
    )


def _outcome(row: Row, tally: _Tally) -> Outcome:
    greedy = bool((tally.tops == [ids[0] for ids in row.wanted]).all()) if row.greedy else None
    return scored(tally.values, (tally.means, tally.variances) if row.moments else None, greedy)
