"""Choosing prompts, driven by hand: means, ties, set metrics, batches, and what is rebuilt from facts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import f1_score

from evalsuite import strategies
from evalsuite.metrics import METRICS
from evalsuite.plugins import load_specs
from evalsuite.strategies import selection
from evalsuite.strategies.composed import Composed
from evalsuite.strategies.selection import Selecting, Tried, Won, first_best, selecting, value_of
from evalsuite.types import Answer, Outcome, Reading, Request, Response, Sample, Status
from evalsuite.waves import Answered, Asked, Finished, drive
from tests.contract.test_strategies import POOL, SAMPLE, context

SPECS = load_specs(strategies)
VALIDATION = tuple(
    Sample(id=f"v{n}", group=f"v:{n}", question=f"Question {n}?", choices=("w", "x", "y", "z"), targets=(n % 4,)) for n in range(6)
)
ACCURACY = METRICS["accuracy"]


def built(name: str = "zero_shot", **options: Any) -> Any:
    spec = SPECS[name]
    return spec.build(spec.options.model_validate({"format": "letters", "selection": "per_model", **options}))


def around(**changes: Any) -> Any:
    return context(questions=lambda: (SAMPLE,), validation=lambda _, limit: VALIDATION[:limit], metric=ACCURACY, **changes)


def prepared(strategy: Any, base: Any, reply: Any) -> tuple[Finished[str, Any], list[list[Request]]]:
    waves: list[list[Request]] = []

    def source(wave: Sequence[Asked[Any]]) -> list[Answered]:
        waves.append([asked.request for asked in wave])
        return [Answered(key=str(len(waves)), outcome=reply(asked.request)) for asked in wave]

    (finished,) = drive([("p", strategy.prepare(base))], source)
    return finished, waves


def first(request: Request) -> Outcome:
    return Response(logprobs=tuple(-float(n + 1) for n in range(len(request.candidates))))


def answered(index: int | None, status: Status = "scored") -> Answer:
    return Answer(reading=Reading(status=status, index=index))


def test_options_make_one_prompt_or_several() -> None:
    shared = SPECS["zero_shot"].build(SPECS["zero_shot"].options())
    assert isinstance(shared, Composed)
    assert shared.trial is None
    several = built("few_shot", templates=2, exemplar_seeds=2, validation="train", validation_limit=9, prompt_from="other")
    assert isinstance(several, Selecting)
    assert (several.n_shots, several.lender) == (5, "other")
    assert (several.trial.n_candidates, several.trial.split, several.trial.limit) == (6, "train", 9)
    assert [(one.template.name, one.exemplar_seed, one.strategy.choosing and one.strategy.choosing.seed) for one in several.candidates] == [
        ("default", 0, 0), ("default", 1, 1), ("t0", 0, 0), ("t0", 1, 1), ("t1", 0, 0), ("t1", 1, 1),
    ]  # fmt: skip
    assert built("few_shot", exemplars="knn", templates=1).candidates[1].exemplar_seed is None
    assert [one.exemplar_seed for one in built("few_shot", templates=1, exemplar_seed=7).candidates] == [7, 7]


@pytest.mark.parametrize("name", [name for name in SPECS if name != "native"])
def test_every_composed_strategy_takes_the_options(name: str) -> None:
    spec = SPECS[name]
    assert isinstance(spec.build(spec.options.model_validate({"selection": "per_model"})), Selecting)
    with pytest.raises(ValidationError, match="only with"):
        spec.options.model_validate({"validation": "dev"})


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12))
def test_the_first_of_the_best_wins_in_either_direction(values: list[float]) -> None:
    tried = [Tried(mean=value, n_missing=0, n_failed=0) for value in values]
    assert first_best(tried, ACCURACY) == int(np.argmax(values))
    assert first_best(tried, replace(ACCURACY, higher_is_better=False)) == int(np.argmin(values))
    assert first_best([*tried, Tried(mean=None, n_missing=1, n_failed=1)], ACCURACY) is None


def test_missing_answers_are_worth_the_worst() -> None:
    answers = [answered(0), answered(1), answered(None, "unparsed"), answered(None, "too_long"), answered(0), answered(1)]
    assert value_of(answers, VALIDATION, ACCURACY) == Tried(mean=4 / 6, n_missing=2, n_failed=0)
    low = replace(ACCURACY, worst=-1.0)
    assert value_of(answers, VALIDATION, low).mean == pytest.approx((4 - 2) / 6)
    answers[3] = answered(None, "failed")
    assert value_of(answers, VALIDATION, ACCURACY) == Tried(mean=None, n_missing=2, n_failed=1)


@given(st.lists(st.sampled_from([0, 1, 2, 3, None]), min_size=6, max_size=6))
def test_set_metrics_are_of_the_whole_set(picked: list[int | None]) -> None:
    answers = [answered(index, "scored" if index is not None else "unparsed") for index in picked]
    targets = [sample.targets[0] for sample in VALIDATION]
    predictions = [-1 if index is None else index for index in picked]
    labels = sorted({*targets, *predictions} - {-1})
    expected = f1_score(targets, predictions, labels=labels, average="macro", zero_division=0)
    assert value_of(answers, VALIDATION, METRICS["macro_f1"]).mean == pytest.approx(expected)


def test_all_candidates_are_asked_in_one_wave(monkeypatch: pytest.MonkeyPatch) -> None:
    finished, waves = prepared(built(templates=4), around(), first)
    assert [len(wave) for wave in waves] == [5 * 6]
    facts = finished.result.facts["selection"]
    assert [one["mean"] for one in facts["candidates"]] == [pytest.approx(2 / 6)] * 5
    assert facts["winner"] == 0
    monkeypatch.setattr(selection, "N_TOGETHER", 13)
    again, waves = prepared(built(templates=4), around(), first)
    assert [len(wave) for wave in waves] == [12, 12, 6]
    assert again.result == finished.result


def test_targets_of_validation_samples_are_shown_to_no_preparation() -> None:
    seen = []

    class Spied(Composed):
        def prepare(self, context: Any) -> Any:
            seen.extend(context.questions())
            return Composed.prepare(self, context)

    strategy = selecting(lambda options: Spied(form=options), SPECS["zero_shot"].options(selection="per_model", templates=1))
    prepared(strategy, around(), first)
    assert {sample.id for sample in seen} == {"s1", *(sample.id for sample in VALIDATION)}
    assert all(not sample.targets for sample in seen if sample.id != "s1")


def test_the_winner_comes_back_from_the_facts_and_nothing_is_asked() -> None:
    def second_best(request: Request) -> Outcome:
        return first(request) if "ANSWER" not in request.prompt.text else Response(logprobs=(-9.0, -9.0, -9.0, -1.0))

    only_last = tuple(sample for sample in VALIDATION if sample.targets == (3,))
    base = replace(around(), validation=lambda *_: only_last)
    finished, _ = prepared(built("few_shot", templates=3), base, second_best)
    facts = finished.result.facts
    assert facts["selection"]["winner"] == 1
    again, waves = prepared(built("few_shot", templates=3), replace(base, recorded=facts, validation=None, metric=None), first)
    assert waves == []
    assert again.result == finished.result
    preview, waves = prepared(built("few_shot", templates=3), replace(base, recorded={}), first)
    assert (waves, preview.result.state.index, preview.result.facts) == ([], 0, {})


def test_an_open_choice_is_a_failed_answer() -> None:
    strategy = built()
    (finished,) = drive([("a", strategy.answer(SAMPLE, Won(index=None), around()))], lambda _: [])
    assert finished.result.reading.status == "failed"
    assert "not chosen yet" in str(finished.result.failure)


def test_fixed_exemplars_are_tried_as_they_are_shown_later() -> None:
    """Also where validation questions are exemplars: only the one that would see itself sees another in its place."""
    strategy = built("few_shot", shots=3, templates=0, exemplar_seeds=[0, 1])
    base = replace(around(), validation=lambda *_: POOL)
    finished, (wave,) = prepared(strategy, base, first)
    shown = [[sample for sample in POOL if sample.question in request.prompt.text] for request in wave[: len(POOL)]]
    (own,) = drive([("p", strategy.candidates[0].strategy.prepare(base))], lambda _: [])
    usual = {shot.sample.id for shot in own.result.state.for_all}
    assert len(usual) == 3
    groups = {sample.group for sample in POOL if sample.id in usual}
    for sample, found in zip(POOL, shown, strict=True):
        exemplars = {one.id for one in found} - {sample.id}
        assert len(exemplars) == 3
        assert (exemplars == usual) == (sample.group not in groups)
        assert sample.group not in {one.group for one in found if one.id != sample.id}
    assert finished.result.facts["selection"]["n_validation"] == len(POOL)


def test_chains_of_thought_are_written_and_kept_in_the_templates_own_form() -> None:
    """t4 writes `**Answer** - X`: chains are asked for, recognised and shown in that form."""
    strategy = built("cot", format="auto", shots=1, templates=5)
    asked: list[str] = []

    def reasons(request: Request) -> Outcome:
        text = request.prompt.text
        asked.append(text)
        if "**Answer** - X" not in text:
            return Response(text="No idea.", finish_reason="stop")
        number = re.findall(r"(?:Exemplar|Question|Which) (\d+|one)\?", text)[-1]
        label = "B" if number == "one" else "ABCD"[int(number) % 4]
        return Response(text=f"Because so.\n**Answer** - {label}", finish_reason="stop")

    base = replace(around(), validation=lambda *_: VALIDATION[1:2])
    finished, _ = prepared(strategy, base, reasons)
    facts = finished.result.facts["selection"]
    assert [one["mean"] for one in facts["candidates"]] == [0, 0, 0, 0, 0, 1]
    (finished_answer,) = drive(
        [("a", strategy.answer(SAMPLE, finished.result.state, base))],
        lambda wave: [Answered(key="k", outcome=reasons(item.request)) for item in wave],
    )
    assert finished_answer.result.strict is not None
    assert finished_answer.result.strict.index == 1
    assert "Because so.\n**Answer** - " in asked[-1]
