"""The same choices, each moved on by so many places, the last ones to the front.

Source: the cyclic permutations of Zheng et al. 2023 (arXiv 2309.03882). Over the original order and all shifts every choice stands at
every place once, so that a model that goes by place alone is right once in as many times as there are choices.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from evalsuite.choice_orders import refers_to_order, reordered
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal, needing
from evalsuite.perturbations.parts.choice_samples import unfit_choices
from evalsuite.types import Sample

Shift = Annotated[int, Field(ge=1, le=25)]


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    shifts: Literal["all"] | Annotated[tuple[Shift, ...], Field(min_length=1, max_length=25)] = "all"
    """By how many places, a variant each: `all` from 1 to one less than there are choices, or a list of different numbers, of which a
    sample leaves out those that it has too few choices for."""

    @field_validator("shifts")
    @classmethod
    def _different(cls, shifts: Literal["all"] | tuple[int, ...]) -> Literal["all"] | tuple[int, ...]:
        if len(set(shifts)) < len(shifts) and shifts != "all":
            raise ValueError("a number stands twice")
        return shifts


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        del seed
        refusal = unfit_choices(sample)
        if refusal is not None:
            return refusal
        if refers_to_order(sample):
            return Refusal(reason="a choice refers to others by label or place")
        n = len(sample.choices)
        shifts = range(1, n) if options.shifts == "all" else [shift for shift in options.shifts if shift < n]
        if not shifts:
            return Refusal(reason="too few choices for these shifts")
        orders = [tuple((position - shift) % n for position in range(n)) for shift in shifts]
        return tuple(reordered(sample, order, variant) for variant, order in enumerate(orders))

    return perturb


SPEC = PerturbationSpec(
    name="cyclic_shift",
    summary="The same choices moved on by 1, 2, ... places, the last ones to the front.",
    source="Zheng et al. 2023 (arXiv 2309.03882)",
    family="meaning-preserving",
    preserves_meaning=True,
    options=Options,
    build=build,
    needs=needing("listed"),
)
