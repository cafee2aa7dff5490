"""The choice that says that no other one is right, and the one that says that one does not know."""

from __future__ import annotations

from typing import Literal

from evalsuite.choice_orders import refers_to_others
from evalsuite.choice_references import says_not_known
from evalsuite.perturbations.base import Refusal
from evalsuite.perturbations.parts.choice_samples import unfit_one_of_several
from evalsuite.perturbations.parts.unfit import without_words
from evalsuite.types import Sample

NONE_RIGHT = {"en": "None of the other choices is right.", "es": "Ninguna de las demás opciones es correcta."}
NOT_KNOWN = {"en": "I do not know.", "es": "No lo sé."}
LANGUAGES = frozenset({"en", "es"})

Text = Literal["none", "do_not_know"]


def text_of(kind: Text, language: str) -> str:
    """Its text in a language that has one."""
    return (NONE_RIGHT if kind == "none" else NOT_KNOWN)[language]


def unfit_for_none(sample: Sample) -> Refusal | None:
    """Why no such choice can stand among those of a sample; None if it can."""
    refusal = unfit_one_of_several(sample) or without_words(sample, LANGUAGES)
    if refusal is not None:
        return refusal
    if refers_to_others(sample) or any(map(says_not_known, sample.choices)):
        return Refusal(reason="a choice speaks of the others, or of not knowing")
    return None
