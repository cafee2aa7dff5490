"""Statistics and report of a large study, and the resampling statistics alone beside SciPy's."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.claims import Claim
from benchmarks.sides import SCRIPTS, Measurement
from evalsuite.stats.arrays import FloatArray
from evalsuite.stats.bootstrap import cluster_bootstrap
from evalsuite.stats.randomisation import sign_flip_p

N_MODELS, N_TASKS, N_SAMPLES = 21, 10, 1000
"""20 pairs on 10 tasks: 200 comparisons."""
SECONDS, GIB = 60.0, 2.0
N_RESAMPLES, N_COMPARISONS, N_PEER = 10_000, 200, 2
"""The peer does `N_PEER` of the comparisons; its seconds are multiplied up to all of them."""
TARGET, TARGET_S = 10.0, 10.0
"""Times as fast as SciPy, and seconds."""

needs: tuple[str, ...] = ()
"""What is missing for it."""


def measure(n_repeats: int) -> Iterator[Measurement | Claim]:
    """The large study once, in a process of its own; the resampling `n_repeats` times.

    Args:
        n_repeats: of the bench.
    """
    yield from large_study()
    beside = resampling(n_repeats)
    yield beside
    yield Claim(
        case="resampling, seconds", ours=min(beside.ours_s), target=TARGET_S, at_most=True, unit="s",
        detail=f"{N_COMPARISONS} comparisons of {N_SAMPLES:,} single samples, {N_RESAMPLES:,} resamples, one process: sign flips with p,"
        f" percentile and BCa limits; least of {len(beside.ours_s)}",
    )  # fmt: skip


def large_study() -> Iterator[Claim]:
    """Seconds and memory of statistics and report."""
    sizes = [str(number) for number in (N_MODELS, N_TASKS, N_SAMPLES)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.synthetic_study", *sizes], cwd=SCRIPTS, check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    parts = "; ".join(f"{name} {seconds:.1f} s" for name, seconds in found["seconds"].items())
    what = f"{found['n_comparisons']} comparisons of {N_SAMPLES:,} samples, statistics and report"
    name = "statistics and report"
    yield Claim(
        case=f"{name}, seconds", ours=sum(found["seconds"].values()), target=SECONDS, at_most=True, unit="s",
        detail=f"{what}: {parts}; {sum(found['cpu_seconds'].values()):.1f} s of processor time",
    )  # fmt: skip
    yield Claim(
        case=f"{name}, memory", ours=found["memory_gib"], target=GIB, at_most=True, unit="GiB",
        detail=f"{what}: largest memory of the process, drawing the scores included",
    )  # fmt: skip


def resampling(n_repeats: int) -> Measurement:
    """Sign flips with p, percentile and BCa limits of every comparison, beside `permutation_test` and `bootstrap` of SciPy.

    Single samples, since SciPy knows no groups. Its bootstrap is asked for BCa only: percentile limits would take a second one.
    """
    ours_s, peer_s, worst = [], [], 0.0
    for repeat in range(n_repeats):
        rng = np.random.default_rng(repeat)
        rows = rng.choice([-1.0, 0.0, 1.0], p=[0.13, 0.72, 0.15], size=(N_COMPARISONS, N_SAMPLES))
        index = np.arange(N_SAMPLES)
        started = time.perf_counter()
        ours = [
            (sign_flip_p(row, index, N_RESAMPLES, at).p_value, cluster_bootstrap(row, index, 0.95, N_RESAMPLES, at))
            for at, row in enumerate(rows)
        ]
        between = time.perf_counter()
        theirs = [scipy_side(row, rng) for row in rows[:N_PEER]]
        ours_s.append(between - started)
        peer_s.append((time.perf_counter() - between) * N_COMPARISONS / N_PEER)
        for (p, limits), (peer_p, low, high) in zip(ours, theirs, strict=False):
            worst = max(worst, abs(p - peer_p), abs(limits.bca_low - low), abs(limits.bca_high - high))
    return Measurement(
        case="resampling beside SciPy",
        target=TARGET,
        ours_s=ours_s,
        peer_s=peer_s,
        ours_load_s=0.0,
        peer_load_s=0.0,
        difference=worst,
        # Five Monte-Carlo errors of a difference of two p near 0.5.
        tolerance=5 * float(np.sqrt(2 * 0.25 / N_RESAMPLES)),
        detail=f"{N_COMPARISONS} comparisons of {N_SAMPLES:,} single samples, {N_RESAMPLES:,} resamples: sign flips, percentile and BCa;"
        f" SciPy's permutation_test and BCa bootstrap, vectorised, on {N_PEER} comparisons, multiplied up",
    )


def scipy_side(row: FloatArray, rng: np.random.Generator) -> tuple[float, float, float]:
    """p and BCa limits from SciPy."""
    test = stats.permutation_test(
        (row,), np.mean, permutation_type="samples", vectorized=True, n_resamples=N_RESAMPLES, batch=1000, rng=rng, axis=0
    )
    limits = stats.bootstrap(
        (row,), np.mean, n_resamples=N_RESAMPLES, method="BCa", vectorized=True, batch=1000, rng=rng
    ).confidence_interval
    return float(test.pvalue), float(limits.low), float(limits.high)
