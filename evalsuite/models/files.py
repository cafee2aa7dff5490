"""Which files of a checkpoint count: small ones that decide what is sent, and weights in one of two formats."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable
from pathlib import Path

SMALL_FILES = (
    "config*.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "tekken.json",
    "chat_template*",
    "additional_chat_templates/*",
    "*.py",
)
"""Patterns of everything but weights that an engine or tokenizer reads."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "*.tiktoken", "tekken.json", "vocab.json", "vocab.txt", "spiece.model")
"""Patterns of which one at least must be there."""
_NO_WEIGHTS = ("training_args.bin", "optimizer*.bin", "scheduler*.bin", "consolidated*")


def is_small(file: str) -> bool:
    """True if a file, named relative to the checkpoint, is one of `SMALL_FILES`; `*` does not cross a folder."""
    return any(file.count("/") == pattern.count("/") and fnmatch.fnmatch(file, pattern) for pattern in SMALL_FILES)


def is_tokenizer(file: str) -> bool:
    """True if a file holds a tokenizer."""
    return any(fnmatch.fnmatch(file, pattern) for pattern in TOKENIZER_FILES)


def names_in(folder: Path) -> list[str]:
    """Names of the files of a folder and of the folders in it, relative to it, sorted."""
    return sorted(str(file.relative_to(folder)) for depth in ("*", "*/*") for file in folder.glob(depth) if file.is_file())


def weights_in(folder: Path, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """(weight files and indices, what is missing). Safetensors are used where there are any, as the engines do."""
    top = [file for file in names if "/" not in file and not any(fnmatch.fnmatch(file, pattern) for pattern in _NO_WEIGHTS)]
    for kind in (".safetensors", ".bin"):
        weights = [file for file in top if file.endswith(kind)]
        indices = [file for file in top if file.endswith(f"{kind}.index.json")]
        if not weights and not indices:
            continue
        missing = [shard for index in indices for shard in _shards(folder / index) if shard not in top]
        missing += [f"the contents of {file} (it is a Git LFS pointer)" for file in weights if _is_pointer(folder / file)]
        return [*weights, *indices], [] if not missing else missing[:3] + ["…"] * (len(missing) > 3)
    return [], ["weights (*.safetensors or *.bin)"]


def _shards(index: Path) -> Iterable[str]:
    """Names of the weight files that an index lists; an index that cannot be read lists itself as damaged."""
    try:
        listed = json.loads(index.read_bytes())["weight_map"].values()
        return sorted({str(shard) for shard in listed})
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return [f"a readable {index.name}"]


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(40).startswith(b"version https://git-lfs")
