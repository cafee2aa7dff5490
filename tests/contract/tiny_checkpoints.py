"""Tiny random checkpoints of many architectures, for tests that two ways to compute give the same answers.

Each is built by transformers' own configuration class from a fixed seed, with the ids of `evalsuite.bytetext`. All parameters are
drawn, those too that start as zeros or ones (biases, norms, sinks): what nobody reads must not look as if it had been read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import transformers as T

from tests.tiny_checkpoint import N_CONTEXT_TOKENS, byte_tokenizer, tiny_config

N_WINDOW_TOKENS = 16
"""Sliding windows of those that have one; far shorter than most prompts of the tests."""

N_LONG_ROPE_TOKENS = 40
"""Where the factors of the checkpoint with long rope change."""

WINDOW = {"sliding_window": N_WINDOW_TOKENS}
LOCAL_THEN_GLOBAL = {**WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
LONG_ROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [6.0] * 4}
LLAMA_3_ROPE = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """One architecture."""

    kind: type[Any]
    """Configuration class."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What differs from `tiny_config`."""
    shares: bool | None
    """Whether the engine must compute the tokens of shared prefixes once, or must not; None: it may, if its answers are the same."""
    sees: Literal["all", "window"] = "all"
    """Whether the last token of a long prompt depends on the first, or on its neighbours only."""
    embeds: bool = True
    """Whether transformers gives its last hidden states."""


