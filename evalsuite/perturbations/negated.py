"""The right choice and one wrong one, and the question which of the two is not right: the wrong one is.

Source: ours, after the negated questions of examinations ("which of the following is NOT"). Exactly one answer is right, since one wrong
choice is left. By guessing half are right. The two keep their order.
"""

from __future__ import annotations

from dataclasses import replace

from evalsuite.choice_orders import refers_to_others
from evalsuite.perturbations.base import NoOptions, PerturbationSpec, Refusal, always, needing
from evalsuite.perturbations.parts.choice_samples import drawn_wrong, only_with, unfit_one_of_several
from evalsuite.perturbations.parts.negations import asks_negatively
from evalsuite.perturbations.parts.unfit import without_words
from evalsuite.types import Sample

NOT_RIGHT = {
    "en": "Exactly one of the two choices is NOT a right answer to this question. Which one?",
    "es": "De las dos opciones, solo una NO es correcta como respuesta a esta pregunta. Señala cuál.",
}
LANGUAGES = frozenset(NOT_RIGHT)


def turned_round(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
    """The sample with two choices, of which the wrong one is asked for."""
    refusal = unfit_one_of_several(sample) or without_words(sample, LANGUAGES)
    if refusal is not None:
        return refusal
    if refers_to_others(sample):
        return Refusal(reason="a choice refers to others")
    if asks_negatively(sample.question):
        return Refusal(reason="the question asks for what is not so already")
    wrong = drawn_wrong(sample, seed, "negated")[0]
    shown = only_with(sample, (wrong, sample.targets[0]))
    question = f"{sample.question.rstrip()}\n{NOT_RIGHT[sample.language]}"
    return (replace(shown, question=question, targets=(1 - shown.targets[0],), variant=0),)


SPEC = PerturbationSpec(
    name="negated",
    summary="The right choice and one wrong one, and the question which of the two is NOT right.",
    source="ours",
    family="target-changing",
    preserves_meaning=False,
    options=NoOptions,
    build=always(turned_round),
    languages=LANGUAGES,
    needs=needing("listed"),
)
