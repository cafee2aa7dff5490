"""Vectors of texts on disk, so that a pool is embedded once: files that are only ever added, never changed.

A file holds the vectors of some texts by the texts' hashes, not the texts. Each is written under another name and renamed when it
is whole, so that several processes may read and add at once without locks; what two of them add twice is equal and costs room
only. A file that is damaged (zip's CRC-32 tells) counts as absent, and what it held is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import uuid
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evalsuite.embedders.similarity import SingleArray

Hash = bytes
"""sha256 of a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptVectors:
    """The vectors that one embedder gave."""

    folder: Path
    """Where its files lie; its name says which embedder."""

    def read(self, wanted: Sequence[Hash], width: int) -> dict[Hash, SingleArray]:
        """Those of the wanted vectors that are kept.

        Args:
            wanted: hashes of texts.
            width: numbers per vector; files of another width count as damaged.
        """
        missing, found = set(wanted), dict[Hash, SingleArray]()
        for file in sorted(self.folder.glob("*.npz")) if missing else ():
            hashes, vectors = _read(file, width)
            for row, name in enumerate(hashes):
                if name in missing:
                    missing.discard(name)
                    found[name] = vectors[row]
        return found

    def add(self, hashes: Sequence[Hash], vectors: SingleArray) -> None:
        """Keep vectors; where they cannot be written they are not kept, which costs time only.

        Args:
            hashes: (n,) hashes of the texts.
            vectors: (n, width) their vectors.
        """
        table = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), -1)
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".vectors-", suffix=".part", delete=False) as stream:
                np.savez(stream, hashes=table, vectors=vectors.astype("<f4"))
            Path(stream.name).replace(self.folder / f"{uuid.uuid4().hex}.npz")


def text_hash(text: str) -> Hash:
    """The name of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _read(file: Path, width: int) -> tuple[list[Hash], SingleArray]:
    """Hashes and vectors of a file; none if it is damaged or gone."""
    nothing: tuple[list[Hash], SingleArray] = ([], np.zeros((0, width), dtype=np.float32))
    try:
        with np.load(file, allow_pickle=False) as content:
            hashes, vectors = content["hashes"], content["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return nothing
    whole = hashes.dtype == np.uint8 and hashes.shape == (len(vectors), 32)
    if not whole or vectors.shape != (len(hashes), width) or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        return nothing
    return [row.tobytes() for row in hashes], vectors
