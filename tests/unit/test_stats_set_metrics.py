"""Set metrics: tables against plain counting, jackknife against the mean's t interval, swaps against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.stats.arrays import cluster_t_interval
from evalsuite.stats.randomisation import sign_flip_p
from evalsuite.stats.set_metrics import (
    Predictions,
    evaluate_tables,
    group_tables,
    macro_f1_of_counts,
    set_metric_comparison,
    set_metric_interval,
)


def macro_f1(targets, predictions, n_classes):
    parts = []
    for c in range(n_classes):
        right = np.sum((targets == c) & (predictions == c))
        occurs = np.sum(targets == c) + np.sum(predictions == c)
        if occurs:
            parts.append(2 * right / occurs)
    return float(np.mean(parts)) if parts else 0.0


def agreement(targets, predictions, n_classes):
    return float(np.mean(targets == predictions))


def made(n=60, n_groups=12, n_classes=3, seed=0, skill=(0.7, 0.5)):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, n_classes, size=n)
    answers = [np.where(rng.random(n) < p, targets, rng.integers(-1, n_classes, size=n)) for p in skill]
    return Predictions(targets=targets, pred_a=answers[0], pred_b=answers[1], n_classes=n_classes, group_index=np.arange(n) % n_groups)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=1, max_size=40))
@settings(deadline=None)
def test_macro_f1_of_counts_is_that_of_answers(pairs):
    targets, predictions = np.array(pairs).T
    data = Predictions(targets=targets, pred_a=predictions, pred_b=predictions, n_classes=4, group_index=np.zeros(len(pairs), dtype=int))
    tables = group_tables(data, predictions)
    assert macro_f1_of_counts(tables)[0] == pytest.approx(macro_f1(targets, predictions, 4), abs=1e-12)
    assert evaluate_tables(macro_f1, tables)[0] == pytest.approx(macro_f1(targets, predictions, 4), abs=1e-12)


def test_macro_f1_of_a_worked_case():
    # scikit-learn's documented case: y_true 0 1 2 0 1 2, y_pred 0 2 1 0 0 1, macro F1 0.266...
    data = Predictions(
        targets=np.array([0, 1, 2, 0, 1, 2]), pred_a=np.array([0, 2, 1, 0, 0, 1]), pred_b=np.zeros(6, dtype=int), n_classes=3,
        group_index=np.zeros(6, dtype=int),
    )  # fmt: skip
    assert macro_f1_of_counts(group_tables(data, data.pred_a))[0] == pytest.approx(4 / 15)


def test_group_tables_refuse_what_is_no_class():
    data = made()
    with pytest.raises(ValueError, match=r"0\.\.C-1"):
        group_tables(data, data.pred_a + 3)


def test_a_set_metric_that_is_a_mean_has_the_mean_s_interval_and_p():
    data = made(n=40, n_groups=40, seed=3)
    result = set_metric_comparison(agreement, data, 0.95, 5000, 0)
    d = (data.pred_a == data.targets).astype(float) - (data.pred_b == data.targets)
    expected = cluster_t_interval(d, data.group_index, 0.95)
    found = result.interval
    assert [found.estimate, found.low, found.high, found.se, found.df] == pytest.approx(
        [expected.estimate, expected.low, expected.high, expected.se, expected.df]
    )
    assert result.test.p_value == pytest.approx(sign_flip_p(d, data.group_index, 5000, 1).p_value, abs=0.03)
    assert (result.value_a, result.value_b) == (np.mean(data.pred_a == data.targets), np.mean(data.pred_b == data.targets))


def test_jackknife_error_by_its_definition():
    data = made(n=70, n_groups=14, seed=4)
    result = set_metric_comparison(macro_f1, data, 0.95, 100, 0).interval

    def difference(keep):
        f = [macro_f1(data.targets[keep], answers[keep], 3) for answers in (data.pred_a, data.pred_b)]
        return f[0] - f[1]

    full = difference(np.ones(70, dtype=bool))
    pseudo = np.array([14 * full - 13 * difference(data.group_index != g) for g in range(14)])
    assert result.se == pytest.approx(cluster_t_interval(pseudo, np.arange(14), 0.95).se, rel=1e-9)
    assert (result.low + result.high) / 2 == pytest.approx(result.estimate) == pytest.approx(full)


def test_swaps_are_those_of_brute_force():
    data = made(n=30, n_groups=8, seed=5)
    result = set_metric_comparison(macro_f1, data, 0.95, 256, 0, macro_f1_of_counts)
    values = []
    for swap in itertools.product((False, True), repeat=8):
        mask = np.array(swap)[data.group_index]
        a, b = np.where(mask, data.pred_b, data.pred_a), np.where(mask, data.pred_a, data.pred_b)
        values.append(abs(macro_f1(data.targets, a, 3) - macro_f1(data.targets, b, 3)))
    assert result.test.exact
    assert result.test.p_value == pytest.approx(np.mean(np.array(values) >= values[0] - 1e-10))


def test_both_forms_give_the_same_p_and_a_wrong_form_is_not_used():
    data = made(n=80, n_groups=40, seed=6)
    slow = set_metric_comparison(macro_f1, data, 0.95, 400, 9)
    assert set_metric_comparison(macro_f1, data, 0.95, 400, 9, macro_f1_of_counts) == slow
    assert set_metric_comparison(macro_f1, data, 0.95, 400, 9, lambda tables: tables[:, 0, 0]) == slow


def test_swapping_the_models_negates():
    data = made(n=80, n_groups=20, seed=7)
    other = Predictions(targets=data.targets, pred_a=data.pred_b, pred_b=data.pred_a, n_classes=3, group_index=data.group_index)
    one, two = (set_metric_comparison(macro_f1, d, 0.95, 1000, 0, macro_f1_of_counts) for d in (data, other))
    assert one.interval.estimate == -two.interval.estimate != 0
    assert (one.interval.low, one.interval.high) == pytest.approx((-two.interval.high, -two.interval.low))
    assert one.test == two.test


def test_the_same_answers_are_equal():
    data = made(n=40, n_groups=20, skill=(1.0, 1.0))
    same = Predictions(targets=data.targets, pred_a=data.pred_a, pred_b=data.pred_a, n_classes=3, group_index=data.group_index)
    result = set_metric_comparison(macro_f1, same, 0.95, 500, 0, macro_f1_of_counts)
    assert (result.interval.low, result.interval.estimate, result.interval.high, result.test.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_degenerate_set_metrics():
    empty = Predictions(
        targets=np.zeros(0, int), pred_a=np.zeros(0, int), pred_b=np.zeros(0, int), n_classes=2, group_index=np.zeros(0, int)
    )
    assert np.isnan(set_metric_comparison(macro_f1, empty, 0.95, 10, 0).value_a)
    assert np.isnan(set_metric_interval(macro_f1, empty, 0.95).estimate)
    one = made(n=10, n_groups=1)
    result = set_metric_comparison(macro_f1, one, 0.95, 10, 0)
    assert np.isnan([result.interval.low, result.interval.high]).all()
    assert result.interval.estimate == pytest.approx(macro_f1(one.targets, one.pred_a, 3) - macro_f1(one.targets, one.pred_b, 3))


def test_jackknife_interval_covers():
    rng = np.random.default_rng(10)
    # One model right with chance 0.7 whatever the class, errors uniform: the expected macro-F1 over two classes is 0.7.
    covered = []
    for _ in range(250):
        targets = rng.integers(0, 2, size=120)
        answers = np.where(rng.random(120) < 0.7, targets, 1 - targets)
        data = Predictions(targets=targets, pred_a=answers, pred_b=answers, n_classes=2, group_index=np.arange(120) % 60)
        interval = set_metric_interval(macro_f1, data, 0.95)
        covered.append(interval.low <= 0.7 <= interval.high)
    assert 0.91 <= np.mean(covered) <= 0.98
