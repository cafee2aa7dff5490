"""Exact search for the nearest of 200,000 vectors beside scikit-learn's brute force, in turn: seconds, memory and what is found."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim
from benchmarks.nearest_side import drawn
from benchmarks.sides import SCRIPTS, Measurement
from evalsuite.embedders.similarity import FloatArray, IntArray

N_POOL, N_QUERIES, WIDTH, N_NEAREST = 200_000, 5_000, 384, 10
TARGET, GIB = 1.0, 2.0

needs: tuple[str, ...] = ()
"""What is missing for it."""


def measure(n_repeats: int) -> Iterator[Measurement | Claim]:
    """Both sides `n_repeats` times, each time in a process of its own.

    Args:
        n_repeats: of the bench.
    """
    seconds: dict[str, list[float]] = {"ours": [], "scikit_learn": []}
    memory_gib: dict[str, list[float]] = {"ours": [], "scikit_learn": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(n_repeats):
            for side in seconds:
                told = one_side(side, Path(folder) / f"{side}.npy")
                seconds[side].append(told["seconds"])
                memory_gib[side].append(told["memory_gib"])
        ours, peer = (similarities(np.load(Path(folder) / f"{side}.npy")) for side in seconds)
    what = f"the {N_NEAREST} nearest of {N_POOL:,} vectors of {WIDTH} numbers for {N_QUERIES:,} queries"
    yield Measurement(
        case="neighbours beside scikit-learn", target=TARGET, ours_s=seconds["ours"], peer_s=seconds["scikit_learn"],
        ours_load_s=0.0, peer_load_s=0.0, difference=float(np.abs(ours - peer).max()),
        # Its similarities are float32: neighbours nearer to each other than that may stand in another order.
        tolerance=WIDTH * 2.0**-23, detail=f"{what}, all pairs; NearestNeighbors(metric=cosine, algorithm=brute)",
    )  # fmt: skip
    yield Claim(
        case="neighbours, memory", ours=max(memory_gib["ours"]), target=GIB, at_most=True, unit="GiB", peer=max(memory_gib["scikit_learn"]),
        detail=f"{what}: largest memory of the process, vectors and interpreter included",
    )  # fmt: skip


def one_side(side: str, out: Path) -> dict[str, float]:
    """Seconds and memory of a side, run by itself."""
    sizes = [str(number) for number in (N_POOL, N_QUERIES, WIDTH, N_NEAREST)]
    command = [sys.executable, "-m", "benchmarks.nearest_side", side, *sizes, str(out)]
    done = subprocess.run(command, cwd=SCRIPTS, check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def similarities(found: IntArray) -> FloatArray:
    """(n_queries, n_nearest) cosine similarities of what was found, in float64."""
    pool, queries = drawn(N_POOL, N_QUERIES, WIDTH)
    rows = []
    for query, own in zip(queries.astype(np.float64), found, strict=True):
        near = pool[own].astype(np.float64)
        rows.append(near @ query / (np.linalg.norm(near, axis=1) * np.linalg.norm(query)))
    return np.stack(rows)
