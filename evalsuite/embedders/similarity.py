"""Exact search for the most similar rows, in blocks, so that memory stays bounded whatever the sizes.

Dense rows are screened by a product of matrices in float32 and decided in float64: a row is looked at again unless the screen's
rounding error cannot have hidden it. What is found is therefore the same whatever the blocks and the library that multiplies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from evalsuite.types import Tell, untold

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray: TypeAlias = npt.NDArray[np.float64]
SingleArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int32]
PositionArray: TypeAlias = npt.NDArray[np.int64]

N_BLOCK_QUERIES = 1024
"""Queries that are compared at a time."""
N_BLOCK_NUMBERS = 1 << 22
"""Most numbers of one block: 32 MiB in float64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Best:
    """The nearest of each query so far; rows that have not yet been found hold -inf."""

    scores: FloatArray
    """(n_queries, n_nearest) cosine similarities, falling; of equal ones the lower position first."""
    positions: PositionArray
    """(n_queries, n_nearest) positions in the pool."""


def nearest_dense(
    pool: SingleArray, queries: SingleArray, n_nearest: int, *, n_block: int = N_BLOCK_QUERIES, tell: Tell = untold
) -> IntArray:
    """The pool rows of highest cosine similarity to each query, most similar first; equal ones in the order of the pool.

    Exact: the order is that of the similarities in float64, each computed from its two rows alone. A row without length has
    similarity 0 to everything.

    Args:
        pool: (n_pool, d) vectors, finite, any length.
        queries: (n_queries, d) vectors, likewise.
        n_nearest: how many are wanted, at least 1.
        n_block: most queries and pool rows that are compared at a time, at least 1; decides memory and nothing else.
        tell: told of progress, in pool rows.

    Returns:
        (n_queries, min(n_nearest, n_pool)) positions in the pool.

    Raises:
        ValueError: shapes that do not go together, numbers that are not finite, or `n_nearest` below 1.

    Source: brute force over all pairs; the bound on the screen's error is that of a dot product in floating point (Higham,
    Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1).
    """
    if pool.ndim != 2 or queries.ndim != 2 or pool.shape[1] != queries.shape[1]:
        raise ValueError(f"pool {pool.shape} and queries {queries.shape} are not rows of one width")
    n_pool, n_queries, width = len(pool), len(queries), pool.shape[1]
    n_wanted = _n_wanted(n_nearest, n_pool)
    best = _Best(scores=np.full((n_queries, n_wanted), -np.inf), positions=np.full((n_queries, n_wanted), n_pool, dtype=np.int64))
    unit_queries = _unit(queries)
    # All are equally far from a query without length, which would have every row of the pool looked at again.
    has_length = np.asarray(unit_queries.any(axis=1))
    error = 1.01 * (width + 8) * 2.0**-24
    n_rows = max(1, min(8 * n_block, N_BLOCK_NUMBERS // max(width, 1)))
    for start in range(0, n_pool if n_wanted else 0, n_rows):
        unit_pool = _unit(pool[start : start + n_rows])
        screen = unit_pool.astype(np.float32)
        for first in range(0, n_queries, n_block):
            chosen = np.flatnonzero(has_length[first : first + n_block]) + first
            similar = unit_queries[chosen].astype(np.float32) @ screen.T
            threshold = _threshold(similar, best.scores[chosen, -1], n_wanted, error)
            rows, columns = _at_least(similar, threshold)
            scores = _dot_products(unit_queries, chosen[rows], unit_pool, columns)
            _merge(best, chosen[rows], scores, columns + start)
        tell("comparing questions", min(start + n_rows, n_pool), n_pool)
    best.positions[~has_length] = np.arange(n_wanted)
    return best.positions.astype(np.int32)


def nearest_sparse(pool: csr_array[Any], queries: csr_array[Any], n_nearest: int, *, n_block: int = 64, tell: Tell = untold) -> IntArray:
    """The pool rows of highest dot product with each query, highest first; equal ones in the order of the pool.

    The dot product is the cosine similarity where all rows have unit length (tf-idf), and the score of a query where the
    pool holds weights and the query counts (BM25). Rows without a common entry have the score 0.

    Args:
        pool: (n_pool, n_words) weights, finite.
        queries: (n_queries, n_words) weights or counts, finite.
        n_nearest: how many are wanted, at least 1.
        n_block: queries that are compared at a time, at least 1; decides memory and nothing else.
        tell: told of progress, in queries.

    Returns:
        (n_queries, min(n_nearest, n_pool)) positions in the pool.

    Raises:
        ValueError: shapes that do not go together, or `n_nearest` below 1.
    """
    if pool.shape[1] != queries.shape[1]:
        raise ValueError(f"pool {pool.shape} and queries {queries.shape} are not rows of one width")
    n_pool, n_queries = pool.shape[0], queries.shape[0]
    found = np.zeros((n_queries, _n_wanted(n_nearest, n_pool)), dtype=np.int32)
    by_word = pool.T.tocsr()
    for start in range(0, n_queries, n_block):
        scores = (queries[start : start + n_block] @ by_word).toarray()
        for row, own in enumerate(scores, start):
            found[row] = _highest(own, found.shape[1])
        tell("comparing questions", min(start + n_block, n_queries), n_queries)
    return found


def _n_wanted(n_nearest: int, n_pool: int) -> int:
    if n_nearest < 1:
        raise ValueError(f"n_nearest = {n_nearest}: at least 1")
    return min(n_nearest, n_pool)


def _unit(rows: SingleArray) -> FloatArray:
    """Rows of length 1 in float64; a row without length stays as it is."""
    doubles = np.ascontiguousarray(rows, dtype=np.float64)
    if not np.isfinite(doubles).all():
        raise ValueError("vectors hold numbers that are not finite")
    # Scaled first: squares of very large and very small numbers would leave the range of float64.
    largest = np.abs(doubles).max(axis=1, keepdims=True, initial=0.0)
    doubles = doubles / np.where(largest == 0, 1.0, largest)
    lengths = np.sqrt((doubles * doubles).sum(axis=1, keepdims=True))
    return np.asarray(doubles / np.where(lengths == 0, 1.0, lengths))


def _threshold(similar: SingleArray, floor: FloatArray, n_wanted: int, error: float) -> SingleArray:
    """(n_queries,) the lowest screened similarity that may belong to one of the nearest, given the worst of those found so far."""
    threshold = floor - error
    unknown = np.flatnonzero(np.isneginf(floor))
    n_rows = similar.shape[1]
    if len(unknown) and n_rows >= n_wanted:
        kth = np.partition(similar[unknown], n_rows - n_wanted, axis=1)[:, n_rows - n_wanted]
        threshold[unknown] = kth.astype(np.float64) - 2 * error
    # Rounded down, so that the screen is compared in its own precision, which spares a copy of it in float64.
    return np.nextafter(threshold.astype(np.float32), np.float32(-np.inf))


def _at_least(similar: SingleArray, threshold: SingleArray) -> tuple[PositionArray, PositionArray]:
    """Rows and columns of the similarities that reach their row's threshold."""
    rows, columns = np.divmod(np.flatnonzero(similar >= threshold[:, None]), max(similar.shape[1], 1))
    return rows, columns


def _dot_products(left: FloatArray, left_rows: PositionArray, right: FloatArray, right_rows: PositionArray) -> FloatArray:
    """(n_pairs,) dot products of pairs of rows, each summed alone, so that it does not depend on the other pairs."""
    products = np.empty(len(left_rows))
    for part in _parts(len(left_rows), max(1, N_BLOCK_NUMBERS // max(left.shape[1], 1))):
        products[part] = (left[left_rows[part]] * right[right_rows[part]]).sum(axis=1)
    return products


def _parts(n_all: int, n_part: int) -> Iterator[slice]:
    return (slice(start, min(start + n_part, n_all)) for start in range(0, n_all, n_part))


def _merge(best: _Best, rows: PositionArray, scores: FloatArray, positions: PositionArray) -> None:
    """Let candidates (query row, score, position) take the places of those that they surpass."""
    touched = np.unique(rows)
    n_wanted = best.scores.shape[1]
    all_rows = np.concatenate([np.repeat(touched, n_wanted), rows])
    all_scores = np.concatenate([best.scores[touched].ravel(), scores])
    all_positions = np.concatenate([best.positions[touched].ravel(), positions])
    order = np.lexsort((all_positions, -all_scores, all_rows))
    # The first of each query's candidates; every touched row has at least `n_wanted` of them, those it had before.
    starts = np.searchsorted(all_rows[order], touched)
    kept = order[(starts[:, None] + np.arange(n_wanted)).ravel()]
    best.scores[touched] = all_scores[kept].reshape(-1, n_wanted)
    best.positions[touched] = all_positions[kept].reshape(-1, n_wanted)


def _highest(scores: FloatArray, n_wanted: int) -> PositionArray:
    """Positions of the highest scores, highest first; equal ones in their order."""
    if n_wanted == 0:
        return np.zeros(0, dtype=np.int64)
    kth = np.partition(scores, len(scores) - n_wanted)[len(scores) - n_wanted]
    able = np.flatnonzero(scores >= kth)
    return able[np.argsort(-scores[able], kind="stable")[:n_wanted]]
