"""The tokenizer of the pocket checkpoints: byte-level BPE (no text is unknown to it) and a chat template."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from pocket.corpus import BOS, END, MARKS, PAD, Item, letters_text

N_CONTEXT_TOKENS = 4096
CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] not in ['system', 'user', 'assistant'] %}"
    "{{- raise_exception('roles are system, user and assistant') }}"
    "{%- endif %}"
    "{{- '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}"
)


def train_tokenizer(texts: Iterable[str], n_vocabulary: int) -> Tokenizer:
    """Byte-level BPE over the training texts; adds BOS to plain text, as Llama's does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = [PAD, BOS, END, *MARKS.values()]
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocabulary,
        min_frequency=2,
        show_progress=False,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    bare = texts if not isinstance(texts, str) else [texts]
    tokenizer.train_from_iterator([*letters_text(), *bare], trainer)
    bos_id = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, bos_id)])
    return tokenizer


def tokenizer_config() -> dict[str, object]:
    """Content of tokenizer_config.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": END,
        "pad_token": PAD,
        "extra_special_tokens": list(MARKS.values()),
        "model_max_length": N_CONTEXT_TOKENS,
        "clean_up_tokenization_spaces": False,
        "padding_side": "left",
        "chat_template": CHAT_TEMPLATE,
    }


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    text = json.dumps(tokenizer_config(), indent=1, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def encode_mark(tokenizer: Tokenizer, mark: str) -> int:
    """Id of a mark; raises ValueError if the tokenizer has none."""
    found = tokenizer.token_to_id(mark)
    if found is None:
        raise ValueError(f"{mark} is no token")
    return int(found)


def encode(tokenizer: Tokenizer, items: Sequence[Item]) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
    """Token ids of each item, and for each token its weight in the loss (0 where its text overlaps no learned span)."""
    encoded = []
    for item, tokens in zip(items, tokenizer.encode_batch([item.text for item in items], add_special_tokens=False), strict=True):
        offsets = np.asarray(tokens.offsets, dtype=np.int32)
        weights = np.zeros(len(offsets), dtype=np.float32)
        for start, stop, weight in item.learned:
            weights[(offsets[:, 0] < stop) & (offsets[:, 1] > start)] = weight
        encoded.append((np.asarray(tokens.ids, dtype=np.int32), weights))
    return encoded
