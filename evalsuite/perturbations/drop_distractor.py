"""One wrong choice less, or several.

Source: ours, in the manner of the item analysis of examinations: who knows the answer does not need the wrong ones, who excludes gains by
each that is gone. By guessing one is right more often than before: compare with one in as many as are left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.choice_orders import refers_to_others
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.choice_samples import drawn_wrong, only_with, unfit_one_of_several
from evalsuite.types import Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    n: Annotated[int, Field(ge=1, le=24)] = 1
    """How many; at least two choices are left, else the sample is refused."""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        refusal = unfit_one_of_several(sample)
        if refusal is not None:
            return refusal
        if len(sample.choices) - options.n < 2:
            return Refusal(reason="fewer than two choices would be left")
        if refers_to_others(sample):
            return Refusal(reason="a choice refers to others")
        kept = [*drawn_wrong(sample, seed, "drop_distractor")[options.n :], *sample.targets]
        return (replace(only_with(sample, kept), variant=0),)

    return perturb


SPEC = PerturbationSpec(
    name="drop_distractor",
    summary="One wrong choice, or several, taken out by a seeded draw.",
    source="ours",
    family="target-changing",
    preserves_meaning=False,
    options=Options,
    build=build,
)
