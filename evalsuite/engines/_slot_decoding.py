"""Generation in slots: prompts enter in packs as slots become free, every slot in use is given one token at a time.

A row's draws come from its own seed and its tokens from its own path, so that nothing depends on which rows are under way with it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from evalsuite.engines._decoding import Texts, Writing, advance, choose, start
from evalsuite.engines._packed import PackSize, in_memory, row_at, tried_apart
from evalsuite.engines._packed_attention import KeysValues, Slots, new_slots
from evalsuite.engines._packed_model import PackedModel
from evalsuite.engines._padded import no_memory
from evalsuite.engines._prefix_order import Arranged, Place, arrange, cut
from evalsuite.engines._rows import Row
from evalsuite.types import Outcome

SHARE_FREE = 4
"""New prompts enter when one slot in so many is free: packs are not tiny then, and few slots stand empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """How generations end."""

    texts: Texts
    """Reads tokens, for stop strings."""
    special_ids: Mapping[str, int]
    """Special tokens by their text: a stop string may be one."""
    end_ids: frozenset[int]
    """Ids that end any generation."""


class SlotDecoder:
    """Generates for one checkpoint. When memory runs out, packs get smaller, then slots fewer, from there on."""

    def __init__(self, model: PackedModel, size: PackSize, ends: Ends, *, most_slots: int, n_cached_tokens: int) -> None:
        """See `generate`.

        Args:
            model: computes packs and slots.
            size: of packs.
            ends: how generations end.
            most_slots: at once, at least 1.
            n_cached_tokens: most tokens whose keys and values all slots together may hold; a single slot may exceed it.
        """
        self._model, self._size, self._ends = model, size, ends
        self._most_slots = self._allowed_slots = most_slots
        self._n_cached_tokens = n_cached_tokens

    def generate(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Text; each row once, as soon as it has ended."""
        yield from tried_apart(rows, self._all)

    def _all(self, rows: Sequence[Row], share: bool) -> Iterator[tuple[Row, Outcome]]:
        """Generate for all rows. Where memory runs out there are fewer slots; with one slot the row in it is tried alone."""
        waiting: Sequence[Row] = rows
        while waiting:
            longest = max(row.n_tokens for row in waiting)
            n_slots = max(1, min(self._most_slots, len(waiting), self._n_cached_tokens // longest))
            round_ = _Round(self._model, self._size, self._ends, arrange(waiting, share=share), new_slots(n_slots, longest))
            waiting = yield from round_.run()
            suspect = round_.suspect
            if suspect is None:
                continue
            del round_
            if len(waiting) == 1:
                yield suspect, no_memory(suspect)
                # It was this row's fault: the others have slots and packs as before, and fewer again if that is too many.
                self._most_slots = self._allowed_slots
                self._size.restore()
                return
            if n_slots > 1:
                self._most_slots = n_slots // 2
                continue
            waiting = [row for row in waiting if row is not suspect]
            yield from self._all([suspect], share)


class _Round:
    """Rows on the way through slots, until all are done or memory runs out for good."""

    def __init__(self, model: PackedModel, size: PackSize, ends: Ends, arranged: Arranged, slots: Slots) -> None:
        self.suspect: Row | None = None
        """Once memory ran out with packs as small as they may be, or between packs: a row that was under way."""
        self._model, self._size, self._ends, self._arranged, self._slots = model, size, ends, arranged, slots
        self._place = Place()
        self._kept: dict[int, KeysValues] = {}
        self._left = set(range(len(arranged.rows)))
        # Number of the row in each slot in use, and what it has written.
        self._writing: list[tuple[int, Writing]] = []

    def run(self) -> Generator[tuple[Row, Outcome], None, Sequence[Row]]:
        """Yields what is done; returns the rows that are left: they begin anew."""
        slots, end = self._slots, self._arranged.starts[-1]
        while (self._place.flat < end or self._writing) and self.suspect is None:
            enters = self._place.flat < end and (not self._writing or slots.n_free * SHARE_FREE >= slots.n_slots)
            yield from self._enter() if enters else self._write()
        return [self._arranged.rows[row] for row in sorted(self._left)]

    def _run_out(self) -> None:
        row = self._writing[0][0] if self._writing else row_at(self._arranged, self._place.flat)
        self.suspect = self._arranged.rows[row]

    def _enter(self) -> Iterator[tuple[Row, Outcome]]:
        """Compute the next pack; the rows that it completes write their first token."""
        slots = self._slots
        pack = cut(self._arranged, self._place, self._size.n_tokens, self._size.n_places, slots.n_free)
        # Equal prompts are complete together: those for which there is no slot begin anew in the next round.
        entering = pack.lasts[: slots.n_free]
        pack = replace(pack, lasts=entering)
        slots.coming = np.array([len(path) for _, path in entering], dtype=np.int64)
        found = in_memory(lambda: self._model.logits(pack, self._kept, slots))
        if found is None:
            if not self._size.halved(pack):
                self._run_out()
            return
        logits, self._kept = found
        self._place = pack.then
        if entering:
            of_row = {ask.row: owner for ask, owner in pack.asks}
            for row, _ in entering:
                self._writing.append((row, self._begun(row)))
            slots.lengths = np.concatenate([slots.lengths, slots.coming])
            yield from self._advance(logits, [of_row[row] for row, _ in entering])

    def _begun(self, row: int) -> Writing:
        sampling = self._arranged.rows[row].sampling
        if sampling is None:
            raise RuntimeError("a row that generates nothing was given to be continued")
        return start(row, sampling, self._ends.special_ids, self._ends.end_ids)

    def _write(self) -> Iterator[tuple[Row, Outcome]]:
        """One more token for every slot in use."""
        tokens = [writing.tokens[-1] for _, writing in self._writing]
        logits = in_memory(lambda: self._model.step(self._slots, tokens))
        if logits is None:
            self._run_out()
            return
        self._slots.lengths = self._slots.lengths + 1
        yield from self._advance(logits, list(range(len(tokens))))

    def _advance(self, logits: torch.Tensor, places: list[int]) -> Iterator[tuple[Row, Outcome]]:
        """Choose the next token of the last slots in use from the logits at these places; yields and frees those that have ended."""
        first = len(self._writing) - len(places)
        chosen = in_memory(lambda: choose(logits[places].float(), [writing for _, writing in self._writing[first:]]))
        if chosen is None:
            # Draws that were made are made again: all begin anew.
            self._run_out()
            return
        ended: list[int] = []
        for slot, token in enumerate(chosen, start=first):
            row, writing = self._writing[slot]
            outcome = advance(writing, token, self._ends.texts, len(self._arranged.rows[row].ids))
            if outcome is not None:
                ended.append(slot)
                self._left.discard(row)
                yield self._arranged.rows[row], outcome
        for slot in reversed(ended):
            self._slots.leave(slot)
            self._writing[slot] = self._writing[-1]
            self._writing.pop()
