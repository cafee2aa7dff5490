"""Pure parts of the plan: limits, shards, the pre-stated analysis."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.config import load_study
from evalsuite.plan import analysis_statement, limited, sharded, statement_changes
from evalsuite.types import Sample


def samples(sizes: list[int]) -> list[Sample]:
    return [Sample(id=f"g{group}-{member}", group=f"g{group}", question="?") for group, size in enumerate(sizes) for member in range(size)]


sizes = st.lists(st.integers(1, 6), min_size=1, max_size=40)


@given(sizes, st.integers(1, 100), st.integers(1, 100), st.integers(0, 2**40))
def test_fewer_samples_are_a_subset_of_more_and_groups_stay_whole(sizes: list[int], one: int, other: int, seed: int) -> None:
    everything = samples(sizes)
    few, many = sorted((one, other))
    small = {sample.id for sample in limited(everything, few, seed)}
    large = {sample.id for sample in limited(everything, many, seed)}
    assert small <= large
    kept_groups = {sample.group for sample in everything if sample.id in small}
    assert {sample.id for sample in everything if sample.group in kept_groups} == small
    assert len(small) <= few or len(kept_groups) == 1


@given(sizes, st.integers(1, 60), st.integers(0, 2**40))
def test_the_choice_of_groups_does_not_depend_on_the_order_of_rows(sizes: list[int], limit: int, seed: int) -> None:
    everything = samples(sizes)
    forth = {sample.id for sample in limited(everything, limit, seed)}
    back = {sample.id for sample in limited(everything[::-1], limit, seed)}
    assert forth == back


def test_no_limit_keeps_everything_in_order() -> None:
    everything = samples([2, 3])
    assert limited(everything, None, 0) == tuple(everything)
    assert limited(everything, 5, 0) == tuple(everything)


def test_another_seed_takes_other_groups() -> None:
    everything = samples([1] * 100)
    assert limited(everything, 10, 1) != limited(everything, 10, 2)


@given(sizes, st.integers(1, 7))
def test_shards_are_disjoint_cover_everything_and_keep_groups_whole(sizes: list[int], n_parts: int) -> None:
    everything = samples(sizes)
    parts = [sharded(everything, (number, n_parts)) for number in range(1, n_parts + 1)]
    assert sorted(sample.id for part in parts for sample in part) == sorted(sample.id for sample in everything)
    groups = [{sample.group for sample in part} for part in parts]
    assert sum(len(names) for names in groups) == len(set().union(*groups))


STUDY = """
study: s
question: Does it?
models: [a, b]
tasks: [t]
seed: {seed}
analysis: {{margin: {margin}, n_resamples: {n}}}
"""


@pytest.mark.parametrize(
    ("margin", "seed", "n", "keys"), [(0.03, 0, 1000, []), (0.05, 0, 1000, ["margin"]), (0.05, 1, 200, ["margin", "n_resamples", "seed"])]
)
def test_what_changed_in_the_analysis_is_named(tmp_path: Path, margin: float, seed: int, n: int, keys: list[str]) -> None:
    def statement(margin: float, seed: int, n: int) -> dict[str, object]:
        file = tmp_path / "s.yaml"
        file.write_text(STUDY.format(margin=margin, seed=seed, n=n))
        return analysis_statement(load_study(file), [("a", "b")], {"t": "accuracy"}, {"t": "test"})

    changes = statement_changes(statement(0.03, 0, 1000), statement(margin, seed, n), 12.0)
    assert [change["key"] for change in changes] == keys
    assert all(change["old"] != change["new"] for change in changes)
