"""Which of several free texts the others agree with most: minimum-Bayes-risk selection among samples.

Every sample is a candidate, and every other sample stands in for what may be right: the candidate with the highest mean utility to the
others is chosen. With a utility of 1 for equal texts and 0 else this is the majority vote.

Sources: Kumar & Byrne 2004 (N04-1022); sampling as the estimate of the risk, Eikema & Aziz 2020 (arXiv 2005.10283); its relation to
self-consistency and the majority vote, Bertsch et al. 2023 (arXiv 2310.01387).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator

from evalsuite.embedders.neighbours import SENTENCES
from evalsuite.metrics.text import normalise
from evalsuite.strategies.base import Vectors


def checked_utility(name: str) -> str:
    """The name of a utility, if it is one.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    if name in ("auto", "exact_match", "rougeL") or (name.startswith(SENTENCES) and name != SENTENCES):
        return name
    raise ValueError(f"auto, exact_match, rougeL or {SENTENCES}PATH")


Utility = Annotated[str, AfterValidator(checked_utility)]
"""What agreement of two free texts is worth. `exact_match`: 1 if they are equal after SQuAD's normalisation, else 0, so that the majority
wins; `rougeL`: ROUGE-L F1; `sentence-transformers:PATH`: cosine similarity of their embeddings; `auto`: the task's own metric where it is
`exact_match`, else `rougeL`."""


def text_key(text: str) -> str:
    """What is equal for texts that `exact_match` calls equal."""
    return normalise(text) or text.strip().casefold()


def mean_utilities(texts: Sequence[str], utility: str, vectors: Vectors | None = None) -> list[float]:
    """The mean utility of each text to the others, in [0, 1] (cosine similarities: [-1, 1]); 0 for one that is alone.

    Means are rounded to 12 digits, so that texts that agree equally well are exactly equal whatever was summed in which order.

    Args:
        texts: the candidates, at least one.
        utility: `exact_match`, `rougeL` or `sentence-transformers:PATH`.
        vectors: embeds texts; only asked where the utility needs it.

    Raises:
        ValueError: the utility needs embeddings and nothing embeds; a programming error.

    Source: the sampling estimate of Eikema & Aziz 2020, without the candidate itself among the references.
    """
    different = list(dict.fromkeys(texts))
    row_of = {text: row for row, text in enumerate(different)}
    rows = [row_of[text] for text in texts]
    table = _table(different, utility, vectors)
    others = max(1, len(texts) - 1)
    sums = [math.fsum(table[row][other] for at, other in enumerate(rows) if at != number) for number, row in enumerate(rows)]
    return [round(total / others, 12) for total in sums]


def _table(texts: Sequence[str], utility: str, vectors: Vectors | None) -> list[list[float]]:
    """Utility of each text to each; symmetric."""
    if utility == "exact_match":
        keys = [text_key(text) for text in texts]
        return [[float(left == right) for right in keys] for left in keys]
    if utility == "rougeL":
        tokens = [_tokens(text) for text in texts]
        return _mirrored(len(texts), lambda a, b: rouge_l(tokens[a], tokens[b]))
    if vectors is None:
        raise ValueError("nothing embeds texts here")
    embedded = np.asarray(vectors(utility, texts), dtype=np.float64)
    lengths = np.sqrt((embedded * embedded).sum(axis=1, keepdims=True))
    unit = embedded / np.where(lengths == 0, 1.0, lengths)
    # Each pair by itself: a product of matrices may round a pair otherwise than its mirror.
    return _mirrored(len(texts), lambda a, b: float((unit[a] * unit[b]).sum()))


def _mirrored(n: int, value: Callable[[int, int], float]) -> list[list[float]]:
    table = [[0.0] * n for _ in range(n)]
    for a in range(n):
        for b in range(a, n):
            table[a][b] = table[b][a] = value(a, b)
    return table


def rouge_l(left: Sequence[str], right: Sequence[str]) -> float:
    """ROUGE-L F1 of two token sequences in [0, 1]; 0 where either has none.

    The value of `metrics.text.rouge` without its table of lengths: hundreds of words against hundreds, for every pair of an ensemble,
    would take seconds per sample.

    Source: Lin 2004 (W04-1013); the length of the longest common subsequence by bit vectors, Hyyrö 2004 (Bit-parallel LCS-length
    computation revisited).
    """
    if not left or not right:
        return 0.0
    places: dict[str, int] = {}
    for place, token in enumerate(left):
        places[token] = places.get(token, 0) | 1 << place
    full = (1 << len(left)) - 1
    row = full
    for token in right:
        matched = row & places.get(token, 0)
        row = ((row + matched) | (row - matched)) & full
    n_common = len(left) - row.bit_count()
    if n_common == 0:
        return 0.0
    precision, recall = n_common / len(right), n_common / len(left)
    return 2 * precision * recall / (precision + recall)


def _tokens(text: str) -> list[str]:
    """Words as rouge-score cuts and stems them."""
    from rouge_score.tokenize import tokenize

    return list(tokenize(text, _stemmer()))


@cache
def _stemmer() -> Any:
    """rouge-score's stemmer, which here remembers words: those of an ensemble are much the same. It is imported at first use."""
    from nltk.stem.porter import PorterStemmer

    return SimpleNamespace(stem=lru_cache(maxsize=1 << 16)(PorterStemmer().stem))
