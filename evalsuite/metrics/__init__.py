"""Metrics, listed by hand, and how one scores one answer."""

from __future__ import annotations

import math

from evalsuite.metrics.accuracy import ACCURACY, ACCURACY_STRICT
from evalsuite.metrics.base import Metric, by_name
from evalsuite.metrics.hamming import HAMMING
from evalsuite.metrics.quantities import WITHIN_TOLERANCE, WITHIN_TOLERANCE_STRICT
from evalsuite.metrics.sets import MACRO_F1
from evalsuite.metrics.text import EXACT_MATCH, ROUGE1, ROUGE2, ROUGE_L
from evalsuite.types import Answer, Reading, Sample, Score

__all__ = ["METRICS", "Metric", "by_name", "reading_of", "score"]

METRICS: dict[str, Metric] = by_name(
    (ACCURACY, ACCURACY_STRICT, HAMMING, MACRO_F1, ROUGE1, ROUGE2, ROUGE_L, EXACT_MATCH, WITHIN_TOLERANCE, WITHIN_TOLERANCE_STRICT)
)
"""Every metric by name. Packages that a metric needs are imported when it first computes."""


def reading_of(metric: Metric, answer: Answer) -> Reading:
    """The reading of an answer that a metric scores.

    A strict metric scores the strict reading. Where the format has no contract (letters and cloze are read from
    log-probabilities) there is none to break, so that it scores the one reading there is and equals the lenient metric.
    A lenient reading never stands in for a strict one that could not be read: that is `unparsed`. Where the lenient
    reading has no value either, its status says why (`failed`, `too_long`, `truncated`); an `unparsed` of the strict
    reading must not hide it, since what is our own fault is repaired and not counted as wrong.
    """
    if metric.reading == "lenient" or answer.strict is None or answer.reading.status != "scored":
        return answer.reading
    return answer.strict


def score(metric: Metric, sample: Sample, answer: Answer) -> Score:
    """Score one answer; a reading that is not `scored` passes its status on and has no value.

    Args:
        metric: the metric; for a set metric the value says whether the answer is right, the cell's value is `of_set`.
        sample: the sample as it was shown.
        answer: what a strategy returned.

    Returns:
        A finite value between the metric's worst and best, or None with the status that says why.

    Raises:
        ValueError: the metric does not apply to the sample, or gave a value that is not finite or out of bounds; a
            programming error, never a model's.
    """
    if metric.applies == "own":
        return _own(metric, sample, answer)
    if metric.applies != ("choice" if sample.choices else "quantity" if sample.quantity is not None else "text"):
        raise ValueError(f"{metric.name} scores {metric.applies} tasks; sample {sample.id} is of the other kind")
    reading = reading_of(metric, answer)
    if reading.status != "scored":
        return Score(metric=metric.name, value=None, status=reading.status)
    return Score(metric=metric.name, value=_value(metric, sample, answer), status="scored")


def _own(metric: Metric, sample: Sample, answer: Answer) -> Score:
    """A score that the task itself gave. None where its own filter read nothing, where it gave none, or where it is no number."""
    if answer.reading.status != "scored":
        return Score(metric=metric.name, value=None, status=answer.reading.status)
    if "values" not in answer.details:
        return Score(metric=metric.name, value=None, status="refused")  # asked in a format of ours, which the task cannot judge
    if metric.name in answer.details["unread"]:
        return Score(metric=metric.name, value=None, status="truncated" if answer.details["cut"] else "unparsed")
    if metric.name not in answer.details["values"]:
        return Score(metric=metric.name, value=None, status="refused")
    if not math.isfinite(answer.details["values"][metric.name]):
        # Engines give finite log-probabilities only: it is the task that has no value for such an answer (often an empty one).
        return Score(metric=metric.name, value=None, status="truncated" if answer.details["cut"] else "unparsed")
    return Score(metric=metric.name, value=_value(metric, sample, answer), status="scored")


def _value(metric: Metric, sample: Sample, answer: Answer) -> float:
    value = float(metric.value(sample, answer))
    low, high = min(metric.worst, metric.best), max(metric.worst, metric.best)
    # the sums of floats behind an F-measure may pass 1 by a rounding error, and nothing more
    if not math.isfinite(value) or not low - 1e-9 <= value <= high + 1e-9:
        raise ValueError(f"{metric.name} gave {value} for sample {sample.id}; its values lie in [{low}, {high}]")
    return min(max(value, low), high)
