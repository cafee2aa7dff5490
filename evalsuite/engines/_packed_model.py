"""A model that computes packs and slots, and whether it does so exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import get_ident
from typing import Any

import numpy as np
import torch

from evalsuite.engines._checkpoint import Checkpoint
from evalsuite.engines._decoding import pad
from evalsuite.engines._logits import picked_logits
from evalsuite.engines._packed_attention import NAME, KeysValues, NotExactError, PackPass, Pass, SlotPass, Slots, new_slots
from evalsuite.engines._padded import Padded, takes_positions
from evalsuite.engines._prefix_order import Pack, Place, arrange, cut
from evalsuite.engines._rows import Row

TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.25}
"""Most that the log-probabilities after a row of the probe may differ by, root mean square over the vocabulary. Single ones of unlikely
tokens differ by more: in bfloat16 by 0.5 between plain batches of different padding, 24 layers deep (root mean square 0.08)."""

LAYERS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers of which each is one attention over the path or a window of it."""

ROTARY = frozenset({"default", "linear", "llama3", "yarn", "proportional"})
"""Kinds of rotary position embedding whose angles depend on a token's position alone."""


SHARE_WANTED = 8
"""Behind the last layer only the wanted places are read; where they are one in so many or fewer, that layer is computed for them alone."""


class PackedModel:
    """Forward passes of one checkpoint, over packs and over slots."""

    def __init__(self, checkpoint: Checkpoint, last: torch.nn.Module | None = None) -> None:
        """See the class.

        Args:
            checkpoint: loaded.
            last: what the last layer computes of each token by itself, after its attention; None: it is computed for all tokens.
        """
        self._model, self._device, self._last = checkpoint.model, checkpoint.device, last
        self._n_layers = int(checkpoint.model.config.get_text_config(decoder=True).num_hidden_layers)
        self.windows: Mapping[int, int | None] = {}
        """Sliding window of each layer that attended to the last pack."""

    @torch.inference_mode()
    def logits(self, pack: Pack, kept: Mapping[int, KeysValues], slots: Slots | None = None) -> tuple[torch.Tensor, dict[int, KeysValues]]:
        """Logits [places, vocabulary] in the model's dtype, and what is to be kept.

        Args:
            pack: what is computed.
            kept: keys and values of the path to its first token, by layer.
            slots: gets those of the rows that it completes.
        """
        last = self._last if 0 < len(pack.places) * SHARE_WANTED <= len(pack.ids) else None
        attending = PackPass(pack, kept, slots, None if last is None else self._n_layers - 1)
        if not pack.places.size:
            self._model.base_model(**self._arguments(pack.ids[None], pack.positions[None], attending))
            self.windows = attending.windows
            return torch.empty(0), attending.kept
        columns = torch.from_numpy(pack.places).to(self._device)
        arguments = self._arguments(pack.ids[None], pack.positions[None], attending)
        with nullcontext() if last is None else computed_at(last, columns):
            found, _ = picked_logits(self._model, (torch.zeros_like(columns), columns), arguments)
        self.windows = attending.windows
        return found, attending.kept

    @torch.inference_mode()
    def hidden(self, pack: Pack, kept: Mapping[int, KeysValues]) -> tuple[torch.Tensor, dict[int, KeysValues]]:
        """Last hidden states [tokens, width] in float32, and what is to be kept."""
        attending = PackPass(pack, kept)
        output = self._model.base_model(**self._arguments(pack.ids[None], pack.positions[None], attending))
        return output.last_hidden_state[0].float(), attending.kept

    @torch.inference_mode()
    def step(self, slots: Slots, tokens: list[int]) -> torch.Tensor:
        """Add a token to every slot in use; logits [in use, vocabulary] in float32 after it. Lengths are counted by the caller."""
        ids = np.array(tokens, dtype=np.int64)[:, None]
        places = (torch.arange(len(tokens), device=self._device), torch.zeros(len(tokens), dtype=torch.int64, device=self._device))
        found, _ = picked_logits(self._model, places, self._arguments(ids, slots.lengths[:, None], SlotPass(slots, self._device)))
        return found.float()

    def _arguments(self, ids: Any, positions: Any, attending: Pass) -> dict[str, Any]:
        return {
            "input_ids": torch.from_numpy(ids).to(self._device),
            "position_ids": torch.from_numpy(positions).to(self._device),
            "use_cache": False,
            "packed": attending,
        }


