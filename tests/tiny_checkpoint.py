"""Tiny random checkpoints for tests, with a tokenizer whose ids are those of `evalsuite.bytetext`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from evalsuite.bytetext import BOS, EOS, N_VOCABULARY

N_CONTEXT_TOKENS = 128


def tiny_config(kind: type[Any] = LlamaConfig, **changes: Any) -> Any:
    """Two layers, 258 ids. Weights are drawn wide, so that the distributions are far from flat."""
    sizes = {
        "vocab_size": N_VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": N_CONTEXT_TOKENS,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": None,
        "initializer_range": 0.2,
    }
    return kind(**{**sizes, **changes})


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Every byte one token. Byte-level, not byte-fallback: there one broken byte spoils all the bytes beside it."""
    vocabulary = {character: byte for byte, character in bytes_to_unicode().items()} | {"<s>": BOS, "</s>": EOS}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def save_checkpoint(folder: Path, config: Any, *, seed: int = 0) -> Path:
    """Write a random model of a configuration, and the byte tokenizer, into a folder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder
