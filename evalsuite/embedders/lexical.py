"""Neighbours by words: tf-idf and BM25, both fitted on the pool alone.

Words are runs of letters and digits of any script in one case, as in `overlap.words_of`; every word counts, short ones too, since
the weights take care of the common ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evalsuite.embedders.similarity import IntArray, nearest_sparse
from evalsuite.overlap import words_of
from evalsuite.types import Tell, untold

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Find = Callable[[Sequence[str], int], IntArray]
"""(texts, n_nearest) -> (n_texts, min(n_nearest, n_pool)) positions of the nearest pool texts, the nearest first."""

K1 = 1.2
"""BM25: how soon repetitions of a word stop counting; Lucene's default."""
B = 0.75
"""BM25: share to which the length of a text counts; Lucene's default."""


def tfidf(pool: Sequence[str], tell: Tell = untold) -> Find:
    """Search by the cosine of tf-idf vectors; equally near ones in the order of the pool.

    Term counts times ln((1 + n) / (1 + df)) + 1, rows of unit length. Words that the pool does not hold are left out; a text
    without any other has similarity 0 to all.

    Args:
        pool: texts that are searched.
        tell: told of progress.

    Source: Salton & Buckley 1988 (doi 10.1016/0306-4573(88)90021-0), as scikit-learn's TfidfTransformer weights by default.
    """
    counted = _counter(pool)
    if counted is None:
        return _in_order(len(pool))
    from sklearn.feature_extraction.text import TfidfTransformer

    weights = TfidfTransformer()
    count, counts = counted
    rows = weights.fit_transform(counts)
    return lambda texts, n_nearest: nearest_sparse(rows, weights.transform(count(texts)), n_nearest, tell=tell)


def bm25(pool: Sequence[str], tell: Tell = untold, *, k1: float = K1, b: float = B) -> Find:
    """Search by BM25, the words of a text counted as often as they stand in it; equal scores in the order of the pool.

    score = sum over words of ln(1 + (n - df + 0.5) / (df + 0.5)) * tf / (tf + k1 (1 - b + b length / mean length)).

    Args:
        pool: texts that are searched.
        tell: told of progress.
        k1: at least 0; 0 counts a word once, however often it stands there.
        b: in [0, 1].

    Source: Robertson & Zaragoza 2009 (doi 10.1561/1500000019) with Lucene's weights, which are never negative, and exact lengths
    (Kamphuis et al. 2020, doi 10.1007/978-3-030-45442-5_4, "Lucene (accurate)").
    """
    counted = _counter(pool)
    if counted is None:
        return _in_order(len(pool))
    count, counts = counted
    rows = bm25_weights(counts, k1, b)
    return lambda texts, n_nearest: nearest_sparse(rows, count(texts), n_nearest, tell=tell)


def bm25_weights(counts: csr_array[Any], k1: float, b: float) -> csr_array[Any]:
    """What each word of each text adds to the score of a query that holds it once.

    Args:
        counts: (n_texts, n_words) term counts; at least one word stands somewhere.
        k1: as in `bm25`.
        b: as in `bm25`.
    """
    n_texts = counts.shape[0]
    lengths = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    n_holding = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = np.log1p((n_texts - n_holding + 0.5) / (n_holding + 0.5))
    damping = k1 * (1 - b + b * lengths / lengths.mean())
    weights = counts.astype(np.float64)
    n_words = np.diff(weights.indptr)
    weights.data = rarity[weights.indices] * weights.data / (weights.data + np.repeat(damping, n_words))
    return weights


def _counter(pool: Sequence[str]) -> tuple[Callable[[Sequence[str]], csr_array[Any]], csr_array[Any]] | None:
    """What counts the words of the pool in texts, and the pool's own counts; None if the pool holds no word."""
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import CountVectorizer

    words = sorted({word for text in pool for word in words_of(text)})
    if not words:
        return None
    vectorizer = CountVectorizer(analyzer=words_of, vocabulary=words)

    def count(texts: Sequence[str]) -> csr_array[Any]:
        return csr_array(vectorizer.transform(texts))

    return count, count(pool)


def _in_order(n_pool: int) -> Find:
    """Without a word to compare by, all are equally near."""

    def find(texts: Sequence[str], n_nearest: int) -> IntArray:
        return np.tile(np.arange(min(n_nearest, n_pool), dtype=np.int32), (len(texts), 1))

    return find
