"""Whether a model fits into a GPU's memory: a plain estimate from its configuration, no weights needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "float8": 1.0, "int8": 1.0, "int4": 0.5}
_GIB = float(1 << 30)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a model needs."""

    weights: float
    """GiB of the weights."""
    kv_per_token_bytes: int
    """Bytes of keys and values that one token of context takes."""
    n_parameters: int
    """Parameters, estimated from the configuration or as declared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Whether that is there."""

    fits: bool
    """True if weights and one full context fit."""
    needed_gib: float
    """GiB for the weights and one sequence of the asked length, over all GPUs."""
    usable_gib: float
    """GiB that may be used, over all GPUs."""
    n_cache_tokens: int
    """Tokens of context that fit beside the weights, all sequences together; 0 if the weights alone do not fit."""


def memory_gib(config: Mapping[str, Any], dtype: str = "auto", *, parameters_b: float | None = None) -> Memory:
    """Memory of a decoder-only transformer from the fields of its config.json.

    Counts embeddings, attention (with grouped heads), gated or plain feed-forward, experts and norms; biases are left out
    (below 0.1 %). Keys and values: 2 x layers x key-value heads x head size x bytes per number. Sliding windows and
    quantised caches are ignored, so the estimate errs on the high side there.

    Args:
        config: contents of config.json.
        dtype: float32 | float16 | bfloat16 | float8 | int8 | int4 | auto (the configuration's own, float32 if it names none).
        parameters_b: declared parameters in units of 10^9, used instead of the estimate.

    Raises:
        ValueError: a needed field is missing or the dtype is unknown; names it.
    """
    text = config.get("text_config")
    shape: Mapping[str, Any] = text if isinstance(text, Mapping) else config
    if dtype == "auto":
        named = config.get("dtype") or config.get("torch_dtype") or shape.get("dtype") or shape.get("torch_dtype") or "float32"
        dtype = str(named).removeprefix("torch.")
    if dtype not in _BYTES:
        raise ValueError(f"dtype {dtype}: known are {', '.join(_BYTES)}")
    hidden = _field(shape, "hidden_size", "n_embd", "d_model")
    layers = _field(shape, "num_hidden_layers", "n_layer", "n_layers")
    heads = _field(shape, "num_attention_heads", "n_head", "n_heads")
    kv_heads = int(shape.get("num_key_value_heads") or heads)
    head = int(shape.get("head_dim") or hidden // heads)
    n_parameters = round(parameters_b * 1e9) if parameters_b else _n_parameters(shape, hidden, layers, heads * head, kv_heads * head)
    # the cache is kept in the numbers that the model computes with, which are never narrower than 16 bits here
    kv_bytes = max(_BYTES[dtype], 2.0)
    return Memory(
        weights=n_parameters * _BYTES[dtype] / _GIB,
        kv_per_token_bytes=int(2 * layers * kv_heads * head * kv_bytes),
        n_parameters=n_parameters,
    )


def fit(memory: Memory, *, n_gpus: int, gpu_gib: float, n_context_tokens: int, share: float = 0.9) -> Fit:
    """Whether the weights and one full context fit.

    Args:
        memory: what the model needs.
        n_gpus: GPUs that share one copy of the weights.
        gpu_gib: GiB of one GPU.
        n_context_tokens: longest prompt plus output that is to fit.
        share: share of a GPU's memory that may be used, in (0, 1]; the rest is for activations and the driver.

    Raises:
        ValueError: an argument out of range.
    """
    if n_gpus < 1 or gpu_gib <= 0 or n_context_tokens < 1 or not 0 < share <= 1:
        raise ValueError("n_gpus and n_context_tokens at least 1, gpu_gib above 0, share in (0, 1]")
    usable = n_gpus * gpu_gib * share
    needed = memory.weights + n_context_tokens * memory.kv_per_token_bytes / _GIB
    spare = max(usable - memory.weights, 0.0)
    return Fit(
        fits=needed <= usable,
        needed_gib=needed,
        usable_gib=usable,
        n_cache_tokens=int(spare * _GIB // memory.kv_per_token_bytes),
    )


def _field(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and value > 0:
            return value
    raise ValueError(f"config.json lacks {names[0]}")


def _n_parameters(config: Mapping[str, Any], hidden: int, layers: int, query: int, key_value: int) -> int:
    vocabulary = _field(config, "vocab_size")
    is_gpt2 = "n_embd" in config
    inner = int(config.get("intermediate_size") or config.get("n_inner") or 4 * hidden)
    # GPT-2's feed-forward has two matrices, the gated one of Llama and its kin three
    mlp = (2 if is_gpt2 else 3) * hidden * inner
    experts = int(config.get("num_local_experts") or config.get("num_experts") or 0)
    if experts:
        mlp = experts * (3 * hidden * int(config.get("moe_intermediate_size") or inner) + hidden)
    attention = hidden * query + 2 * hidden * key_value + query * hidden
    tied = config.get("tie_word_embeddings", is_gpt2)
    embeddings = vocabulary * hidden * (1 if tied else 2)
    return embeddings + layers * (attention + mlp + 2 * hidden) + hidden
