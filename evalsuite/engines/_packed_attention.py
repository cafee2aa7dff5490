"""Attention over packs and over slots: each token sees its own path, whatever else is computed in the same forward pass.

Registered with transformers as an implementation of attention, so that every model that asks there for its attention can be computed
this way; the rest of the model stays its own. It takes the place of masks and caches: positions are given with the tokens, keys and
values that later tokens need are kept here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from evalsuite.engines._prefix_order import Numbers, Pack, Unit, is_plain, visible

NAME = "evalsuite_packed"
"""As transformers is told of it."""

HARMLESS = frozenset({"position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states", "return_dict"})
"""Further arguments of transformers' attention that change nothing about the result here."""

N_MASK_PAIRS = 2**22
"""Most pairs of a query and a key under one mask: queries beyond are attended to in blocks."""

N_KEPT_PAIRS = 2**26
"""Most pairs under masks that are kept for the next layer; those of a pack beyond are made anew in each layer."""

N_SPARE_COLUMNS = 64
"""Tokens that slots grow by at least."""

KeysValues = tuple[torch.Tensor, torch.Tensor]

Block = tuple[int, int, int, torch.Tensor | None]
"""First query, the one behind the last, number of keys, mask that is added; no mask: a row from its beginning, causal, or one query that
sees all keys."""


class NotExactError(Exception):
    """An attention that is more than softmax(scale q k) v over a path or a window of it."""


class Pass(Protocol):
    """What one forward pass knows of its tokens."""

    def attend(self, layer: int, query: torch.Tensor, keys: KeysValues, scale: float, window: int | None) -> torch.Tensor:
        """Attention [rows, tokens, heads, width] of queries [rows, heads, tokens, width]."""
        ...


def attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None, **others: Any
) -> tuple[torch.Tensor, None]:
    """transformers' attention function; see its AttentionInterface.

    Raises:
        NotExactError: an argument that this attention does not know.
    """
    attending, scaling, window = (others.pop(name, None) for name in ("packed", "scaling", "sliding_window"))
    strange = [name for name, given in others.items() if name not in HARMLESS and not _is_nothing(given)]
    if attending is None or attention_mask is not None or strange or not getattr(module, "is_causal", True):
        raise NotExactError(f"its attention takes {', '.join(strange) or 'a mask of its own'}")
    scale = scaling if scaling is not None else 1 / math.sqrt(query.shape[-1])
    return attending.attend(int(module.layer_idx), query, (key, value), scale, window), None


def _is_nothing(given: Any) -> bool:
    return given is None or (isinstance(given, bool | int | float) and not given)


AttentionInterface.register(NAME, attention)


