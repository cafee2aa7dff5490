"""The part of the right choices that was named, where several are right."""

from __future__ import annotations

from evalsuite.metrics.accuracy import chosen
from evalsuite.metrics.base import Metric
from evalsuite.types import Answer, Sample


def hamming_value(sample: Sample, answer: Answer) -> float:
    """|named and right| / |named or right|, in [0, 1]; 1.0 only where the sets are equal, 0.0 only where they share nothing.

    With one right choice of which one is named it equals accuracy.

    Raises:
        ValueError: the sample has no target, the reading no choice, or a position lies outside the choices.
    """
    right, named = frozenset(sample.targets), chosen(answer.reading)
    if not right:
        raise ValueError(f"sample {sample.id} has no target")
    if not all(0 <= index < len(sample.choices) for index in named):
        raise ValueError(f"sample {sample.id}: a position outside its {len(sample.choices)} choices was read")
    return len(right & named) / len(right | named)


HAMMING = Metric(
    name="hamming",
    summary="Mean share of the choices named or right that are both; unlike accuracy it gives part marks.",
    source="Hamming score of FrenchMedMCQA (Labrak et al. 2022, LOUHI, aclanthology.org/2022.louhi-1.5): mean of |pred and gold| / "
    "|pred or gold|; the label-based accuracy of Godbole and Sarawagi 2004 (PAKDD)",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=False,
    reading="lenient",
    applies="choice",
    value=hamming_value,
)
