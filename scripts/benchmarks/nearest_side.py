"""One side of the search for neighbours, in a process of its own: prints seconds and memory, and writes the positions that it found.

python -m benchmarks.nearest_side ours|scikit_learn N_POOL N_QUERIES WIDTH N_NEAREST OUT.npy
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evalsuite.embedders.similarity import SingleArray, nearest_dense


def main() -> None:
    side, out = sys.argv[1], Path(sys.argv[6])
    n_pool, n_queries, width, n_nearest = (int(text) for text in sys.argv[2:6])
    pool, queries = drawn(n_pool, n_queries, width)
    sides: dict[str, Callable[[SingleArray, SingleArray, int], npt.NDArray[np.integer[Any]]]]
    sides = {"ours": nearest_dense, "scikit_learn": brute_force}
    search = sides[side]
    search(pool[:1000], queries[:10], n_nearest)  # imports, and threads that are started once
    started = time.perf_counter()
    found = search(pool, queries, n_nearest)
    seconds = time.perf_counter() - started
    np.save(out, found.astype(np.int32))
    memory_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "memory_gib": memory_gib}))


def drawn(n_pool: int, n_queries: int, width: int) -> tuple[SingleArray, SingleArray]:
    """Rows of a standard normal distribution, the same in every process: pool and queries."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((n_pool, width), dtype=np.float32), rng.standard_normal((n_queries, width), dtype=np.float32)


def brute_force(pool: SingleArray, queries: SingleArray, n_nearest: int) -> npt.NDArray[np.int64]:
    """scikit-learn's search."""
    from sklearn.neighbors import NearestNeighbors

    found: npt.NDArray[np.int64] = (
        NearestNeighbors(metric="cosine", algorithm="brute", n_neighbors=n_nearest).fit(pool).kneighbors(queries, return_distance=False)
    )
    return found


if __name__ == "__main__":
    main()