class PackPass:
    """One pack. Keys and values of the path to its first token come in, those of the path to the next one go out."""

    def __init__(self, pack: Pack, kept: Mapping[int, KeysValues], slots: Slots | None = None, last: int | None = None) -> None:
        """See the class.

        Args:
            pack: what is computed.
            kept: keys and values of the path to its first token, by layer.
            slots: get those of the rows that it completes.
            last: number of a layer behind which only the places of the pack are read: others are not attended from there.
        """
        self._pack, self._kept, self._slots, self._last = pack, kept, slots, last
        self._gathers = [self._runs(np.concatenate([unit.base, np.arange(unit.begin, unit.end) + pack.n_kept])) for unit in pack.units]
        self._keep = self._runs(pack.keep)
        self._lasts = [self._runs(path) for _, path in pack.lasts] if slots is not None else []
        self._cut: dict[tuple[int, int | None, bool], Sequence[Block]] = {}
        self._n_kept_pairs = 0
        self.kept: dict[int, KeysValues] = {}
        """By layer, once all layers are computed."""
        self.windows: dict[int, int | None] = {}
        """Sliding window of each layer that attended."""

    def attend(self, layer: int, query: torch.Tensor, keys: KeysValues, scale: float, window: int | None) -> torch.Tensor:
        """See `Pass`."""
        self.windows[layer] = window
        own = (self._kept.get(layer), keys)
        few = layer == self._last
        made = query.new_zeros if few else query.new_empty
        out = made(1, query.shape[2], query.shape[1], keys[1].shape[-1])
        for number, unit in enumerate(self._pack.units):
            key, value = _gathered(own, self._gathers[number])
            for begin, end, n_keys, mask in self._blocks(number, unit, window, query, few):
                part = _attended(query[:, :, begin:end], key[:, :, :n_keys], value[:, :, :n_keys], mask, scale)
                out[:, begin:end] = part.transpose(1, 2)
        if self._pack.keep.size:
            self.kept[layer] = _copied(own, self._keep)
        if self._slots is not None:
            for number, runs in enumerate(self._lasts):
                self._slots.fill(layer, number, _gathered(own, runs))
        return out

    def _runs(self, pool: Numbers) -> list[tuple[bool, int, int]]:
        """Pool indices as runs (kept or of the pack, first, behind the last)."""
        if not pool.size:
            return []
        n_kept = self._pack.n_kept
        breaks = np.flatnonzero((np.diff(pool) != 1) | (pool[1:] == n_kept)) + 1
        begins, ends = np.concatenate([[0], breaks]), np.concatenate([breaks, [pool.size]])
        runs = []
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            first = int(pool[begin])
            shift = 0 if first < n_kept else n_kept
            runs.append((first < n_kept, first - shift, first - shift + end - begin))
        return runs

    def _blocks(self, number: int, unit: Unit, window: int | None, query: torch.Tensor, few: bool) -> Sequence[Block]:
        """How a unit is computed; its masks are made once for all layers of a window."""
        known = self._cut.get((number, window, few))
        if known is not None:
            return known
        blocks = self._blocks_of(unit, window, query, few)
        self._n_kept_pairs += sum(mask.numel() for _, _, _, mask in blocks if mask is not None)
        if self._n_kept_pairs <= N_KEPT_PAIRS:
            self._cut[number, window, few] = blocks
        return blocks

    def _blocks_of(self, unit: Unit, window: int | None, query: torch.Tensor, few: bool) -> Sequence[Block]:
        n, n_base = unit.end - unit.begin, len(unit.base)
        plain = is_plain(self._pack, unit, window)
        places = self._pack.places
        own = places[np.searchsorted(places, unit.begin) : np.searchsorted(places, unit.end)] - unit.begin
        if few and plain:
            return [(unit.begin + place, unit.begin + place + 1, n_base + place + 1, None) for place in own.tolist()]
        if plain and not n_base:
            return [(unit.begin, unit.end, n, None)]
        n_rows = max(1, N_MASK_PAIRS // (n_base + n))
        blocks: list[Block] = []
        for begin in range(0, n, n_rows):
            end = min(n, begin + n_rows)
            if few and not ((begin <= own) & (own < end)).any():
                continue
            hidden = _after_base(begin, end, n_base) if plain else ~torch.from_numpy(visible(self._pack, unit, window, begin, end))
            mask = torch.zeros(hidden.shape, dtype=query.dtype).masked_fill_(hidden, -math.inf).to(query.device)
            blocks.append((unit.begin + begin, unit.begin + end, n_base + end, mask))
        return blocks


def _after_base(begin: int, end: int, n_base: int) -> torch.Tensor:
    """What queries [begin, end) of a row do not see: of their row what follows them. They see the whole base."""
    hidden = torch.zeros(end - begin, n_base + end, dtype=torch.bool)
    hidden[:, n_base:] = torch.ones(end - begin, end, dtype=torch.bool).triu_(begin + 1)
    return hidden


def _gathered(own: tuple[KeysValues | None, KeysValues], runs: Sequence[tuple[bool, int, int]]) -> KeysValues:
    """Keys and values of runs; a view where there is one run only."""
    kept, new = own
    parts = [[(kept if of_kept and kept is not None else new)[side][:, :, first:end] for of_kept, first, end in runs] for side in (0, 1)]
    key, value = (part[0] if len(part) == 1 else torch.cat(part, dim=2) for part in parts)
    return key, value


def _copied(own: tuple[KeysValues | None, KeysValues], runs: Sequence[tuple[bool, int, int]]) -> KeysValues:
    """The same as tensors of their own, so that nothing else stays in memory for their sake."""
    key, value = _gathered(own, runs)
    return (key.clone(), value.clone()) if len(runs) == 1 else (key, value)


def _attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float) -> torch.Tensor:
    """softmax(scale q k + mask) v; without a mask causal from the first key on."""
    n_groups = query.shape[1] // key.shape[1]
    if n_groups > 1 and mask is not None and query.device.type != "cpu":
        # On GPUs grouped heads under a mask would be computed by the slowest of torch's ways.
        key, value = key.repeat_interleave(n_groups, dim=1), value.repeat_interleave(n_groups, dim=1)
        n_groups = 1
    causal = mask is None and query.shape[2] > 1
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=n_groups > 1)


