"""Orders of a sample's choices: drawing them, showing a sample in one, and which samples cannot be re-ordered."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

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


def refers_to_order(sample: Sample) -> bool:
    """Whether another order would change what is asked: a choice, or somebody in the text, refers to choices by label or place."""
    return sample.suggested is not None or sample.n_unlisted > 0 or any(REFERS_TO_ORDER.search(choice) for choice in sample.choices)


def drawn_orders(n_choices: int, n_orders: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Distinct orders, drawn uniformly among all permutations (the one that stands is one of them).

    Args:
        n_choices: number of choices, at least 1.
        n_orders: how many; fewer come back where fewer permutations exist.
        seed: of the draw.

    Returns:
        Orders: for each new position the present position of the choice that comes there.
    """
    rng = np.random.default_rng(seed)
    orders: list[tuple[int, ...]] = []
    while len(orders) < min(n_orders, math.factorial(n_choices)):
        order = tuple(rng.permutation(n_choices).tolist())
        if order not in orders:
            orders.append(order)
    return tuple(orders)


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
