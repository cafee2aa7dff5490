"""Win, tie and loss: planted outcomes, a slow loop, linked questions, and metrics of a set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.metrics import METRICS
from evalsuite.stats.arrays import cluster_t_interval, partition
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.pooling import primary_units
from evalsuite.stats.tables import class_counts, split_conditions
from evalsuite.stats.win_shares import COLUMNS, LinearForm, classify, critical_values, linear_form, moments, resampled_outcomes, share_frame

DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero_shot", primary_perturbation="none",
    primary_metric=dict.fromkeys("tuv", "accuracy"), metrics=METRICS, n_resamples=400,
)  # fmt: skip


def side(model, task, values, groups, metric="accuracy"):
    names = [f"{i:04d}" for i in range(len(values))]
    values = np.asarray(values, dtype=float)
    return pd.DataFrame(
        {
            "model": model, "task": task, "metric": metric, "strategy": "zero_shot", "perturbation": "none", "variant": 0, "replicate": 0,
            "sample_id": names, "group": groups, "content_hash": names, "value": values, "status": "scored", "target": "0",
            "answer_index": 1 - values,
        }
    )  # fmt: skip


def task_scores(task, p, n=120, seed=0, stem=None, models="ab", metric="accuracy"):
    rng = np.random.default_rng([seed, ord(task)])
    groups = [f"{stem or task}{i:03d}" for i in range(n)]
    return pd.concat([side(model, task, rng.random(n) < share, groups, metric) for model, share in zip(models, p, strict=True)])


def frame_of(scores, design=DESIGN):
    units = primary_units(split_conditions(scores, METRICS), design)
    return share_frame(compare_frames(scores, design), units, design, class_counts(scores, METRICS))


@pytest.mark.parametrize(("p", "outcome"), [((0.95, 0.3), "win"), ((0.3, 0.95), "loss"), ((1.0, 1.0), "tie")])
def test_planted_outcomes(p, outcome):
    frame = frame_of(pd.concat([task_scores(task, p) for task in "tuv"]))
    assert list(frame.columns) == list(COLUMNS)
    assert frame[["model_a", "model_b"]].to_numpy().tolist() == [["a", "b"], ["", ""]]
    for row in frame.to_dict("records"):
        for name, count in (("win", "n_wins"), ("tie", "n_ties"), ("loss", "n_losses")):
            hit = name == outcome
            assert [row[name], row[f"{name}_low"], row[f"{name}_high"], row[count]] == [hit, hit, hit, 3 * hit]
        assert (row["n_comparisons"], row["n_left_out"]) == (3, 0)


def test_counts_are_those_of_the_uncorrected_intervals():
    shares = [(0.8, 0.5), (0.5, 0.5), (0.3, 0.6)]
    scores = pd.concat([task_scores(task, (*p, 0.5), models="abc") for task, p in zip("tuv", shares, strict=True)])
    design = replace(DESIGN, pairs=(("a", "b"), ("a", "c")))
    comparisons, frame = compare_frames(scores, design), frame_of(scores, design)
    for row in frame.to_dict("records"):
        own = comparisons if row["model_a"] == "" else comparisons[comparisons["model_b"] == row["model_b"]]
        expected = (own["ci_low"] > 0).sum(), ((own["ci_low"] <= 0) & (own["ci_high"] >= 0)).sum(), (own["ci_high"] < 0).sum()
        assert (row["n_wins"], row["n_ties"], row["n_losses"]) == expected
        assert (row["win"], row["tie"], row["loss"]) == pytest.approx(np.array(expected) / len(own))
        for name in ("win", "tie", "loss"):
            assert 0 <= row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] <= 1
    assert frame.iloc[-1]["n_comparisons"] == 6


def test_comparisons_without_a_verdict_are_left_out_and_counted():
    lost = task_scores("v", (0.9, 0.3))
    scores = pd.concat([task_scores("t", (0.9, 0.3)), task_scores("u", (0.9, 0.3), n=6), lost[lost["model"] == "a"]])
    row = frame_of(scores).iloc[0]
    assert (row["n_comparisons"], row["n_wins"], row["n_left_out"]) == (1, 1, 2)
    assert frame_of(scores, replace(DESIGN, not_run={"w": "accuracy"})).iloc[0]["n_left_out"] == 3
    empty = frame_of(scores[scores["task"] != "t"])
    assert (len(empty), list(empty.columns)) == (0, list(COLUMNS))


def test_order_of_rows_and_mirrored_pairs():
    scores = pd.concat([task_scores(task, (0.6, 0.5), n=60, stem="q") for task in "tuv"])
    frame = frame_of(scores)
    pd.testing.assert_frame_equal(frame_of(scores.sample(frac=1, random_state=1)), frame)
    mirrored = frame_of(scores, replace(DESIGN, pairs=(("b", "a"),)))
    columns = {f"{a}{end}": f"{b}{end}" for a, b in (("win", "loss"), ("tie", "tie"), ("loss", "win")) for end in ("", "_low", "_high")}
    for ours, theirs in columns.items():
        assert mirrored.iloc[0][ours] == pytest.approx(frame.iloc[0][theirs])


# ----------------------------------------------------------------------------------------------------------- resamples


def random_form(rng, names, fractions):
    sizes = rng.integers(1, 4, size=len(names)).astype(float)
    sums = np.array([rng.choice(fractions, size=int(n)).sum() for n in sizes])
    return LinearForm(names=tuple(names), sums=sums, sizes=sizes)


def slow_outcomes(forms, n_resamples, level, seed):
    """The same draws one by one: samples written out, classified by the interval of a comparison."""
    everything = sorted({name for form in forms for name in form.names})
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n_resamples):
        drawn = [everything[number] for number in rng.integers(0, len(everything), size=len(everything))]
        row = []
        for form in forms:
            values, index = [], []
            for number, name in enumerate(drawn):
                if name in form.names:
                    at = form.names.index(name)
                    n = int(form.sizes[at])
                    values += [form.sums[at] / n] * n
                    index += [number] * n
            if len(set(index)) < 2:
                row.append(0)
                continue
            interval = cluster_t_interval(values, partition([f"{i:04d}" for i in index]).index, level)
            row.append(int(interval.low > 1e-9) - int(interval.high < -1e-9))
        rows.append(row)
    return np.array(rows)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(-1, 0, 1), (0, 1), (0, 0, 0, 1 / 3, 1), (1,), (0,)]))
def test_matrix_products_give_what_a_slow_loop_gives(seed, fractions):
    rng = np.random.default_rng(seed)
    names = [f"g{i:02d}" for i in range(14)]
    # Two pairs on one task, of which one lost a group, and a task that shares some groups and has others.
    forms = [random_form(rng, part, fractions) for part in (names[:10], names[1:10], names[6:])]
    found = np.concatenate(list(resampled_outcomes(forms, ["t", "t", "u"], 0.9, 40, seed)))
    assert found.tolist() == slow_outcomes(forms, 40, 0.9, seed).tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_classification_of_the_data_is_that_of_its_interval(seed, n_groups):
    rng = np.random.default_rng(seed)
    form = random_form(rng, [f"g{i:02d}" for i in range(n_groups)], (-1, 0, 1, 1))
    values = np.repeat(form.sums / form.sizes, form.sizes.astype(int))
    index = np.repeat(np.arange(n_groups), form.sizes.astype(int))
    interval = cluster_t_interval(values, index, 0.95)
    found = classify(moments(form).sum(axis=0)[None, :, None], critical_values(n_groups, 0.95))
    assert found.item() == int(interval.low > 0) - int(interval.high < 0)


def test_a_task_that_repeats_another_has_its_outcomes():
    rng = np.random.default_rng(4)
    form = random_form(rng, [f"g{i:02d}" for i in range(40)], (-1, 0, 0, 1, 1))
    found = np.concatenate(list(resampled_outcomes([form, form], ["t", "u"], 0.95, 300, 0)))
    assert (found[:, 0] == found[:, 1]).all()
    assert 0 < (found[:, 0] == 1).mean() < 1  # the borderline case that makes this worth saying
    apart = LinearForm(names=tuple(f"h{i:02d}" for i in range(40)), sums=form.sums, sizes=form.sizes)
    found = np.concatenate(list(resampled_outcomes([form, apart], ["t", "u"], 0.95, 300, 0)))
    assert (found[:, 0] != found[:, 1]).any()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3), st.integers(0, 100))
def test_shares_sum_to_one_and_lie_within_their_limits(chances, seed):
    scores = pd.concat([task_scores(task, p, n=20, seed=seed, stem="q") for task, p in zip("tuv", chances, strict=False)])
    design = replace(DESIGN, primary_metric=dict.fromkeys(sorted(set(scores["task"])), "accuracy"), n_resamples=50)
    for row in frame_of(scores, design).to_dict("records"):
        assert row["win"] + row["tie"] + row["loss"] == pytest.approx(1)
        assert row["n_wins"] + row["n_ties"] + row["n_losses"] == row["n_comparisons"]
        for name in ("win", "tie", "loss"):
            assert 0 <= row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] <= 1


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "rougeL"])
def test_linear_form_has_the_estimate_and_the_error_of_the_comparison(metric):
    rng = np.random.default_rng(6)
    groups = [f"g{i // 2:02d}" for i in range(70)]
    targets = rng.integers(0, 2, size=70)
    sides = []
    for model, share in (("a", 0.8), ("b", 0.6)):
        answer = np.where(rng.random(70) < share, targets, 1 - targets)
        own = side(model, "t", answer == targets, groups, metric)
        sides.append(own.assign(answer_index=answer, target=targets.astype(str)))
    scores = pd.concat(sides)
    design = replace(DESIGN, primary_metric={"t": metric})
    row = compare_frames(scores, design).iloc[0]
    units = primary_units(split_conditions(scores, METRICS), design)[("a", "b")]["t"]
    form = linear_form(units, METRICS[metric], 2)
    interval = cluster_t_interval(form.sums / form.sizes, np.arange(len(form.sums)), 0.95)  # two samples each, or one value per group
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((row["difference"], row["ci_low"], row["ci_high"]), abs=1e-9)
    assert frame_of(scores, design).iloc[0]["n_comparisons"] == 1