TINY: dict[str, Tiny] = {
    # the families for which it is promised
    "llama": Tiny(kind=T.LlamaConfig, shares=True),
    "mistral": Tiny(kind=T.MistralConfig, changes=WINDOW, shares=True, sees="window"),
    "qwen2": Tiny(kind=T.Qwen2Config, shares=True),
    "qwen2 of two layer types": Tiny(
        kind=T.Qwen2Config, changes={**WINDOW, "use_sliding_window": True, "max_window_layers": 1, "num_hidden_layers": 3}, shares=True
    ),
    "gemma": Tiny(kind=T.GemmaConfig, changes={"head_dim": 8, "hidden_activation": "gelu_pytorch_tanh"}, shares=True),
    "phi": Tiny(kind=T.PhiConfig, changes={"partial_rotary_factor": 0.5, "num_key_value_heads": 4}, shares=True),
    # what changes with the length or looks back by other means than attention: never
    "longrope": Tiny(
        kind=T.Phi3Config,
        changes={
            "original_max_position_embeddings": N_LONG_ROPE_TOKENS,
            "rope_parameters": {**LONG_ROPE, "original_max_position_embeddings": N_LONG_ROPE_TOKENS},
        },
        shares=False,
    ),
    "dynamic rope": Tiny(
        kind=T.LlamaConfig,
        changes={
            "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4, "original_max_position_embeddings": 32},
        },
        shares=False,
    ),
    "bloom": Tiny(kind=T.BloomConfig, changes={"n_head": 4, "n_layer": 2}, shares=False),
    "mpt": Tiny(kind=T.MptConfig, changes={"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": N_CONTEXT_TOKENS}, shares=False),
    "falcon with alibi": Tiny(kind=T.FalconConfig, changes={"alibi": True}, shares=False),
    "lfm2": Tiny(kind=T.Lfm2Config, changes={"layer_types": ["conv", "full_attention", "conv"], "num_hidden_layers": 3}, shares=False),
    "jamba": Tiny(
        kind=T.JambaConfig,
        changes={
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "expert_layer_period": 2,
            "use_mamba_kernels": False,
            "mamba_d_state": 8,
        },
        shares=False,
    ),
    "chunked attention": Tiny(
        kind=T.Llama4TextConfig,
        changes={
            "head_dim": 8,
            "attention_chunk_size": 32,
            "intermediate_size_mlp": 48,
            "num_local_experts": 2,
            "num_hidden_layers": 4,
        },
        embeds=False,
        shares=False,
    ),
    # what may be shared or not
    "gpt oss with sinks": Tiny(kind=T.GptOssConfig, changes={"head_dim": 8, **WINDOW, **EXPERTS}, shares=None),
    "gpt2": Tiny(kind=T.GPT2Config, changes={"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": N_CONTEXT_TOKENS}, shares=None),
    "opt": Tiny(kind=T.OPTConfig, changes={"ffn_dim": 48, "word_embed_proj_dim": 32}, shares=None),
    "gpt neo": Tiny(
        kind=T.GPTNeoConfig,
        changes={"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": N_WINDOW_TOKENS},
        shares=None,
    ),
    "gptj": Tiny(kind=T.GPTJConfig, changes={"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}, shares=None),
    "gpt neox": Tiny(kind=T.GPTNeoXConfig, changes={"rotary_pct": 0.5}, shares=None),
    "latent attention": Tiny(
        kind=T.DeepseekV3Config,
        changes={
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_group": 1,
            "topk_group": 1,
            "moe_intermediate_size": 16,
            "first_k_dense_replace": 1,
        },
        shares=None,
    ),
    "differences of attention": Tiny(kind=T.DiffLlamaConfig, shares=None),
    "gemma2 with soft caps": Tiny(
        kind=T.Gemma2Config, changes={**GEMMA, **WINDOW, "final_logit_softcapping": 3.0, "attn_logit_softcapping": 1.0}, shares=None
    ),
    "gemma3 text": Tiny(
        kind=T.Gemma3TextConfig,
        changes={
            **GEMMA,
            **WINDOW,
            "num_hidden_layers": 3,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            },
        },
        shares=None,
    ),
    "phi3 with a window": Tiny(kind=T.Phi3Config, changes=WINDOW, shares=None, sees="window"),
    "qwen3": Tiny(kind=T.Qwen3Config, changes={"head_dim": 8}, shares=None),
    "olmo2": Tiny(kind=T.Olmo2Config, shares=None),
    "olmo3": Tiny(kind=T.Olmo3Config, changes=LOCAL_THEN_GLOBAL, shares=None),
    "cohere": Tiny(kind=T.CohereConfig, changes={"logit_scale": 1.5}, shares=None),
    "cohere2": Tiny(kind=T.Cohere2Config, changes={"logit_scale": 1.5, **LOCAL_THEN_GLOBAL}, shares=None),
    "granite": Tiny(
        kind=T.GraniteConfig,
        changes={"logits_scaling": 0.5, "attention_multiplier": 0.5, "residual_multiplier": 0.7, "embedding_multiplier": 2.0},
        shares=None,
    ),
    "experts": Tiny(kind=T.MixtralConfig, changes={**EXPERTS, "sliding_window": None}, shares=None),
    "no rope in places": Tiny(kind=T.SmolLM3Config, changes={"no_rope_layer_interval": 2}, shares=None),
    "starcoder2 with a window": Tiny(kind=T.Starcoder2Config, changes=WINDOW, shares=None, sees="window"),
    "yarn": Tiny(
        kind=T.LlamaConfig,
        changes={"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}},
        shares=None,
    ),
    "linear rope": Tiny(
        kind=T.LlamaConfig, changes={"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}}, shares=None
    ),
    "llama 3 rope": Tiny(
        kind=T.LlamaConfig, changes={"rope_parameters": {**LLAMA_3_ROPE, "original_max_position_embeddings": 16}}, shares=None
    ),
}
"""By name. Those of state-space layers alone (Mamba, RWKV, RecurrentGemma) are not here: the engine refuses what has no key-value cache."""


def save_tiny(folder: Path, name: str, *, seed: int = 0) -> Path:
    """Write one of `TINY` and the byte tokenizer into a folder."""
    tiny = TINY[name]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = T.AutoModelForCausalLM.from_config(tiny_config(tiny.kind, **tiny.changes))
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder
