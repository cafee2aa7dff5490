"""Metrics of lm-evaluation-harness tasks: the value of one sample, and what is known of its bounds.

A metric's name is lm-eval's; where a filter is not `none` it follows after a comma, as in lm-eval's results. What lm-eval
aggregates otherwise than by the mean has no value of one sample; we compare what its aggregation is made of, and say so:

| aggregation in lm-eval | item of a sample | value compared here |
|---|---|---|
| mean | number | the number |
| perplexity | log-likelihood | minus log-likelihood, in nats |
| weighted_perplexity | (log-likelihood, words or bytes) | minus log-likelihood per word or byte, in nats |
| bits_per_byte | (log-likelihood, bytes) | minus log-likelihood per byte, in bits |
| f1, matthews_corrcoef | (gold, prediction) | 1 if they are equal, else 0 |
| brier_score | (gold, probabilities) | sum of squared differences to the right answer |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from evalsuite.metrics.base import Metric
from evalsuite.types import Answer, Sample

SHARES = frozenset(
    {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "em", "f1", "mcc", "rouge1", "rouge2", "rougeL", "rougeLsum"}
)
"""Metrics whose values of a sample lie in [0, 1]."""
BINARY = frozenset({"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "mcc"})
"""Of those, the ones that are 0 or 1."""
PERCENT = frozenset({"bleu", "chrf", "ter"})
"""In [0, 100] by definition, but for ter, which has no upper bound."""


def metrics_for(task: Any) -> dict[str, Metric]:
    """Metrics of a task by name, one per filter; those whose items have no value of one sample are left out."""
    made = {}
    for filtered in (ensemble.name for ensemble in task._filters):
        for name, aggregation in task.aggregation().items():
            full = name if filtered == "none" else f"{name},{filtered}"
            made[full] = _metric(full, name, aggregation, bool(task.higher_is_better().get(name, True)))
    return made


def _metric(full: str, name: str, aggregation: Any, higher_is_better: bool) -> Metric:
    def value(sample: Sample, answer: Answer) -> float:
        del sample
        return float(answer.details["values"][full])

    how = getattr(aggregation, "__name__", str(aggregation))
    nats = how in ("perplexity", "weighted_perplexity", "bits_per_byte")
    low, high = (
        (0.0, 1.0) if name in SHARES else (0.0, 2.0) if name == "brier_score" else (0.0, math.inf) if nats else (-math.inf, math.inf)
    )
    better = False if nats or name == "brier_score" else higher_is_better
    return Metric(
        name=full,
        summary=_summary(name, how),
        source="lm-evaluation-harness",
        higher_is_better=better,
        worst=low if better else high,
        best=high if better else low,
        binary=name in BINARY,
        reading="lenient",
        applies="own",
        value=value,
    )


def _summary(name: str, how: str) -> str:
    units = {
        "perplexity": "minus the log-likelihood of the target, in nats (lm-eval prints exp of the mean)",
        "weighted_perplexity": "minus the log-likelihood per word or byte, in nats (lm-eval prints exp of the weighted mean)",
        "bits_per_byte": "minus the log-likelihood per byte, in bits (lm-eval prints the weighted mean)",
        "f1_score": "1 where the prediction equals the gold label (lm-eval prints F1 of the whole set)",
        "matthews_corrcoef": "1 where the prediction equals the gold label (lm-eval prints Matthews' correlation of the whole set)",
    }
    return f"{name} as lm-evaluation-harness computes it: {units.get(how, 'the value of each sample, averaged')}."


def value_of(item: Any, how: str) -> float | None:
    """Value of one sample from its item; None where an item of that shape has none."""
    if isinstance(item, bool | int | float):
        return -float(item) if how == "perplexity" else float(item)
    if not isinstance(item, list) or len(item) != 2:
        return None
    first, second = item
    if how in ("weighted_perplexity", "bits_per_byte") and _is_number(first) and _is_number(second):
        if second <= 0:
            return None
        return -float(first) / float(second) / (math.log(2) if how == "bits_per_byte" else 1.0)
    if how == "brier_score" and isinstance(second, list) and isinstance(first, int):
        return math.fsum((p - (index == first)) ** 2 for index, p in enumerate(second))
    if how in ("f1_score", "matthews_corrcoef"):
        return float(first == second)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(item: Any) -> Any:
    """An item as JSON holds it: NumPy's numbers and arrays become Python's, tuples lists. None where it cannot be held."""
    if isinstance(item, bool | int | float | str) or item is None:
        return item
    if isinstance(item, list | tuple):
        return [plain(part) for part in item]
    if isinstance(item, Mapping):
        return {str(key): plain(part) for key, part in item.items()}
    if hasattr(item, "tolist"):
        return plain(item.tolist())
    return None
