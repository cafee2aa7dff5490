"""Two turns: what is sent in each, what is read, and what a first turn without an answer leads to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from evalsuite import strategies
from evalsuite.cards import Split, TaskCard
from evalsuite.config import Decoding, Prompting
from evalsuite.formats import default_wording
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.plugins import load_specs
from evalsuite.prompts import open_renderer
from evalsuite.store import Identity, request_key
from evalsuite.strategies.base import Context
from evalsuite.types import Answer, Dialogue, Failure, Manner, Outcome, Request, Response, Sample
from evalsuite.waves import Answered, Asked, drive

SPECS = load_specs(strategies)
CARD = TaskCard(
    name="t", kind="choice", description="-", language="en", licence="MIT", citation="-", splits={"test": Split(n_rows=None)},
    split="test", exemplar_split="train", metric="accuracy", metrics=("accuracy",), chance=0.25,
)  # fmt: skip
FIRST = Sample(id="s1", group="t:1", question="Which one?", choices=("alpha", "beta", "gamma", "delta"), targets=(2,))
TURNED = replace(FIRST, choices=("delta", "gamma", "beta", "alpha"), targets=(1,), order=(3, 2, 1, 0))
DOUBTED = replace(FIRST, dialogue=Dialogue(first=FIRST, said="Sure?", repeats=False))
AGAIN = replace(TURNED, dialogue=Dialogue(first=FIRST, said="Once more.", repeats=True))
POOL = tuple(
    Sample(id=f"p{n}", group=f"pool:{n}", question=f"Exemplar {n}?", choices=("w", "x", "y", "z"), targets=(n % 4,)) for n in range(6)
)
IDENTITY = Identity(fingerprint="0", engine="stub", dtype="none", quantisation=None)
QUESTION = "Question: Which one?\nA. alpha\nB. beta\nC. gamma\nD. delta\n"
CONTRACT = 'Answer with one line of the form "Answer: X", where X is the letter of the right choice.'


def context(**changes: Any) -> Context:
    renderer = open_renderer(Checkpoint(name="stub", path="stub:first", fingerprint="0" * 64), ChatEntry(template="plain"), Prompting())
    fields: dict[str, Any] = {
        "renderer": renderer, "card": CARD, "wording": default_wording("en"), "pool": lambda: POOL, "decoding": Decoding(max_tokens=9),
        "shots_as": "turns", "system": None, "seed": 3, "replicate": 0, "questions": lambda: (FIRST,),
    }  # fmt: skip
    return Context(**{**fields, **changes})


@dataclass(frozen=True, kw_only=True)
class Ran:
    """An answer, and what was asked for it."""

    answer: Answer
    requests: Sequence[Request]

    @property
    def texts(self) -> list[str]:
        return [request.prompt.text.removeprefix("<|bos|>") for request in self.requests]


def ran(
    sample: Sample, reply: Callable[[int, Request], Outcome], *, around: Context | None = None, strategy: str = "zero_shot", **options: Any
) -> Ran:
    """Ask one sample; `reply` is told the number of the request."""
    own, spec = around or context(), SPECS[strategy]
    built = spec.build(spec.options.model_validate(options))
    requests: list[Request] = []

    def source(wave: Sequence[Asked[Any]]) -> list[Answered]:
        assert len(wave) == 1
        requests.append(wave[0].request)
        return [Answered(key=str(len(requests)), outcome=reply(len(requests) - 1, wave[0].request))]

    (prepared,) = drive([("prepare", built.prepare(own))], source)
    (finished,) = drive([("answer", built.answer(sample, prepared.result.state, own))], source)
    return Ran(answer=finished.result, requests=requests)


def picks(*positions: int) -> Callable[[int, Request], Outcome]:
    """Prefers the position of each request's number among what is offered, or writes its letter."""

    def reply(number: int, request: Request) -> Outcome:
        chosen = positions[number]
        if request.kind == "next":
            return Response(logprobs=tuple(-0.1 if n == chosen else -4.0 for n in range(4)), n_prompt_tokens=5, n_output_tokens=1)
        if request.kind == "continuation":
            return Response(continuation_logprobs=tuple((-0.1 if n == chosen else -9.0,) for n in range(4)), n_prompt_tokens=5)
        return Response(text=f"Answer: {'ABCD'[chosen]}", finish_reason="stop", n_prompt_tokens=5, n_output_tokens=3)

    return reply