@contextmanager
def computed_at(module: torch.nn.Module, columns: torch.Tensor) -> Iterator[None]:
    """While it lasts, a module is computed at these columns of [1, tokens, width] alone, for this thread; elsewhere it gives zeros.

    Raises:
        NotExactError: in the forward pass, of a module that takes or gives something else than one value for each token.
    """
    thread = get_ident()
    n_tokens: list[int] = []

    def pick(_module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if get_ident() != thread:
            return None
        if len(inputs) != 1 or inputs[0].dim() != 3:
            raise NotExactError("its last layer takes more than a value for each token")
        n_tokens.append(inputs[0].shape[1])
        return (inputs[0][:, columns],)

    def spread(_module: torch.nn.Module, _inputs: tuple[Any, ...], found: Any) -> torch.Tensor | None:
        if get_ident() != thread:
            return None
        if not isinstance(found, torch.Tensor) or found.shape[:2] != (1, len(columns)):
            raise NotExactError("its last layer gives more than a value for each token")
        whole = found.new_zeros(1, n_tokens.pop(), found.shape[-1])
        whole[:, columns] = found
        return whole

    hooks = module.register_forward_pre_hook(pick), module.register_forward_hook(spread)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def packed_model(checkpoint: Checkpoint, padded: Padded) -> tuple[PackedModel, int] | str:
    """The checkpoint's model set to compute packs and the bytes that a token's keys and values take, or why it cannot exactly.

    What is not of a known kind is left to the plain way, and what is must agree with it on a few random rows.

    Args:
        checkpoint: loaded.
        padded: the plain way over it.
    """
    reason = _strange_kind(checkpoint)
    if reason:
        return reason
    rows = _probe(checkpoint)
    expected = _plain_logprobs(rows, padded, checkpoint)
    model = checkpoint.model
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    for last in dict.fromkeys((_last_mlp(checkpoint), None)):
        packed = PackedModel(checkpoint, last)
        try:
            found, n_bytes = _packed_logprobs(rows, packed)
            worst = float((found - expected).square().mean(dim=-1).sqrt().max())
            reason = _strange_windows(checkpoint, packed.windows)
            if not worst <= TOLERANCE.get(model.dtype, 0.0):
                reason = f"on a probe its log-probabilities differ from the plain ones by {worst:.2g}"
        except NotExactError as error:
            reason = str(error)
        except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
            # Whatever a model does with what it does not know: the plain way is there.
            reason = f"its forward pass takes no packs ({type(error).__name__})"
        if not reason:
            return packed, n_bytes
    model.set_attn_implementation(before)
    return reason


def _last_mlp(checkpoint: Checkpoint) -> torch.nn.Module | None:
    """The MLP of the last layer, under the name that nearly all models of transformers give it; None where there is none."""
    layers = getattr(checkpoint.model.base_model, "layers", None)
    found = getattr(layers[-1], "mlp", None) if isinstance(layers, torch.nn.ModuleList) and len(layers) else None
    return found if isinstance(found, torch.nn.Module) else None


def _strange_kind(checkpoint: Checkpoint) -> str:
    """What of the configuration is not known to be computed exactly in packs; empty if all is."""
    model = checkpoint.model
    config = model.config.get_text_config(decoder=True)
    strange = set(getattr(config, "layer_types", None) or ()) - LAYERS
    if strange:
        return f"it has layers of another kind ({', '.join(sorted(strange))})"
    rotary = set(_rotary_kinds(getattr(config, "rope_parameters", None))) - ROTARY
    if rotary:
        return f"its rotary angles depend on the length ({', '.join(sorted(rotary))})"
    if getattr(config, "attn_temperature_tuning", None):
        return "its attention is scaled by a token's place in the batch"
    if model.base_model is model:
        return "its output layer cannot be left out"
    if not takes_positions(model):
        return "it cannot be told positions"
    if not model._can_set_attn_implementation():
        return "its attention cannot be replaced"
    return ""


def _rotary_kinds(parameters: Any) -> Iterator[str]:
    """Kinds of rotary embedding in a configuration, which may be given by kind of layer."""
    if not isinstance(parameters, dict):
        return
    if "rope_type" in parameters:
        yield str(parameters["rope_type"])
    for inner in parameters.values():
        yield from _rotary_kinds(inner)


def _strange_windows(checkpoint: Checkpoint, windows: Mapping[int, int | None]) -> str:
    """Layers that did not ask for their attention here, or with another window than the configuration states."""
    config = checkpoint.model.config.get_text_config(decoder=True)
    n_layers = int(config.num_hidden_layers)
    if sorted(windows) != list(range(n_layers)):
        return f"{len(windows)} of its {n_layers} layers ask for their attention"
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        uses = window is not None and getattr(config, "use_sliding_window", True)
        kinds = ["sliding_attention" if uses else "full_attention"] * n_layers
    expected = {layer: window if kind == "sliding_attention" else None for layer, kind in enumerate(kinds[:n_layers])}
    return "" if expected == dict(windows) else "its layers attend over other windows than its configuration says"


def _probe(checkpoint: Checkpoint) -> list[Row]:
    """Random rows that share beginnings of several lengths, short enough for any context."""
    random = np.random.default_rng(0)
    n = max(1, min(48, checkpoint.n_context_tokens // 2))
    trunk, tail, other = (tuple(random.integers(checkpoint.n_vocabulary, size=n).tolist()) for _ in range(3))
    several = (trunk, trunk + tail[: n // 2], trunk + other[: n // 3], trunk[: n // 2] + other, other[: n // 2], tail[:1])
    return [
        Row(request=number, part=0, ids=ids, first=len(ids) - 1, wanted=((),)) for number, ids in enumerate(dict.fromkeys(several)) if ids
    ]


@torch.inference_mode()
def _plain_logprobs(rows: list[Row], padded: Padded, checkpoint: Checkpoint) -> torch.Tensor:
    """After each row, and after each row and one token more; [2 rows, vocabulary]."""
    found = []
    for more in ((), (0,)):
        ids, mask = pad([row.ids + more for row in rows], left=False, device=checkpoint.device)
        found.append(padded.logits(ids, mask, range(len(rows)), [len(row.ids) + len(more) - 1 for row in rows])[0])
    return torch.log_softmax(torch.cat(found).float(), dim=-1)


@torch.inference_mode()
def _packed_logprobs(rows: list[Row], packed: PackedModel) -> tuple[torch.Tensor, int]:
    """The same by packs of a third of the tokens and by slots, and the bytes that a token's keys and values take."""
    arranged = arrange(rows)
    n_tokens = max(1, int(arranged.starts[-1]) // 3)
    longest = max(len(row.ids) for row in rows)
    slots = new_slots(len(rows), longest + 1)
    place, kept = Place(), dict[int, KeysValues]()
    after: dict[int, torch.Tensor] = {}
    order: list[int] = []
    while place.flat < arranged.starts[-1]:
        pack = cut(arranged, place, n_tokens, len(rows), len(rows))
        slots.coming = np.array([len(path) for _, path in pack.lasts], dtype=np.int64)
        logits, kept = packed.logits(pack, kept, slots)
        after.update({arranged.rows[ask.row].request: logits[owner] for ask, owner in pack.asks})
        order.extend(arranged.rows[row].request for row, _ in pack.lasts)
        slots.lengths = np.concatenate([slots.lengths, slots.coming])
        place = pack.then
    n_bytes = sum(side[0, :, 0].numel() * side.element_size() for layer in slots.layers.values() for side in layer)
    later = dict(zip(order, packed.step(slots, [0] * len(order)), strict=True))
    found = [after[row.request].float() for row in rows] + [later[row.request] for row in rows]
    return torch.log_softmax(torch.stack(found), dim=-1), n_bytes
