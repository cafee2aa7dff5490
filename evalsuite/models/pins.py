"""Pinning: the commit of a hub repository, written into the models.yaml that holds the entry, and nothing else there changed."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evalsuite.errors import Fault, UserError, nearest
from evalsuite.models.entries import ModelEntry
from evalsuite.models.hub import hub_errors, hub_fault, offline_flags

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_S = 20.0
BY_HAND = "is written in a way that cannot be edited line by line: put `revision: {commit}` there by hand"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """What pinning did, or would do, to one model."""

    model: str
    """Registry name."""
    old: str | None
    """Commit before; None: not pinned."""
    new: str | None
    """Commit after; None: the model has none (a folder, a server)."""
    why: str
    """Where the commit comes from, or why nothing was changed."""

    def __str__(self) -> str:
        if self.new is None:
            return f"{self.model}: {self.why}"
        change = f"{self.old or 'null'} -> {self.new}" if self.new != self.old else f"stays {self.new}"
        return f"{self.model}: {change} ({self.why})"


def pin(
    registry: Mapping[str, ModelEntry], names: Sequence[str], *, update: bool = False, from_cache: bool = False
) -> tuple[list[Pin], list[Fault]]:
    """Pin models to the commit that `main` has now, in the files that hold their entries.

    A model that fails leaves the others as they would have been: what was written stays written.

    Args:
        registry: all models.
        names: those to pin; none: every one with a hub id and no pin.
        update: also change pins that are there.
        from_cache: take the commit of the snapshot in the local hub cache, and ask nobody.

    Returns:
        What was done, and what could not be.
    """
    done: list[Pin] = []
    faults: list[Fault] = []
    for name in names or [name for name, entry in registry.items() if entry.repo and entry.revision is None]:
        if name not in registry:
            faults.append(Fault(file="models.yaml", key="models", value=name, allowed=f"no such model; {nearest(name, registry)}"))
            continue
        try:
            done.append(_pin_one(name, registry[name], update, from_cache))
        except UserError as error:
            faults.extend(error.faults)
    return done, faults


def _pin_one(name: str, entry: ModelEntry, update: bool, from_cache: bool) -> Pin:
    if entry.path:
        return Pin(model=name, old=None, new=None, why="a folder is pinned by its contents")
    if not entry.repo:
        if entry.endpoint is not None:
            return Pin(model=name, old=None, new=None, why="a server answers for it, which cannot be pinned")
        allowed = f"names no hub id, so there is nothing to pin; {entry.note or 'give one'}"
        raise UserError(Fault(file=entry.file, key=f"models.{name}.repo", value="", allowed=allowed))
    if entry.revision is not None and not update:
        return Pin(model=name, old=entry.revision, new=entry.revision, why="--update takes the newest commit")
    file = _writable(name, entry)
    commit = _cached_commit(name, entry) if from_cache else _newest_commit(name, entry)
    if commit != entry.revision:
        _write_pin(file, name, commit)
    where = "from the local cache, not compared with the hub" if from_cache else "main of the hub now"
    return Pin(model=name, old=entry.revision, new=commit, why=f"{where}; {entry.file}")


def _newest_commit(name: str, entry: ModelEntry) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    key = f"models.{name}.repo"
    try:
        commit = HfApi().model_info(str(entry.repo), revision="main", timeout=_TIMEOUT_S).sha
    except HfHubHTTPError as error:
        raise UserError(hub_fault(name, entry, error)) from None
    except hub_errors():
        known = _cached_or_none(entry)
        instead = f"evalsuite models pin {name} --offline-from-cache takes {known}, which is in the local cache"
        allowed = f"{_unreachable()}; {instead if known else 'the local cache holds no snapshot of it'}"
        raise UserError(Fault(file=entry.file, key=key, value=str(entry.repo), allowed=allowed)) from None
    if commit is None or not _COMMIT.fullmatch(commit):
        raise UserError(Fault(file=entry.file, key=key, value=str(entry.repo), allowed="the hub names no commit of main"))
    return commit


def _unreachable() -> str:
    flags = [flag for flag in offline_flags() if flag == "HF_HUB_OFFLINE"]
    return f"${flags[0]} is set, so the hub is not asked" if flags else "the hub cannot be reached"


def _cached_commit(name: str, entry: ModelEntry) -> str:
    commit = _cached_or_none(entry)
    if commit is None:
        allowed = f"the local hub cache holds no `main` of it; evalsuite models pin {name} asks the hub"
        raise UserError(Fault(file=entry.file, key=f"models.{name}.repo", value=str(entry.repo), allowed=allowed))
    return commit


def _cached_or_none(entry: ModelEntry) -> str | None:
    """Commit that the local cache holds as `main`, with its files; None if there is none."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=str(entry.repo), repo_type="model")
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return commit if _COMMIT.fullmatch(commit) and (folder / "snapshots" / commit / "config.json").is_file() else None


