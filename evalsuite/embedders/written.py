"""Vectors of texts that models wrote, so that votes on free text can go by meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from evalsuite.embedders.neighbours import embedder_folder
from evalsuite.embedders.sentences import loaded, read_folder
from evalsuite.embedders.similarity import SingleArray


def written_vectors(base: Path) -> Callable[[str, Sequence[str]], SingleArray]:
    """What embeds written texts: (embedder, texts) -> (n_texts, width) vectors.

    Each text goes through the model by itself, so that its vector depends on nothing else: scored again, answers are elected as before
    to the last bit. A model is loaded once per process, when it is first asked.

    Args:
        base: folder where relative paths of embedders begin: the study file's.

    Raises:
        UserError: by what is returned: the folder cannot be used.
    """

    def vectors(embedder: str, texts: Sequence[str]) -> SingleArray:
        embed = _loaded(embedder_folder(embedder, base))
        return np.concatenate([embed([text], _untold) for text in texts])

    return vectors


def _untold(n_done: int) -> None:
    """A single text is no progress."""
    del n_done


@cache
def _loaded(folder: Path) -> Callable[[Sequence[str], Callable[[int], None]], SingleArray]:
    return loaded(read_folder(folder))
