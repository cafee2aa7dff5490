"""Engine seconds by task, strategy and stage: a planted clock, shared requests, several runs of one plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.plan import Item
from evalsuite.programs import Preparation
from evalsuite.timings import TOGETHER_S, Timing, Use, timed, timing_rows, use_of, uses_by_key
from evalsuite.types import Cell, Outcome, Prompt, Request, Response, Sample
from evalsuite.waves import Asked

ZERO: Use = ("t", "zero_shot", "answer")
SHOTS: Use = ("t", "few_shot", "answer")
CHAINS: Use = ("t", "medprompt", "prepare")


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def engine(clock: Clock, waits: list[float]) -> Iterator[tuple[int, Outcome]]:
    """Yields an outcome per wait, after so many seconds."""
    for place, wait in enumerate(waits):
        clock.now += wait
        yield place, Response()


def measured(waits: list[float], uses: list[tuple[Use, ...]], between: float = 0.0) -> dict[Use, Timing]:
    clock, timings = Clock(), dict[Use, Timing]()
    for _ in timed(engine(clock, waits), uses, timings, clock):
        clock.now += between
    return timings


def item(strategy: str, sample: str = "s") -> Item:
    cell = Cell(model="m", task="t", strategy=strategy, perturbation="none", replicate=0)
    return Item(cell=cell, sample=Sample(id=sample, group=sample, question="?"))


def asked(name: Item | Preparation) -> Asked[Item | Preparation]:
    return Asked(name=name, ordinal=0, request=Request(kind="next", prompt=Prompt(token_ids=(1,), text=""), candidates=(2,)))


def test_each_outcome_gets_the_time_that_it_was_waited_for() -> None:
    found = measured([2.0, 3.0, 5.0], [(ZERO,), (SHOTS,), (ZERO,)])
    assert found[ZERO].n_asked == 2
    assert found[ZERO].engine_s == pytest.approx(7)
    assert (found[SHOTS].n_asked, found[SHOTS].engine_s) == (1, pytest.approx(3))


def test_a_batch_is_shared_evenly_whoever_comes_first() -> None:
    # Two batches of 6 and 2 seconds; the first outcome of each is one of few_shot, which must not pay for all.
    found = measured([6.0, 0.0, 0.0, 2.0, 0.0], [(SHOTS,), (ZERO,), (ZERO,), (SHOTS,), (ZERO,)])
    assert found[SHOTS].engine_s == pytest.approx(6 / 3 + 2 / 2)
    assert found[ZERO].engine_s == pytest.approx(2 * 6 / 3 + 2 / 2)


def test_a_request_that_two_want_counts_in_each_with_its_whole_time() -> None:
    found = measured([4.0, 1.0], [(ZERO, CHAINS), (ZERO,)])
    assert (found[ZERO].n_asked, found[ZERO].engine_s) == (2, pytest.approx(5))
    assert (found[CHAINS].n_asked, found[CHAINS].engine_s) == (1, pytest.approx(4))


def test_a_run_without_outcomes_takes_no_time_of_anyone() -> None:
    assert measured([], []) == {}


@given(
    st.lists(st.one_of(st.just(0.0), st.just(TOGETHER_S / 2), st.floats(1e-3, 10)), min_size=1, max_size=40),
    st.floats(0, 1),
    st.randoms(use_true_random=False),
)
def test_all_time_is_shared_out_and_every_request_counted_once(waits: list[float], between: float, random: object) -> None:
    uses = [(random.choice([ZERO, SHOTS, CHAINS]),) for _ in waits]  # type: ignore[attr-defined]
    found = measured(waits, uses, between)
    assert sum(timing.n_asked for timing in found.values()) == len(waits)
    assert sum(timing.engine_s for timing in found.values()) == pytest.approx(sum(waits) + between * len(waits), abs=1e-6)


def test_names_tell_preparing_from_answering() -> None:
    assert use_of(item("few_shot")) == SHOTS
    assert use_of(Preparation(model="m", task="t", strategy="medprompt")) == CHAINS


def test_uses_of_a_wave_are_different_ones_and_only_of_what_is_asked() -> None:
    chains = Preparation(model="m", task="t", strategy="medprompt")
    wave = [asked(item("zero_shot")), asked(item("few_shot")), asked(item("zero_shot", "s2")), asked(chains), asked(chains)]
    found = uses_by_key(["a", "a", "a", "a", "b"], wave, {"a", "b"})
    assert found == {"a": (ZERO, SHOTS, CHAINS), "b": (CHAINS,)}
    assert uses_by_key(["a", "known"], wave[:2], {"a"}) == {"a": (ZERO,)}


def rows_after(path: Path, plan_hash: str, **seconds: float) -> list[dict[str, object]]:
    """Rows of the file after a run in which each model asked one request of zero_shot that took so long."""
    models = {model: {ZERO: Timing(n_asked=1, engine_s=taken)} for model, taken in seconds.items()}
    rows = timing_rows(path, plan_hash, models)
    path.write_text(json.dumps(rows))
    return rows


def test_runs_of_one_plan_add_up_and_another_plan_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "timings.json"
    rows_after(path, "p1", b=2.0, a=1.0)
    both = rows_after(path, "p1", a=0.5)
    name = {"task": "t", "strategy": "zero_shot", "stage": "answer", "plan_hash": "p1"}
    assert both == [{"model": "a", **name, "n_asked": 2, "engine_s": 1.5}, {"model": "b", **name, "n_asked": 1, "engine_s": 2.0}]
    assert rows_after(path, "p1") == both
    assert rows_after(path, "p2", a=3.0) == [{"model": "a", **name, "plan_hash": "p2", "n_asked": 1, "engine_s": 3.0}]


@pytest.mark.parametrize("text", ["", "{}", "3", '[{"model": "a"}]', '[{"plan_hash": "p1", "n_asked": null}]', "[1]"])
def test_a_damaged_file_is_as_if_it_were_missing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "timings.json"
    path.write_text(text)
    assert len(rows_after(path, "p1", a=1.0)) == 1
