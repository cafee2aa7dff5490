"""On how many GPUs a model fits, what is left for its context there, and what would make it fit where it does not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalsuite.models.memory import Memory, memory_gib

_GIB = float(1 << 30)
_WIDEST = 64
"""Most GPUs that are considered for one copy of a model."""
_SHARE = 0.9
"""Share of a GPU's memory that may be used; the rest is for activations and the driver."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a model needs, and how it can be cut."""

    memory: Memory
    """Weights and cache, on all GPUs together."""
    n_heads: int | None
    """Attention heads; None: unknown."""
    n_kv_heads: int
    """Key-value heads."""
    inner: int | None
    """Width of the feed-forward layers; None: unknown."""
    estimated: bool
    """True: there was no configuration, and the size was taken from the declared parameters."""

    def allows(self, degree: int) -> bool:
        """True if the model can be cut into that many equal parts; key-value heads may be fewer and are then copied."""
        if self.n_heads is None or self.inner is None:
            return degree & (degree - 1) == 0
        whole_kv = self.n_kv_heads % degree == 0 or degree % self.n_kv_heads == 0
        return self.n_heads % degree == 0 and self.inner % degree == 0 and whole_kv

    def gib_per_gpu(self, degree: int, n_tokens: int) -> float:
        """GiB on each of `degree` GPUs for the weights and `n_tokens` of context, all sequences together."""
        return self.memory.weights / degree + n_tokens * self._kv_bytes(degree) / _GIB

    def n_tokens_beside(self, degree: int, usable_gib: float) -> int:
        """Tokens of context that fit beside the weights; 0 if the weights alone do not fit."""
        spare = max(usable_gib - self.memory.weights / degree, 0.0)
        return int(spare * _GIB // self._kv_bytes(degree))

    def _kv_bytes(self, degree: int) -> float:
        return self.memory.kv_per_token_bytes * math.ceil(self.n_kv_heads / degree) / self.n_kv_heads


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """How a model lies on given GPUs."""

    smallest: int | None
    """Fewest of these GPUs that hold the weights and one full context; None: not even all."""
    usable_gib: float
    """GiB of one GPU that may be used."""
    n_cache_tokens: int
    """Tokens of context beside the weights at `smallest`, all sequences together; 0 if None."""
    would_help: tuple[str, ...]
    """What would make it fit, likeliest first; empty if it fits."""


def need_of(
    config: Mapping[str, Any], dtype: str, *, parameters_b: float | None, folder: Path | None = None, files: tuple[str, ...] = ()
) -> Need | None:
    """What a model needs, from its configuration or, without one, from its declared parameters.

    A quantised checkpoint needs what its weight files take on disk. Without a configuration, 8 key-value heads of 128 and the
    proportions of Llama 2 are assumed (layers = width / 128, 12 x layers x width^2 parameters), and the result is marked.

    Args:
        config: contents of config.json; empty if it is not here.
        dtype: what it computes with, or `auto`.
        parameters_b: declared parameters in units of 10^9.
        folder: the checkpoint, for the sizes of its files.
        files: names of its files.

    Returns:
        None where neither the configuration nor declared parameters say enough.
    """
    text = config.get("text_config")
    shape: Mapping[str, Any] = text if isinstance(text, Mapping) else config
    try:
        memory = memory_gib(config, dtype)
    except ValueError:
        return _stated(dtype, parameters_b)
    if folder is not None and (config.get("quantization_config") or shape.get("quantization_config")):
        n_bytes = sum((folder / name).stat().st_size for name in files if name.endswith((".safetensors", ".bin")))
        memory = replace(memory, weights=n_bytes / _GIB)
    heads = int(shape.get("num_attention_heads") or shape.get("n_head") or 0) or None
    inner = int(shape.get("intermediate_size") or shape.get("n_inner") or 0) or None
    kv_heads = int(shape.get("num_key_value_heads") or heads or 1)
    return Need(memory=memory, n_heads=heads, n_kv_heads=kv_heads, inner=inner, estimated=False)


def _stated(dtype: str, parameters_b: float | None) -> Need | None:
    if not parameters_b:
        return None
    n_bytes = {"float32": 4.0}.get(dtype, 2.0)
    width = (128 * parameters_b * 1e9 / 12) ** (1 / 3)
    n_layers = max(round(width / 128), 1)
    memory = Memory(
        weights=parameters_b * 1e9 * n_bytes / _GIB,
        kv_per_token_bytes=int(2 * n_layers * 8 * 128 * n_bytes),
        n_parameters=round(parameters_b * 1e9),
    )
    return Need(memory=memory, n_heads=None, n_kv_heads=8, inner=None, estimated=True)


def place(need: Need, *, n_gpus: int, gpu_gib: float, n_context_tokens: int) -> Placement:
    """The fewest of these GPUs on which the weights and one full context fit.

    Args:
        need: what the model needs.
        n_gpus: GPUs there.
        gpu_gib: GiB of each.
        n_context_tokens: longest prompt plus output that is to fit.

    Raises:
        ValueError: an argument out of range.
    """
    if n_gpus < 1 or gpu_gib <= 0 or n_context_tokens < 1:
        raise ValueError("n_gpus and n_context_tokens at least 1, gpu_gib above 0")
    usable = gpu_gib * _SHARE

    def smallest(most: int, gpu: float) -> int | None:
        degrees = (degree for degree in range(1, most + 1) if need.allows(degree))
        return next((degree for degree in degrees if need.gib_per_gpu(degree, n_context_tokens) <= gpu), None)

    found = smallest(n_gpus, usable)
    if found is not None:
        return Placement(smallest=found, usable_gib=usable, n_cache_tokens=need.n_tokens_beside(found, usable), would_help=())
    widest = max(degree for degree in range(1, n_gpus + 1) if need.allows(degree))
    advice = []
    n_fitting = need.n_tokens_beside(widest, usable)
    if n_fitting >= 1024:
        advice.append(f"serving.max_model_len: {n_fitting // 1024 * 1024}")
    more = smallest(_WIDEST, usable)
    if more is not None:
        advice.append(f"{more} GPUs of {gpu_gib:g} GiB")
    advice += _quantised(need, widest, usable, n_context_tokens)
    larger = next((size for size in (24, 40, 48, 80, 96, 141, 192) if size > gpu_gib and smallest(n_gpus, size * _SHARE)), None)
    if larger is not None:
        advice.append(f"GPUs of {larger} GiB")
    return Placement(smallest=None, usable_gib=usable, n_cache_tokens=0, would_help=tuple(advice))


def _quantised(need: Need, degree: int, usable: float, n_tokens: int) -> list[str]:
    """The widest numbers, of those that quantised checkpoints use, in which the weights would fit."""
    for bits in (8, 4):
        weights = need.memory.n_parameters * bits / 8 / _GIB
        if weights >= need.memory.weights:
            continue
        smaller = replace(need, memory=replace(need.memory, weights=weights))
        if smaller.gib_per_gpu(degree, n_tokens) <= usable:
            return [f"a checkpoint quantised to {bits} bits ({weights:.0f} GiB)"]
    return []
