"""The restricted variance of an equivalence test: Tango's likelihood, exact errors, groups and weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from evalsuite.stats.arrays import cluster_t_interval, equivalence_test, least_variation, t_interval
from evalsuite.stats.restricted import against_at_margin, with_discordance


def test_the_share_against_never_passes_what_both_directions_leave() -> None:
    # All of these answers are discordant, so that the root is exactly that, give or take rounding.
    found = [against_at_margin(b / n, (n - b) / n, 0.3) for n in range(20, 60) for b in range(n + 1)]
    assert max(found) == (1 - 0.3) / 2


@given(n=st.integers(20, 400), b=st.integers(0, 60), c=st.integers(0, 60), margin=st.sampled_from([0.01, 0.03, 0.1, 0.3]))
@settings(max_examples=60, deadline=None)
def test_the_share_against_is_where_the_likelihood_is_highest(n: int, b: int, c: int, margin: float) -> None:
    if b + c > n:
        return
    found = against_at_margin(b / n, c / n, margin)

    def minus_likelihood(q: float) -> float:
        return -float(special.xlogy(b, q + margin) + special.xlogy(c, q) + special.xlog1py(n - b - c, -2 * q - margin))

    best = optimize.minimize_scalar(minus_likelihood, bounds=(1e-12, (1 - margin) / 2 - 1e-12), method="bounded", options={"xatol": 1e-12})
    assert minus_likelihood(found) <= best.fun + 1e-9
    assert 0 <= found <= (1 - margin) / 2


def test_without_anything_against_it_is_the_plain_floor() -> None:
    differences = np.array([1.0] * 4 + [0.0] * 296)
    least = least_variation([1] * 300, 0.03)
    assert with_discordance(least, differences, np.arange(300), 0.03).se_at_upper == pytest.approx(least.se, abs=1e-12)
    # At -margin the four that were seen are against its direction.
    assert with_discordance(least, differences, np.arange(300), 0.03).se_at_lower > 1.1 * least.se
    never = with_discordance(least, np.zeros(300), np.arange(300), 0.03)
    assert (never.se_at_lower, never.se_at_upper) == (pytest.approx(least.se), pytest.approx(least.se))


def exact_errors(margin: float, against: float, n: int, alpha: float, *, restricted: bool) -> tuple[float, float]:
    """How often two models whose true difference is the margin are called equivalent, and the better one no better by the margin."""
    in_direction, equivalent, no_better = margin + against, 0.0, 0.0
    least = least_variation([1] * n, margin)
    for a in range(int(stats.binom.ppf(1e-7, n, in_direction)), int(stats.binom.isf(1e-7, n, in_direction)) + 1):
        for b in range(int(stats.binom.ppf(1e-7, n, against)), int(stats.binom.isf(1e-7, n, against)) + 1):
            values = np.repeat([1.0, -1.0, 0.0], [a, b, n - a - b])
            mean, floor = (a - b) / n, with_discordance(least, values, np.arange(n), margin) if restricted else least
            se = float(np.sqrt(max((a + b) / n - mean**2, 0.0) / (n - 1)))
            tested = equivalence_test(t_interval(mean, se, n - 1, 0.9), margin, alpha, floor)
            ways = special.gammaln(n + 1) - special.gammaln(a + 1) - special.gammaln(b + 1) - special.gammaln(n - a - b + 1)
            rest = special.xlogy(n - a - b, 1 - in_direction - against)
            chance = float(np.exp(ways + special.xlogy(a, in_direction) + special.xlogy(b, against) + rest))
            equivalent += chance * (tested.p_value <= alpha)
            no_better += chance * (tested.p_below <= alpha)
    return equivalent, no_better


@pytest.mark.parametrize(
    ("margin", "against", "n", "alpha"),
    [
        (0.02, 0.002, 2000, 0.05),
        (0.02, 0.005, 1200, 0.0125),
        (0.03, 0.005, 500, 0.05),
        (0.01, 0.01, 200, 0.0125),
        (0.01, 0.05, 200, 0.0125),
    ],
)
def test_exact_errors_stay_at_alpha_where_the_plain_floor_does_not_suffice(margin: float, against: float, n: int, alpha: float) -> None:
    equivalent, no_better = exact_errors(margin, against, n, alpha, restricted=True)
    assert max(equivalent, no_better) <= alpha
    if n > 1000:
        assert exact_errors(margin, against, n, alpha, restricted=False)[0] > alpha


def test_groups_that_agree_within_count_as_one_and_equal_weights_change_nothing() -> None:
    rng = np.random.default_rng(3)
    singles = rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.88, 0.07], size=200)
    alone = with_discordance(least_variation([1] * 200, 0.03), singles, np.arange(200), 0.03).se_at_upper
    fivefold, index = np.repeat(singles, 5), np.repeat(np.arange(200), 5)
    together = with_discordance(least_variation([5] * 200, 0.03), fivefold, index, 0.03)
    # The design effect seen is 5 but for the factors G/(G-1) and n/(n-1), and never more than 5.
    assert together.se_at_upper == pytest.approx(alone, rel=3e-3)
    weighted = with_discordance(least_variation([5] * 200, 0.03), fivefold, index, 0.03, weights=np.full(1000, 0.5))
    assert weighted.se_at_upper == pytest.approx(together.se_at_upper, rel=1e-12)
    hundred = with_discordance(least_variation([5] * 200, 3.0, span=100.0), 100 * fivefold, index, 3.0, span=100.0)
    assert hundred.se_at_upper == pytest.approx(100 * together.se_at_upper, rel=1e-12)


def test_it_never_lowers_and_is_close_to_the_plain_error_where_models_differ_often() -> None:
    rng = np.random.default_rng(5)
    values = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=1000)
    least = least_variation([1] * 1000, 0.03)
    raised = with_discordance(least, values, np.arange(1000), 0.03)
    plain = cluster_t_interval(values, np.arange(1000), 0.9).se
    assert (raised.se, raised.half_step) == (least.se, least.half_step)
    assert raised.se_at_lower == pytest.approx(plain, rel=0.03)
    assert raised.se_at_upper == pytest.approx(plain, rel=0.03)
    # A margin as wide as the scale leaves nothing to be restricted.
    assert with_discordance(least_variation([1] * 1000, 1.5), values, np.arange(1000), 1.5).se_at_upper == 0
