"""Numbers within a tolerance, and dates and spans of time that must be equal."""

from __future__ import annotations

from evalsuite.metrics.base import Metric, strict_reading
from evalsuite.types import Answer, Quantity, Reading, Sample


def is_within(sample: Sample, reading: Reading) -> float:
    """1.0 if a number lies between the sample's limits, both included, or a date or span equals the reference, else 0.0.

    Raises:
        ValueError: the sample has no quantity or no reference, the reading no text, or a number no limits; programming errors.
    """
    quantity: Quantity | None = sample.quantity
    if quantity is None or not sample.references or reading.text is None:
        raise ValueError(f"sample {sample.id}: no quantity, no reference or nothing read")
    if quantity.form not in ("number", "whole"):
        return 1.0 if reading.text in sample.references else 0.0
    if quantity.low is None or quantity.high is None:
        raise ValueError(f"sample {sample.id}: a number without limits")
    return 1.0 if quantity.low <= float(reading.text) <= quantity.high else 0.0


def lenient_within(sample: Sample, answer: Answer) -> float:
    """Of the reading that counts."""
    return is_within(sample, answer.reading)


def strict_within(sample: Sample, answer: Answer) -> float:
    """Of the strict reading; formats without a contract have only one reading."""
    return is_within(sample, strict_reading(answer))


_SOURCE = (
    "MedCalc-Bench (Khandekar et al. 2024, arXiv 2406.12036): equations within 5 % of the right answer, scores, dates and gestational ages "
    "exact; unlike the released scorer a fraction is not rounded to a whole score, and what cannot be read is unparsed, not wrong"
)

WITHIN_TOLERANCE = Metric(
    name="within_tolerance",
    summary="Share of samples whose number lies within the limits, or whose date or span is the right one, read as a careful reader would.",
    source=_SOURCE,
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=True,
    reading="lenient",
    applies="quantity",
    value=lenient_within,
)

WITHIN_TOLERANCE_STRICT = Metric(
    name="within_tolerance_strict",
    summary="The same under the exact output contract: an output that breaks it has no answer.",
    source=_SOURCE,
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=True,
    reading="strict",
    applies="quantity",
    value=strict_within,
)
