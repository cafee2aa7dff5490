"""What is sealed, and the journal of runs and openings: pure rules and small files."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.config import Study, study_as_yaml
from evalsuite.seals import (
    Ran,
    Version,
    changes_since,
    date_of,
    note_opening,
    note_run,
    openings_of,
    runs_of,
    sealed_groups,
    sealed_line,
    seen_before,
)
from evalsuite.store import Store, state_analysis

names = st.sets(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=2, max_size=60)
shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**40)


@given(names, shares, seeds)
def test_the_share_is_of_groups_and_leaves_some_on_either_side(groups: set[str], share: float, seed: int) -> None:
    sealed = sealed_groups({"t": groups}, share, seed)
    assert sealed <= groups
    assert len(sealed) == max(1, min(len(groups) - 1, math.floor(share * len(groups) + 0.5)))
    assert sealed == sealed_groups({"another": sorted(groups, reverse=True)}, share, seed)


@given(names, shares, shares, seeds)
def test_a_smaller_share_is_part_of_a_larger_one(groups: set[str], one: float, other: float, seed: int) -> None:
    small, large = sorted((one, other))
    assert sealed_groups({"t": groups}, small, seed) <= sealed_groups({"t": groups}, large, seed)


@given(st.dictionaries(st.sampled_from("tuvw"), names, min_size=1), shares, seeds)
def test_a_group_is_sealed_in_all_tasks_or_in_none_whatever_their_order(tasks: dict[str, set[str]], share: float, seed: int) -> None:
    sealed = sealed_groups(tasks, share, seed)
    assert sealed == sealed_groups(dict(reversed(tasks.items())), share, seed)
    assert sealed <= set().union(*tasks.values())
    for task, own in tasks.items():
        if all(own.isdisjoint(other) or own == other for other in tasks.values()):
            assert len(sealed & own) == len(sealed_groups({task: own}, share, seed)), "a task that shares none, or all, has its own share"


@pytest.mark.parametrize(
    ("n_groups", "share", "n_sealed"), [(40, 0.2, 8), (10, 0.15, 2), (100, 0.29, 29), (3, 0.01, 1), (3, 0.99, 2), (2, 0.5, 1)]
)
def test_how_many_are_sealed(n_groups: int, share: float, n_sealed: int) -> None:
    assert len(sealed_groups({"t": [f"g{number}" for number in range(n_groups)]}, share, 0)) == n_sealed


def test_tasks_that_hang_together_through_a_third_are_drawn_from_together() -> None:
    a, b, c = ({f"g{number}" for number in numbers} for numbers in (range(40), range(30, 70), range(60, 100)))
    sealed = sealed_groups({"a": a, "c": c, "b": b}, 0.25, 3)
    assert sealed == sealed_groups({"all": a | b | c}, 0.25, 3)
    assert len(sealed) == 25


def test_another_seed_seals_other_groups_and_every_group_is_sealed_as_often() -> None:
    groups = [f"g{number}" for number in range(50)]
    times = dict.fromkeys(groups, 0)
    for seed in range(1000):
        for name in sealed_groups({"t": groups}, 0.2, seed):
            times[name] += 1
    # 200 each, standard deviation sqrt(1000 x 0.2 x 0.8) = 12.6.
    assert all(abs(n - 200) < 5 * 12.7 for n in times.values())


def test_the_key_stands_in_a_study_file_only_where_it_is_set() -> None:
    content = {"study": "s", "question": "Does it?", "models": ["a"], "tasks": ["t"]}
    assert "holdout" not in study_as_yaml(Study.model_validate(content))
    assert "holdout: 0.2" in study_as_yaml(Study.model_validate({**content, "holdout": 0.2}))
    for wrong in (0, 1, -0.1, 1.5, "much", float("nan")):
        with pytest.raises(ValueError, match="holdout"):
            Study.model_validate({**content, "holdout": wrong})


def version(**changes: object) -> Version:
    stated = {"seed": 0, "margin": 0.03, "holdout": 0.2}
    known = {"a": {"fingerprint": "f"}, "b": {"fingerprint": "g"}}
    content = {"study": "s", "stated": stated, "models": known, "tasks": {"t": "d", "u": "e"}}
    return Version(**{**content, **changes})  # type: ignore[arg-type]


def ran(at: float, plan: str = "p", seal: str = "x", *, unsealed: bool = False) -> Ran:
    return Ran(study="s", at=at, plan=plan, unsealed=unsealed, seals={"t": seal})


def test_the_first_opening_stays_and_counts_what_was_run_before(tmp_path: Path) -> None:
    for at, plan in ((1.0, "p"), (2.0, "q"), (3.0, "p")):
        note_run(tmp_path, ran(at, plan))
    note_run(tmp_path, dataclasses.replace(ran(4.0, "r"), study="another"))
    first = note_opening(tmp_path, version())
    assert (first.n_runs, first.n_plans) == (3, 2)
    note_run(tmp_path, ran(5.0, "z", unsealed=True))
    again = note_opening(tmp_path, version())
    narrowed = note_opening(tmp_path, version(models={"a": {"fingerprint": "f"}}))
    assert first == again == narrowed == openings_of(tmp_path, "s")[0]
    assert len(openings_of(tmp_path, "s")) == 2
    assert openings_of(tmp_path, "another") == []
    assert [each.at for each in runs_of(tmp_path, "s")] == [1.0, 2.0, 3.0, 5.0]
    with Store(tmp_path) as store:
        assert store.stats().n_files == 0, "no journal of answers"


def test_a_torn_line_is_as_if_it_had_not_been_written(tmp_path: Path) -> None:
    note_run(tmp_path, ran(1.0))
    note_opening(tmp_path, version())
    (tmp_path / "seal-x-1-y.jsonl").write_bytes(b'{"at": 0.0, "n_ru')
    (tmp_path / "runs-x-1-y.jsonl").write_bytes(b'{"study": "s", "at"')
    assert len(openings_of(tmp_path, "s")) == len(runs_of(tmp_path, "s")) == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, ()),
        ({"models": {"b": {"fingerprint": "g"}}, "tasks": {"u": "e"}}, ()),
        ({"models": {"c": {"fingerprint": "h"}}}, ()),
        ({"stated": {"seed": 0, "margin": 0.05, "holdout": 0.2}}, ("margin",)),
        ({"stated": {"seed": 1, "margin": 0.03}}, ("holdout", "seed")),
        ({"models": {"a": {"fingerprint": "other"}}}, ("weights of a",)),
        ({"tasks": {"t": "other", "u": "e"}}, ("data of t",)),
    ],
)
def test_what_makes_another_version_is_named(tmp_path: Path, changes: dict[str, object], named: tuple[str, ...]) -> None:
    assert changes_since([], version(**changes)) == ()
    note_opening(tmp_path, version())
    assert changes_since(openings_of(tmp_path, "s"), version(**changes)) == named


def test_what_a_later_opening_added_is_held_to_as_well(tmp_path: Path) -> None:
    note_opening(tmp_path, version(models={"a": {"fingerprint": "f"}}))
    note_opening(tmp_path, version(models={"b": {"fingerprint": "g"}}))
    assert changes_since(openings_of(tmp_path, "s"), version()) == ()
    assert changes_since(openings_of(tmp_path, "s"), version(models={"b": {"fingerprint": "x"}})) == ("weights of b",)


def test_runs_and_statements_that_sealed_otherwise_are_told(tmp_path: Path) -> None:
    now = {"t": "x"}
    note_run(tmp_path, ran(86400.0, seal="x"))
    assert seen_before(tmp_path, "s", now, math.inf) == ()
    note_run(tmp_path, ran(2 * 86400.0, seal="y"))
    note_run(tmp_path, ran(2 * 86400.0 + 5, seal="z"))
    assert seen_before(tmp_path, "s", now, math.inf) == ("1970-01-03",)
    assert seen_before(tmp_path, "s", {"u": "x"}, math.inf) == (), "another task"
    assert seen_before(tmp_path, "s", now, 86400.0) == (), "too late"
    state_analysis(tmp_path, "s", {"tasks": {"t": ["test", None]}, "holdout": 0.2})
    assert len(seen_before(tmp_path, "s", now, math.inf)) == 1
    stated = state_analysis(tmp_path, "s", {"tasks": {"t": ["test", None]}})
    assert len(seen_before(tmp_path, "s", now, math.inf)) == 2
    assert date_of(stated.at) in seen_before(tmp_path, "s", now, math.inf)


def test_how_much_is_sealed_is_one_line() -> None:
    assert sealed_line({}, unsealed=False) == ""
    assert "t 10 samples in 2 groups" in sealed_line({"t": (10, 2)}, unsealed=False)
