"""The label alone."""

from __future__ import annotations

from evalsuite.contracts.base import Contract, Labels, place_of
from evalsuite.types import Sample


def write(sample: Sample, labels: Labels, index: int) -> str:
    """The label."""
    del sample
    return labels[index]


def read(output: str, sample: Sample, labels: Labels) -> int | None:
    """The label and nothing else, in its own case."""
    del sample
    return place_of(output.strip(), labels)


CONTRACT = Contract(
    name="letter",
    summary="The label of the right choice and nothing else.",
    source="ours",
    words={
        "en": "Answer with {label} of the right choice and nothing else.",
        "es": "Contesta únicamente con {label} de la opción correcta.",
    },
    write=write,
    read=read,
)