def writes(*texts: str, finish: Any = "stop") -> Callable[[int, Request], Outcome]:
    def reply(number: int, request: Request) -> Outcome:
        assert request.kind == "generate"
        return Response(text=texts[number], finish_reason=finish)

    return reply


@pytest.mark.parametrize("form", ["letters", "cloze", "generate"])
@pytest.mark.parametrize("sample", [DOUBTED, AGAIN], ids=["doubted", "again"])
def test_the_first_request_is_the_unperturbed_one(form: str, sample: Sample) -> None:
    alone = ran(FIRST, picks(1), format=form)
    twice = ran(sample, picks(1, 2), format=form)
    assert request_key(IDENTITY, twice.requests[0]) == request_key(IDENTITY, alone.requests[0])
    assert len(twice.requests) == 2
    assert twice.texts[1].startswith(twice.texts[0])


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_the_first_request_is_the_unperturbed_one_for_every_variant_and_temperature(temperature: float) -> None:
    around = context(decoding=Decoding(max_tokens=9, temperature=temperature))
    alone = ran(FIRST, picks(1), around=around, format="generate")
    for variant in (0, 3):
        twice = ran(replace(AGAIN, variant=variant), picks(1, 2), around=around, format="generate")
        assert request_key(IDENTITY, twice.requests[0]) == request_key(IDENTITY, alone.requests[0])


def test_letters_are_said_and_asked_for_again() -> None:
    done = ran(DOUBTED, picks(1, 3), format="letters")
    assert done.texts == [f"{QUESTION}Answer:", f"{QUESTION}Answer: B\n\nSure?\nAnswer:"]
    assert done.answer.first is not None
    assert (done.answer.first.index, done.answer.reading.index) == (1, 3)
    assert (done.answer.n_calls, done.answer.n_prompt_tokens, done.answer.n_output_tokens) == (2, 10, 2)


def test_cloze_says_the_choices_text() -> None:
    done = ran(DOUBTED, picks(1, 3), format="cloze")
    assert done.texts[1] == "Question: Which one?\nAnswer: beta\n\nSure?\nAnswer:"
    assert done.requests[1].continuations == done.requests[0].continuations
    assert done.answer.reading.index == 3


def test_written_answers_are_said_as_they_were_written() -> None:
    done = ran(DOUBTED, writes("I would say\nAnswer: B", "Answer: C"), format="generate")
    assert done.texts[1] == f"{QUESTION}{CONTRACT}\nI would say\nAnswer: B\n\nSure?\n{CONTRACT}"
    assert done.answer.first is not None
    assert (done.answer.first.index, done.answer.reading.index) == (1, 2)
    assert done.answer.output == "Answer: C"


def test_the_second_turn_shows_the_transformed_question_and_is_read_in_its_order() -> None:
    done = ran(AGAIN, picks(1, 1), format="letters")
    assert done.texts[1].endswith("Answer: B\n\nOnce more.\n\nQuestion: Which one?\nA. delta\nB. gamma\nC. beta\nD. alpha\nAnswer:")
    assert done.answer.first is not None
    assert FIRST.original_index(done.answer.first.index or 0) == 1
    assert AGAIN.original_index(done.answer.reading.index or 0) == 2


def test_reasoning_is_asked_for_in_both_turns() -> None:
    done = ran(DOUBTED, writes("Because.\nAnswer: B", "Thinking again.\nAnswer: C"), strategy="cot")
    assert [text.count("Think step by step") for text in done.texts] == [1, 2]
    assert done.answer.first is not None
    assert (done.answer.first.index, done.answer.reading.index) == (1, 2)


