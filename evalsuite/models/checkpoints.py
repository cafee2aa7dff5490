"""From a registry entry to the files on this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import Fault, UserError
from evalsuite.models.endpoints import EndpointEntry
from evalsuite.models.entries import ModelEntry
from evalsuite.models.files import is_small, is_tokenizer, names_in, weights_in
from evalsuite.models.fingerprints import fingerprint
from evalsuite.models.hub import fetch_command, hub_folder
from evalsuite.types import Tell, untold


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
    """False: the files came from the hub and models.yaml names no commit, or a server answers, whose weights nobody here sees."""
    served: str | None = None
    """`<model> at <host>` where a server answers, and the files only render for it; None: the files themselves are loaded."""
    takes: Literal["ids", "messages"] = "ids"
    """`messages`: the server renders by itself and there are no files."""


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
    if entry.endpoint is not None:
        files = _found_files(name, entry, key, offline, tell) if entry.endpoint.api == "completions" else None
        return _served(name, entry.endpoint, files)
    return _found_files(name, entry, key, offline, tell)


def _served(name: str, endpoint: EndpointEntry, files: Checkpoint | None) -> Checkpoint:
    """What a server answers with: known by its address, its name there and the files that we render with, and never pinned.

    Args:
        name: registry name.
        endpoint: the server.
        files: what is rendered with; None: the server renders by itself.
    """
    # What is sent beside the prompt depends on the kind of server.
    known_by = [endpoint.url, endpoint.model, endpoint.api, endpoint.server, "" if files is None else files.fingerprint]
    digest = hashlib.sha256(json.dumps(known_by).encode()).hexdigest()
    served = f"{endpoint.model} at {endpoint.host}"
    if files is None:
        return Checkpoint(name=name, path="", fingerprint=digest, pinned=False, served=served, takes="messages")
    return replace(files, fingerprint=digest, repo=None, revision=None, pinned=False, served=served)


def _found_files(name: str, entry: ModelEntry, key: str, offline: bool | None, tell: Tell) -> Checkpoint:
    """A model's files from its folder or the hub; of a model that a server answers for, the weights may be missing."""
    with_weights = entry.endpoint is None
    if entry.path:
        folder = _local_folder(name, entry)
        return _checked(name, folder, Fault(file=entry.file, key=key, value=str(folder), allowed=""), tell, with_weights=with_weights)
    if entry.repo:
        folder = hub_folder(name, entry, entry.repo, offline=offline)
        fault = Fault(file=entry.file, key=key, value=entry.repo, allowed=f"{fetch_command(entry)} — ")
        found = _checked(name, folder, fault, tell, with_weights=with_weights)
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


def _checked(name: str, folder: Path, fault: Fault, tell: Tell, *, with_weights: bool = True) -> Checkpoint:
    """The checkpoint in a folder, if it is whole; weights may be missing where a server has them."""
    names = names_in(folder)
    weights, missing = weights_in(folder, names)
    if not with_weights:
        # those that are here still count: another set of weights under one server's name must not get the answers of the first
        missing = []
    if "config.json" not in names:
        missing.insert(0, "config.json")
    if not any(is_tokenizer(file) for file in names):
        missing.append("a tokenizer (tokenizer.json or tokenizer.model)")
    if missing:
        raise UserError(Fault(file=fault.file, key=fault.key, value=fault.value, allowed=f"{fault.allowed}lacks {', '.join(missing)}"))
    small = (file for file in names if is_small(file))
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
