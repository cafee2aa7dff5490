"""A fixed sentence with the label and the text of the right choice.

Source: the English sentence is that which LongHealth asks for, as run in CLUE (arXiv 2404.04067): "The correct answer is B: <text>."; to
demand that label and text agree is ours, and so is the Spanish sentence.
"""

from __future__ import annotations

import re

from evalsuite.contracts.base import Contract, Labels, place_of
from evalsuite.types import Sample

_BEGINNINGS = {"en": "The correct answer is", "es": "La respuesta correcta es la"}
_PATTERNS = {language: re.compile(rf"{words} (?P<label>\S+): (?P<text>.+)", re.DOTALL) for language, words in _BEGINNINGS.items()}


def write(sample: Sample, labels: Labels, index: int) -> str:
    """The sentence, with one full stop at its end, whether the choice's own text has one or not."""
    return f"{_BEGINNINGS[sample.language]} {labels[index]}: {_ended(sample.choices[index])}"


def read(output: str, sample: Sample, labels: Labels) -> int | None:
    """The sentence word for word, with a label and the text of its choice."""
    found = _PATTERNS[sample.language].fullmatch(output.strip())
    index = place_of(found["label"], labels) if found is not None else None
    return index if found is not None and index is not None and found["text"] == _ended(sample.choices[index]) else None


def _ended(choice: str) -> str:
    return f"{choice.strip().rstrip('.')}."


CONTRACT = Contract(
    name="sentence",
    summary="One fixed sentence with the label and the text of the right choice, which must agree.",
    source="the sentence of LongHealth in CLUE (arXiv 2404.04067); ours in Spanish",
    words={
        "en": 'Answer with one sentence of the form "The correct answer is X: T." and nothing else, where X is {label} of the right choice '
        "and T its text, with a single full stop at the end.",
        "es": 'Contesta únicamente con una frase de la forma "La respuesta correcta es la X: T.", donde X es {label} de la opción correcta '
        "y T, su texto, con un solo punto final.",
    },
    write=write,
    read=read,
)
