"""A short explanation whose words are counted, then the answer on the last line.

Source: the limit is one of the instructions of IFEval (Zhou et al. 2023, arXiv 2311.07911, number of words); the answer line is that of
openai/simple-evals. How words are counted is ours: runs between white space that hold a letter or a digit.
"""

from __future__ import annotations

import re

from evalsuite.contracts.base import Contract, Labels, place_of
from evalsuite.types import Sample

N_WORDS = 30
"""Most words of the explanation."""

_CUES = {"en": "Answer", "es": "Respuesta"}
_LINES = {language: re.compile(rf"{cue}: (\S+)") for language, cue in _CUES.items()}
_OPENINGS = {"en": ("The choice that fits is this one", "One of the choices fits."), "es": ("Encaja esta opción", "Encaja una opción.")}


def write(sample: Sample, labels: Labels, index: int) -> str:
    """An explanation that names the choice, or none that is too long to be named, and the answer line."""
    named, unnamed = _OPENINGS[sample.language]
    explanation = f"{named}: {sample.choices[index]}"
    if n_words(explanation) > N_WORDS or any(_LINES[sample.language].fullmatch(line.strip()) for line in explanation.splitlines()):
        explanation = unnamed
    return f"{explanation}\n{_CUES[sample.language]}: {labels[index]}"


def read(output: str, sample: Sample, labels: Labels) -> int | None:
    """An explanation of 1 to `N_WORDS` words without an answer line, and a last line that is exactly the answer line."""
    explanation, _, last = output.strip().rpartition("\n")
    pattern = _LINES[sample.language]
    found = pattern.fullmatch(last)
    if found is None or not 1 <= n_words(explanation) <= N_WORDS:
        return None
    if any(pattern.fullmatch(line.strip()) for line in explanation.splitlines()):
        return None
    return place_of(found[1], labels)


def n_words(text: str) -> int:
    """Runs between white space that hold a letter or a digit."""
    return sum(any(map(str.isalnum, run)) for run in text.split())


CONTRACT = Contract(
    name="words",
    summary=f"An explanation of at most {N_WORDS} words, then the answer on the last line.",
    source="ours, after the word limits of IFEval (Zhou et al. 2023, arXiv 2311.07911)",
    words={
        "en": f"Explain your choice in at most {N_WORDS} words. Then write a last line of the form "
        '"Answer: X", where X is {label} of the right choice.',
        "es": f"Justifica tu elección en {N_WORDS} palabras como máximo. Después escribe una última línea de la forma "
        '"Respuesta: X", donde X es {label} de la opción correcta.',
    },
    write=write,
    read=read,
)
