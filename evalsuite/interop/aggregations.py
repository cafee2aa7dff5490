"""lm-eval's aggregations, written again so that a printed result can be checked against the lines it was made from.

Sources: lm_eval/api/metrics.py of 0.4.13; F1 and Matthews' correlation as in scikit-learn, which lm-eval calls (Gorodkin 2004 for
more than two classes). The sums are plain and in file order, as lm-eval's are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evalsuite.task_sources.lm_eval_metrics import value_of

DEFAULTS: Mapping[str, str] = {
    "perplexity": "perplexity",
    "word_perplexity": "weighted_perplexity",
    "byte_perplexity": "weighted_perplexity",
    "bits_per_byte": "bits_per_byte",
    "brier_score": "brier_score",
    "mcc": "matthews_corrcoef",
    "f1": "f1",
    "bleu": "bleu",
    "chrf": "chrf",
    "chrf++": "chrf++",
    "ter": "ter",
    "bypass": "bypass",
}
"""Aggregation of a metric whose task states none; the mean for all others."""


def mean_of(items: Sequence[Any]) -> float:
    """The mean."""
    return float(sum(items) / len(items))


def weighted_perplexity(items: Sequence[Any]) -> float:
    """exp of minus the log-likelihood per unit of weight."""
    return math.exp(-_ratio(items))


def bits_per_byte(items: Sequence[Any]) -> float:
    """Minus the log-likelihood per byte, in bits."""
    return -_ratio(items) / math.log(2)


def _ratio(items: Sequence[Any]) -> float:
    return float(sum(first for first, _ in items) / sum(second for _, second in items))


def brier_score(items: Sequence[Any]) -> float:
    """Mean over samples of the summed squares of probability minus truth."""
    return mean_of([sum((p - (at == gold)) ** 2 for at, p in enumerate(row)) for gold, row in items])


def f1(items: Sequence[Any]) -> float:
    """F1 of class 1 of two classes; 0 where it is neither there nor predicted."""
    if not {part for item in items for part in item} <= {0, 1}:
        raise ValueError("more than two classes")
    agree = sum(gold == predicted == 1 for gold, predicted in items)
    total = sum((gold == 1) + (predicted == 1) for gold, predicted in items)
    return 2 * agree / total if total else 0.0


def matthews_corrcoef(items: Sequence[Any]) -> float:
    """Matthews' correlation of (gold, predicted), any number of classes; 0 where either never varies."""
    classes = sorted({part for item in items for part in item})
    n = len(items)
    golds = [sum(gold == one for gold, _ in items) for one in classes]
    predictions = [sum(predicted == one for _, predicted in items) for one in classes]
    covariance = n * sum(gold == predicted for gold, predicted in items) - sum(g * p for g, p in zip(golds, predictions, strict=True))
    spread = (n * n - sum(p * p for p in predictions)) * (n * n - sum(g * g for g in golds))
    return covariance / math.sqrt(spread) if spread else 0.0


AGGREGATIONS: Mapping[str, Callable[[Sequence[Any]], float]] = {
    "mean": mean_of,
    "perplexity": lambda items: math.exp(-mean_of(items)),
    "weighted_perplexity": weighted_perplexity,
    "bits_per_byte": bits_per_byte,
    "brier_score": brier_score,
    "f1": f1,
    "matthews_corrcoef": matthews_corrcoef,
}
"""Aggregations that can be checked; a metric with another one is not imported, unless its result is the mean after all."""

LESS_IS_BETTER = frozenset({"perplexity", "weighted_perplexity", "bits_per_byte", "brier_score"})
"""Aggregations whose per-sample values (`task_sources.lm_eval_metrics`) are better when lower, whatever the task states."""


def aggregated(how: str, items: Sequence[Any]) -> float | None:
    """The result of all items; None where the aggregation is not known here or the items are not of its shape."""
    if how not in AGGREGATIONS:
        return None
    try:
        return AGGREGATIONS[how](items)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None


def sample_values(how: str, items: Sequence[Any]) -> list[float] | None:
    """What each item is worth on its own, as for `lm_eval:` tasks that run here; None where one has no such value."""
    name = {"f1": "f1_score"}.get(how, how)
    values = [value for value in (value_of(item, name) for item in items) if value is not None and math.isfinite(value)]
    return values if len(values) == len(items) else None