@pytest.mark.parametrize("exemplars", ["fixed", "random"])
def test_exemplars_stand_before_the_first_turn_only(exemplars: str) -> None:
    alone = ran(FIRST, picks(0), strategy="few_shot", shots=2, format="letters", exemplars=exemplars)
    done = ran(AGAIN, picks(0, 0), strategy="few_shot", shots=2, format="letters", exemplars=exemplars)
    assert done.texts[0] == alone.texts[0]
    assert done.texts[1].count("Exemplar") == 2
    assert done.answer.exemplars == alone.answer.exemplars
    assert len(done.answer.exemplars) == 2


@pytest.mark.parametrize(("reason", "status"), [("too_long", "too_long"), ("engine_error", "failed")])
@pytest.mark.parametrize("at", [0, 1])
def test_a_turn_that_fails_gives_its_status(at: int, reason: Any, status: str) -> None:
    failure = Failure(reason=reason, message="why", transient=False)
    done = ran(DOUBTED, lambda number, request: failure if number == at else picks(1, 1)(number, request), format="letters")
    assert done.answer.reading.status == status
    assert len(done.requests) == done.answer.n_calls == at + 1
    assert (done.answer.first is None) == (at == 0)


def test_an_answer_that_cannot_be_read_is_answered_to_all_the_same() -> None:
    done = ran(DOUBTED, writes("Hard to say.", "Answer: C"), format="generate")
    assert "Hard to say.\n\nSure?" in done.texts[1]
    assert done.answer.first is not None
    assert (done.answer.first.status, done.answer.first.index) == ("unparsed", None)
    assert done.answer.reading.index == 2


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_first_answer_ends_it(text: str) -> None:
    done = ran(DOUBTED, writes(text), format="generate")
    assert len(done.requests) == 1
    assert done.answer.reading.status == "unparsed"
    assert done.answer.first == done.answer.reading


@pytest.mark.parametrize(
    ("text", "finish", "said"),
    [
        ("<think>B? No.</think>Answer: A", "stop", "Answer: A"),
        ("B? No.</think>\n\nAnswer: A", "stop", "Answer: A"),
        ("<think>It may be B", "length", None),
        ("It may be B, since", "length", None),
    ],
)
def test_thoughts_are_not_said_again(text: str, finish: str, said: str | None) -> None:
    done = ran(DOUBTED, writes(text, "Answer: C", finish=finish), around=context(thinking=("<think>", "</think>")), format="generate")
    if said is None:
        assert len(done.requests) == 1
        assert done.answer.reading.status == "truncated"
    else:
        assert done.texts[1] == f"{QUESTION}{CONTRACT}\n{said}\n\nSure?\n{CONTRACT}"
        assert done.answer.reading.index == 2


def test_a_contract_of_the_second_turn_leaves_the_first_as_it_is() -> None:
    sample = replace(AGAIN, manner=Manner(contract="letter"))
    done = ran(sample, writes("Answer: B", "C"), format="generate")
    assert done.texts[0] == f"{QUESTION}{CONTRACT}"
    assert done.texts[1].endswith("Answer with the letter of the right choice and nothing else.")
    assert done.answer.strict is not None
    assert (done.answer.reading.index, done.answer.strict.status) == (2, "scored")


def test_a_manner_of_both_turns_holds_for_both() -> None:
    manner = Manner(system="Be brief.", template=1)
    first = replace(FIRST, manner=manner)
    sample = replace(first, dialogue=Dialogue(first=first, said="Sure?", repeats=False))
    done = ran(sample, picks(1, 2), around=context(system="Own."), format="letters")
    head = "Be brief.\n\nWhich one? || A ) alpha; B ) beta; C ) gamma; D ) delta || ANSWER ="
    assert done.texts == [head, f"{head} B\n\nSure? || ANSWER ="]


def test_ensembles_offer_no_second_turn() -> None:
    for name, options in (("self_consistency", {"samples": 3}), ("choice_shuffle", {"ensemble": 3}), ("medprompt", {})):
        spec = SPECS[name]
        assert "dialogue" not in spec.build(spec.options.model_validate(options)).meets(CARD)
    for name in ("zero_shot", "few_shot", "cot"):
        assert "dialogue" in SPECS[name].build(SPECS[name].options()).meets(CARD)
