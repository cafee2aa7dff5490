"""Rows in an order in which no token has to be computed twice, cut into packs; numbers only, no model.

Rows are sorted by their ids, and each adds the tokens that it does not share with the row before it: together they are the prefix
tree of all rows, written depth first. The index of a token in that writing is its *flat* index. A pack is a stretch of it that is
computed in one forward pass, without padding. What a token sees is its *path*: the tokens before it in its row, most of which other
rows brought. Of earlier packs only the path to the next token is kept, never more than one row long.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalsuite.engines._rows import Row

Numbers = npt.NDArray[np.int64]

N_LEAST_SHARED = 16
"""Shared tokens below which a row does not branch off within another row's tokens: a branch costs more than so few tokens."""

UNIT_COST = 3000
"""What one call of attention costs beyond its work, in pairs of a query and a key; measured on two CPU cores, 4 heads of 32."""

KEY_COST = 10
"""What gathering one key of an earlier stretch costs, likewise."""

N_UNIT_PAIRS = 2**20
"""Pairs beyond which stretches are not attended to together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """Wanted places of one row that lie next to each other."""

    flat: int
    """Flat index of the first."""
    n: int
    """How many."""
    row: int
    """Index of the row."""
    offset: int
    """Which of the row's wanted places the first is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arranged:
    """Rows in prefix order."""

    rows: Sequence[Row]
    """In the order of the writing."""
    starts: Numbers
    """Flat index at which each row's own tokens begin, and the end of all; int64 [rows + 1]."""
    n_shared: Sequence[int]
    """Tokens of each row that rows before it brought."""
    asks: Sequence[Ask]
    """All wanted places, by flat index."""
    lasts: Sequence[tuple[int, int]]
    """(flat index of a row's last token, index of the row), ascending."""
    share: bool
    """False: no row is attended to together with another one, so that numbers that are not finite stay within their row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """How far the packs are."""

    flat: int = 0
    """Flat index of the next token."""
    n_asks: int = 0
    """Asks that packs so far have reached."""
    begun: tuple[Ask, ...] = ()
    """What is left of those that a pack cut in two."""
    n_lasts: int = 0
    """Last tokens that packs so far have reached."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """Queries next to each other that are attended to in one call."""

    begin: int
    """First query, counted from the beginning of the pack."""
    end: int
    """Behind the last."""
    base: Numbers
    """Keys that are not among the queries: their indices in the pool (kept tokens, then the pack's), by position."""
    simple: bool
    """All queries belong to one row: each sees the whole base, and the queries up to itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """Tokens for one forward pass."""

    ids: Numbers
    """Token ids [tokens]."""
    positions: Numbers
    """Position of each in its row [tokens]."""
    n_kept: int
    """Tokens kept of earlier packs: the path to the first token, positions 0 to n_kept - 1."""
    units: Sequence[Unit]
    """All queries, in order."""
    closed: Numbers
    """Pool index from which on no token sees this one any more [kept + tokens]; the size of the pool if the pack does not tell."""
    keep: Numbers
    """Pool indices of the path to the token after this pack."""
    places: Numbers
    """Tokens whose logits are wanted, ascending [places]."""
    asks: Sequence[tuple[Ask, int]]
    """Wanted places, and where in `places` the first of each stands."""
    lasts: Sequence[tuple[int, Numbers]]
    """Rows that are complete with this pack, by index, and the pool indices of all their tokens."""
    then: Place
    """Where the next pack begins."""


def arrange(rows: Sequence[Row], *, share: bool = True) -> Arranged:
    """Put rows into prefix order.

    Args:
        rows: none of them empty.
        share: False leaves every row whole and by itself.
    """
    ordered = sorted(rows, key=lambda row: row.ids)
    starts, n_shared = [0], list[int]()
    asks: list[Ask] = []
    lasts: list[tuple[int, int]] = []
    # Spans of the path to the last token so far: position and flat index at which each begins.
    at: list[int] = []
    flats: list[int] = []
    before = np.zeros(0, dtype=np.int64)
    for number, row in enumerate(ordered):
        ids = np.array(row.ids, dtype=np.int64)
        shared = _branch(_n_common(before, ids), len(ids), at) if share else 0
        kept = bisect_left(at, shared)
        del at[kept:], flats[kept:]
        if shared < len(ids):
            at.append(shared)
            flats.append(starts[-1])
        n_shared.append(shared)
        starts.append(starts[-1] + len(ids) - shared)
        asks.extend(_asks_of(number, row, at, flats))
        lasts.append((flats[-1] + len(ids) - 1 - at[-1], number))
        before = ids
    asks.sort(key=lambda ask: ask.flat)
    lasts.sort()
    return Arranged(rows=ordered, starts=np.array(starts, dtype=np.int64), n_shared=n_shared, asks=asks, lasts=lasts, share=share)


def _n_common(left: Numbers, right: Numbers) -> int:
    n = min(len(left), len(right))
    differ = np.flatnonzero(left[:n] != right[:n])
    return int(differ[0]) if len(differ) else n


def _branch(n_common: int, n_tokens: int, at: Sequence[int]) -> int:
    """Tokens to share of those in common: all, unless they end shortly after a span of the path begins."""
    if n_common == n_tokens:
        return n_common
    span = bisect_right(at, n_common) - 1
    begins = at[span] if span >= 0 else 0
    return begins if n_common - begins < N_LEAST_SHARED else n_common


def _asks_of(number: int, row: Row, at: Sequence[int], flats: Sequence[int]) -> list[Ask]:
    """Wanted places of a row, cut where its path is."""
    found: list[Ask] = []
    position, end = row.first, row.first + len(row.wanted)
    while position < end:
        span = bisect_right(at, position) - 1
        until = min(end, at[span + 1]) if span + 1 < len(at) else end
        found.append(Ask(flat=flats[span] + position - at[span], n=until - position, row=number, offset=position - row.first))
        position = until
    return found


def cut(arranged: Arranged, place: Place, n_tokens: int, n_places: int, n_lasts: int | None = None) -> Pack:
    """The next pack; at least one token.

    Args:
        arranged: rows.
        place: where it begins, before the end.
        n_tokens: most tokens, at least 1.
        n_places: most places whose logits are wanted, at least 1.
        n_lasts: most rows that it may complete, at least 1; equal rows are completed together and may exceed it. None: any number, and
            none is told of.
    """
    end = _end(arranged, place, n_tokens, n_places, n_lasts)
    reached = [*place.begun]
    n_asks = place.n_asks
    while n_asks < len(arranged.asks) and arranged.asks[n_asks].flat < end:
        reached.append(arranged.asks[n_asks])
        n_asks += 1
    now = [_until(ask, end) for ask in reached]
    begun = tuple(_from(ask, end) for ask in reached if ask.flat + ask.n > end)
    wanted = [np.arange(ask.flat, ask.flat + ask.n) for ask in now]
    places: Numbers = np.unique(np.concatenate(wanted)) if wanted else np.zeros(0, dtype=np.int64)
    owners = np.searchsorted(places, [ask.flat for ask in now])
    return _Cutting(arranged, place, end, tell_lasts=n_lasts is not None).pack(
        places=places - place.flat,
        asks=[(ask, int(owner)) for ask, owner in zip(now, owners, strict=True)],
        n_asks=n_asks,
        begun=begun,
    )


def _until(ask: Ask, end: int) -> Ask:
    return ask if ask.flat + ask.n <= end else Ask(flat=ask.flat, n=end - ask.flat, row=ask.row, offset=ask.offset)


def _from(ask: Ask, begin: int) -> Ask:
    n_before = begin - ask.flat
    return Ask(flat=begin, n=ask.n - n_before, row=ask.row, offset=ask.offset + n_before)


def _end(arranged: Arranged, place: Place, n_tokens: int, n_places: int, n_lasts: int | None) -> int:
    """Where a pack ends: at a row's beginning if possible, and within all limits."""
    begin, whole = place.flat, int(arranged.starts[-1])
    end = min(whole, begin + n_tokens)
    row = int(np.searchsorted(arranged.starts, end, side="right")) - 1
    if end < whole and arranged.starts[row] > begin and arranged.starts[row + 1] - arranged.starts[row] <= n_tokens:
        end = int(arranged.starts[row])
    seen: set[int] = set()
    for ask in place.begun:
        seen.update(range(ask.flat, min(end, ask.flat + ask.n)))
    number = place.n_asks
    while number < len(arranged.asks) and arranged.asks[number].flat < end:
        ask = arranged.asks[number]
        seen.update(range(ask.flat, min(end, ask.flat + ask.n)))
        number += 1
    if len(seen) > n_places:
        end = sorted(seen)[n_places]
    if n_lasts is not None and place.n_lasts + n_lasts < len(arranged.lasts):
        end = min(end, arranged.lasts[place.n_lasts + n_lasts][0])
    return max(end, begin + 1)


class _Cutting:
    """One pack while it is put together. Pool indices: the kept tokens first, then the pack's."""

    def __init__(self, arranged: Arranged, place: Place, end: int, *, tell_lasts: bool) -> None:
        self._arranged, self._place, self._end = arranged, place, end
        row = int(np.searchsorted(arranged.starts, place.flat, side="right")) - 1
        self._row = row
        self._n_kept = arranged.n_shared[row] + place.flat - int(arranged.starts[row])
        n_tokens = end - place.flat
        self._ids = np.empty(n_tokens, dtype=np.int64)
        self._positions = np.empty(n_tokens, dtype=np.int64)
        self._closed = np.full(self._n_kept + n_tokens, self._n_kept + n_tokens, dtype=np.int64)
        self._path: Numbers = np.arange(self._n_kept)
        self._units: list[Unit] = []
        self._cost = 0.0
        self._lasts: list[tuple[int, Numbers]] = []
        self._n_lasts = place.n_lasts if tell_lasts else len(arranged.lasts)

    def pack(self, *, places: Numbers, asks: Sequence[tuple[Ask, int]], n_asks: int, begun: tuple[Ask, ...]) -> Pack:
        """The pack, with what is wanted of it."""
        arranged, flat, row = self._arranged, self._place.flat, self._row
        while flat < self._end:
            end = min(self._end, int(arranged.starts[row + 1]))
            if end > flat:
                self._add(row, flat, end)
            flat, row = end, row + 1
        n_next = 0
        if self._end < arranged.starts[-1]:
            after = int(np.searchsorted(arranged.starts, self._end, side="right")) - 1
            n_next = arranged.n_shared[after] + self._end - int(arranged.starts[after])
        return Pack(
            ids=self._ids,
            positions=self._positions,
            n_kept=self._n_kept,
            units=self._units,
            closed=self._closed,
            keep=self._path[:n_next],
            places=places,
            asks=asks,
            lasts=self._lasts,
            then=Place(flat=self._end, n_asks=n_asks, begun=begun, n_lasts=self._n_lasts),
        )

    def _add(self, row: int, flat: int, end: int) -> None:
        """Add a stretch of a row's own tokens."""
        arranged = self._arranged
        position = arranged.n_shared[row] + flat - int(arranged.starts[row])
        begin, n = flat - self._place.flat, end - flat
        self._ids[begin : begin + n] = arranged.rows[row].ids[position : position + n]
        self._positions[begin : begin + n] = np.arange(position, position + n)
        pool = self._n_kept + begin
        self._closed[self._path[position:]] = pool
        base = self._path[:position]
        self._path = np.concatenate([base, np.arange(pool, pool + n)])
        self._attend(begin, begin + n, base)
        while self._n_lasts < len(arranged.lasts) and arranged.lasts[self._n_lasts][0] < end:
            complete = arranged.lasts[self._n_lasts][1]
            self._lasts.append((complete, self._path[: len(arranged.rows[complete].ids)]))
            self._n_lasts += 1

    def _attend(self, begin: int, end: int, base: Numbers) -> None:
        """Give a stretch to the last unit, where that costs less than a unit of its own."""
        n, n_base = end - begin, len(base)
        alone = UNIT_COST + n_base * KEY_COST + (n * (n_base + n) if n_base else n * n / 2)
        if self._units and self._arranged.share:
            last = self._units[-1]
            n_queries = end - last.begin
            pairs = n_queries * (len(last.base) + n_queries)
            merged = UNIT_COST + len(last.base) * KEY_COST + pairs
            if pairs <= N_UNIT_PAIRS and merged <= self._cost + alone:
                # Whatever the stretch sees is the unit's base or among its queries: paths only ever lose their ends.
                self._units[-1] = Unit(begin=last.begin, end=end, base=last.base, simple=False)
                self._cost = merged
                return
        self._units.append(Unit(begin=begin, end=end, base=base, simple=True))
        self._cost = alone


def is_plain(pack: Pack, unit: Unit, window: int | None) -> bool:
    """Whether each query of a unit sees all of the base, and the queries up to itself; arguments as for `visible`."""
    reach = int(pack.positions[unit.begin : unit.end].max()) + 1
    return unit.simple and (window is None or reach <= window)


def visible(pack: Pack, unit: Unit, window: int | None, begin: int, end: int) -> npt.NDArray[np.bool_]:
    """Which keys some queries of a unit see, bool [end - begin, base + end].

    Args:
        pack: holds the unit.
        unit: of it.
        window: a query at position p sees positions p - window + 1 to p; None: all up to p.
        begin: first of the queries, counted from the unit's first.
        end: behind the last.
    """
    first = pack.n_kept + unit.begin
    queries = np.arange(first + begin, first + end)
    keys = np.concatenate([unit.base, np.arange(first, first + end)])
    seen: npt.NDArray[np.bool_] = (keys <= queries[:, None]) & (queries[:, None] < pack.closed[keys])
    if window is not None:
        positions = np.concatenate([np.arange(pack.n_kept), pack.positions]).astype(np.int32)
        seen &= positions[queries][:, None] - positions[keys] < window
    return seen
