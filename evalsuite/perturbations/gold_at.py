"""The right choice at one and the same place for all samples.

Source: the answer-moving attack of Zheng et al. 2023 (arXiv 2309.03882): a model with a liking for a place scores higher where all right
choices stand there. The place alone tells the right choice, by design; no exemplar and no word of the prompt says so.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.choice_orders import refers_to_order, reordered
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal, needing
from evalsuite.perturbations.parts.choice_samples import unfit_choices
from evalsuite.perturbations.parts.unfit import without_one_right_choice
from evalsuite.types import Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    slot: Literal["first", "last"] | Annotated[int, Field(ge=0, le=25)]
    """Where the right choice goes, the others keeping their order: `first`, `last`, or its place counted from 0. A sample whose right
    choice stands there already is shown as it is."""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        del seed
        refusal = unfit_choices(sample) or without_one_right_choice(sample)
        if refusal is not None:
            return refusal
        if refers_to_order(sample):
            return Refusal(reason="a choice refers to others by label or place")
        n = len(sample.choices)
        slot = {"first": 0, "last": n - 1}[options.slot] if isinstance(options.slot, str) else options.slot
        if slot >= n:
            return Refusal(reason="too few choices for this place")
        order = [position for position in range(n) if position != sample.targets[0]]
        order.insert(slot, sample.targets[0])
        return (reordered(sample, tuple(order), 0),)

    return perturb


SPEC = PerturbationSpec(
    name="gold_at",
    summary="The right choice moved to one and the same place, the others in their order.",
    source="Zheng et al. 2023 (arXiv 2309.03882, answer-moving attack)",
    family="meaning-preserving",
    preserves_meaning=True,
    options=Options,
    build=build,
    needs=needing("listed"),
)
