"""Tokenizers through transformers, without torch where their class is known.

`AutoTokenizer` decides which class reads a folder and leaves the rest to that class's `from_pretrained`. To decide it imports every model's
configuration, and torch with them: seconds, where nothing is computed. The decision follows from two small files, from which other files
there are, from the folder's path and from what is installed (transformers 5.19, `models/auto/tokenization_auto.py`). So the name of the
class is kept under the digest of all these, and the next process asks the class itself: the same call, the same tokenizer.

A process that has imported `AutoTokenizer` asks it. Nothing is saved there by not asking, and classes that were registered with it count.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from evalsuite.models.fingerprints import cache_folder, keep_text

_AUTO = "transformers.models.auto.tokenization_auto"
_READ = ("config.json", "tokenizer_config.json")
"""Files of a checkpoint that the decision reads."""
_INSTALLED = ("transformers", "tokenizers", "huggingface_hub", "sentencepiece", "tiktoken", "mistral_common")
"""Libraries on whose presence or version it depends."""


def read_tokenizer(path: str) -> Any:
    """transformers' tokenizer of a local folder; never asks the hub, never runs the checkpoint's code.

    Args:
        path: the checkpoint.

    Raises:
        Exception: whatever transformers raises for files that it cannot read.
    """
    known = None if _AUTO in sys.modules else _kept_class(path)
    if known is not None:
        # Whatever is wrong is said by the way that always works.
        with contextlib.suppress(Exception):
            return known.from_pretrained(path, local_files_only=True)
    from transformers import AutoTokenizer

    before = _note(path)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    # Files that changed while they were read are not what the class was chosen for.
    if before == _note(path):
        _keep_class(before, type(tokenizer))
    return tokenizer


def _kept_class(path: str) -> Any:
    """The class that `AutoTokenizer` chose for exactly these files; None if that is not known."""
    file = _note(path)
    if file is None:
        return None
    try:
        module, _, name = file.read_text(encoding="utf-8").partition(":")
        # Only what transformers itself brings: the folder is a cache, not a place to name code in.
        return getattr(importlib.import_module(module), name, None) if module.startswith("transformers.") else None
    except (OSError, ValueError, ImportError):
        return None


def _keep_class(file: Path | None, chosen: type[Any]) -> None:
    if file is not None and chosen.__module__.startswith("transformers."):
        keep_text(file, f"{chosen.__module__}:{chosen.__qualname__}")


def _note(path: str) -> Path | None:
    """Where the class of a folder's tokenizer is noted: under the digest of all that the choice follows from."""
    folder = Path(path)
    try:
        files = sorted(file.name for file in folder.iterdir())
        contents = [hashlib.sha256((folder / name).read_bytes()).hexdigest() if name in files else "" for name in _READ]
    except OSError:
        return None
    depends = [path, files, contents, [_version(name) for name in _INSTALLED]]
    return cache_folder() / "tokenizer_classes" / hashlib.sha256(json.dumps(depends).encode("utf-8")).hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
