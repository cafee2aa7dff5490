"""Accuracy of choice tasks, under the lenient and under the strict reading."""

from __future__ import annotations

from evalsuite.metrics.base import Metric, strict_reading
from evalsuite.types import Answer, Reading, Sample


def chosen(reading: Reading) -> frozenset[int]:
    """Shown positions that a reading holds.

    Raises:
        ValueError: the reading holds no choice, which only a programming error can bring here.
    """
    if reading.index is None:
        raise ValueError(f"a reading by rule {reading.rule!r} holds no choice")
    return frozenset((reading.index, *reading.also))


def is_right(sample: Sample, reading: Reading) -> float:
    """1.0 if the choices that were read are exactly the targets, else 0.0 (no part marks).

    Raises:
        ValueError: the sample has no target, the reading no choice, or a position lies outside the choices.
    """
    if not sample.targets:
        raise ValueError(f"sample {sample.id} has no target")
    read = chosen(reading)
    if not all(0 <= index < len(sample.choices) for index in read):
        raise ValueError(f"sample {sample.id}: a position outside its {len(sample.choices)} choices was read")
    return 1.0 if read == frozenset(sample.targets) else 0.0


def lenient_value(sample: Sample, answer: Answer) -> float:
    """Exact match of the targets with the reading that counts."""
    return is_right(sample, answer.reading)


def strict_value(sample: Sample, answer: Answer) -> float:
    """Exact match with the strict reading; formats without a contract have only one reading."""
    return is_right(sample, strict_reading(answer))


ACCURACY = Metric(
    name="accuracy",
    summary="Share of samples whose choices were all named and no other, output read as a careful reader would.",
    source="share of exact matches; for several right choices the exact match ratio (FrenchMedMCQA, Labrak et al. 2022)",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=True,
    reading="lenient",
    applies="choice",
    value=lenient_value,
)

ACCURACY_STRICT = Metric(
    name="accuracy_strict",
    summary="The same under the exact output contract: an output that breaks it has no answer; its gap to accuracy is the format penalty.",
    source="ours; the gap between lenient and strict accuracy is the cost of breaking the format",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=True,
    reading="strict",
    applies="choice",
    value=strict_value,
)
