"""Sign flips and McNemar against SciPy, statsmodels, brute force and theory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from evalsuite.stats import randomisation
from evalsuite.stats.randomisation import flipped_sums, mcnemar_p, sign_flip_p


def brute_force(differences, index):
    sums = np.bincount(index, weights=differences)
    extreme = [abs(np.dot(signs, sums)) >= abs(sums.sum()) - 1e-9 for signs in itertools.product((-1, 1), repeat=len(sums))]
    return np.mean(extreme)


def test_exact_p_is_that_of_scipy():
    d = np.random.default_rng(0).normal(0.4, 1, size=11)
    expected = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    result = sign_flip_p(d, np.arange(11), 10_000, seed=0)
    assert result.exact
    assert result.n_resamples == 2**11
    assert result.p_value == pytest.approx(expected, abs=1e-12)
    assert result.method == "exact, 2048 assignments"


def test_monte_carlo_agrees_with_exact_enumeration():
    d = np.random.default_rng(1).normal(0.3, 1, size=14)
    exact = sign_flip_p(d, np.arange(14), 2**14, seed=0)
    drawn = sign_flip_p(d, np.arange(14), 2**14 - 1, seed=0)
    assert (exact.exact, drawn.exact) == (True, False)
    error = np.sqrt(exact.p_value * (1 - exact.p_value) / 2**14)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * error)
    assert drawn.p_value != exact.p_value


def test_groups_flip_as_a_whole():
    rng = np.random.default_rng(2)
    index = np.repeat(np.arange(9), rng.integers(1, 5, size=9))
    d = rng.choice([-1.0, 0.0, 1.0], size=index.size, p=[0.2, 0.4, 0.4])
    assert sign_flip_p(d, index, 10_000, 0).p_value == pytest.approx(brute_force(d, index), abs=1e-12)
    assert sign_flip_p(d, index, 10_000, 0).p_value != sign_flip_p(d, np.arange(len(d)), 2**20, 0).p_value


def test_smallest_monte_carlo_p_counts_the_observed_assignment():
    result = sign_flip_p(np.ones(200), np.arange(200), 999, seed=0)
    assert result.p_value == 1 / 1000


def test_nothing_differs():
    for values in ([], [0.0], [0.0] * 30):
        assert sign_flip_p(values, np.arange(len(values)), 1000, 0).p_value == 1.0


def test_rounding_errors_within_a_group_are_no_difference():
    # 0.1 + 0.2 - 0.3 is 5.6e-17: twenty such groups of one sign must not look like twenty differences.
    values, index = np.tile([0.1, 0.2, -0.3], 20), np.repeat(np.arange(20), 3)
    assert np.bincount(index, weights=values).min() > 0
    assert sign_flip_p(values, index, 1000, 0).p_value == 1.0


@given(
    st.lists(st.tuples(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), st.integers(0, 8)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
    st.sampled_from([100, 2000]),
)
@settings(max_examples=60, deadline=None)
def test_p_ignores_sign_order_and_names_of_groups(pairs, random, n_resamples):
    d = np.array([value for value, _ in pairs])
    index = np.unique([group for _, group in pairs], return_inverse=True)[1]
    relabelled = np.unique([(5 * group) % 9 for _, group in pairs], return_inverse=True)[1]
    order = list(range(len(pairs)))
    random.shuffle(order)
    p = sign_flip_p(d, index, n_resamples, 3).p_value
    assert p == sign_flip_p(-d, index, n_resamples, 3).p_value
    assert p == sign_flip_p(d[order], index[order], n_resamples, 3).p_value
    assert p == sign_flip_p(d, relabelled, n_resamples, 3).p_value
    assert p == sign_flip_p(10 * d, index, n_resamples, 3).p_value
    if n_resamples == 2000:
        assert p == pytest.approx(brute_force(d, index), abs=1e-12)


def test_seed_decides_the_draws():
    d = np.random.default_rng(4).normal(0.1, 1, size=60)
    first, again, other = (sign_flip_p(d, np.arange(60), 500, seed).p_value for seed in (1, 1, 2))
    assert first == again != other


def test_random_signs_are_fair_and_independent():
    signs = np.concatenate(list(flipped_sums(np.eye(20), 40_000, seed=0)))
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert np.abs(signs.mean(axis=0)).max() < 4.5 / np.sqrt(40_000)
    assert np.abs(np.corrcoef(signs.T) - np.eye(20)).max() < 4.5 / np.sqrt(40_000)


def test_memory_is_bounded_by_blocks(monkeypatch):
    d = np.random.default_rng(6).normal(0.1, 1, size=(12, 1))
    whole = sign_flip_p(d[:, 0], np.arange(12), 5000, 0)
    monkeypatch.setattr(randomisation, "BLOCK_CELLS", 64)
    assert max(len(block) for block in flipped_sums(d, 5000, 0)) == 64
    assert sum(len(block) for block in flipped_sums(d, 777, 0)) == 777
    assert sign_flip_p(d[:, 0], np.arange(12), 5000, 0) == whole


def test_false_alarms_are_as_rare_as_stated():
    rng = np.random.default_rng(8)
    p_values = []
    for trial in range(1000):
        index = np.repeat(np.arange(25), rng.integers(1, 5, size=25))
        d = rng.standard_t(3, size=25)[index] + rng.normal(size=index.size)
        p_values.append(sign_flip_p(d, index, 400, trial).p_value)
    share = np.mean(np.array(p_values) <= 0.05)
    assert 0.03 <= share <= 0.07


@given(st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_mcnemar_is_that_of_statsmodels(n_only_a, n_only_b):
    expected = mcnemar([[5, n_only_a], [n_only_b, 5]], exact=True).pvalue if n_only_a + n_only_b else 1.0
    assert mcnemar_p(n_only_a, n_only_b).p_value == pytest.approx(expected, abs=1e-12)
    assert mcnemar_p(n_only_a, n_only_b) == mcnemar_p(n_only_b, n_only_a)


def test_mid_p_of_fagerland_2013():
    # Airway hyper-responsiveness before and after transplantation, table 1 there: n12 = 1, n21 = 7. By the paper's formulas
    # exact p = 2 (1 + 8) / 2^8 and mid-p = exact p - 8 / 2^8.
    result = mcnemar_p(1, 7)
    assert (round(result.p_value, 4), round(result.p_mid, 4)) == (0.0703, 0.0391)
    assert mcnemar_p(4, 4).p_mid == pytest.approx(1 - stats.binom.pmf(4, 8, 0.5) / 2)
    assert mcnemar_p(0, 0).p_mid == 1.0


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_exact_sign_flip_of_binary_answers_is_mcnemar(n_only_a, n_only_b, n_ties):
    d = np.repeat([1.0, -1.0, 0.0], [n_only_a, n_only_b, n_ties])
    assert sign_flip_p(d, np.arange(len(d)), 4096, 0).p_value == pytest.approx(mcnemar_p(n_only_a, n_only_b).p_value, abs=1e-12)
