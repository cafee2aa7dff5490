"""A fixed sentence in the other language: Spanish for an English question, English for a Spanish one.

Source: ours; to ask for a reply in another language than that of the question is one of the instructions of IFEval (Zhou et al. 2023, arXiv
2311.07911). The sentence is given in the prompt, so that whether it was kept is told by comparison and not by a guess at a language.
"""

from __future__ import annotations

import re

from evalsuite.contracts.base import Contract, Labels, place_of
from evalsuite.types import Sample

_SENTENCES = {"en": "La respuesta correcta es la {}.", "es": "The correct answer is {}."}
_PATTERNS = {language: re.compile(re.escape(words).replace(r"\{\}", r"(\S+)")) for language, words in _SENTENCES.items()}


def write(sample: Sample, labels: Labels, index: int) -> str:
    """The sentence in the other language."""
    return _SENTENCES[sample.language].format(labels[index])


def read(output: str, sample: Sample, labels: Labels) -> int | None:
    """The sentence word for word, in the other language."""
    found = _PATTERNS[sample.language].fullmatch(output.strip())
    return None if found is None else place_of(found[1], labels)


CONTRACT = Contract(
    name="other_language",
    summary="One fixed sentence with the label, in Spanish to an English question and in English to a Spanish one.",
    source="ours, after the reply language of IFEval (Zhou et al. 2023, arXiv 2311.07911)",
    words={
        "en": 'Answer in Spanish, with the sentence "La respuesta correcta es la X." and nothing else, where X is {label} of the right '
        "choice.",
        "es": 'Contesta en inglés, únicamente con la frase "The correct answer is X.", donde X es {label} de la opción correcta.',
    },
    write=write,
    read=read,
)
