"""Checkpoints of the hub: what is looked up in the local cache, what is downloaded, and what to do where neither works."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from evalsuite.errors import Fault, UserError
from evalsuite.models.entries import ModelEntry
from evalsuite.models.files import SMALL_FILES, names_in, weights_in

PATTERNS = (*SMALL_FILES, "*.safetensors", "*.safetensors.index.json")
"""What is wanted of a repository."""
PATTERNS_BIN = (*SMALL_FILES, "pytorch_model*.bin", "*.bin.index.json")
"""What is wanted of one that has no safetensors."""
NEVER = ("original/*", "consolidated*", "onnx/*", "*/*.safetensors", "*/*.bin")
"""Second copies of the weights in other formats, and weights that no engine would load."""

OFFLINE_FLAGS = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
_Get = Callable[[tuple[str, ...], bool], Path]


def offline_flags() -> list[str]:
    """The variables, of those that forbid the hub, that are set here."""
    return [name for name in OFFLINE_FLAGS if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")]


def fetch_command(entry: ModelEntry) -> str:
    """What to type where there is internet, as the end of a sentence."""
    revision = f" --revision {entry.revision}" if entry.revision else ""
    return f"get it on a machine with internet: evalsuite fetch STUDY, or hf download {entry.repo}{revision} --exclude 'original/*'"


def hub_folder(name: str, entry: ModelEntry, repo: str, *, offline: bool | None) -> Path:
    """Snapshot folder of a repository: from the local cache, else downloaded.

    Args:
        name: registry name.
        entry: its entry.
        repo: its hub id.
        offline: True: never ask the hub; None: as $HF_HUB_OFFLINE says.

    Raises:
        UserError: not in the cache, and the hub does not give it; says which and what to do.
    """
    get = _getter(entry, repo)
    folder = _cached(get, with_weights=entry.endpoint is None)
    if folder is not None:
        return folder
    is_offline = "HF_HUB_OFFLINE" in offline_flags()
    if is_offline if offline is None else offline:
        allowed = f"not in the local hub cache{', and this machine is offline' if is_offline else ''}; {fetch_command(entry)}"
        raise UserError(Fault(file=entry.file, key=f"models.{name}.repo", value=repo, allowed=allowed))
    return download(name, entry)


def _getter(entry: ModelEntry, repo: str) -> _Get:
    """Snapshot folder for some patterns, from the local cache alone (True) or with the hub's help."""
    from huggingface_hub import snapshot_download

    def get(patterns: tuple[str, ...], local: bool) -> Path:
        return Path(
            snapshot_download(
                repo, revision=entry.revision, local_files_only=local, allow_patterns=list(patterns), ignore_patterns=list(NEVER)
            )
        )

    return get


def _cached(get: _Get, *, with_weights: bool) -> Path | None:
    """The snapshot in the local cache if all of it is there.

    One format after the other: a repository that holds both would otherwise seem incomplete, since only one is ever fetched.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    for patterns in (PATTERNS, PATTERNS_BIN) if with_weights else (SMALL_FILES,):
        try:
            folder = get(patterns, True)
        except LocalEntryNotFoundError:  # not here, or only in part
            continue
        if not with_weights or not weights_in(folder, names_in(folder))[1]:
            return folder
    return None


def download(name: str, entry: ModelEntry) -> Path:
    """Get what is wanted of a model's repository, weights in the old format only where there are no others; resumes.

    Raises:
        UserError: the hub does not give it; says why and what to do.
    """
    get = _getter(entry, str(entry.repo))
    try:
        if entry.endpoint is not None:
            return get(SMALL_FILES, False)
        folder = get(PATTERNS, False)
        has_weights = any(folder.glob("*.safetensors"))
        return folder if has_weights else get(PATTERNS_BIN, False)
    except hub_errors() as error:
        raise UserError(hub_fault(name, entry, error)) from None


def hub_errors() -> tuple[type[Exception], ...]:
    """What asking the hub may raise. The HTTP library under its client differs between the client's releases, hence its base class."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)))


def hub_fault(name: str, entry: ModelEntry, error: Exception) -> Fault:
    """What the hub's client raised, as one line that says what to do.

    Args:
        name: registry name.
        entry: its entry.
        error: what was raised.
    """
    from huggingface_hub import errors

    key, value = f"models.{name}.repo", str(entry.repo)
    if isinstance(error, errors.GatedRepoError):
        page = f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co').rstrip('/')}/{entry.repo}"
        allowed = f"is gated: accept its licence with your account at {page}, then `hf auth login`, or set HF_TOKEN"
    elif isinstance(error, errors.RevisionNotFoundError):
        key, value, allowed = f"models.{name}.revision", str(entry.revision), f"{entry.repo} has no such commit"
    elif isinstance(error, errors.RepositoryNotFoundError):
        allowed = "the hub has no such repository, or it is private: check the id, or `hf auth login` with an account that may read it"
        allowed += "" if entry.verified else "; the id was never seen printed in a source (verified: false)"
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        allowed = "the disk of the hub cache is full: make room, or set HF_HOME to a folder on another disk"
    else:
        # LocalEntryNotFoundError is how the hub client says that it reached nobody
        reason = "the hub refused" if isinstance(error, errors.HfHubHTTPError) else "the hub cannot be reached"
        allowed = f"not in the local hub cache, and {reason}; {fetch_command(entry)}"
    return Fault(file=entry.file, key=key, value=value, allowed=allowed)
