"""The label alone, or one fixed word where the right answer is not among the choices.

Source: ours; that a right answer may be missing is what Med-HALT tests by "none of the above" (Pal et al. 2023, arXiv 2307.15343) and
LongHealth by documents without the answer, which may then be answered by a choice that is listed. Here nothing is listed for it.
"""

from __future__ import annotations

from dataclasses import replace

from evalsuite.contracts import letter
from evalsuite.contracts.base import Contract, Labels
from evalsuite.types import Sample

WORDS = {"en": "NONE", "es": "NINGUNA"}
"""Language to the word, which is the label of the unlisted choice."""

TEXTS = {"en": "The right answer is not among the choices", "es": "La respuesta correcta no está entre las opciones"}
"""Language to what the unlisted choice means; no prompt shows it."""


def with_refusal(sample: Sample, labels: Labels) -> Sample:
    """The sample with the unlisted choice behind its own ones, which keep their labels.

    Args:
        sample: a sample in a language that has the word.
        labels: of its choices.
    """
    order = tuple(sample.original_index(position) for position in range(len(sample.choices)))
    return replace(
        sample,
        choices=(*sample.choices, TEXTS[sample.language]),
        labels=(*labels, WORDS[sample.language]),
        order=(*order, -1),
        n_unlisted=1,
    )


CONTRACT = Contract(
    name="refuse",
    summary="The label of the right choice alone, or the word NONE (NINGUNA) where the right answer is not among the choices.",
    source="ours, after the missing answers of Pal et al. 2023 (arXiv 2307.15343)",
    words={
        "en": f"Answer with {{label}} of the right choice and nothing else. If the right answer is not among the choices, answer with the "
        f"word {WORDS['en']} and nothing else.",
        "es": f"Contesta únicamente con {{label}} de la opción correcta. Si la respuesta correcta no está entre las opciones, contesta "
        f"únicamente con la palabra {WORDS['es']}.",
    },
    write=letter.write,
    read=letter.read,
    allows_refusal=True,
)
