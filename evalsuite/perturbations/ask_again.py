"""The answer, then the same question in another form: what is scored is the second answer.

Source: two-step question transformations are one of the four parts that Marmoka announces (Domingo-Aldama et al. 2026, arXiv 2604.06854),
whose own could not be read; this form and its words are ours. With `then: none` the question comes again unchanged, which tells how much of
a change is due to the second turn alone.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, model_validator

from evalsuite.perturbations.base import Family, Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.steps import Step, StepEntry, step_of
from evalsuite.perturbations.parts.unfit import asked_twice, without_one_right_choice, without_words
from evalsuite.types import Dialogue, Need, Sample

LANGUAGES = frozenset({"en", "es"})
UNCHANGED = {"en": "Here is the same question once more.", "es": "Te vuelvo a hacer la misma pregunta."}
REWORDED = {
    "en": "Here is the same question once more, in another form.",
    "es": "Te vuelvo a hacer la misma pregunta, presentada de otra forma.",
}
CHANGED = {
    "en": "Here is the question again, but it has been changed. Answer it as it stands now.",
    "es": "Aquí tienes otra vez la pregunta, pero con cambios. Contéstala tal y como está ahora.",
}

NOT_AGAIN: frozenset[Family] = frozenset({"two-step", "multi-prompt"})
"""Families that have no place in a second turn."""


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    then: StepEntry
    """What transforms the question for the second turn: the name of a perturbation, or a mapping with `name` and its options."""

    @model_validator(mode="after")
    def _one_step(self) -> Options:
        spec = step_of(self.then).spec
        if spec.family in NOT_AGAIN:
            raise ValueError(f"then: {spec.name} is {spec.family}; only what transforms a question in one step can follow an answer")
        return self


def build(options: Options) -> Perturb:
    """The map for these options."""
    step = step_of(options.then)
    words, transform = _words(step), step.perturb

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        refusal = without_one_right_choice(sample) or without_words(sample, LANGUAGES) or asked_twice(sample)
        if refusal is not None:
            return refusal
        made = transform(sample, seed)
        if isinstance(made, Refusal):
            return Refusal(reason=f"{step.spec.name}: {made.reason}")
        dialogue = Dialogue(first=replace(sample, variant=0), said=words[sample.language], repeats=True)
        return tuple(replace(variant, dialogue=dialogue) for variant in made)

    return perturb


def _words(step: Step) -> dict[str, str]:
    if step.spec.name == "none":
        return UNCHANGED
    return REWORDED if step.preserves_meaning else CHANGED


def preserves_meaning(options: Options) -> bool:
    """Where the transformation does."""
    return step_of(options.then).preserves_meaning


def needs(options: Options) -> frozenset[Need]:
    """A second turn, and what the transformation needs."""
    return frozenset[Need]({"dialogue", "own_prompt"}) | step_of(options.then).needs


SPEC = PerturbationSpec(
    name="ask_again",
    summary="A second turn that asks the same question again, transformed by another perturbation.",
    source="ours, after the two-step part of Domingo-Aldama et al. 2026 (arXiv 2604.06854)",
    family="two-step",
    preserves_meaning=preserves_meaning,
    options=Options,
    build=build,
    languages=LANGUAGES,
    needs=needs,
)
