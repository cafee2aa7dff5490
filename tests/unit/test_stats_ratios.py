"""Intervals of ratios: against plain loops, the interval of a mean, and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.stats.arrays import cluster_t_interval, partition
from evalsuite.stats.ratios import ratio_interval


def plain(x: list[float], y: list[float], groups: list[str], level: float) -> tuple[float, float, float]:
    """The printed formula, sample by sample."""
    rows = [(a, b, g) for a, b, g in zip(x, y, groups, strict=True) if a != 0 or b != 0]
    ratio = sum(a for a, _, _ in rows) / sum(b for _, b, _ in rows)
    sums: dict[str, float] = {}
    for a, b, g in rows:
        sums[g] = sums.get(g, 0.0) + a - ratio * b
    n = len(sums)
    se = math.sqrt(n / (n - 1) * sum(value**2 for value in sums.values())) / sum(b for _, b, _ in rows)
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * se
    return ratio, ratio - half, ratio + half


def test_it_is_the_printed_formula_and_empty_groups_do_not_count() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(120) < 0.4).astype(float) * rng.choice([0.5, 1.0], 120)
    x = y * (rng.random(120) < 0.3)
    groups = [f"g{number // 3}" for number in range(120)]
    y[:30], x[:30] = 0, 0  # ten groups to which it does not apply
    found = ratio_interval(x, y, groups, 0.9)
    assert found == pytest.approx(plain(x.tolist(), y.tolist(), groups, 0.9), abs=1e-12)
    assert found == ratio_interval(x[30:], y[30:], groups[30:], 0.9)
    assert found[1] < found[0] < found[2]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=30, max_size=60), st.floats(0.5, 0.99))
def test_with_denominators_of_one_it_is_the_interval_of_a_mean(rows: list[tuple[int, int]], level: float) -> None:
    # Thirteen groups at least, each with one sample of its own.
    x = [float(value) for value, _ in rows] + [0.0, 1.0] * 6 + [1.0]
    groups = [f"g{group}" for _, group in rows] + [f"g{number}" for number in range(13)]
    mean = cluster_t_interval(x, partition(groups).index, level)
    assert ratio_interval(x, [1.0] * len(x), groups, level) == pytest.approx((mean.estimate, mean.low, mean.high), abs=1e-12)


def test_it_depends_on_neither_order_nor_scale() -> None:
    rng = np.random.default_rng(2)
    y, groups = rng.random(60), np.array([f"g{number // 2}" for number in range(60)])
    x = y * rng.random(60)
    found = ratio_interval(x, y, groups, 0.95)
    order = rng.permutation(60)
    assert ratio_interval(x[order], y[order], groups[order], 0.95) == pytest.approx(found, abs=1e-12)
    assert ratio_interval(3 * x, 3 * y, groups, 0.95) == pytest.approx(found, abs=1e-12)


def test_no_denominator_no_number_and_few_groups_no_interval() -> None:
    assert np.isnan(ratio_interval([], [], [], 0.95)).all()
    assert np.isnan(ratio_interval([0.0] * 20, [0.0] * 20, [str(n) for n in range(20)], 0.95)).all()
    nine = ratio_interval([1.0, 0, 0, 1, 0, 0, 0, 0, 1], [1.0] * 9, [str(n) for n in range(9)], 0.95)
    assert nine[0] == pytest.approx(1 / 3)
    assert np.isnan(nine[1:]).all()
    # Groups to which it does not apply do not make up for those that are wanting.
    padded = ratio_interval([1.0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0], [1.0] * 9 + [0, 0], [str(n) for n in range(11)], 0.95)
    assert np.isnan(padded[1:]).all()


def test_a_ratio_without_variation_has_no_width() -> None:
    groups = [str(n) for n in range(12)]
    assert ratio_interval([0.1] * 12, [0.1] * 12, groups, 0.95) == (1.0, 1.0, 1.0)
    y = [0.1 * (1 + n % 3) for n in range(12)]
    assert ratio_interval([value / 3 for value in y], y, groups, 0.95) == pytest.approx((1 / 3, 1 / 3, 1 / 3), abs=1e-15)


def test_bad_input_is_refused() -> None:
    for x, y, groups in (([1.0], [1.0, 1.0], ["a"]), ([np.nan], [1.0], ["a"]), ([1.0], [-1.0], ["a"]), ([1.0], [1.0], ["a", "b"])):
        with pytest.raises(ValueError, match=r"shapes|finite|negative"):
            ratio_interval(x, y, groups, 0.95)


def test_the_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    """Shares among a random part of clustered samples: 95% intervals cover in 92% to 98% of 1000 draws (three errors: 2.1 points)."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), 4).astype(str)
    covered = 0
    for _ in range(1000):
        own = np.repeat(rng.beta(2, 3, 40), 4)
        y = (rng.random(160) < 0.5).astype(float)
        x = y * (rng.random(160) < own)
        _, low, high = ratio_interval(x, y, groups, 0.95)
        covered += bool(low <= 0.4 <= high)
    assert 920 <= covered <= 980
