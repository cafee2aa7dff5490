"""What holds for every strategy: declared request kinds, bounded requests, no leak of exemplars, failures become statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from evalsuite import strategies
from evalsuite.bytetext import decode
from evalsuite.cards import Split, TaskCard, TaskKind
from evalsuite.config import Decoding, Prompting
from evalsuite.embedders.neighbours import Wanted
from evalsuite.engines._stub_prompts import find_right
from evalsuite.formats import default_wording, quantity_wording, several_wording
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.plugins import load_specs
from evalsuite.prompts import open_renderer
from evalsuite.store import Identity, request_key
from evalsuite.strategies.base import Context, StrategySpec
from evalsuite.types import Answer, Failure, Outcome, Quantity, Request, Response, Sample
from evalsuite.waves import Answered, Asked, drive

SPECS = load_specs(strategies)
# `native` prompts are another framework's; tests/e2e/test_lm_eval.py holds them against that framework.
OURS = {name: spec for name, spec in SPECS.items() if name != "native"}
CARD = TaskCard(
    name="t", kind="choice", description="-", language="en", licence="MIT", citation="-", splits={"test": Split(n_rows=None)},
    split="test", exemplar_split="train", metric="accuracy", metrics=("accuracy",), chance=0.25,
)  # fmt: skip
SAMPLE = Sample(id="s1", group="t:1", question="Which one?", choices=("alpha", "beta", "gamma", "delta"), targets=(2,))
POOL = tuple(
    Sample(id=f"p{n}", group=f"pool:{n // 2}", question=f"Exemplar {n}?", choices=("w", "x", "y", "z"), targets=(n % 4,)) for n in range(24)
)
SHEET = {sample.question: sample.choices[sample.targets[0]] for sample in (SAMPLE, *POOL)}
FURTHER: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "few_shot": [{"exemplars": "random"}, {"exemplars": "knn", "order": "nearest_first"}],
    "cot": [{"shots": 3}, {"shots": 2, "exemplars": "knn"}],
    "self_consistency": [{"reasoning": False}, {"shots": 2, "samples": 3}],
    "choice_shuffle": [{"vote": "average"}, {"vote": "rank_average", "shots": 2}, {"format": "generate", "ensemble": 24}],
    "medprompt": [
        {"reasoning": False},
        {"reasoning": False, "vote": "average"},
        {"reasoning": False, "format": "cloze", "ensemble": 1},
        {"exemplars": "random", "ensemble": 1},
        {"letters_runs": 3},
        {"letters_runs": 2, "reasoning": False, "format": "generate"},
    ],
}
"""Options beside the format that make another strategy."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A strategy as a study would write it."""

    name: str
    options: Mapping[str, Any]

    def built(self) -> Any:
        spec = SPECS[self.name]
        return spec.build(spec.options.model_validate(self.options))

    @property
    def form(self) -> str:
        return str(self.built().form_for(CARD))

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


def accepted(name: str) -> list[Case]:
    """A strategy in every format that it takes for choices."""
    cases = []
    for form in ("letters", "cloze", "generate"):
        case = Case(name=name, options={"format": form})
        try:
            case.built().form_for(CARD)
        except ValueError:
            continue
        cases.append(case)
    return cases


# (options, requests per sample of four choices)
ENSEMBLES = [
    (Case(name="choice_shuffle", options={"ensemble": 5}), 5),
    (Case(name="choice_shuffle", options={"ensemble": 30, "format": "generate"}), 24),
    (Case(name="self_consistency", options={"samples": 7}), 7),
    (Case(name="medprompt", options={"ensemble": 3}), 3),
    (Case(name="medprompt", options={"ensemble": 1}), 1),
    (Case(name="medprompt", options={"ensemble": 5, "letters_runs": 10}), 15),
    (Case(name="medprompt", options={"ensemble": 20, "letters_runs": 20}), 40),
]
CASES = [case for name in OURS for case in (*accepted(name), *(Case(name=name, options=options) for options in FURTHER.get(name, ())))]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def in_pool_order(wanted: Wanted, pool: Sequence[Sample], questions: Sequence[Sample]) -> npt.NDArray[np.int32]:
    """Neighbours of every question: the pool as it stands."""
    return np.tile(np.arange(min(wanted.n_nearest, len(pool)), dtype=np.int32), (len(questions), 1))


