"""What every metric must keep; a metric that is added to the table is tested here without a change."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.metrics import METRICS, Metric, by_name, score
from evalsuite.types import STATUSES, Answer, Quantity, Reading, Sample

ALL = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
SETS = pytest.mark.parametrize("metric", [metric for metric in METRICS.values() if metric.of_set], ids=lambda metric: metric.name)

REFERENCE = "The patient has a mild fever and a dry cough."
TEXTS = st.text(max_size=80) | st.sampled_from([REFERENCE, "fever and cough", "", " ", "the", "ñ", "1.5 mg", REFERENCE.upper()])


def sample_for(metric: Metric, targets: tuple[int, ...] = (1,)) -> Sample:
    if metric.applies == "choice":
        return Sample(id="s1", group="g1", question="Q", choices=("a", "b", "c", "d"), targets=targets)
    if metric.applies == "quantity":
        return Sample(id="s1", group="g1", question="Q", references=("10 mg",), quantity=Quantity(form="number", low=9.5, high=10.5))
    return Sample(id="s1", group="g1", question="Q", references=(REFERENCE, "Fever, cough."))


def answer_of(reading: Reading) -> Answer:
    return Answer(reading=reading, strict=reading)


def perfect(metric: Metric) -> Answer:
    if metric.applies == "choice":
        return answer_of(Reading(status="scored", index=1, rule="r"))
    return answer_of(Reading(status="scored", text="10" if metric.applies == "quantity" else REFERENCE, rule="r"))


@st.composite
def answers(draw: st.DrawFn, metric: Metric) -> Answer:
    if metric.applies == "choice":
        return answer_of(Reading(status="scored", index=draw(st.integers(0, 3)), rule="r"))
    text = st.floats(-1e9, 1e9).map(repr) if metric.applies == "quantity" else TEXTS
    return answer_of(Reading(status="scored", text=draw(text), rule="r"))


def test_table_is_by_name() -> None:
    assert all(name == metric.name for name, metric in METRICS.items())
    assert {"accuracy", "accuracy_strict", "macro_f1", "rouge1", "rouge2", "rougeL", "exact_match"} <= set(METRICS)
    with pytest.raises(ValueError, match="share a name"):
        by_name([METRICS["accuracy"], METRICS["accuracy"]])


@ALL
def test_it_says_what_it_is(metric: Metric) -> None:
    assert metric.summary.endswith(".")
    assert metric.source
    assert math.isfinite(metric.worst)
    assert math.isfinite(metric.best)
    assert (metric.best > metric.worst) == metric.higher_is_better
    assert metric.best != metric.worst
    assert metric.value.__doc__


@ALL
def test_a_perfect_answer_is_best(metric: Metric) -> None:
    result = score(metric, sample_for(metric), perfect(metric))
    assert (result.metric, result.status, result.value) == (metric.name, "scored", pytest.approx(metric.best, abs=1e-12))


@ALL
def test_a_wrong_answer_is_worst(metric: Metric) -> None:
    text = "10.51" if metric.applies == "quantity" else "xyz"
    wrong = Reading(status="scored", index=0, rule="r") if metric.applies == "choice" else Reading(status="scored", text=text, rule="r")
    assert score(metric, sample_for(metric), answer_of(wrong)).value == metric.worst


@ALL
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_values_are_bounded_pure_and_binary_where_declared(metric: Metric, data: st.DataObject) -> None:
    answer = data.draw(answers(metric))
    result = score(metric, sample_for(metric), answer)
    assert result.value is not None
    assert min(metric.worst, metric.best) <= result.value <= max(metric.worst, metric.best)
    assert result == score(metric, sample_for(metric), answer)
    if metric.binary or metric.of_set is not None:
        assert result.value in (metric.worst, metric.best)


@ALL
@pytest.mark.parametrize("status", [status for status in STATUSES if status != "scored"])
def test_no_value_without_a_reading(metric: Metric, status: str) -> None:
    result = score(metric, sample_for(metric), answer_of(Reading(status=status)))  # type: ignore[arg-type]
    assert (result.value, result.status) == (None, status)


@ALL
def test_order_of_targets_and_references_does_not_matter(metric: Metric) -> None:
    if metric.applies == "choice":
        answer = answer_of(Reading(status="scored", index=1, also=(3,), rule="r"))
        assert score(metric, sample_for(metric, (1, 3)), answer).value == metric.best
        assert score(metric, sample_for(metric, (3, 1)), answer).value == metric.best
        return
    if metric.applies == "quantity":
        return
    forwards = sample_for(metric)
    backwards = Sample(id="s1", group="g1", question="Q", references=forwards.references[::-1])
    answer = answer_of(Reading(status="scored", text="A mild fever and cough", rule="r"))
    assert score(metric, forwards, answer).value == score(metric, backwards, answer).value


PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=1, max_size=30)


@SETS
@given(pairs=PAIRS, seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_set_metrics_are_bounded_and_blind_to_order(metric: Metric, pairs: list[tuple[int, int]], seed: int) -> None:
    assert metric.of_set is not None
    table = np.array(pairs, dtype=np.int64)
    value = metric.of_set(table[:, 0], table[:, 1], 4)
    assert min(metric.worst, metric.best) <= value <= max(metric.worst, metric.best)
    shuffled = table[np.random.default_rng(seed).permutation(len(table))]
    assert metric.of_set(shuffled[:, 0], shuffled[:, 1], 4) == pytest.approx(value, abs=1e-12)
    assert metric.of_set(table[:, 0], table[:, 0], 4) == pytest.approx(metric.best, abs=1e-12)
    assert metric.of_set(table[:, 0], np.full(len(table), -1, dtype=np.int64), 4) == metric.worst


def test_there_are_set_metrics() -> None:
    # an empty parametrisation would pass silently
    assert [metric.name for metric in METRICS.values() if metric.of_set is not None] == ["macro_f1"]
