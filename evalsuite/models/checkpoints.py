"""From a registry entry to the files on this machine."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evalsuite.errors import Fault, UserError
from evalsuite.models.entries import ModelEntry
from evalsuite.models.fingerprints import fingerprint
from evalsuite.types import Tell, untold

_SMALL_FILES = (
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
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "*.tiktoken", "tekken.json", "vocab.json", "vocab.txt", "spiece.model")
_NO_WEIGHTS = ("training_args.bin", "optimizer*.bin", "scheduler*.bin", "consolidated*")
_HUB_PATTERNS = (*_SMALL_FILES, "*.safetensors", "*.safetensors.index.json")
_HUB_PATTERNS_BIN = (*_SMALL_FILES, "pytorch_model*.bin", "*.bin.index.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A model's files on this machine."""

    name: str
    """Registry name."""
    path: str
    """Folder of the files; for the stub engine the `stub:` text itself."""
    fingerprint: str
    """SHA-256 over the files' contents, part of every request key."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Contents of config.json; empty for the stub engine."""
    files: tuple[str, ...] = ()
    """Names of the files that the fingerprint covers, relative to `path`; empty for the stub engine."""
    repo: str | None = None
    """Hub id that the files came from; None for a local folder."""
    revision: str | None = None
    """Commit of the files on the hub; None for a local folder."""
    pinned: bool = True
    """False: the files came from the hub and models.yaml names no commit."""


def find_checkpoint(name: str, entry: ModelEntry, *, offline: bool | None = None, tell: Tell = untold) -> Checkpoint:
    """Find a model's weights, tokenizer and configuration, from the hub if they are nowhere here.

    Args:
        name: registry name.
        entry: its entry.
        offline: True: never ask the hub; None: as $HF_HUB_OFFLINE says.
        tell: told of progress in hashing the files.

    Raises:
        UserError: nothing is named, a file is missing, or the hub does not give it; says which and what to do.
    """
    key = f"models.{name}.{'repo' if entry.repo else 'path'}"
    if entry.path and entry.is_stub:
        return Checkpoint(name=name, path=entry.path, fingerprint=hashlib.sha256(entry.path.encode()).hexdigest())
    if entry.path:
        folder = _local_folder(name, entry)
        return _checked(name, folder, Fault(file=entry.file, key=key, value=str(folder), allowed=""), tell)
    if entry.repo:
        folder = _hub_folder(name, entry, entry.repo, offline=offline)
        found = _checked(name, folder, Fault(file=entry.file, key=key, value=entry.repo, allowed=f"{_fetch_command(entry)} — "), tell)
        return replace(found, repo=entry.repo, revision=folder.name, pinned=entry.revision is not None)
    note = f" ({entry.note})" if entry.note else ""
    allowed = f"names no weights: give `path:` (folder with configuration, tokenizer and weights) or `repo:` (hub id){note}"
    raise UserError(Fault(file=entry.file, key=f"models.{name}", value="", allowed=allowed))


def _local_folder(name: str, entry: ModelEntry) -> Path:
    text = str(entry.path)
    fault = Fault(file=entry.file, key=f"models.{name}.path", value=text, allowed="path does not exist")
    if text.startswith("package:"):
        root = Path(__file__).resolve().parents[1]
        folder = (root / text.removeprefix("package:")).resolve()
        if not folder.is_relative_to(root):
            raise UserError(Fault(file=fault.file, key=fault.key, value=text, allowed="must stay inside the package"))
    else:
        folder = Path(text)
    if not folder.exists():
        raise UserError(fault)
    if not folder.is_dir():
        raise UserError(Fault(file=fault.file, key=fault.key, value=text, allowed="is a file; a folder with weights is needed"))
    return folder


