"""The choices without the question: what can be guessed from them alone.

Source: Balepur et al. 2024 (arXiv 2402.12483), who show that models do better than chance so; the words are ours. What a model scores here
above chance its score on the whole question may owe to the choices.
"""

from __future__ import annotations

from dataclasses import replace

from evalsuite.perturbations.base import NoOptions, PerturbationSpec, Refusal, always, needing
from evalsuite.perturbations.parts.choice_samples import unfit_one_of_several
from evalsuite.perturbations.parts.unfit import without_words
from evalsuite.types import Sample

WITHHELD = {
    "en": "The question is not shown. Choose the choice that is most likely to be its right answer.",
    "es": "No se muestra el enunciado de la pregunta. Elige la opción que con mayor probabilidad sea la respuesta correcta.",
}
LANGUAGES = frozenset(WITHHELD)


def without_question(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
    """The sample without stem and passage."""
    del seed
    refusal = unfit_one_of_several(sample) or without_words(sample, LANGUAGES)
    if refusal is not None:
        return refusal
    return (replace(sample, question=WITHHELD[sample.language], context="", variant=0),)


SPEC = PerturbationSpec(
    name="choices_only",
    summary="The choices without the question: what can be guessed from them alone.",
    source="Balepur et al. 2024 (arXiv 2402.12483)",
    family="target-changing",
    preserves_meaning=False,
    options=NoOptions,
    build=always(without_question),
    languages=LANGUAGES,
    needs=needing("listed"),
)
