"""One more choice that is wrong: "none of the other choices is right", or "I do not know".

Source: ours, the counterpart of `none_of_the_others` (Pal et al. 2023, arXiv 2307.15343): who takes such a choice wherever it stands is
told from who sees that the right one is missing.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from evalsuite.formats import labels_of
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal, needing
from evalsuite.perturbations.parts.choice_labels import next_label
from evalsuite.perturbations.parts.choice_samples import extended_by
from evalsuite.perturbations.parts.none_right import LANGUAGES, Text, text_of, unfit_for_none
from evalsuite.types import Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    text: Text = "none"
    """`none`: no other choice is right; `do_not_know`: I do not know."""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        del seed
        refusal = unfit_for_none(sample)
        if refusal is not None:
            return refusal
        label = next_label(labels_of(sample))
        if label is None:
            return Refusal(reason="there is no label for one more choice")
        return (replace(extended_by(sample, text_of(options.text, sample.language), label), variant=0),)

    return perturb


SPEC = PerturbationSpec(
    name="none_added",
    summary="One more choice that is wrong: that no other one is right, or that one does not know.",
    source="ours, after Pal et al. 2023 (arXiv 2307.15343)",
    family="target-changing",
    preserves_meaning=False,
    options=Options,
    build=build,
    languages=LANGUAGES,
    needs=needing("listed"),
)
