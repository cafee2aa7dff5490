"""The nearest questions of an exemplar pool: what strategies ask for, and the one object per run that finds them.

`self`, the evaluated model's own hidden states, is not looked up here: its vectors come from the engine, and
`similarity.nearest_dense` compares them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from evalsuite.embedders import lexical
from evalsuite.embedders.lexical import Find
from evalsuite.embedders.sentences import folder_fault, searched
from evalsuite.embedders.similarity import IntArray
from evalsuite.errors import nearest
from evalsuite.types import Sample, Tell, untold

Shows = Literal["question", "question_and_choices"]

SENTENCES = "sentence-transformers:"
"""How the name of a sentence model begins; the path of its folder follows, absolute or from the study file's folder."""
NAMES = ("tfidf", "bm25", "self", f"{SENTENCES}<path>")
"""Embedders that a study may name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which neighbours are wanted."""

    embedder: str
    """`tfidf`, `bm25` or `sentence-transformers:<path>`."""
    shows: Shows
    """What of a question is compared."""
    n_nearest: int
    """Neighbours of each question, at least 1."""


Nearest = Callable[[Wanted, Sequence[Sample], Sequence[Sample]], IntArray]
"""(wanted, pool, questions) -> (n_questions, min(n_nearest, n_pool)) positions in the pool, the nearest first."""


class Lookup:
    """Finds neighbours; made once per run, since it remembers what it found: eight models take one search. Is a `Nearest`.

    What is found depends on the texts and on the order of the pool (of equally near ones the earlier comes first), and not on who
    asks, how often, or which questions are asked together (vectors of a sentence model: as far as the library that multiplies keeps
    the last bits).
    """

    def __init__(self, cache_folder: Path | None, base: Path, tell: Tell = untold) -> None:
        """Args: cache_folder: where vectors of sentence models are kept, None: nowhere; base: paths begin there; tell: of progress."""
        self._cache_folder = cache_folder
        self._base = base
        self._tell = tell
        self._found: dict[tuple[str, bytes, bytes], IntArray] = {}
        # Of the last pool only: tables of neighbours are small, the vectors of a large pool are not.
        self._searched: tuple[tuple[str, bytes], Find] | None = None

    def __call__(self, wanted: Wanted, pool: Sequence[Sample], questions: Sequence[Sample]) -> IntArray:
        """The nearest pool samples of each question.

        Args:
            wanted: which neighbours.
            pool: samples among which they are looked for.
            questions: samples whose neighbours are wanted; repeated texts are looked up once.

        Returns:
            (n_questions, min(n_nearest, n_pool)) positions in the pool, the nearest first.

        Raises:
            UserError: the folder of a sentence model cannot be used.
            ValueError: `self`, or no embedder at all; a study that passed `check_embedder` names none such.
        """
        pool_texts = [embedding_text(sample, wanted.shows) for sample in pool]
        texts = [embedding_text(sample, wanted.shows) for sample in questions]
        key = (wanted.embedder, _digest(pool_texts), _digest(texts))
        known = self._found.get(key)
        n_found = min(wanted.n_nearest, len(pool))
        if not n_found or not texts:
            return np.zeros((len(texts), n_found), dtype=np.int32)
        if known is None or known.shape[1] < n_found:
            distinct = dict.fromkeys(texts)
            rows = {text: row for row, text in enumerate(distinct)}
            table = self._searcher(wanted.embedder, key[1], pool_texts)(list(distinct), wanted.n_nearest)
            known = table[np.fromiter((rows[text] for text in texts), dtype=np.int64, count=len(texts))]
            self._found[key] = known
        # Nearest first: fewer neighbours are the beginning of more.
        return known[:, :n_found]

    def _searcher(self, embedder: str, pool_digest: bytes, pool_texts: Sequence[str]) -> Find:
        key = (embedder, pool_digest)
        if self._searched is None or self._searched[0] != key:
            self._searched = None
            self._searched = (key, self._search(embedder, pool_texts))
        return self._searched[1]

    def _search(self, embedder: str, pool_texts: Sequence[str]) -> Find:
        if embedder == "tfidf":
            return lexical.tfidf(pool_texts, self._tell)
        if embedder == "bm25":
            return lexical.bm25(pool_texts, self._tell)
        if embedder.startswith(SENTENCES):
            return searched(embedder_folder(embedder, self._base), pool_texts, self._cache_folder, self._tell)
        raise ValueError(f"nothing is looked up by {embedder}")


def embedding_text(sample: Sample, shows: Shows) -> str:
    """What of a question is compared: its passage and stem, each on a line, and if wanted its choices in shown order."""
    parts = (sample.context, sample.question, *(sample.choices if shows == "question_and_choices" else ()))
    return "\n".join(part for part in parts if part)


def check_embedder(name: str, base: Path) -> str | None:
    """What is wrong with an embedder's name, in words; None if nothing is. Loads no model.

    Args:
        name: as in study.yaml.
        base: the study file's folder, where paths begin.
    """
    if name in NAMES[:3]:
        return None
    if not name.startswith(SENTENCES):
        return nearest(name, NAMES)
    if not name.removeprefix(SENTENCES).strip():
        return f"{SENTENCES} and the path of a local folder, absolute or from the study file's folder"
    return folder_fault(embedder_folder(name, base))


def embedder_folder(embedder: str, base: Path) -> Path:
    """Folder of a sentence model that a study names; a relative path begins at `base`."""
    return base / Path(embedder.removeprefix(SENTENCES)).expanduser()


def _digest(texts: Iterable[str]) -> bytes:
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()