def context(sample: Sample = SAMPLE, **changes: Any) -> Context:
    checkpoint = Checkpoint(name="stub", path="stub:first", fingerprint="0" * 64)
    renderer = open_renderer(checkpoint, ChatEntry(template="plain"), Prompting())
    fields: dict[str, Any] = {
        "renderer": renderer, "card": CARD, "wording": default_wording("en"), "pool": lambda: POOL, "decoding": Decoding(max_tokens=9),
        "shots_as": "turns", "system": None, "seed": 3, "replicate": 0, "nearest": in_pool_order,
        "questions": lambda: (replace(sample, targets=(), references=(), quantity=None),),
    }  # fmt: skip
    return Context(**{**fields, **changes})


def built(spec: StrategySpec, form: str) -> Any:
    return spec.build(spec.options.model_validate({"format": form}))


@dataclass(kw_only=True)
class Ran:
    """A strategy's answer, and what it asked for it."""

    answer: Answer
    prepared: list[list[Request]] = field(default_factory=list)
    """Waves of the preparation."""
    waves: list[list[Request]] = field(default_factory=list)
    """Waves of the answer."""

    @property
    def requests(self) -> list[Request]:
        return [request for wave in self.waves for request in wave]

    @property
    def all_requests(self) -> list[Request]:
        return [request for wave in (*self.prepared, *self.waves) for request in wave]


def ran(strategy: Any, around: Context, reply: Any, sample: Sample = SAMPLE) -> Ran:
    waves: list[list[Request]] = []

    def source(wave: Sequence[Asked[Any]]) -> list[Answered]:
        waves.append([item.request for item in wave])
        return [Answered(key=f"{len(waves)}.{item.ordinal}", outcome=reply(item.request)) for item in wave]

    (prepared,) = drive([("prepare", strategy.prepare(around))], source)
    n_before = len(waves)
    (finished,) = drive([("answer", strategy.answer(sample, prepared.result.state, around))], source)
    return Ran(answer=finished.result, prepared=waves[:n_before], waves=waves[n_before:])


def answer(strategy: Any, around: Context, reply: Any, sample: Sample = SAMPLE) -> tuple[Answer, list[Request]]:
    done = ran(strategy, around, reply, sample)
    return done.answer, done.requests


def third(request: Request) -> Outcome:
    """Prefers the third of whatever is offered."""
    if request.kind == "next":
        return Response(logprobs=tuple(-1.0 if n == 2 else -4.0 for n in range(len(request.candidates))), n_prompt_tokens=5)
    if request.kind == "continuation":
        rows = tuple(tuple(-0.1 if n == 2 else -3.0 for _ in ids) for n, ids in enumerate(request.continuations))
        return Response(continuation_logprobs=rows)
    return Response(text="Answer: C", finish_reason="stop", n_output_tokens=9)


def knows(request: Request) -> Outcome:
    """Gives the right answer to the last question of the prompt, wherever its choice is shown."""
    found = find_right(request.prompt.text, SHEET)
    assert found is not None
    choice, label = found
    if request.kind == "generate":
        return Response(text=f"It must be so.\nAnswer: {label}", finish_reason="stop", n_output_tokens=9)
    offers = request.continuations if request.kind == "continuation" else [(token,) for token in request.candidates]
    texts = [decode(offer).strip() for offer in offers]
    (right,) = (n for n, text in enumerate(texts) if text in (choice, label))
    if request.kind == "next":
        return Response(logprobs=tuple(-0.1 if n == right else -4.0 for n in range(len(texts))), n_prompt_tokens=5)
    return Response(continuation_logprobs=tuple(tuple(-0.1 if n == right else -3.0 for _ in ids) for n, ids in enumerate(offers)))


def test_formats_that_strategies_take_for_choices() -> None:
    """One that takes none would be tested by nothing."""
    formats = {name: [case.options["format"] for case in accepted(name)] for name in OURS}
    assert all(formats.values())
    known = {
        "zero_shot": ["letters", "cloze", "generate"],
        "few_shot": ["letters", "cloze", "generate"],
        "cot": ["generate"],
        "self_consistency": ["generate"],
        # The choices are not shown in `cloze`: to re-order them changes nothing.
        "choice_shuffle": ["letters", "generate"],
        "medprompt": ["generate"],
    }
    assert {name: formats[name] for name in known} == known


