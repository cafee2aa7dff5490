"""The same choices in seeded random orders.

Source: the order sensitivity of Pezeshkpour & Hruschka (arXiv 2308.11483) and Zheng et al. (arXiv 2309.03882); this is the
plain form, a uniform draw among the orders that differ from the original one.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evalsuite.choice_orders import refers_to_order, reordered
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.choice_samples import unfit_choices
from evalsuite.seeds import derive_seed
from evalsuite.types import Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    variants: Annotated[int, Field(ge=1, le=24)] = 1
    """How many different orders per sample."""


def shuffled(sample: Sample, seed: int, n_variants: int) -> tuple[Sample, ...] | Refusal:
    """Variants of a sample in `n_variants` distinct orders, none of them the original.

    Args:
        sample: a sample with choices; several may be right.
        seed: study seed; the orders depend on it and on the sample's id only.
        n_variants: how many; fewer come back where fewer orders exist.
    """
    refusal = unfit_choices(sample)
    if refusal is not None:
        return refusal
    n = len(sample.choices)
    if refers_to_order(sample):
        return Refusal(reason="a choice refers to others by label or place")
    rng = np.random.default_rng(derive_seed(seed, "shuffle_choices", sample.id))
    identity = tuple(range(n))
    n_orders = math.factorial(n) - 1
    orders: list[tuple[int, ...]] = []
    while len(orders) < min(n_variants, n_orders):
        order = tuple(int(index) for index in rng.permutation(n))
        if order != identity and order not in orders:
            orders.append(order)
    return tuple(reordered(sample, order, variant) for variant, order in enumerate(orders))


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        return shuffled(sample, seed, options.variants)

    return perturb


SPEC = PerturbationSpec(
    name="shuffle_choices",
    summary="The same choices in seeded random orders; a choice that refers to others by label or place refuses.",
    source="Pezeshkpour & Hruschka 2023 (arXiv 2308.11483); Zheng et al. 2023 (arXiv 2309.03882)",
    family="meaning-preserving",
    preserves_meaning=True,
    options=Options,
    build=build,
)
