"""Fingerprints of checkpoints: what the files hold, not what they are called (DESIGN 2.2)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from evalsuite.types import Tell, untold

_CHUNK = 1 << 22
_FRESH_S = 2.0
"""A file that changed this recently may change again without a visible change of its times; its digest is not kept."""


def fingerprint(folder: Path, files: Sequence[str], tell: Tell = untold) -> str:
    """SHA-256 over the names and contents of a checkpoint's files.

    Digests of single files are kept in `fingerprints.json` under $EVALSUITE_CACHE or ~/.cache/evalsuite, by real path,
    size and times of change. Limit: a file whose contents change while its size, modification time and status-change time
    all stay (which takes a file system without status-change times, or a clock that was set back) is not seen as changed;
    delete the cache file in that case.

    Args:
        folder: the checkpoint.
        files: names relative to `folder`; order does not matter.
        tell: told of progress, in bytes.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: a file cannot be read.
    """
    cache_file = cache_folder() / "fingerprints.json"
    known = _read_cache(cache_file)
    fresh: dict[str, str] = {}
    total = hashlib.sha256()
    n_done, n_all = 0, sum((folder / name).stat().st_size for name in files)
    for name in sorted(files):
        key, settled = _key(folder / name)
        digest = known.get(key) or fresh.get(key)
        if digest is None:
            digest = _digest(folder / name)
            if settled and _key(folder / name)[0] == key:
                fresh[key] = digest
        n_done += (folder / name).stat().st_size
        tell(f"hashing {folder.name}", n_done, n_all)
        total.update(json.dumps([name, digest]).encode("utf-8"))
    if fresh:
        _write_cache(cache_file, fresh)
    return total.hexdigest()


def cache_folder() -> Path:
    """Folder of what can be computed again: $EVALSUITE_CACHE or ~/.cache/evalsuite."""
    named = os.environ.get("EVALSUITE_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "evalsuite"


def keep_text(file: Path, text: str) -> None:
    """Write a file of the cache in one step, if the folder can be written to: a home folder that cannot must not stop a study."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".kept-", delete=False, encoding="utf-8") as stream:
            stream.write(text)
        Path(stream.name).replace(file)


def _key(file: Path) -> tuple[str, bool]:
    """Cache key of a file as it is now, and whether it has been left alone long enough to trust the key."""
    status = file.stat()
    key = f"{file.resolve()}|{status.st_size}|{status.st_mtime_ns}|{status.st_ctime_ns}"
    return key, time.time() - max(status.st_mtime, status.st_ctime) > _FRESH_S


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _read_cache(file: Path) -> dict[str, str]:
    """What the cache holds; a missing, unreadable or damaged file holds nothing, since everything can be computed again."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, str) and len(value) == 64}


def _write_cache(file: Path, fresh: dict[str, str]) -> None:
    """Add digests. Of two writers at once one may lose its additions, which costs time only."""
    keep_text(file, json.dumps(_read_cache(file) | fresh, indent=0, sort_keys=True))
