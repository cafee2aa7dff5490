"""What holds for every strategy: declared request kinds, bounded requests, no leak of exemplars, failures become statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from evalsuite import strategies
from evalsuite.cards import Split, TaskCard
from evalsuite.config import Decoding, Prompting
from evalsuite.formats import FORMATS, Format, default_wording
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.plugins import load_specs
from evalsuite.prompts import open_renderer
from evalsuite.store import Identity, request_key
from evalsuite.strategies.base import Context, StrategySpec
from evalsuite.types import Answer, Failure, Outcome, Request, Response, Sample
from evalsuite.waves import Answered, Asked, drive

SPECS = load_specs(strategies)
# `native` prompts are another framework's; tests/e2e/test_lm_eval.py holds them against that framework.
CASES = [(spec, form) for spec in SPECS.values() for form in FORMATS if "native" not in (spec.name, form)]
IDS = [f"{spec.name}-{form}" for spec, form in CASES]
CARD = TaskCard(
    name="t", kind="choice", description="-", language="en", licence="MIT", citation="-", splits={"test": Split(n_rows=None)},
    split="test", exemplar_split="train", metric="accuracy", metrics=("accuracy",), chance=0.25,
)  # fmt: skip
SAMPLE = Sample(id="s1", group="t:1", question="Which one?", choices=("alpha", "beta", "gamma", "delta"), targets=(2,))
POOL = tuple(
    Sample(id=f"p{n}", group=f"pool:{n // 2}", question=f"Exemplar {n}?", choices=("w", "x", "y", "z"), targets=(n % 4,)) for n in range(24)
)


def context(**changes: Any) -> Context:
    checkpoint = Checkpoint(name="stub", path="stub:first", fingerprint="0" * 64)
    renderer = open_renderer(checkpoint, ChatEntry(template="plain"), Prompting())
    fields: dict[str, Any] = {
        "renderer": renderer, "card": CARD, "wording": default_wording("en"), "pool": lambda: POOL, "decoding": Decoding(max_tokens=9),
        "shots_as": "turns", "system": None, "seed": 3, "replicate": 0,
    }  # fmt: skip
    return Context(**{**fields, **changes})


def built(spec: StrategySpec, form: Format) -> Any:
    return spec.build(spec.options.model_validate({"format": form}))


def answer(strategy: Any, around: Context, reply: Any, sample: Sample = SAMPLE) -> tuple[Answer, list[Request]]:
    asked: list[Request] = []

    def source(wave: Sequence[Asked[Any]]) -> list[Answered]:
        asked.extend(item.request for item in wave)
        return [Answered(key=str(len(asked)), outcome=reply(item.request)) for item in wave]

    (prepared,) = drive([("prepare", strategy.prepare(around))], source)
    (finished,) = drive([("answer", strategy.answer(sample, prepared.result, around))], source)
    return finished.result, asked


def third(request: Request) -> Outcome:
    """Prefers the third of whatever is offered."""
    if request.kind == "next":
        return Response(logprobs=tuple(-1.0 if n == 2 else -4.0 for n in range(len(request.candidates))), n_prompt_tokens=5)
    if request.kind == "continuation":
        rows = tuple(tuple(-0.1 if n == 2 else -3.0 for _ in ids) for n, ids in enumerate(request.continuations))
        return Response(continuation_logprobs=rows)
    return Response(text="Answer: C", finish_reason="stop", n_output_tokens=9)


@pytest.mark.parametrize(("spec", "form"), CASES, ids=IDS)
def test_asks_only_declared_kinds_and_reads_the_answer(spec: StrategySpec, form: Format) -> None:
    strategy = built(spec, form)
    result, asked = answer(strategy, context(), third)
    assert {request.kind for request in asked} <= strategy.kinds_for(CARD)
    assert strategy.form_for(CARD) == form
    assert (result.reading.status, result.reading.index) == ("scored", 2)
    assert result.n_calls == len(asked) >= 1
    if form != "generate":
        assert result.p_choices is not None
        assert sum(result.p_choices) == pytest.approx(1)
        assert max(result.p_choices) == result.p_choices[2]


@pytest.mark.parametrize(("spec", "form"), CASES, ids=IDS)
def test_sends_the_same_every_time_and_something_else_under_another_seed_only_if_it_draws(spec: StrategySpec, form: Format) -> None:
    identity = Identity(fingerprint="0", engine="stub", dtype="none", quantisation=None)

    def keys(seed: int) -> list[str]:
        return [request_key(identity, request) for request in answer(built(spec, form), context(seed=seed), third)[1]]

    assert keys(3) == keys(3)
    assert (keys(3) == keys(4)) == (spec.name == "zero_shot")


@pytest.mark.parametrize(("spec", "form"), CASES, ids=IDS)
@pytest.mark.parametrize(("reason", "status"), [("too_long", "too_long"), ("engine_error", "failed"), ("invalid_logprob", "failed")])
def test_a_failed_request_becomes_the_status_and_never_raises(spec: StrategySpec, form: Format, reason: Any, status: str) -> None:
    failure = Failure(reason=reason, message="why", transient=False)
    result, _ = answer(built(spec, form), context(), lambda _: failure)
    assert result.reading.status == status
    assert result.reading.index is None
    assert reason in str(result.failure)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_unknown_options_are_refused(spec: StrategySpec) -> None:
    with pytest.raises(ValidationError):
        spec.options.model_validate({"fromat": "letters"})


@pytest.mark.parametrize("spec", [spec for spec, form in CASES if form == "generate"], ids=lambda spec: spec.name)
def test_an_unread_text_at_the_token_limit_is_truncated(spec: StrategySpec) -> None:
    cut, _ = answer(built(spec, "generate"), context(), lambda _: Response(text="Let us think", finish_reason="length"))
    assert cut.reading.status == "truncated"
    ended, _ = answer(built(spec, "generate"), context(), lambda _: Response(text="Let us think", finish_reason="stop"))
    assert ended.reading.status == "unparsed"
    read, _ = answer(built(spec, "generate"), context(), lambda _: Response(text="Answer: C", finish_reason="length"))
    assert read.reading.status == "scored"


def test_equal_probabilities_take_the_first_shown_and_say_so() -> None:
    result, _ = answer(built(SPECS["zero_shot"], "letters"), context(), lambda _: Response(logprobs=(-1.0,) * 4))
    assert result.reading.index == 0
    assert result.details == {"tie": True}


def test_few_shot_shows_right_answers_of_distinct_groups_before_the_question() -> None:
    spec = SPECS["few_shot"]
    strategy = spec.build(spec.options.model_validate({"format": "letters", "shots": 3}))
    _, (request,) = answer(strategy, context(), third)
    text = request.prompt.text
    shown = [sample for sample in POOL if sample.question in text]
    assert len(shown) == 3
    assert len({sample.group for sample in shown}) == 3
    assert text.endswith("Question: Which one?\nA. alpha\nB. beta\nC. gamma\nD. delta\nAnswer:")
    for sample in shown:
        letter = "ABCD"[sample.targets[0]]
        assert f"{sample.question}\nA. w\nB. x\nC. y\nD. z\nAnswer: {letter}\n\n" in text


@pytest.mark.parametrize(("exemplars", "same"), [("fixed", True), ("random", False)])
def test_fixed_exemplars_are_those_of_every_sample_and_random_ones_are_not(exemplars: str, same: bool) -> None:
    spec = SPECS["few_shot"]
    strategy = spec.build(spec.options.model_validate({"format": "letters", "shots": 4, "exemplars": exemplars}))
    heads = set()
    for number in range(5):
        sample = Sample(id=f"s{number}", group=f"t:{number}", question="Which one?", choices=("a", "b"), targets=(0,))
        _, (request,) = answer(strategy, context(), third, sample)
        heads.add(request.prompt.text)
    assert (len(heads) == 1) == same


def test_too_few_groups_in_the_pool_are_refused() -> None:
    spec = SPECS["few_shot"]
    strategy = spec.build(spec.options.model_validate({"shots": 13}))
    with pytest.raises(ValueError, match="13 exemplars wanted, the pool holds 12 groups"):
        answer(strategy, context(), third)


@pytest.mark.parametrize(
    ("normalisation", "index"),
    [("raw", 0), ("token", 1), ("byte", 2), ("unconditional", 3)],
)
def test_cloze_normalisations_choose_as_defined(normalisation: str, index: int) -> None:
    """Four choices, each of which wins under one rule alone."""
    choices = ("ab", "cd ef", "g" * 40, "h")
    sample = Sample(id="s", group="g", question="?", choices=choices, targets=(0,))
    # raw: least negative sum; token: best mean; byte: best sum per byte; unconditional: greatest gain over the bare cue.
    rows = ((-4.0,), (-1.5, -1.5, -1.5), (-6.0,), (-9.0,))
    bare = ((-4.0,), (-4.5,), (-6.0,), (-30.0,))

    def reply(request: Request) -> Outcome:
        return Response(continuation_logprobs=bare if request.prompt.text == "Answer:" else rows)

    spec = SPECS["zero_shot"]
    strategy = spec.build(spec.options.model_validate({"format": "cloze", "normalisation": normalisation}))
    result, asked = answer(strategy, context(renderer=_Texts()), reply, sample)
    assert result.reading.index == index
    assert len(asked) == (2 if normalisation == "unconditional" else 1)


class _Texts:
    """A renderer whose prompt is the last user turn, for rules that look at texts alone."""

    def render(self, messages: Sequence[Any], *, joint: str = " ") -> Any:
        from evalsuite.types import Prompt

        return Prompt(token_ids=(1,), text=messages[-1].text)

    def label_ids(self, prompt: Any, labels: Sequence[str], *, joint: str = " ") -> tuple[int, ...]:
        return tuple(range(len(labels)))

    def continuation_ids(self, prompt: Any, texts: Sequence[str], joint: str = " ") -> tuple[tuple[int, ...], ...]:
        return tuple((number,) for number in range(len(texts)))


def test_seeds_belong_to_sample_replicate_and_draw_and_are_absent_when_greedy() -> None:
    from evalsuite.strategies.ask import sampling_for

    assert sampling_for(SAMPLE, context()).seed is None
    hot = {"decoding": Decoding(temperature=0.7, max_tokens=9)}
    seeds = {
        sampling_for(sample, context(replicate=replicate, **hot), draw).seed
        for sample in POOL[:3]
        for replicate in (0, 1)
        for draw in (0, 1)
    }
    assert len(seeds) == 12
    assert None not in seeds


def test_free_text_is_generated_and_letters_for_it_are_refused() -> None:
    text_card = TaskCard(
        name="x", kind="text", description="-", language="en", licence="MIT", citation="-", splits={}, split="all", exemplar_split=None,
        metric="rougeL", metrics=("rougeL",), chance=None,
    )  # fmt: skip
    assert built(SPECS["zero_shot"], "generate").form_for(text_card) == "generate"
    auto = SPECS["zero_shot"].build(SPECS["zero_shot"].options())
    assert auto.form_for(text_card) == "generate"
    assert auto.form_for(CARD) == "letters"
    with pytest.raises(ValueError, match="free text needs `generate`"):
        built(SPECS["zero_shot"], "letters").form_for(text_card)
