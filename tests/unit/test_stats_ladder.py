"""What each part of the prompting adds: against plain loops over the scores, enumeration, scikit-learn, and what takes a number away."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.contrasts import contrast_frame
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.ladder import COLUMNS, ladder_frame
from evalsuite.stats.ladder_pairs import COLUMNS as PAIR_COLUMNS
from evalsuite.stats.ladder_pairs import ladder_pair_frame
from evalsuite.stats.tables import class_counts, split_conditions

RUNGS = ("zero", "few", "prompted")
DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero", primary_perturbation="none", primary_metric={"t": "accuracy"},
    metrics=METRICS, n_resamples=2000, ladder=RUNGS,
)  # fmt: skip
TWO = replace(DESIGN, primary_metric={"t": "accuracy", "u": "accuracy"})


def answers(model, task, strategy, values, groups=None, *, metric="accuracy", replicate=0, target="0"):
    """One answer per value, a number or the name of a status; sample i in group i unless groups say otherwise."""
    rows = [
        {"model": model, "task": task, "metric": metric, "strategy": strategy, "perturbation": "none", "variant": 0, "replicate": replicate,
         "sample_id": f"{task}{at:03d}", "group": f"{task}{at:03d}" if groups is None else groups[at], "content_hash": f"{task}{at}",
         "value": None if isinstance(value, str) else float(value), "status": value if isinstance(value, str) else "scored",
         "answer_index": None if isinstance(value, str) else 1 - int(value), "target": target}
        for at, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def drawn(seed, n, p):
    return list((np.random.default_rng(seed).random(n) < p).astype(int))


def study(tasks=("t",), models=("a", "b"), strategies=RUNGS, n=40, groups=None, seed=0):
    """Right and wrong answers of every model under every strategy, later rungs better."""
    parts = []
    for number, (task, model, (at, strategy)) in enumerate(product(tasks, models, enumerate(strategies))):
        values = drawn(100 * seed + number, n, 0.3 + 0.2 * at)
        parts.append(answers(model, task, strategy, values, None if groups is None else groups[task]))
    return pd.concat(parts, ignore_index=True)


def made(scores, design=DESIGN):
    return ladder_frame(split_conditions(scores, METRICS), design, class_counts(scores, METRICS))


def one(frame, **wanted):
    for key, value in wanted.items():
        frame = frame[frame[key] == value]
    (row,) = frame.to_dict("records")
    return row


def looped(scores, model, strategies, weights=None):
    """Weighted mean of first minus second strategy and its interval, by plain loops; one strategy: of itself.

    `weights`: (task, group) to the weight of each of its samples.
    """
    found = defaultdict(lambda: defaultdict(list))
    for row in scores.to_dict("records"):
        if row["model"] == model and row["strategy"] in strategies:
            value = row["value"] if row["status"] == "scored" else 0.0
            found[row["task"], row["sample_id"], row["group"]][row["strategy"]].append(value)
    values = {}
    for key, own in found.items():
        means = [sum(own[strategy]) / len(own[strategy]) for strategy in strategies]
        values[key] = means[0] - (means[1] if len(means) == 2 else 0.0)
    weight = {key: 1.0 if weights is None else weights[key[0], key[2]] for key in values}
    total = sum(weight.values())
    mean = sum(weight[key] * value for key, value in values.items()) / total
    residuals = defaultdict(float)
    for key, value in values.items():
        residuals[key[2]] += weight[key] * (value - mean)
    n = len(residuals)
    se = math.sqrt(n / (n - 1) * sum(entry**2 for entry in residuals.values())) / total
    half = stats.t.ppf(0.975, n - 1) * se
    return mean, mean - half, mean + half


def test_every_rung_is_what_plain_loops_give():
    groups = {"t": [f"g{at // 3}" for at in range(40)]}
    scores = study(groups=groups)
    scores.loc[(scores["strategy"] == "few") & (scores["sample_id"].isin(["t003", "t017"])), ["value", "status"]] = [None, "unparsed"]
    # a second draw of each answer: replicates are averaged within their sample
    again = [answers(m, "t", s, drawn(at, 40, 0.5), groups["t"], replicate=1) for at, (m, s) in enumerate(product("ab", RUNGS))]
    scores = pd.concat([scores, *again])
    frame = made(scores)
    assert list(frame.columns) == list(COLUMNS)
    for model in "ab":
        for at, strategy in enumerate(RUNGS):
            row = one(frame, model=model, scope="t", kind="rung", step=at)
            assert row["strategy"] == strategy
            assert (row["mean"], row["mean_low"], row["mean_high"]) == pytest.approx(looped(scores, model, [strategy]), abs=1e-12)
            if at:
                numbers = (row["difference"], row["ci_low"], row["ci_high"])
                assert numbers == pytest.approx(looped(scores, model, [strategy, RUNGS[at - 1]]), abs=1e-12)
                assert row["against"] == RUNGS[at - 1]
            else:
                assert (row["against"], math.isnan(row["difference"]), math.isnan(row["p_value"])) == ("", True, True)
            assert (row["n_samples"], row["n_groups"], row["status_note"], row["tasks"]) == (40, 14, "", "t")


def test_the_whole_ladder_and_what_is_left_out_of_it():
    design = replace(DESIGN, leave_one_out=("no_few",))
    scores = study(strategies=(*RUNGS, "no_few"))
    frame = made(scores, design)
    whole = one(frame, model="a", scope="t", kind="whole")
    assert (whole["strategy"], whole["against"], whole["step"]) == ("prompted", "zero", 2)
    assert whole["difference"] == pytest.approx(looped(scores, "a", ["prompted", "zero"])[0], abs=1e-12)
    left = one(frame, model="a", scope="t", kind="left_out")
    assert (left["strategy"], left["against"], left["step"]) == ("no_few", "prompted", 0)
    numbers = (left["difference"], left["ci_low"], left["ci_high"])
    assert numbers == pytest.approx(looped(scores, "a", ["no_few", "prompted"]), abs=1e-12)


def test_p_is_that_of_every_assignment_of_signs():
    before, after = [0] * 12, [1] * 7 + [0] * 5
    after[0], before[0] = 0, 1
    scores = pd.concat([answers("a", "t", "zero", before), answers("a", "t", "few", after)])
    row = one(made(scores, replace(DESIGN, ladder=("zero", "few"))), scope="t", kind="rung", step=1)
    differences = [x - y for x, y in zip(after, before, strict=True)]
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((-1, 1), repeat=12)]
    assert row["p_value"] == sum(total >= abs(sum(differences)) for total in sums) / 2**12


def by_hand(scores, rule):
    """Weights of `pooling.sample_weights` by plain loops, from the samples of one model and strategy."""
    own = scores[(scores["model"] == "a") & (scores["strategy"] == "zero")]
    counts, sizes = defaultdict(lambda: defaultdict(float)), defaultdict(int)
    for row in own.to_dict("records"):
        sizes[row["task"]] += 1
    for row in own.to_dict("records"):
        counts[row["group"]][row["task"]] += 1 if rule == "questions" else 1 / sizes[row["task"]]
    return {
        (task, group): max(tasks.values()) / sum(tasks.values()) / (1 if rule == "questions" else sizes[task])
        for group, tasks in counts.items()
        for task in tasks
    }


@pytest.mark.parametrize("rule", ["questions", "tasks"])
def test_over_tasks_it_is_the_weighted_mean_of_plain_loops(rule):
    # half of u's questions are those of t
    groups = {"t": [f"q{at // 2}" for at in range(30)], "u": [f"q{at + 7}" for at in range(30)]}
    scores = study(("t", "u"), n=30, groups=groups)
    frame = made(scores, replace(TWO, pooling=rule))
    weights = by_hand(scores, rule)
    for at in range(3):
        row = one(frame, model="b", scope="all", kind="rung", step=at)
        assert (row["mean"], row["mean_low"], row["mean_high"]) == pytest.approx(looped(scores, "b", [RUNGS[at]], weights), abs=1e-12)
        if at:
            numbers = (row["difference"], row["ci_low"], row["ci_high"])
            assert numbers == pytest.approx(looped(scores, "b", [RUNGS[at], RUNGS[at - 1]], weights), abs=1e-12)
        assert (row["n_samples"], row["n_groups"], row["tasks"]) == (60, 37, "t,u")


def test_over_one_task_both_scopes_say_the_same():
    frame = made(study())
    kept = ["model", "step", "strategy", "kind", "against", "mean", "mean_low", "mean_high", "difference", "ci_low", "ci_high", "p_value"]
    task, pooled = (frame[frame["scope"] == scope][kept].reset_index(drop=True) for scope in ("t", "all"))
    pd.testing.assert_frame_equal(task, pooled, rtol=1e-12)


def test_a_failed_answer_takes_the_numbers_of_its_rung_and_of_what_is_set_against_it():
    scores = study(("t", "u"))
    scores.loc[(scores["model"] == "a") & (scores["task"] == "t") & (scores["strategy"] == "few") & (scores["sample_id"] == "t001"),
               ["value", "status"]] = [None, "failed"]  # fmt: skip
    frame = made(scores, TWO)
    for scope in ("t", "all"):
        few = one(frame, model="a", scope=scope, kind="rung", step=1)
        after = one(frame, model="a", scope=scope, kind="rung", step=2)
        assert all(math.isnan(few[key]) for key in ("mean", "difference", "p_value"))
        assert "few: 1 failed answers" in few["status_note"]
        assert not math.isnan(after["mean"])
        assert math.isnan(after["difference"])
        assert "few: 1 failed answers" in after["status_note"]
        assert not math.isnan(one(frame, model="a", scope=scope, kind="whole")["difference"])
        assert not math.isnan(one(frame, model="b", scope=scope, kind="rung", step=1)["difference"])
    assert not math.isnan(one(frame, model="a", scope="u", kind="rung", step=1)["difference"])


def test_a_rung_that_a_model_was_not_asked_has_a_note_and_no_number():
    scores = study()
    frame = made(scores[~((scores["model"] == "b") & (scores["strategy"] == "prompted"))])
    row = one(frame, model="b", scope="t", kind="rung", step=2)
    assert math.isnan(row["mean"])
    assert row["status_note"] == "prompted: no answers"
    assert one(frame, model="b", scope="all", kind="rung", step=2)["status_note"].startswith("without t (prompted: no answers)")


def test_few_groups_and_silence_are_told_beside_the_numbers():
    few = pd.concat([answers("a", "t", "zero", [0, 1] * 4), answers("a", "t", "few", [1, 1] * 4)])
    row = one(made(few, replace(DESIGN, ladder=("zero", "few"))), scope="t", kind="rung", step=1)
    assert (row["difference"], row["status_note"]) == (0.5, "8 groups, 10 are needed")
    silent = pd.concat([answers("a", "t", "zero", ["unparsed"] * 20), answers("a", "t", "few", [0, 1] * 10)])
    row = one(made(silent, replace(DESIGN, ladder=("zero", "few"))), scope="all", kind="rung", step=1)
    assert (row["difference"], row["status_note"]) == (0.5, "no answer could be read under zero")


def test_excluded_samples_leave_and_dropped_answers_leave_the_difference_only_where_they_are_missing():
    values = [1, 0] * 10
    scores = pd.concat([answers("a", "t", "zero", ["unparsed", *values[1:]]), answers("a", "t", "few", [1] * 20)])
    design = replace(DESIGN, ladder=("zero", "few"), missing="drop", exclude=(Exclusion(task="t", sample_id="t002", reason="broken"),))
    row = one(made(scores, design), scope="t", kind="rung", step=1)
    # 18 samples have both answers, 10 of them were wrong before; 19 are answered under `few`
    assert (row["n_samples"], row["mean"]) == (18, 1.0)
    assert row["difference"] == pytest.approx(10 / 18)


def test_metrics_of_a_set_are_those_of_scikit_learn():
    # right: class 0 where the target is 0, class 1 where it is 1
    rng = np.random.default_rng(5)
    parts, classes = [], {}
    targets = rng.integers(0, 2, 40)
    for strategy in ("zero", "few"):
        predicted = classes[strategy] = np.where(rng.random(40) < 0.7, targets, 1 - targets)
        part = answers("a", "t", strategy, (predicted == targets).astype(int), metric="macro_f1")
        parts.append(part.assign(answer_index=predicted, target=[str(target) for target in targets]))
    design = replace(DESIGN, primary_metric={"t": "macro_f1"}, ladder=("zero", "few"))
    frame = made(pd.concat(parts), design)
    row = one(frame, scope="t", kind="rung", step=1)
    zero, few = (f1_score(targets, classes[strategy], average="macro") for strategy in ("zero", "few"))
    assert (row["mean"], row["difference"]) == pytest.approx((few, few - zero), abs=1e-12)
    assert "all" not in set(frame["scope"])


def test_no_ladder_no_rows():
    frame = made(study(), replace(DESIGN, ladder=()))
    assert (len(frame), list(frame.columns)) == (0, list(COLUMNS))


def test_the_order_of_rows_changes_nothing():
    scores = study(("t", "u"))
    pd.testing.assert_frame_equal(made(scores, TWO), made(scores.sample(frac=1, random_state=1), TWO))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=12, max_size=40), st.integers(1, 4))
def test_steps_add_up_to_the_whole_and_turn_round_with_the_ladder(rows, per_group):
    groups = [f"g{at // per_group}" for at in range(len(rows))]
    columns = list(zip(*rows, strict=True))
    scores = pd.concat([answers("a", "t", strategy, columns[at], groups) for at, strategy in enumerate(RUNGS)])
    frame, turned = (made(scores, replace(DESIGN, ladder=ladder)) for ladder in (RUNGS, RUNGS[::-1]))
    own = frame[frame["scope"] == "all"]
    assert own[own["kind"] == "rung"]["difference"].sum() == pytest.approx(one(own, kind="whole")["difference"], abs=1e-12)
    here, there = one(frame, scope="t", kind="whole"), one(turned, scope="t", kind="whole")
    assert (here["difference"], here["p_value"]) == pytest.approx((-there["difference"], there["p_value"]), abs=1e-12)


def pairs(scores, design):
    comparisons = compare_frames(scores, design)
    return ladder_pair_frame(split_conditions(scores, METRICS), comparisons, design, class_counts(scores, METRICS))


def looped_contrast(scores, rung, first, weights):
    """Difference in differences of a and b by plain loops, weighted."""
    value = {(row["model"], row["strategy"], row["task"], row["sample_id"]): row["value"] for row in scores.to_dict("records")}
    group = {(row["task"], row["sample_id"]): row["group"] for row in scores.to_dict("records")}
    contrast = {
        key: (value["a", rung, *key] - value["b", rung, *key]) - (value["a", first, *key] - value["b", first, *key]) for key in group
    }
    weight = {key: weights[key[0], group[key]] for key in group}
    total = sum(weight.values())
    mean = sum(weight[key] * contrast[key] for key in group) / total
    residuals = defaultdict(float)
    for key in group:
        residuals[group[key]] += weight[key] * (contrast[key] - mean)
    n = len(residuals)
    half = stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1) * sum(entry**2 for entry in residuals.values())) / total
    return mean, mean - half, mean + half


@pytest.mark.parametrize("rule", ["questions", "tasks"])
def test_differences_in_differences_over_tasks_are_those_of_plain_loops(rule):
    groups = {"t": [f"q{at // 2}" for at in range(30)], "u": [f"q{at + 7}" for at in range(30)]}
    scores = study(("t", "u"), n=30, groups=groups)
    design = replace(TWO, pooling=rule)
    frame = pairs(scores, design)
    assert list(frame.columns) == list(PAIR_COLUMNS)
    for at in (1, 2):
        row = one(frame, scope="all", step=at)
        numbers = (row["contrast"], row["contrast_low"], row["contrast_high"])
        assert numbers == pytest.approx(looped_contrast(scores, RUNGS[at], "zero", by_hand(scores, rule)), abs=1e-12)
        assert (row["n_contrast"], row["against"], row["contrast_note"]) == (60, "zero", "")
        assert row["contrast"] == pytest.approx(row["difference"] - one(frame, scope="all", step=0)["difference"], abs=1e-12)
    assert math.isnan(one(frame, scope="all", step=0)["contrast"])


def test_pairs_have_the_numbers_of_the_comparisons_and_contrasts():
    scores = study(("t", "u"))
    frame = pairs(scores, TWO)
    cells, n_classes = split_conditions(scores, METRICS), class_counts(scores, METRICS)
    contrasts = contrast_frame(cells, TWO, languages={}, models={}, n_classes=n_classes)
    comparisons = compare_frames(scores, TWO)
    for task, strategy in product(("t", "u"), RUNGS):
        row = one(frame, scope=task, strategy=strategy)
        same = one(comparisons, task=task, strategy=strategy)
        for key in ("mean_a", "mean_b", "difference", "ci_low", "ci_high", "p_value", "n_samples"):
            assert row[key] == same[key]
        if strategy != "zero":
            contrast = one(contrasts, kind="strategy", task=task, first=strategy)
            assert (row["contrast"], row["contrast_low"], row["contrast_p"]) == (
                contrast["contrast"], contrast["ci_low"], contrast["p_value"],
            )  # fmt: skip


def test_over_one_task_the_pair_has_the_numbers_of_that_task():
    frame = pairs(study(), DESIGN)
    kept = ["step", "difference", "ci_low", "ci_high", "p_value", "contrast", "contrast_low", "contrast_high", "contrast_p"]
    task, pooled = (frame[frame["scope"] == scope][kept].reset_index(drop=True) for scope in ("t", "all"))
    pd.testing.assert_frame_equal(task, pooled, rtol=1e-12)


def test_a_failure_takes_the_contrast_with_it_and_says_where():
    scores = study(("t", "u"))
    scores.loc[(scores["model"] == "a") & (scores["task"] == "u") & (scores["strategy"] == "few") & (scores["sample_id"] == "u001"),
               ["value", "status"]] = [None, "failed"]  # fmt: skip
    frame = pairs(scores, TWO)
    row = one(frame, scope="all", strategy="few")
    assert math.isnan(row["difference"])
    assert math.isnan(row["contrast"])
    assert row["contrast_note"] == "without u (few: 1 failed answers) it is not the mean over the pooled tasks"
    assert math.isnan(one(frame, scope="u", strategy="few")["contrast"])
    assert not math.isnan(one(frame, scope="all", strategy="prompted")["contrast"])


def test_pairs_without_ladder_or_ladder_without_pairs_have_no_rows():
    scores = study()
    for design in (replace(DESIGN, ladder=()), replace(DESIGN, pairs=())):
        frame = pairs(scores, design)
        assert (len(frame), list(frame.columns)) == (0, list(PAIR_COLUMNS))