@dataclass(slots=True)
class Slots:
    """Keys and values of generations under way, one slot each; those in use come first."""

    n_slots: int
    """How many there are."""
    n_columns: int
    """Most tokens that a slot will ever hold."""
    lengths: Numbers
    """Tokens that each slot in use holds [in use]."""
    coming: Numbers
    """Tokens of the rows that the pack under way completes; they take the slots after those in use."""
    layers: dict[int, KeysValues]
    """[slots, heads, columns, width] by layer. Columns beyond a slot's length hold zeros: a key that is not seen counts nothing only
    if it is finite."""

    @property
    def n_free(self) -> int:
        """Slots not in use."""
        return self.n_slots - len(self.lengths)

    def fill(self, layer: int, number: int, path: KeysValues) -> None:
        """Put the tokens of a row that the pack completes into its slot."""
        slot, n_tokens = len(self.lengths) + number, path[0].shape[2]
        for stored, found in zip(self._with_columns(layer, path, int(self.coming.max())), path, strict=True):
            stored[slot, :, :n_tokens] = found[0]
            stored[slot, :, n_tokens:] = 0

    def append(self, layer: int, keys: KeysValues, at: tuple[torch.Tensor, torch.Tensor]) -> KeysValues:
        """Add one token to every slot in use; returns all of them, up to the longest.

        Args:
            layer: number of the layer.
            keys: [in use, heads, 1, width].
            at: slots in use and their lengths, on the model's device.
        """
        n, n_columns = len(self.lengths), int(self.lengths.max()) + 1
        stored = self._with_columns(layer, keys, n_columns)
        for side in (0, 1):
            stored[side][at[0], :, at[1]] = keys[side][:, :, 0]
        return stored[0][:n, :, :n_columns], stored[1][:n, :, :n_columns]

    @torch.inference_mode()
    def leave(self, slot: int) -> None:
        """Free a slot; the last one in use takes its place."""
        last = len(self.lengths) - 1
        if slot != last:
            for stored in self.layers.values():
                for side in stored:
                    side[slot] = side[last]
            self.lengths[slot] = self.lengths[last]
        self.lengths = self.lengths[:last]

    def _with_columns(self, layer: int, like: KeysValues, n_needed: int) -> KeysValues:
        """The layer's tensors with room for so many tokens."""
        stored = self.layers.get(layer)
        n_columns = 0 if stored is None else stored[0].shape[2]
        if stored is None or n_columns < n_needed:
            n_new = min(self.n_columns, n_needed + max(N_SPARE_COLUMNS, n_needed // 4))
            grown = tuple(side.new_zeros(self.n_slots, side.shape[1], n_new, side.shape[3]) for side in like)
            for side in (0, 1):
                if stored is not None:
                    grown[side][:, :, :n_columns] = stored[side]
            self.layers[layer] = stored = (grown[0], grown[1])
        return stored


def new_slots(n_slots: int, n_columns: int) -> Slots:
    """Slots of which none is in use."""
    nothing = np.zeros(0, dtype=np.int64)
    return Slots(n_slots=n_slots, n_columns=n_columns, lengths=nothing, coming=nothing, layers={})


class SlotPass:
    """One more token for every slot in use."""

    def __init__(self, slots: Slots, device: torch.device) -> None:
        self._slots = slots
        self._at = (torch.arange(len(slots.lengths), device=device), torch.from_numpy(slots.lengths).to(device))
        self._masks: dict[int | None, torch.Tensor] = {}

    def attend(self, layer: int, query: torch.Tensor, keys: KeysValues, scale: float, window: int | None) -> torch.Tensor:
        """See `Pass`. The heads that have a key in common are attended to as so many queries: no key is copied for them."""
        key, value = self._slots.append(layer, keys, self._at)
        n, n_heads, _, width = query.shape
        grouped = query.view(n, key.shape[1], n_heads // key.shape[1], width)
        part = scaled_dot_product_attention(grouped, key, value, attn_mask=self._mask(window, query), scale=scale)
        return part.reshape(n, 1, n_heads, value.shape[-1])

    def _mask(self, window: int | None, query: torch.Tensor) -> torch.Tensor:
        if window not in self._masks:
            lengths = torch.from_numpy(self._slots.lengths)[:, None]
            columns = torch.arange(int(self._slots.lengths.max()) + 1)
            hidden = columns > lengths
            if window is not None:
                hidden |= columns <= lengths - window
            mask = torch.zeros(hidden.shape, dtype=query.dtype).masked_fill_(hidden, -math.inf)
            self._masks[window] = mask[:, None, None].to(query.device)
        return self._masks[window]
