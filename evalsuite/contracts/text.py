"""The text of the right choice alone, which needs no labels."""

from __future__ import annotations

from evalsuite.contracts.base import Contract, Labels
from evalsuite.types import Sample


def write(sample: Sample, labels: Labels, index: int) -> str:
    """The choice's text."""
    del labels
    return sample.choices[index]


def read(output: str, sample: Sample, labels: Labels) -> int | None:
    """The text of exactly one choice, character for character, white space around it aside; one that two choices have tells nothing."""
    del labels
    texts = [choice.strip() for choice in sample.choices]
    said = output.strip()
    return texts.index(said) if texts.count(said) == 1 else None


CONTRACT = Contract(
    name="text",
    summary="The text of the right choice, character for character, and nothing else.",
    source="ours",
    words={
        "en": "Answer with the text of the right choice, exactly as it is written, and nothing else.",
        "es": "Contesta únicamente con el texto de la opción correcta, tal como está escrito.",
    },
    write=write,
    read=read,
    by_text=True,
)