def _checked(name: str, folder: Path, fault: Fault, tell: Tell) -> Checkpoint:
    """The checkpoint in a folder, if it is whole."""
    names = sorted(str(file.relative_to(folder)) for depth in ("*", "*/*") for file in folder.glob(depth) if file.is_file())
    weights, missing = _weights(folder, names)
    if "config.json" not in names:
        missing.insert(0, "config.json")
    if not any(fnmatch.fnmatch(file, pattern) for file in names for pattern in _TOKENIZER_FILES):
        missing.append("a tokenizer (tokenizer.json or tokenizer.model)")
    if missing:
        raise UserError(Fault(file=fault.file, key=fault.key, value=fault.value, allowed=f"{fault.allowed}lacks {', '.join(missing)}"))
    small = (file for file in names if any(_matches(file, pattern) for pattern in _SMALL_FILES))
    files = tuple(sorted({*small, *weights}))
    try:
        config = json.loads((folder / "config.json").read_bytes())
        digest = fingerprint(folder, files, tell)
    except OSError as error:
        unreadable = f"cannot be read: {error.strerror or error}"
        raise UserError(Fault(file=fault.file, key=fault.key, value=fault.value, allowed=unreadable)) from None
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise UserError(Fault(file=fault.file, key=fault.key, value=fault.value, allowed="has a config.json that is no JSON object"))
    return Checkpoint(name=name, path=str(folder), fingerprint=digest, config=config, files=files)


def _matches(file: str, pattern: str) -> bool:
    """fnmatch that does not let `*` cross a folder."""
    return file.count("/") == pattern.count("/") and fnmatch.fnmatch(file, pattern)


def _weights(folder: Path, names: list[str]) -> tuple[list[str], list[str]]:
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


def _fetch_command(entry: ModelEntry) -> str:
    revision = f" --revision {entry.revision}" if entry.revision else ""
    return f"get it on a machine with internet: hf download {entry.repo}{revision}"


def _hub_folder(name: str, entry: ModelEntry, repo: str, *, offline: bool | None) -> Path:
    """Snapshot folder of a hub repository: from the local cache, else downloaded."""
    from huggingface_hub import snapshot_download

    def get(patterns: tuple[str, ...], local: bool) -> Path:
        return Path(snapshot_download(repo, revision=entry.revision, allow_patterns=list(patterns), local_files_only=local))

    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    try:
        folder = get(_HUB_PATTERNS + _HUB_PATTERNS_BIN, True)
        if not _weights(folder, [file.name for file in folder.iterdir()])[1]:
            return folder
    except (LocalEntryNotFoundError, IncompleteSnapshotError):
        # not here, or only in part
        pass
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE") if offline is None else offline
    if is_offline:
        allowed = f"not in the local hub cache, and this machine is offline; {_fetch_command(entry)}"
        raise UserError(Fault(file=entry.file, key=f"models.{name}.repo", value=repo, allowed=allowed))
    return _download(name, entry, repo, get)


def _download(name: str, entry: ModelEntry, repo: str, get: Callable[[tuple[str, ...], bool], Path]) -> Path:
    from huggingface_hub import errors

    key = f"models.{name}.repo"
    try:
        folder = get(_HUB_PATTERNS, False)
        has_weights = any(folder.glob("*.safetensors"))
        return folder if has_weights else get(_HUB_PATTERNS_BIN, False)
    except errors.GatedRepoError:
        allowed = "is gated: accept its licence on the hub with your account, then set HF_TOKEN to a token of that account"
    except errors.RevisionNotFoundError:
        key, allowed = f"models.{name}.revision", f"{repo} has no such commit"
        raise UserError(Fault(file=entry.file, key=key, value=str(entry.revision), allowed=allowed)) from None
    except errors.RepositoryNotFoundError:
        allowed = "the hub has no such repository, or it is private: check the id, or set HF_TOKEN to a token that may read it"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError) as error:
        # LocalEntryNotFoundError is how the hub client says that it reached nobody
        reason = "the hub cannot be reached" if not isinstance(error, errors.HfHubHTTPError) else "the hub refused"
        allowed = f"not in the local hub cache, and {reason}; {_fetch_command(entry)}"
    raise UserError(Fault(file=entry.file, key=key, value=repo, allowed=allowed))