def _writable(name: str, entry: ModelEntry) -> Path:
    """The file of the entry, if it is a person's to edit."""
    file = Path(entry.file)
    inside = file.resolve().is_relative_to(Path(__file__).resolve().parents[1])
    if inside or not os.access(file, os.W_OK):
        what = "belongs to the installed package and is not edited" if inside else "cannot be written"
        allowed = f"{what}: copy this entry into a models.yaml of your working directory, which wins by name, and pin it there"
        raise UserError(Fault(file=entry.file, key=f"models.{name}", value="", allowed=allowed))
    return file


def _write_pin(file: Path, name: str, commit: str) -> None:
    """Edit one line of a models.yaml, all at once.

    Raises:
        UserError: the entry is not written line by line, or the edit would change anything else; the file is left as it is.
    """
    raw = file.read_bytes()
    edited = pinned_text(raw.decode("utf-8"), name, commit)
    if edited is None:
        raise UserError(Fault(file=str(file), key=f"models.{name}.revision", value="", allowed=BY_HAND.format(commit=commit)))
    target = file.resolve()
    with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=f".{file.name}-", delete=False) as stream:
        stream.write(edited.encode("utf-8"))
    scratch = Path(stream.name)
    try:
        scratch.chmod(target.stat().st_mode & 0o777)
        scratch.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            scratch.unlink()


def pinned_text(text: str, name: str, commit: str) -> str | None:
    """A models.yaml with one revision changed: comments, order, quotes and line ends stay.

    Args:
        text: the file.
        name: registry name.
        commit: the new revision.

    Returns:
        The new text; None where the entry is not written line by line or anything else would change with it.
    """
    lines = text.splitlines(keepends=True)
    block = _block(lines, name)
    if block is None:
        return None
    first, last, indent = block
    # a commit of digits alone would be read as a number
    written = commit if yaml.safe_load(commit) == commit else f'"{commit}"'
    key = rf"(?P<head>[ ]{{{indent}}}(?:revision|\"revision\"|'revision')\s*:)"
    revision = re.compile(key + r"(?P<value>[^#\r\n]*?)(?P<tail>\s*(?:\s#.*)?[\r\n]*)")
    for number in range(first, last):
        found = revision.fullmatch(lines[number])
        if found:
            edited = [*lines[:number], f"{found['head']} {written}{found['tail']}", *lines[number + 1 :]]
            return _if_only_that("".join(edited), text, name, commit)
    for number in range(first, last):
        if re.match(rf"[ ]{{{indent}}}repo\s*:", lines[number]):
            end = "\r\n" if lines[number].endswith("\r\n") else "\n"
            line = lines[number] if lines[number].endswith(("\n", "\r")) else lines[number] + end
            edited = [*lines[:number], line, f"{' ' * indent}revision: {written}{end}", *lines[number + 1 :]]
            return _if_only_that("".join(edited), text, name, commit)
    return None


def _block(lines: Sequence[str], name: str) -> tuple[int, int, int] | None:
    """(first line, line behind the last, indent of the keys) of an entry in block style; None if there is no such."""
    head = re.compile(rf"(?P<indent> +)(?:{re.escape(name)}|\"{re.escape(name)}\"|'{re.escape(name)}')\s*:\s*(?:#.*)?[\r\n]*")
    for number, line in enumerate(lines):
        found = head.fullmatch(line)
        if not found:
            continue
        inner = [(n, _indent(later)) for n, later in enumerate(lines[number + 1 :], start=number + 1) if _says_something(later)]
        last = next((n for n, indent in inner if indent <= len(found["indent"])), len(lines))
        keys = [indent for n, indent in inner if n < last]
        return (number + 1, last, keys[0]) if keys else None
    return None


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _if_only_that(edited: str, text: str, name: str, commit: str) -> str | None:
    """The edited text if, read again, it differs from the old one in this revision alone."""
    try:
        was, now = yaml.safe_load(text), yaml.safe_load(edited)
    except yaml.YAMLError:
        return None
    if not _has(was, name) or not _has(now, name) or now["models"][name].get("revision") != commit:
        return None
    wanted = {**was, "models": {**was["models"], name: {**was["models"][name], "revision": commit}}}
    return edited if now == wanted and list(now["models"]) == list(was["models"]) else None


def _has(content: Any, name: str) -> bool:
    return isinstance(content, dict) and isinstance(content.get("models"), dict) and isinstance(content["models"].get(name), dict)
