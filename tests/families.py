"""Small tokenizers with the build and the special tokens of the families that studies meet, saved as checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from evalsuite.models import Checkpoint

TEMPLATES = Path(__file__).parent / "golden" / "templates"
LLAMA_3_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TRAINING_TEXT = [
    *[f"\n{letter}. Vitamin {letter}\nAnswer: {letter}\nAnswer:{letter} user\n{letter}" for letter in "ABCDEFGHIJ" for _ in range(9)],
    *["Question: Which vitamin prevents scurvy?\nAnswer the question.\n\nAnswer: yes, no or maybe; a man of 45 years"] * 20,
    *["[INST] Which sign points to a lack of iron? [/INST] Pallor. system user assistant model"] * 20,
]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family's special tokens and build."""

    kind: str
    """`byte_level` (Llama 3, Qwen), `prepend` (Llama 2, Mistral) or `replace` (Gemma)."""
    special: Sequence[str]
    """Special tokens."""
    bos: str | None
    """The BOS, None if it has none."""
    eos: str
    """The EOS."""
    adds_bos: bool
    """The post-processor adds the BOS."""


LLAMA_3 = Family(
    kind="byte_level",
    special=("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    bos="<|begin_of_text|>",
    eos="<|eot_id|>",
    adds_bos=True,
)
FAMILIES: dict[str, Family] = {
    "llama-3": LLAMA_3,
    "llama-3.1": LLAMA_3,
    "llama-3.2": LLAMA_3,
    "mistral": Family(kind="prepend", special=("<unk>", "<s>", "</s>"), bos="<s>", eos="</s>", adds_bos=True),
    "chatml": Family(
        kind="byte_level", special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"), bos=None, eos="<|im_end|>", adds_bos=False
    ),
    "gemma": Family(
        kind="replace",
        special=("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
        bos="<bos>",
        eos="<eos>",
        adds_bos=True,
    ),
}


def learned_pieces(split: Any, alphabet: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges that a small text gives."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = split
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + 260, min_frequency=2, show_progress=False, initial_alphabet=list(alphabet))
    tokenizer.train_from_iterator(TRAINING_TEXT, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def byte_level_tokenizer() -> Tokenizer:
    """As Llama 3 and Qwen: bytes, split by a pattern."""
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_3_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    vocabulary, merges = learned_pieces(split, pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def sentencepiece_tokenizer(kind: str) -> Tokenizer:
    """As Llama 2 and Mistral (`prepend`: a space before every text) or Gemma (`replace`: none)."""
    # no piece reaches across a line break: those are bytes in Llama 2 and tokens of their own in Gemma
    split = pre_tokenizers.Sequence([pre_tokenizers.Split("\n", behavior="removed"), pre_tokenizers.Metaspace(prepend_scheme="never")])
    vocabulary, merges = learned_pieces(split, sorted({*"".join(TRAINING_TEXT)} - {" ", "\n"} | {"▁"}))
    for extra in ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]:
        vocabulary.setdefault(extra, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    steps: list[Any] = [normalizers.Prepend("▁")] if kind == "prepend" else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    if kind == "replace":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def family_tokenizer(family: Family) -> Tokenizer:
    """The family's tokenizer with its special tokens and, if it adds one, its BOS."""
    tokenizer = byte_level_tokenizer() if family.kind == "byte_level" else sentencepiece_tokenizer(family.kind)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in family.special])
    if family.adds_bos and family.bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A",
            pair=f"{family.bos} $A {family.bos} $B",
            special_tokens=[(family.bos, tokenizer.token_to_id(family.bos))],
        )
    return tokenizer


def save_family(
    folder: Path, family: Family, *, template: str | None = None, tokenizer: Tokenizer | None = None, **config: object
) -> Checkpoint:
    """Write a checkpoint without real weights: enough to be found and to render with.

    Args:
        folder: where to.
        family: which special tokens and build.
        template: Jinja source of its chat template.
        tokenizer: another tokenizer than the family's.
        config: further entries of tokenizer_config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (tokenizer or family_tokenizer(family)).save(str(folder / "tokenizer.json"))
    entries: Mapping[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": family.eos,
        "clean_up_tokenization_spaces": False,
        **({"bos_token": family.bos} if family.bos else {}),
        **({"unk_token": "<unk>"} if "<unk>" in family.special else {}),
        **({"chat_template": template} if template is not None else {}),
        **config,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(entries), encoding="utf-8")
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"\x00" * 64)
    return Checkpoint(name=folder.name, path=str(folder), fingerprint="0" * 64)


def family_template(name: str) -> str:
    """Source of a family's chat template."""
    return (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8").removesuffix("\n")
