"""The fast way: scoring and embedding in packs, in which no token is computed twice and none is padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from evalsuite.engines._logits import Numbers, embedded, read_logits, scored
from evalsuite.engines._packed_attention import KeysValues
from evalsuite.engines._packed_model import PackedModel
from evalsuite.engines._padded import give_memory_back, is_out_of_memory, no_memory
from evalsuite.engines._prefix_order import Arranged, Pack, Place, arrange, cut
from evalsuite.engines._rows import Row
from evalsuite.types import Failure, Outcome

T = TypeVar("T")

Compute = Callable[[Arranged, Pack, Mapping[int, KeysValues]], tuple[T, dict[int, KeysValues]]]
"""What is wanted of a pack, from the keys and values of the path to its first token; and those of the path to the next one's."""

N_LEAST_TOKENS = 32
"""Packs are not made smaller than this when memory runs out: what does not fit then has a path that does not."""


@dataclass(slots=True)
class PackSize:
    """How large packs are; smaller from where memory ran out."""

    n_tokens: int
    """Most tokens."""
    n_places: int
    """Most places whose logits are wanted."""
    n_before: int = 0
    """`n_tokens` before memory first ran out, 0 if it did not."""

    def halved(self, pack: Pack) -> bool:
        """Make the next packs half of one that did not fit; False if that is too small to help."""
        if len(pack.ids) <= N_LEAST_TOKENS:
            return False
        self.n_before = self.n_before or self.n_tokens
        self.n_tokens = max(N_LEAST_TOKENS, len(pack.ids) // 2)
        return True

    def restore(self) -> None:
        """A single row was found not to fit: packs for the others are as large as before, and halved again if that is too large."""
        self.n_tokens = self.n_before or self.n_tokens


class NoMemoryError(Exception):
    """Memory ran out with the smallest pack, at a row or at one beside it."""

    def __init__(self, row: Row) -> None:
        super().__init__(row)
        self.row = row


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
        yield from tried_apart(rows, lambda own, share: self._all(own, partial(self._scored, share=share)))

    def embed(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Means of the last hidden states. Nothing is shared: a mean needs the hidden states of all its tokens."""
        yield from self._all(rows, self._embedded)

    def _all(self, rows: Sequence[Row], answers: Callable[[Sequence[Row]], Iterator[tuple[Row, Outcome]]]) -> Iterator[tuple[Row, Outcome]]:
        """Answer all rows. Where memory runs out, the row at which it does is tried alone, and the others go on without it."""
        waiting = list(rows)
        while waiting:
            done: set[tuple[int, int]] = set()
            try:
                for row, outcome in answers(waiting):
                    done.add((row.request, row.part))
                    yield row, outcome
                return
            except NoMemoryError as error:
                suspect = error.row
            waiting = [row for row in waiting if (row.request, row.part) not in done]
            if len(waiting) == 1:
                yield suspect, no_memory(suspect)
                self._size.restore()
                return
            waiting.remove(suspect)
            yield from self._all([suspect], answers)

    def _scored(self, rows: Sequence[Row], *, share: bool) -> Iterator[tuple[Row, Outcome]]:
        """Score until memory runs out for good."""
        arranged = arrange(rows, share=share)
        tallies: dict[int, _Tally] = {}
        for pack, numbers in self._packs(arranged, self._size.n_places, self._numbers):
            for row in _entered(arranged, pack, numbers, tallies):
                yield arranged.rows[row], _outcome(arranged.rows[row], tallies.pop(row))

    def _embedded(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Likewise for means of hidden states."""
        arranged = arrange(rows, share=False)
        sums: dict[int, torch.Tensor] = {}
        for pack, parts in self._packs(arranged, 1, self._sums):
            for row, part in parts.items():
                sums[row] = sums[row] + part if row in sums else part
                if arranged.starts[row + 1] <= pack.then.flat:
                    yield arranged.rows[row], embedded(sums.pop(row) / len(arranged.rows[row].ids))

    def _packs(self, arranged: Arranged, n_places: int, compute: Compute[T]) -> Iterator[tuple[Pack, T]]:
        """All packs and what is computed of each; they are smaller from where memory runs out.

        Raises:
            NoMemoryError: they cannot be smaller.
        """
        place, kept = Place(), dict[int, KeysValues]()
        while place.flat < arranged.starts[-1]:
            pack = cut(arranged, place, self._size.n_tokens, n_places)
            found = in_memory(partial(compute, arranged, pack, kept))
            if found is not None:
                numbers, kept = found
                place = pack.then
                yield pack, numbers
            elif not self._size.halved(pack):
                raise NoMemoryError(arranged.rows[row_at(arranged, place.flat)])

    def _numbers(self, arranged: Arranged, pack: Pack, kept: Mapping[int, KeysValues]) -> tuple[Numbers | None, dict[int, KeysValues]]:
        """What is wanted of a pack, values in the order of its asks; and what is to be kept."""
        logits, kept = self._model.logits(pack, kept)
        if not pack.asks:
            return None, kept
        wanted = [(ask, owner, arranged.rows[ask.row]) for ask, owner in pack.asks]
        owners: list[int] = []
        tokens: list[int] = []
        for ask, owner, row in wanted:
            for number, ids in enumerate(row.wanted[ask.offset : ask.offset + ask.n]):
                owners.extend([owner + number] * len(ids))
                tokens.extend(ids)
        # Several rows may want the same place: log-probabilities are read in the order of places.
        order = np.argsort(owners, kind="stable")
        moments, tops = any(row.moments for _, _, row in wanted), any(row.greedy for _, _, row in wanted)
        numbers = read_logits(logits, np.array(owners)[order], np.array(tokens)[order], moments=moments, tops=tops)
        values = np.empty_like(numbers.values)
        values[order] = numbers.values
        return replace(numbers, values=values), kept

    def _sums(
        self, arranged: Arranged, pack: Pack, kept: Mapping[int, KeysValues]
    ) -> tuple[dict[int, torch.Tensor], dict[int, KeysValues]]:
        """Sum of the hidden states of each row's tokens in a pack, by number of the row; and what is to be kept."""
        hidden, kept = self._model.hidden(pack, kept)
        sums: dict[int, torch.Tensor] = {}
        first = pack.then.flat - len(pack.ids)
        row = row_at(arranged, first)
        while row < len(arranged.rows) and arranged.starts[row] < pack.then.flat:
            begin, end = (int(flat) - first for flat in arranged.starts[row : row + 2])
            sums[row] = hidden[max(0, begin) : end].sum(dim=0)
            row += 1
        return sums, kept


def in_memory(compute: Callable[[], T]) -> T | None:
    """What `compute` gives, None if memory runs out."""
    try:
        return compute()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside the `except`: while it lasts, the error's traceback holds on to the tensors.
    give_memory_back()
    return None


def tried_apart(
    rows: Sequence[Row], answers: Callable[[Sequence[Row], bool], Iterator[tuple[Row, Outcome]]]
) -> Iterator[tuple[Row, Outcome]]:
    """Outcomes of all rows; numbers that are not finite may have come from a row beside theirs, so that such rows are answered again.

    Args:
        rows: the rows.
        answers: answers rows, and lets them share what they have in common or not: first it may.
    """
    suspects: list[Row] = []
    for row, outcome in answers(rows, True):
        if isinstance(outcome, Failure) and outcome.reason == "invalid_logprob":
            suspects.append(row)
        else:
            yield row, outcome
    yield from answers(suspects, False)


def row_at(arranged: Arranged, flat: int) -> int:
    """The row to which a token belongs."""
    return int(np.searchsorted(arranged.starts, flat, side="right")) - 1


def _entered(arranged: Arranged, pack: Pack, numbers: Numbers | None, tallies: dict[int, _Tally]) -> Iterator[int]:
    """Enter what a pack gives into the rows' tallies; yields the rows that are complete."""
    if numbers is None:
        return
    begin = 0
    for ask, owner in pack.asks:
        tally = tallies.get(ask.row)
        if tally is None:
            tally = tallies[ask.row] = _begun(arranged.rows[ask.row])
        places = slice(ask.offset, ask.offset + ask.n)
        of_values = slice(int(tally.firsts[places.start]), int(tally.firsts[places.stop]))
        n_values = of_values.stop - of_values.start
        tally.values[of_values] = numbers.values[begin : begin + n_values]
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
