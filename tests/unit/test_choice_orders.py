"""Orders of choices: drawn uniformly, distinct, and the same for every strategy that has as many members."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from evalsuite.cards import TaskCard
from evalsuite.choice_orders import drawn_orders, refers_to_order, reordered
from evalsuite.config import Decoding
from evalsuite.formats import default_wording
from evalsuite.scoring import Silent
from evalsuite.seeds import derive_seed
from evalsuite.strategies.base import Context
from evalsuite.strategies.ensembles import Ensemble, runs_of
from evalsuite.types import Sample

CARD = TaskCard(
    name="t", kind="choice", description="-", language="en", licence="-", citation="-", splits={}, split="test", exemplar_split=None,
    metric="accuracy", metrics=("accuracy",), chance=None,
)  # fmt: skip
SAMPLE = Sample(id="s", group="g", question="?", choices=("w", "x", "y", "z"), targets=(1,))
UNLIKELY = 1e-3
"""Chi-square tests below fail for one seed in a thousand if orders are uniform; the seeds are fixed."""


def around(**changes: Any) -> Context:
    fields: dict[str, Any] = {
        "renderer": Silent(), "card": CARD, "wording": default_wording("en"), "pool": tuple, "decoding": Decoding(), "shots_as": "turns",
        "system": None, "seed": 7, "replicate": 0,
    }  # fmt: skip
    return Context(**{**fields, **changes})


def orders_of(sample: Sample = SAMPLE, n: int = 5, letters_runs: int = 0, **changes: Any) -> list[tuple[int, ...]]:
    ensemble = Ensemble(n=n, by="orders", temperature=0.7, letters_runs=letters_runs)
    return [run.order for run in runs_of(sample, ensemble, around(**changes))]


def numbered(n: int) -> list[Sample]:
    return [replace(SAMPLE, id=f"s{number}", group=f"g{number}") for number in range(n)]


# Drawing


def test_every_permutation_is_as_likely_at_every_draw() -> None:
    drawn = [drawn_orders(4, 5, derive_seed(1, number)) for number in range(4800)]
    permutations = list(itertools.permutations(range(4)))
    for member in range(5):
        counts = Counter(orders[member] for orders in drawn)
        assert chisquare([counts[order] for order in permutations]).pvalue > UNLIKELY


def test_every_choice_stands_at_every_place_as_often_over_many_samples() -> None:
    places = np.zeros((4, 4), dtype=int)
    for sample in numbered(2000):
        for order in orders_of(sample):
            for place, choice in enumerate(order):
                places[choice, place] += 1
    assert places.sum(axis=0).tolist() == places.sum(axis=1).tolist() == [10_000] * 4
    # Every order has every choice once, so that counts vary less than independent ones would: the test errs on the safe side.
    assert chisquare(places.ravel()).pvalue > UNLIKELY
    assert abs(places / 10_000 - 0.25).max() < 0.015


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 5), st.integers(1, 130), st.integers(0, 2**63 - 1))
def test_orders_are_distinct_permutations_and_a_shorter_list_is_the_beginning_of_a_longer_one(n_choices: int, n: int, seed: int) -> None:
    orders = drawn_orders(n_choices, n, seed)
    assert len(orders) == len(set(orders)) == min(n, math.factorial(n_choices))
    assert all(sorted(order) == list(range(n_choices)) for order in orders)
    assert drawn_orders(n_choices, max(1, n // 2), seed) == orders[: max(1, n // 2)]


def test_reordering_moves_targets_and_original_indices_along_and_labels_stay_where_they_are() -> None:
    sample = Sample(
        id="s", group="g", question="?", choices=("a", "b", "c"), targets=(0, 2), order=(4, -1, 1), labels=("1", "2", "3"), variant=2
    )
    shown = reordered(sample, (2, 0, 1), 5)
    assert (shown.choices, shown.targets, shown.order, shown.labels, shown.variant) == (
        ("c", "a", "b"), (0, 1), (1, 4, -1), ("1", "2", "3"), 5,
    )  # fmt: skip
    assert [shown.choices[target] for target in shown.targets] == ["c", "a"]


@pytest.mark.parametrize(
    "choice",
    ["Both A and C", "All of the above", "None of the preceding", "Options B and D are right", "A, B", "Todas las anteriores", "B y C"],
)
def test_a_sample_whose_choices_refer_to_each_other_keeps_its_order_and_is_asked_once(choice: str) -> None:
    sample = replace(SAMPLE, choices=("w", "x", "y", choice))
    assert refers_to_order(sample)
    assert orders_of(sample) == [(0, 1, 2, 3)]
    assert orders_of(sample, letters_runs=3) == [(0, 1, 2, 3)] * 2


@pytest.mark.parametrize("choice", ["Vitamin A", "Both arms", "Hepatitis B and C"])
def test_other_choices_may_be_moved(choice: str) -> None:
    assert not refers_to_order(replace(SAMPLE, choices=("w", "x", "y", choice)))


# Orders of an ensemble


def test_orders_belong_to_study_task_sample_variant_and_replicate() -> None:
    first = orders_of()
    assert orders_of() == first
    others = [
        orders_of(seed=8),
        orders_of(replace(SAMPLE, id="s2")),
        orders_of(replace(SAMPLE, variant=1)),
        orders_of(replicate=1),
        orders_of(card=replace(CARD, name="u")),
    ]
    assert all(other != first for other in others)
    # A group, a question or the right answer decides nothing.
    assert orders_of(replace(SAMPLE, group="h", question="!", targets=(3,))) == first
    assert orders_of(n=3) == first[:3]


def test_few_choices_have_few_orders() -> None:
    for n_choices, n in ((1, 1), (2, 2), (3, 5), (5, 5)):
        sample = replace(SAMPLE, choices=SAMPLE.choices[:n_choices] if n_choices < 5 else (*SAMPLE.choices, "v"), targets=(0,))
        orders = orders_of(sample)
        assert len(orders) == len(set(orders)) == n


@pytest.mark.parametrize(("n_choices", "n", "letters_runs"), [(4, 5, 10), (4, 20, 20), (3, 5, 4), (2, 5, 5), (4, 2, 1)])
def test_direct_runs_see_further_orders_as_far_as_there_are_any(n_choices: int, n: int, letters_runs: int) -> None:
    sample = replace(SAMPLE, choices=SAMPLE.choices[:n_choices])
    runs = list(runs_of(sample, Ensemble(n=n, by="orders", letters_runs=letters_runs), around()))
    writing, direct = ([run.order for run in runs if run.direct == flag] for flag in (False, True))
    n_orders = math.factorial(n_choices)
    assert writing == orders_of(sample, n=n)
    assert len(direct) == len(set(direct)) == min(letters_runs, n_orders)
    assert len(set(writing) & set(direct)) == max(0, len(writing) + len(direct) - n_orders)


def test_draws_keep_the_order_and_are_numbered() -> None:
    drawn = list(runs_of(SAMPLE, Ensemble(n=3, by="samples", temperature=0.7), around()))
    assert [(run.order, run.draw, run.direct) for run in drawn] == [((0, 1, 2, 3), draw, False) for draw in range(3)]
    text = Sample(id="s", group="g", question="?", references=("r",))
    assert [(run.order, run.draw) for run in runs_of(text, Ensemble(n=2, by="orders", temperature=0.7), around())] == [((), 0), ((), 1)]
