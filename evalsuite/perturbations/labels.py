"""The same choices under other labels, or under none.

Source: Zheng et al. 2023 (arXiv 2309.03882), who replace the letters or take them away to tell a liking for a letter from one for a place.
Under `none` the answer is the choice's text, by the contract `text`. Exemplars keep their letters: they show what is known, not how to
answer here.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from evalsuite.choice_orders import refers_to_labels
from evalsuite.contracts import CONTRACTS
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.choice_labels import Style, labels_in
from evalsuite.perturbations.parts.choice_samples import repeats, unfit_choices
from evalsuite.perturbations.parts.unfit import without_one_right_choice, without_words
from evalsuite.types import Manner, Need, Sample

TEXT = CONTRACTS["text"]


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    style: Style
    """`numbers` (1, 2, 3), `lower` (a, b, c), `greek` (α, β, γ), `roman` (i, ii, iii) or `none`: no labels, and the text of the choice is
    asked for, exactly as it is written."""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        del seed
        refusal = unfit_choices(sample)
        if refusal is not None:
            return refusal
        if refers_to_labels(sample):
            return Refusal(reason="a choice, or somebody in the text, names choices by label")
        labels = labels_in(options.style, len(sample.choices))
        if labels is None:
            return Refusal(reason="more choices than there are labels")
        if not {choice.strip().rstrip(".").casefold() for choice in sample.choices}.isdisjoint(filter(None, labels)):
            # "The number of the right choice" could then be its label or its text.
            return Refusal(reason="a choice's text is one of the labels")
        shown = replace(sample, labels=labels, variant=0)
        return (shown,) if options.style != "none" else _unlabelled(shown)

    return perturb


def _unlabelled(sample: Sample) -> tuple[Sample, ...] | Refusal:
    refusal = without_one_right_choice(sample) or without_words(sample, TEXT.words)
    if refusal is not None:
        return refusal
    if repeats(sample.choices):
        return Refusal(reason="two choices have the same text")
    if sample.manner is not None and sample.manner.contract and not CONTRACTS[sample.manner.contract].by_text:
        return Refusal(reason="a label is asked for")
    return (replace(sample, manner=replace(sample.manner or Manner(), contract=TEXT.name)),)


def needs(options: Options) -> frozenset[Need]:
    """Choices that are shown; without labels, an answer that is written."""
    return frozenset({"listed"}) if options.style != "none" else frozenset({"listed", "written", "own_prompt"})


SPEC = PerturbationSpec(
    name="labels",
    summary="The same choices under numbers, small letters, Greek letters, Roman numerals, or no labels at all.",
    source="Zheng et al. 2023 (arXiv 2309.03882)",
    family="meaning-preserving",
    preserves_meaning=True,
    options=Options,
    build=build,
    needs=needs,
)
