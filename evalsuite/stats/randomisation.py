"""Randomisation tests over groups on plain arrays. NumPy and SciPy only.

Under the null hypothesis the two models of a pair are exchangeable within a group, so that the sign of a group's summed
difference is a coin toss. Everything is computed from group sums: `flipped_sums` gives sum_g s_g x_g for many sign vectors s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from evalsuite.stats.arrays import BLOCK_CELLS, FloatArray, checked_values, group_sums

TOLERANCE = 1e-10
"""Relative to the largest possible statistic: resamples this close to the observed one count as ties, hence as extreme."""

# The 256 sign vectors of eight groups, by the bits of a byte.
BYTE_SIGNS = 1.0 - 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float64)


def is_exact(n_groups: int, n_resamples: int) -> bool:
    """Whether all 2^G sign vectors are looked at: when they are no more than the resamples that were asked for."""
    return n_groups < 63 and 2**n_groups <= n_resamples


def flipped_sums(sums: FloatArray, n_resamples: int, seed: int) -> Iterator[FloatArray]:
    """Blocks of sum_g s_g sums[g] over sign vectors s: every one if `is_exact`, else random ones.

    A random byte picks one of 256 prepared sums of eight groups, which costs an eighth of a matrix product and keeps float64.
    The signs do not depend on the sums, so that the columns of `sums` share them.

    Args:
        sums: (G, K), one row per group; leave rows of zeros out beforehand, they only cost time.
        n_resamples: number of random sign vectors, or the bound below which all are enumerated.
        seed: seed of the random ones.

    Yields:
        (block, K) arrays of at most `BLOCK_CELLS` numbers; together 2^G or n_resamples rows.
    """
    n_groups, n_columns = sums.shape
    block = max(1, BLOCK_CELLS // max(n_columns, 1))
    if is_exact(n_groups, n_resamples):
        bits = np.arange(n_groups)
        for start in range(0, 2**n_groups, block):
            codes = np.arange(start, min(start + block, 2**n_groups))
            yield (1.0 - 2.0 * ((codes[:, None] >> bits) & 1)) @ sums
        return
    padded = np.zeros((-(-n_groups // 8) * 8, n_columns))
    padded[:n_groups] = sums
    rng = np.random.default_rng(seed)
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        totals = np.zeros((size, n_columns))
        for first in range(0, len(padded), 8):
            table = BYTE_SIGNS @ padded[first : first + 8]
            totals += np.take(table, rng.integers(0, 256, size=size, dtype=np.uint8), axis=0)
        yield totals


def p_of_counts(n_extreme: int, n_looked_at: int, *, exact: bool) -> float:
    """count / 2^G if all were looked at (the observed one among them), else (1 + count) / (1 + n).

    The added one is the observed assignment; without it p could be 0 and the test would be too liberal. Source: Phipson and
    Smyth 2010 (Stat. Appl. Genet. Mol. Biol. 9:39).
    """
    return n_extreme / n_looked_at if exact else (1 + n_extreme) / (1 + n_looked_at)


def differing_group_sums(differences: FloatArray, group_index: npt.ArrayLike) -> FloatArray:
    """Group sums of (n, K) differences, (G', K), without the groups whose sums are all zero.

    Differences that cancel within a group can leave a rounding error, whose sign means nothing; it becomes 0.
    """
    sums, sizes = group_sums(differences, group_index), group_sums(np.abs(differences), group_index)
    sums = np.where(np.abs(sums) <= 1e-12 * sizes, 0.0, sums)
    return np.asarray(sums[(sums != 0).any(axis=1)], dtype=np.float64)


def randomise(sums: FloatArray, observed: FloatArray, n_resamples: int, seed: int) -> list[Randomisation]:
    """For each column of (G, K) group sums the share of sign vectors whose |sum| reaches the observed one, ties counted."""
    bound = np.abs(sums).sum(axis=0)
    n_extreme = np.zeros(sums.shape[1], dtype=np.int64)
    n_looked_at = 0
    for totals in flipped_sums(sums, n_resamples, seed):
        n_extreme += (np.abs(totals) >= observed - TOLERANCE * bound).sum(axis=0)
        n_looked_at += len(totals)
    exact = is_exact(len(sums), n_resamples)
    return [
        Randomisation(p_value=p_of_counts(int(count), n_looked_at, exact=exact), exact=exact, n_resamples=n_looked_at)
        for count in n_extreme
    ]


def sign_flip_p(differences: npt.ArrayLike, group_index: npt.ArrayLike, n_resamples: int, seed: int) -> Randomisation:
    """Two-sided randomisation test that the mean difference is 0; whole groups change sign.

    The statistic is |sum of d|. Groups whose differences sum to zero change nothing and are left out, so that the test is
    exact whenever 2^(groups that differ) <= n_resamples. p depends neither on the order of rows nor on the names of groups,
    and is the same for -d. All differences zero, or no samples: p = 1.

    Source: Fisher 1935 (The Design of Experiments, sec. 21); Monte Carlo p as in `p_of_counts`. For binary values and groups of
    one sample the exact p is that of the exact McNemar test.

    Args:
        differences: n finite numbers.
        group_index: n group numbers, see `arrays.checked_values`.
        n_resamples: at least 1.
        seed: seed of the signs.
    """
    numbers, index, _ = checked_values(differences, group_index)
    if numbers.ndim != 1 or n_resamples < 1:
        raise ValueError("differences must be one-dimensional and n_resamples be at least 1")
    sums = differing_group_sums(numbers[:, None], index)
    # Signs are symmetric, so |sum| in ascending order gives the same distribution whatever the groups are called.
    return randomise(np.sort(np.abs(sums), axis=0), np.abs(sums.sum(axis=0)), n_resamples, seed)[0]


def mcnemar_p(n_only_a: int, n_only_b: int) -> McNemar:
    """Exact McNemar test of paired right/wrong answers, and its mid-p version.

    Given the discordant pairs, n_only_a is binomial with 1/2 under the null hypothesis. Source: McNemar 1947 (Psychometrika
    12:153); mid-p as in Fagerland, Lydersen and Laake 2013 (BMC Med. Res. Methodol. 13:91), where
    equal counts have the mid-p 1 - P(n_only_a) / 2.

    Args:
        n_only_a: pairs that only a has right.
        n_only_b: pairs that only b has right.

    Returns:
        Both p; 1 without discordant pairs.
    """
    if n_only_a < 0 or n_only_b < 0:
        raise ValueError("counts must not be negative")
    smaller, n_discordant = min(n_only_a, n_only_b), n_only_a + n_only_b
    tail = float(stats.binom.cdf(smaller, n_discordant, 0.5))
    point = float(stats.binom.pmf(smaller, n_discordant, 0.5))
    if n_discordant == 0:
        return McNemar(p_value=1.0, p_mid=1.0)
    if n_only_a == n_only_b:
        return McNemar(p_value=1.0, p_mid=1 - point / 2)
    return McNemar(p_value=2 * tail, p_mid=2 * tail - point)


@dataclass(frozen=True, kw_only=True, slots=True)
class Randomisation:
    """Result of a randomisation test."""

    p_value: float
    """Two-sided, in (0, 1]."""
    exact: bool
    """True: every assignment was looked at; False: random ones."""
    n_resamples: int
    """Assignments that were looked at."""

    @property
    def method(self) -> str:
        """`exact, N assignments` or `Monte Carlo, N resamples`."""
        return f"exact, {self.n_resamples} assignments" if self.exact else f"Monte Carlo, {self.n_resamples} resamples"


@dataclass(frozen=True, kw_only=True, slots=True)
class McNemar:
    """Exact McNemar test."""

    p_value: float
    """Exact two-sided p, conservative."""
    p_mid: float
    """Two-sided mid-p, close to the nominal level."""