@every_case
def test_asks_only_declared_kinds_and_reads_the_answer(case: Case) -> None:
    strategy = case.built()
    done = ran(strategy, context(), knows)
    result = done.answer
    assert {request.kind for request in done.all_requests} <= strategy.kinds_for(CARD)
    assert (result.reading.status, result.reading.index) == ("scored", 2)
    assert result.n_calls == len(done.requests) >= 1
    assert result.n_prompt_tokens == 5 * sum(request.kind == "next" for request in done.requests)
    assert result.n_output_tokens == 9 * sum(request.kind == "generate" for request in done.requests)
    # Whatever the number of members, all are asked at once.
    assert len(done.waves) == 1
    if case.form in ("generate", "reasoned"):
        assert result.strict is not None
    if result.p_choices is not None:
        assert sum(result.p_choices) == pytest.approx(1)
        assert max(result.p_choices) == result.p_choices[2]
    voted = case.options.get("vote") != "average" and result.votes is not None
    assert (result.p_choices is None) == (voted or case.form in ("generate", "reasoned"))


@every_case
def test_sends_the_same_every_time_and_something_else_under_another_seed_only_if_it_draws(case: Case) -> None:
    identity = Identity(fingerprint="0", engine="stub", dtype="none", quantisation=None)

    def keys(seed: int) -> list[str]:
        return [request_key(identity, request) for request in ran(case.built(), context(seed=seed), knows).all_requests]

    strategy = case.built()
    draws = strategy.ensemble is not None or (strategy.choosing is not None and strategy.choosing.by != "knn")
    assert keys(3) == keys(3)
    assert (keys(3) == keys(4)) == (not draws)


@every_case
@pytest.mark.parametrize(("reason", "status"), [("too_long", "too_long"), ("engine_error", "failed"), ("invalid_logprob", "failed")])
def test_a_failed_request_becomes_the_status_and_never_raises(case: Case, reason: Any, status: str) -> None:
    failure = Failure(reason=reason, message="why", transient=False)
    result, _ = answer(case.built(), context(), lambda _: failure)
    assert result.reading.status == status
    assert result.reading.index is None
    assert reason in str(result.failure)


@every_case
def test_exemplars_are_never_of_the_questions_own_group(case: Case) -> None:
    sample = replace(SAMPLE, group="pool:0")
    result, _ = answer(case.built(), context(sample), knows, sample)
    assert not set(result.exemplars) & {"p0", "p1"}
    assert len(result.exemplars) == case.built().n_shots


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_unknown_options_are_refused(spec: StrategySpec) -> None:
    with pytest.raises(ValidationError):
        spec.options.model_validate({"fromat": "letters"})


