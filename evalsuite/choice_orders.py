"""Orders of a sample's choices: drawing them, showing a sample in one, and which samples cannot be changed so."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evalsuite.choice_references import names_labels, names_places, speaks_of_all
from evalsuite.types import Sample


def refers_to_labels(sample: Sample) -> bool:
    """Whether other labels would change what is asked: a choice, or somebody in the text, names choices by label."""
    n = len(sample.choices)
    return sample.suggested is not None or any(names_labels(choice, at, n) for at, choice in enumerate(sample.choices))


def refers_to_order(sample: Sample) -> bool:
    """Whether another order would change what is asked: a choice, or somebody in the text, names choices by label or place."""
    return sample.n_unlisted > 0 or refers_to_labels(sample) or any(map(names_places, sample.choices))


def refers_to_others(sample: Sample) -> bool:
    """Whether what is asked would change if a choice were replaced, added or taken out: one names others, or speaks of all of them."""
    return refers_to_order(sample) or any(map(speaks_of_all, sample.choices))


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
