"""Simulated answers have the true values they claim, and a small run of each promise keeps it; `make bench` runs the large one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.claims import Claim
from benchmarks.coverage import claims_of
from benchmarks.error_rates import (
    ALPHA,
    Family,
    Pooled,
    coverage,
    coverage_beside_bootstrap,
    equivalence_errors,
    false_positives,
    family_errors,
    pooled_rates,
    rates_of,
)
from benchmarks.exact_sums import equivalence_error
from benchmarks.paired_answers import Kind, Setting, draw, group_sizes, linked_uniforms
from benchmarks.simulation_cases import EVEN, MARGIN, SKEWED, UNEVEN, Simulation, kind_with
from benchmarks.simulation_page import BEGIN, END, results_of, with_results
from evalsuite.stats.randomisation import sign_flip_p

SEED = 11


def error(share, n_repeats):
    return np.sqrt(share * (1 - share) / n_repeats)


def exact_coverage(n, only_a, only_b, level=0.95):
    """Coverage of the paired t interval on n single samples, by going through all counts of discordant pairs."""
    total, half = 0.0, stats.t.ppf(0.5 + level / 2, n - 1)
    for a in range(n + 1):
        for b in range(n + 1 - a):
            mean = (a - b) / n
            se = np.sqrt(max((a + b) / n - mean**2, 0) / (n - 1))
            if abs(mean - (only_a - only_b)) <= half * se + 1e-12:
                total += stats.multinomial.pmf([a, b, n - a - b], n, [only_a, only_b, 1 - only_a - only_b])
    return total


@pytest.mark.parametrize(("kinds", "true"), [(EVEN, 0.0), (UNEVEN, 0.0), (SKEWED, 0.0), ((Kind(difference=0.2, correlation=0.3),), 0.2)])
def test_drawn_answers_have_their_true_difference_and_correlation_within_groups(kinds, true):
    setting = Setting(n_groups=40, sizes="five", icc=0.3, accuracy=0.6, kinds=kinds)
    differences, index = draw(setting, 2000, np.random.default_rng(SEED))
    means = differences.mean(axis=1)
    assert setting.true_difference == pytest.approx(true, abs=1e-12)
    assert means.mean() == pytest.approx(true, abs=4 * means.std() / np.sqrt(2000))
    assert differences.shape == (2000, 200)
    assert np.bincount(index).tolist() == [5] * 40
    if len(kinds) == 1:
        by_group = differences.reshape(-1, 5) - true
        icc = (by_group[:, :1] * by_group[:, 1:]).mean() / by_group.var()
        assert icc == pytest.approx(0.3, abs=0.02)


def test_a_table_has_its_margins_and_correlation():
    both, only_a, only_b = Kind(difference=0.1, correlation=0.4).table(0.7)
    assert (both + only_a, both + only_b) == pytest.approx((0.75, 0.65), abs=1e-12)
    assert (both - 0.75 * 0.65) / np.sqrt(0.75 * 0.25 * 0.65 * 0.35) == pytest.approx(0.4, abs=1e-12)
    assert kind_with(MARGIN, 0.01).table(0.5)[1:] == pytest.approx((0.04, 0.01), abs=1e-12)
    with pytest.raises(ValueError, match="correlation"):
        Kind(difference=0.1, correlation=0.99).table(0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Kind(difference=0.4).table(0.1)


def test_sizes_of_groups():
    assert group_sizes("unequal", 9).tolist() == [1, 1, 2, 3, 5, 8, 10, 1, 1]
    dominant = group_sizes("dominant", 50)
    assert dominant[-1] / dominant.sum() == pytest.approx(1 / 3)
    single = linked_uniforms(np.arange(4), 0.0, 3, np.random.default_rng(0))
    assert single.shape == (3, 4)


@pytest.mark.parametrize(("n", "accuracy", "difference"), [(20, 0.5, 0.0), (20, 0.9, 0.05), (50, 0.1, 0.1)])
def test_simulated_coverage_is_the_exact_one_for_single_samples(n, accuracy, difference):
    kind = Kind(difference=difference)
    (rate,) = coverage(Setting(n_groups=n, accuracy=accuracy, kinds=(kind,)), 2000, SEED)
    expected = exact_coverage(n, *kind.table(accuracy)[1:])
    assert rate.share == pytest.approx(expected, abs=4 * error(expected, 2000))
    assert rate.error == pytest.approx(error(rate.share, 2000))


def test_the_primary_interval_covers_where_the_three_rules_are_kept():
    cases = [
        Setting(n_groups=50, sizes=sizes, icc=icc, accuracy=accuracy, kinds=(Kind(difference=difference),))
        for sizes, icc in (("five", 0.3), ("unequal", 0.3))
        for accuracy, difference in ((0.3, 0.0), (0.5, 0.05))
    ]
    rates = [rate for case in cases for rate in coverage(case, 1500, SEED)]
    assert all(all(rate.rules) for rate in rates)
    assert all(0.93 <= rate.share <= 0.97 for rate in rates)


def test_the_rules_tell_where_the_interval_does_not_cover():
    few = coverage(Setting(n_groups=20, accuracy=0.9, kinds=(Kind(difference=0.1),)), 500, SEED)[0]
    dominated = coverage(Setting(n_groups=100, sizes="dominant", icc=0.3, kinds=(Kind(difference=0.1),)), 500, SEED)[0]
    assert not few.rules[1]
    assert few.share < 0.93
    assert not dominated.rules[0]
    assert dominated.share < 0.94


def test_the_percentile_bootstrap_covers_less_with_few_groups():
    rates = {rate.method: rate.share for rate in coverage_beside_bootstrap(Setting(n_groups=8, sizes="five", icc=0.3), 400, SEED)}
    assert set(rates) == {"t", "percentile", "BCa"}
    assert rates["percentile"] < rates["t"] - 0.02


@pytest.mark.parametrize("sizes", ["single", "unequal", "dominant"])
@pytest.mark.parametrize("kinds", [EVEN, UNEVEN])
def test_sign_flips_keep_alpha_with_groups(sizes, kinds):
    rates = {rate.method: rate for rate in false_positives(Setting(n_groups=30, sizes=sizes, icc=0.3, kinds=kinds), 800, SEED)}
    assert rates["sign flips"].share <= ALPHA + 3 * error(ALPHA, 800)
    if sizes == "single":
        assert rates["McNemar"].share <= ALPHA + 3 * error(ALPHA, 800)


def test_ignoring_groups_would_be_noticed():
    # The same answers, numbered as if every sample were a group of its own: the yardstick itself can fail.
    setting = Setting(n_groups=30, sizes="five", icc=0.6)
    differences, index = draw(setting, 300, np.random.default_rng(SEED))
    found = sum(sign_flip_p(row, np.arange(len(index)), 199, at).p_value <= ALPHA for at, row in enumerate(differences))
    assert found / 300 > ALPHA + 4 * error(ALPHA, 300)


def test_holm_holds_over_tasks_that_share_their_groups():
    setting = Setting(n_groups=30, sizes="five", icc=0.3)
    none, some = (
        {rate.method: rate.share for rate in family_errors(Family(setting=setting, n_true=n, difference=0.25), 150, SEED)} for n in (0, 4)
    )
    limit = ALPHA + 3 * error(ALPHA, 150)
    assert none["Holm, any false"] <= limit
    assert some["Holm, any false"] <= limit
    assert none["uncorrected, any false"] > 0.15
    assert some["Holm, true ones found"] > 0.5


@pytest.mark.parametrize(("sizes", "n_groups"), [("single", 300), ("five", 150)])
def test_equivalence_at_the_margin_errs_at_most_at_alpha_for_one_direction(sizes, n_groups):
    (rate,) = equivalence_errors(Setting(n_groups=n_groups, sizes=sizes, kinds=(kind_with(MARGIN, 0.0),)), 1500, SEED)
    assert rate.share <= ALPHA + 3 * error(ALPHA, 1500)


def test_exact_sums_are_what_the_draws_approach():
    setting = Setting(n_groups=200, kinds=(kind_with(MARGIN, 0.005),))
    exact = equivalence_error(MARGIN, 0.005, 200).share
    (rate,) = equivalence_errors(setting, 3000, SEED)
    assert rate.share == pytest.approx(exact, abs=4 * error(exact, 3000))
    # Only identical counts pass where one more step is too far: 120 samples, none discordant.
    assert equivalence_error(MARGIN, 0.0, 120).share == pytest.approx(0.97**120, abs=1e-8)


def test_a_mean_over_tasks_covers_only_with_its_links():
    case = Pooled(setting=Setting(n_groups=60, icc=0.9, kinds=(Kind(difference=0.1),)), n_others=20)
    rates = {rate.method: rate.share for rate in pooled_rates(case, 1000, SEED)}
    assert 0.93 <= rates["linked"] <= 0.97
    assert rates["unlinked"] < rates["linked"] - 0.03
    null = replace(case, setting=replace(case.setting, kinds=EVEN), rule="tasks")
    assert {rate.method: rate.share for rate in pooled_rates(null, 600, SEED)}["sign flips"] <= ALPHA + 3 * error(ALPHA, 600)


def test_a_case_has_the_same_result_in_any_company():
    first, second = Setting(n_groups=10), Setting(n_groups=12)
    assert rates_of(coverage, [first, second], 50, SEED)[1].share == coverage(second, 50, SEED)[0].share
    assert coverage(first, 50, SEED)[0].share == rates_of(coverage, [first], 50, SEED)[0].share


def small():
    linked = Setting(n_groups=20, icc=0.5)
    return Simulation(
        n_repeats=40,
        coverage=[rate for n in (5, 20) for rate in coverage(Setting(n_groups=n), 40, 0)],
        bootstrap=coverage_beside_bootstrap(Setting(n_groups=5), 8, 0),
        null=[rate for kinds in (EVEN, SKEWED) for rate in false_positives(Setting(n_groups=10, kinds=kinds), 40, 0)],
        equivalence=equivalence_errors(Setting(n_groups=150, kinds=(kind_with(MARGIN, 0.0),)), 40, 0),
        exact_equivalence=[equivalence_error(MARGIN, 0.002, 130)],
        families=family_errors(Family(setting=Setting(n_groups=10), n_tasks=2), 40, 0),
        pooled=pooled_rates(Pooled(setting=linked, n_others=10), 40, 0),
    )


def test_the_page_and_the_bench_show_what_was_found():
    found = small()
    text = results_of(found, SEED, "2026-01-01")
    assert f"| 1 | 0 | 5 | {100 * found.coverage[0].share:.1f} * |" in text
    assert "Seed 11, 40 repeats" in text
    page = f"# Title\n\n{BEGIN}\nold\n{END}\nlast\n"
    assert with_results(page, text).startswith(f"# Title\n\n{BEGIN}\n")
    assert "old" not in with_results(page, text)
    assert with_results(with_results(page, text), text) == with_results(page, text)
    for wrong in ("no marks", f"{END} {BEGIN}", f"{page}{page}"):
        with pytest.raises(ValueError, match="marks"):
            with_results(wrong, text)


def test_claims_take_the_worst_case():
    found = small()
    rows = {claim.case: claim.row() for claim in claims_of(replace(found, coverage=large_coverage()))}
    assert rows["coverage, lowest, 20 groups or more"]["ours"] == 0.9
    assert rows["coverage, lowest, 20 groups or more"]["holds"] is False
    assert rows["coverage, lowest, the three rules kept"]["ours"] == 0.95
    assert rows["coverage, lowest, the three rules kept"]["holds"] is True
    assert set(rows["equivalence at the margin"]) >= {"case", "ours", "peer", "ratio", "target", "holds", "unit"}


def large_coverage():
    rate = coverage(Setting(n_groups=50), 40, 0)[0]
    return [replace(rate, share=share, n_differing=n, skewness=0.0) for share, n in ((0.95, 30.0), (0.9, 3.0), (0.951, 30.0))]


def test_a_claim_holds_up_to_its_target():
    claim = Claim(case="c", ours=1.0, target=1.0, at_most=True, unit="s", detail="d")
    assert claim.holds
    assert not replace(claim, ours=1.1).holds
    assert replace(claim, ours=1.1, at_most=False).holds
    assert (claim.row()["ratio"], replace(claim, peer=2.0).row()["ratio"]) == (None, 0.5)