@pytest.mark.parametrize("case", [case for case in CASES if case.built().kinds_for(CARD) == {"generate"}], ids=str)
def test_an_unread_text_at_the_token_limit_is_truncated(case: Case) -> None:
    cut, _ = answer(case.built(), context(), lambda _: Response(text="Let us think", finish_reason="length"))
    assert cut.reading.status == "truncated"
    ended, _ = answer(case.built(), context(), lambda _: Response(text="Let us think", finish_reason="stop"))
    assert ended.reading.status == "unparsed"
    read, _ = answer(case.built(), context(), lambda _: Response(text="Answer: C", finish_reason="length"))
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
    hot = Decoding(temperature=0.7, max_tokens=9)
    seeds = {
        sampling_for(sample, context(replicate=replicate, decoding=hot), draw).seed
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


# Ensembles


@pytest.mark.parametrize(("case", "n"), ENSEMBLES, ids=str)
def test_an_ensemble_asks_its_members_in_one_wave_and_none_twice(case: Case, n: int) -> None:
    identity = Identity(fingerprint="0", engine="stub", dtype="none", quantisation=None)
    done = ran(case.built(), context(), knows)
    assert [len(wave) for wave in done.waves] == [n]
    assert len({request_key(identity, request) for request in done.requests}) == n
    assert done.answer.n_calls == n
    assert done.answer.votes == (None if n == 1 else ",".join(["2"] * n))
    assert done.answer.n_votes_missing == 0


def test_draws_are_at_the_strategys_temperature_and_orders_at_the_studys() -> None:
    around = context(decoding=Decoding(max_tokens=9, temperature=0.0, top_p=0.9))
    draws = ran(Case(name="self_consistency", options={"samples": 4, "temperature": 0.3}).built(), around, knows).requests
    samplings = [request.sampling for request in draws]
    assert {(sampling.temperature, sampling.top_p) for sampling in samplings if sampling} == {(0.3, 0.9)}
    assert len({sampling.seed for sampling in samplings if sampling}) == 4
    assert len({request.prompt.text for request in draws}) == 1
    orders = ran(Case(name="choice_shuffle", options={"ensemble": 4, "format": "generate"}).built(), around, knows).requests
    assert {(request.sampling.temperature, request.sampling.seed) for request in orders if request.sampling} == {(0.0, None)}
    assert len({request.prompt.text for request in orders}) == 4
    # A smaller ensemble is the beginning of a larger one, so that the store answers it.
    fewer = ran(Case(name="self_consistency", options={"samples": 2, "temperature": 0.3}).built(), around, knows).requests
    assert fewer == draws[:2]


def test_strategies_with_as_many_members_show_the_same_orders() -> None:
    def shown(name: str, **options: Any) -> list[str]:
        requests = ran(Case(name=name, options=options).built(), context(), knows).requests
        return [request.prompt.text.rpartition("Question: ")[2] for request in requests]

    shuffled = shown("choice_shuffle", ensemble=4, format="letters")
    assert shown("medprompt", ensemble=4, reasoning=False, format="letters") == shuffled
    reasoned = shown("medprompt", ensemble=4)
    assert [text.split("\n")[:5] for text in reasoned] == [text.split("\n")[:5] for text in shuffled]
    # Direct runs see further orders, and the same exemplars without reasoning.
    both = ran(Case(name="medprompt", options={"ensemble": 2, "letters_runs": 2, "shots": 2}).built(), context(), knows)
    assert [request.kind for request in both.requests] == ["generate", "generate", "next", "next"]
    texts = [request.prompt.text for request in both.requests]
    assert ["It must be so." in text for text in texts] == [True, True, False, False]
    assert len({text.rpartition("Question: ")[2].split("\nAnswer")[0].split("\nThink")[0] for text in texts}) == 4
    assert all(exemplar.question in text for exemplar in POOL if exemplar.id in both.answer.exemplars for text in texts)


@pytest.mark.parametrize("case", [case for case, n in ENSEMBLES if n > 1], ids=str)
def test_members_are_right_for_a_known_subset_and_the_vote_says_what_follows(case: Case) -> None:
    """Member k is right about sample s unless (s + k) % 3 == 0; then it gives the choice after the right one, wherever it is shown."""
    strategy = case.built()
    for number in range(6):
        place = iter(range(100))
        truth: list[bool] = []

        def reply(request: Request, number: int = number, place: Any = place, truth: list[bool] = truth) -> Outcome:
            if "Which one?" not in request.prompt.text:
                return knows(request)
            truth.append((number + next(place)) % 3 != 0)
            choice = "gamma" if truth[-1] else "delta"
            shown = [line for line in request.prompt.text.split("\n") if line.endswith(f". {choice}")][-1]
            if request.kind == "generate":
                return Response(text=f"Answer: {shown[0]}", finish_reason="stop")
            return Response(logprobs=tuple(-0.05 if label == shown[0] else -6.0 for label in "ABCD"))

        result = ran(strategy, context(), reply).answer
        assert result.votes == ",".join("2" if right else "3" for right in truth)
        n_right = sum(truth)
        expected = 2 if 2 * n_right > len(truth) or (2 * n_right == len(truth) and truth[0]) else 3
        if "letters_runs" not in case.options:
            assert result.reading.index == expected
            continue
        # Share of the votes plus the mean probability of the direct runs.
        n = 5 if case.options["ensemble"] == 5 else 20
        p = np.exp(-0.05) / (np.exp(-0.05) + 3 * np.exp(-6))
        rest = (1 - p) / 3
        points = [
            sum(right == wanted for right in truth[:n]) / n + np.mean([p if right == wanted else rest for right in truth[n:]])
            for wanted in (True, False)
        ]
        assert result.reading.index == (2 if points[0] > points[1] else 3)


KINDS: Mapping[TaskKind, tuple[TaskCard, Sample]] = {
    "text": (
        replace(CARD, kind="text", metric="rougeL", metrics=("rougeL",), chance=None),
        Sample(id="s1", group="t:1", question="Which one?", references=("the gamma",)),
    ),
    "quantity": (
        replace(
            CARD, kind="quantity", metric="within_tolerance", metrics=("within_tolerance",), chance=None, wording=quantity_wording("en")
        ),
        Sample(
            id="s1", group="t:1", question="How much?", references=("5",), quantity=Quantity(form="number", low=4.9, high=5.1, unit="mg")
        ),
    ),
}


@pytest.mark.parametrize("name", ["self_consistency", "medprompt"])
def test_free_text_and_quantities_are_drawn_and_voted_on(name: str) -> None:
    options = {"reasoning": False, "exemplars": "fixed", "shots": 1}
    size = {"self_consistency": "samples", "medprompt": "ensemble"}[name]
    strategy = Case(name=name, options={**options, size: 4, "temperature": 0.9}).built()
    for card, sample, texts, read, votes in (
        (*KINDS["text"], ["a delta", "the gamma ray", "the gamma", "the gamma ray burst"], "the gamma ray", "x,=,x,x"),
        (*KINDS["quantity"], ["Answer: 7 mg", "Answer: 5.0 mg", "none", "It is 5 mg."], "5", "x,=,-,="),
    ):
        pool = (replace(sample, id="p", group="pool:p", question="Before?"),)
        said = iter(texts)
        around = context(sample, card=card, wording=card.wording or default_wording("en"), pool=lambda pool=pool: pool)
        done = ran(strategy, around, lambda _, said=said: Response(text=next(said), finish_reason="stop"), sample)
        assert (done.answer.reading.status, done.answer.reading.text, done.answer.votes) == ("scored", read, votes)
        assert len({request.sampling.seed for request in done.requests if request.sampling}) == 4
        assert {request.sampling.temperature for request in done.requests if request.sampling} == {0.9}
        assert done.answer.exemplars == ("p",)


def test_several_right_choices_are_voted_on_as_sets() -> None:
    card = replace(CARD, wording=several_wording("en"))
    sample = replace(SAMPLE, targets=(0, 2))

    def reply(request: Request) -> Outcome:
        labels = [line[0] for line in request.prompt.text.split("\n") if line[1:] in (". alpha", ". gamma")]
        return Response(text=f"Answer: {', '.join(sorted(labels))}", finish_reason="stop")

    around = context(sample, card=card, wording=several_wording("en"))
    result, _ = answer(Case(name="choice_shuffle", options={}).built(), around, reply, sample)
    assert (result.reading.index, result.reading.also, result.votes) == (0, (2,), ",".join(["0+2"] * 5))


@pytest.mark.parametrize(
    ("name", "options", "card", "message"),
    [
        ("choice_shuffle", {}, KINDS["text"][0], "no choices to re-order"),
        ("choice_shuffle", {}, KINDS["quantity"][0], "no choices to re-order"),
        ("choice_shuffle", {"format": "cloze"}, CARD, "the choices are not shown"),
        ("choice_shuffle", {"format": "generate", "vote": "average"}, CARD, "only letters give probabilities"),
        ("medprompt", {"vote": "rank_average"}, CARD, "only letters give probabilities"),
        ("medprompt", {"letters_runs": 2}, KINDS["text"][0], "only where one of several choices is right"),
        ("medprompt", {"letters_runs": 2}, replace(CARD, wording=several_wording("en")), "only where one of several choices is right"),
        ("medprompt", {"letters_runs": 2, "reasoning": False}, CARD, "with letters, a larger ensemble"),
        ("self_consistency", {"reasoning": False}, replace(CARD, form="native"), "brings its own prompts"),
    ],
)
def test_ensembles_that_cannot_be_had_are_refused_before_anything_runs(
    name: str, options: Mapping[str, Any], card: TaskCard, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Case(name=name, options=options).built().form_for(card)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("medprompt", {"letters_runs": 2, "ensemble": 1}, "an ensemble of at least 2"),
        ("medprompt", {"letters_weight": 2.0}, "letters_weight belongs to `letters_runs`"),
        ("medprompt", {"utility": "tfidf"}, "auto, exact_match, rougeL or sentence-transformers:PATH"),
        ("self_consistency", {"reasoning": False, "shots": 1, "cot_from": "other"}, "cot_from belongs to `reasoning: true`"),
        ("self_consistency", {"temperature": 0}, "greater than 0"),
        ("choice_shuffle", {"vote": "borda"}, "'majority', 'average' or 'rank_average'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(name: str, options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SPECS[name].options.model_validate(options)
