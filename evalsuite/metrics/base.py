"""What a metric is. Per-sample metrics give one value per answer; set metrics are functions of all answers of a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from evalsuite.types import Answer, Reading, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A metric as data. Values lie in [worst, best] or [best, worst]; None never stands for a number."""

    name: str
    """Name in cards, studies and columns."""
    summary: str
    """One sentence for people."""
    source: str
    """Where the formula is from."""
    higher_is_better: bool
    """Direction."""
    worst: float
    """Value of an answer that is missing under the rule `incorrect`."""
    best: float
    """Value of a perfect answer."""
    binary: bool
    """True if every per-sample value is worst or best, so that McNemar applies."""
    reading: Literal["lenient", "strict"]
    """Which reading of the answer it scores."""
    applies: Literal["choice", "text", "quantity", "own"]
    """Kind of task it can score: choices and labels, free text, quantities, or `own`: tasks that judge by themselves."""
    value: Callable[[Sample, Answer], float]
    """Value of one answer whose reading has the status `scored`. For a set metric: 1.0 if that answer is right, else 0.0."""
    of_set: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64], int], float] | None = None
    """Set metrics: (targets, predictions, n_classes) -> value; prediction -1 means no answer. None for per-sample metrics."""


def strict_reading(answer: Answer) -> Reading:
    """What a strict metric scores; formats without a contract have only one reading."""
    return answer.reading if answer.strict is None else answer.strict


def by_name(metrics: Sequence[Metric]) -> dict[str, Metric]:
    """Index metrics by name; a name that occurs twice is a programming error."""
    table = {metric.name: metric for metric in metrics}
    if len(table) != len(metrics):
        raise ValueError("two metrics share a name")
    return table
