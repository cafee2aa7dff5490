"""The same choices in seeded random orders.

Source: the order sensitivity of Pezeshkpour & Hruschka (arXiv 2308.11483) and Zheng et al. (arXiv 2309.03882); this is the
plain form, a uniform draw among the orders that differ from the original one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.seeds import derive_seed
from evalsuite.types import Sample

# A choice that names its neighbours by label or place means something else, or nothing, in another order.
REFERS_TO_ORDER = re.compile(
    r"\b(?:both|either|neither|only|all|none|options?|choices?|answers?)\s+\(?[A-E]\)?(?:\s*(?:,|and|or|&)\s*\(?[A-E]\)?)*\s*(?:$|\.|are\b|is\b)"
    r"|^\W*\(?[A-E]\)?\s*(?:,|and|or|&|y|e|o)\s*\(?[A-E]\)?\W*$"
    r"|\b(?:above|preceding|previous|following|anteriores?|precedentes?|siguientes?)\b"
    r"|\b(?:respuestas?|opci[oó]n(?:es)?)\s+(?:[a-e1-5]\b|correctas?\b)"
    r"|^\W*[1-5]\s*(?:,|and|or|y|e|o)\s*[1-5]\b",
    re.IGNORECASE,
)


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    variants: Annotated[int, Field(ge=1, le=24)] = 1
    """How many different orders per sample."""


def shuffled(sample: Sample, seed: int, n_variants: int) -> tuple[Sample, ...] | Refusal:
    """Variants of a sample in `n_variants` distinct orders, none of them the original.

    Args:
        sample: a sample with choices.
        seed: study seed; the orders depend on it and on the sample's id only.
        n_variants: how many; fewer come back where fewer orders exist.
    """
    n = len(sample.choices)
    if n < 2:
        return Refusal(reason="fewer than two choices")
    if any(REFERS_TO_ORDER.search(choice) for choice in sample.choices):
        return Refusal(reason="a choice refers to others by label or place")
    rng = np.random.default_rng(derive_seed(seed, "shuffle_choices", sample.id))
    identity = tuple(range(n))
    n_orders = int(np.prod(np.arange(2, n + 1))) - 1
    orders: list[tuple[int, ...]] = []
    while len(orders) < min(n_variants, n_orders):
        order = tuple(int(index) for index in rng.permutation(n))
        if order != identity and order not in orders:
            orders.append(order)
    return tuple(reordered(sample, order, variant) for variant, order in enumerate(orders))


def reordered(sample: Sample, order: tuple[int, ...], variant: int) -> Sample:
    """The sample with its choices in another order.

    Args:
        sample: a sample with choices.
        order: for each new position the present position of the choice that comes there.
        variant: number of the variant.
    """
    return replace(
        sample,
        choices=tuple(sample.choices[position] for position in order),
        targets=tuple(sorted(order.index(target) for target in sample.targets)),
        order=tuple(sample.original_index(position) for position in order),
        variant=variant,
    )


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        return shuffled(sample, seed, options.variants)

    return perturb


SPEC = PerturbationSpec(
    name="shuffle_choices",
    summary="The same choices in seeded random orders; a choice that refers to others by label or place refuses.",
    source="Pezeshkpour & Hruschka 2023 (arXiv 2308.11483); Zheng et al. 2023 (arXiv 2309.03882)",
    preserves_meaning=True,
    options=Options,
    build=build,
)
