"""Exact search: equal to brute force, whatever the blocks, ties and degenerate rows."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from evalsuite.embedders import similarity
from evalsuite.embedders.similarity import nearest_dense, nearest_sparse

Rows = npt.NDArray[np.float32]


def drawn(n_rows: int, width: int, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).standard_normal((n_rows, width), dtype=np.float32)


def cosines(pool: Rows, queries: Rows) -> npt.NDArray[np.float64]:
    """(n_queries, n_pool) similarities pair by pair in float64; 0 for a row without length."""

    def cosine(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> float:
        lengths = np.linalg.norm(left) * np.linalg.norm(right)
        return float(left @ right / lengths) if lengths else 0.0

    table = [[cosine(query, row) for row in pool.astype(np.float64)] for query in queries.astype(np.float64)]
    return np.array(table, dtype=np.float64).reshape(len(queries), len(pool))


def test_equals_brute_force_of_scikit_learn() -> None:
    pool, queries = drawn(3000, 48), drawn(200, 48, seed=1)
    peer = NearestNeighbors(metric="cosine", algorithm="brute", n_neighbors=20).fit(pool.astype(np.float64))
    found = nearest_dense(pool, queries, 20)
    assert found.dtype == np.int32
    assert (found == peer.kneighbors(queries.astype(np.float64), return_distance=False)).all()


def test_equals_brute_force_where_float32_cannot_tell() -> None:
    """Neighbours whose similarities differ by less than float32 resolves, as mean hidden states of a large model may be."""
    centre = drawn(1, 64)
    spread = drawn(400, 64, seed=2) * np.float32(1e-5)
    pool = (centre + spread).astype(np.float32)
    peer = NearestNeighbors(metric="cosine", algorithm="brute", n_neighbors=30).fit(pool.astype(np.float64))
    queries = pool[:20] + np.float32(1e-6)
    exact = [[1 - float(value) for value in row] for row in peer.kneighbors(queries.astype(np.float64))[0]]
    found = nearest_dense(pool, queries, 30)
    doubles = pool.astype(np.float64)
    doubles /= np.linalg.norm(doubles, axis=1, keepdims=True)
    for query, row, wanted in zip(queries.astype(np.float64), found, exact, strict=True):
        assert doubles[row] @ query / np.linalg.norm(query) == pytest.approx(wanted, abs=1e-14)
    screened = pool @ queries.T
    assert len({float(value) for value in screened[:, 0]}) < len(pool), "float32 must leave ties, else this shows nothing"


@settings(max_examples=60, deadline=None)
@given(
    n_pool=st.integers(0, 40),
    n_queries=st.integers(0, 12),
    width=st.integers(1, 6),
    n_nearest=st.integers(1, 45),
    n_block=st.integers(1, 50),
    n_numbers=st.sampled_from([1, 7, 64, 1 << 22]),
    seed=st.integers(0, 1000),
)
def test_blocks_change_nothing_and_ties_go_by_position(
    n_pool: int, n_queries: int, width: int, n_nearest: int, n_block: int, n_numbers: int, seed: int
) -> None:
    """Small whole numbers, so that there are many equal rows, and rows without length."""
    rng = np.random.default_rng(seed)
    pool = rng.integers(-1, 2, (n_pool, width)).astype(np.float32)
    queries = rng.integers(-1, 2, (n_queries, width)).astype(np.float32)
    whole = nearest_dense(pool, queries, n_nearest)
    assert whole.shape == (n_queries, min(n_nearest, n_pool))
    with patch.object(similarity, "N_BLOCK_NUMBERS", n_numbers):
        assert (nearest_dense(pool, queries, n_nearest, n_block=n_block) == whole).all()
    similar = cosines(pool, queries)
    best = np.sort(similar, axis=1)[:, ::-1][:, :n_nearest]
    assert np.abs(np.take_along_axis(similar, whole.astype(np.int64), axis=1) - best).max(initial=0.0) < 1e-12
    for row in whole.tolist():
        assert len(set(row)) == len(row)
        # Of two equal rows the earlier one comes first.
        assert all(left < right for left, right in pairwise(row) if (pool[left] == pool[right]).all())


@settings(max_examples=40, deadline=None)
@given(n_block=st.integers(1, 40), n_nearest=st.integers(1, 25), seed=st.integers(0, 1000))
def test_sparse_rows_equal_dense_ones_whatever_the_blocks(n_block: int, n_nearest: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, 3, (20, 8)) * (rng.random((20, 8)) < 0.3)
    queries = rng.integers(0, 3, (15, 8)) * (rng.random((15, 8)) < 0.3)
    found = nearest_sparse(sparse.csr_array(pool), sparse.csr_array(queries), n_nearest, n_block=n_block)
    scores = queries @ pool.T
    wanted = [sorted(range(20), key=lambda place: (-row[place], place))[:n_nearest] for row in scores.tolist()]
    assert found.tolist() == wanted


def test_a_query_without_length_is_equally_near_to_all() -> None:
    pool, queries = drawn(50, 8), np.zeros((2, 8), dtype=np.float32)
    assert nearest_dense(pool, queries, 3).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_a_pool_row_without_length_stands_between_likeness_and_unlikeness() -> None:
    pool = np.array([[-1, 0], [0, 0], [1, 0]], dtype=np.float32)
    assert nearest_dense(pool, np.array([[2, 0]], dtype=np.float32), 3).tolist() == [[2, 1, 0]]


def test_lengths_do_not_matter_even_at_the_ends_of_the_range() -> None:
    pool, queries = drawn(100, 16), drawn(10, 16, seed=1)
    scaled = pool * np.logspace(-30, 30, 100, dtype=np.float32)[:, None]
    assert (nearest_dense(scaled, queries * np.float32(1e30), 100) == nearest_dense(pool, queries, 100)).all()


def test_progress_ends_at_the_whole_pool() -> None:
    told: list[tuple[int, int]] = []
    with patch.object(similarity, "N_BLOCK_NUMBERS", 64):
        nearest_dense(drawn(20, 8), drawn(3, 8), 2, tell=lambda _, n_done, n_all: told.append((n_done, n_all)))
    assert told == [(8, 20), (16, 20), (20, 20)]


@pytest.mark.parametrize(
    ("pool", "queries", "n_nearest"),
    [
        (drawn(3, 4), drawn(3, 5), 1),
        (drawn(3, 4), drawn(3, 4), 0),
        (np.full((2, 2), np.nan, dtype=np.float32), drawn(3, 2), 1),
        (drawn(3, 2), np.full((2, 2), np.inf, dtype=np.float32), 1),
        (drawn(3, 2)[0], drawn(3, 2), 1),
    ],
)
def test_refusals(pool: Rows, queries: Rows, n_nearest: int) -> None:
    with pytest.raises(ValueError, match=r"width|at least 1|finite"):
        nearest_dense(pool, queries, n_nearest)


def test_sparse_refusals() -> None:
    with pytest.raises(ValueError, match="width"):
        nearest_sparse(sparse.csr_array(np.eye(3)), sparse.csr_array(np.eye(4)), 1)
    with pytest.raises(ValueError, match="at least 1"):
        nearest_sparse(sparse.csr_array(np.eye(3)), sparse.csr_array(np.eye(3)), 0)
