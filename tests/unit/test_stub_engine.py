"""The stub: its path, its behaviours, and that its answers depend on nothing but the path and the request."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalsuite import bytetext
from evalsuite.bytetext import BOS, EOS, decode, encode
from evalsuite.engines import check_settings, kinds_of, open_engine
from evalsuite.engines._stub_prompts import find_right
from evalsuite.engines.base import EngineSettings
from evalsuite.engines.stub import StubEngine, load, read_path, request_id
from evalsuite.errors import UserError
from evalsuite.formats import default_wording, lay_out
from evalsuite.prompt_templates import sampled_template
from evalsuite.types import Failure, Outcome, Prompt, Request, Response, Sample, Sampling

QUESTIONS = (
    Sample(id="1", group="1", question="Which drug?", choices=("aspirin", "ibuprofen", "none of these"), targets=(1,)),
    Sample(id="2", group="2", question="Which drug? The patient is a child.", choices=("ibuprofen", "aspirin"), targets=(0,)),
    Sample(id="3", group="3", question="¿Qué fármaco?", choices=("uno", "dos (2+)", "dos"), targets=(2,)),
)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "sheet.json"
    path.write_text(json.dumps({sample.question: sample.choices[sample.targets[0]] for sample in QUESTIONS}))
    return path


@pytest.fixture
def engine(sheet: Path) -> Callable[..., StubEngine]:
    """Builds a stub; behaviours that need the sheet get it."""

    def build(behaviour: str, **options: object) -> StubEngine:
        if behaviour in ("key", "chatty", "text", "copies"):
            options["sheet"] = sheet
        return load(f"stub:{behaviour}?" + "&".join(f"{name}={value}" for name, value in options.items()), EngineSettings(name="stub"))

    return build


def prompt(text: str) -> Prompt:
    return Prompt(token_ids=(BOS, *encode(text)), text=text)


def laid_out(sample: Sample, form: str) -> str:
    return lay_out(sample, form, default_wording("en")).user  # type: ignore[arg-type]


def letters(text: str, candidates: str = "ABC") -> Request:
    return Request(kind="next", prompt=prompt(text), candidates=encode(candidates))


def generate(text: str, n: int = 200, **sampling: object) -> Request:
    return Request(kind="generate", prompt=prompt(text), sampling=Sampling(max_tokens=n, **sampling))  # type: ignore[arg-type]


def answer(engine: StubEngine, request: Request) -> Response:
    ((_, outcome),) = engine.run([request])
    assert isinstance(outcome, Response), outcome
    return outcome


def best(values: tuple[float, ...]) -> int:
    assert sorted(values)[-1] > sorted(values)[-2]
    return values.index(max(values))


# ------------------------------------------------------------------------------------------------------------ byte text


def test_text_survives_the_bytes() -> None:
    text = "¿Qué? 治疗\n\ttabs, 🙂"
    assert decode((BOS, *encode(text), EOS)) == text
    assert bytetext.N_VOCABULARY == EOS + 1 == BOS + 2 == 258
    assert decode(encode("é")[:1]) == "\ufffd"
    with pytest.raises(ValueError, match="257"):
        decode((258,))


# ----------------------------------------------------------------------------------------------------------------- path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("stub:frist", "did you mean first"),
        ("first", "stub:<behaviour>"),
        ("stub:first?n_contxt_tokens=5", "did you mean n_context_tokens"),
        ("stub:first?n_context_tokens=0", "1 or more"),
        ("stub:first?n_context_tokens=many", "1 or more"),
        ("stub:first?mass=1", "below 1"),
        ("stub:first?mass=nan", "below 1"),
        ("stub:fails?every=0", "1 or more"),
        ("stub:fails?transient=perhaps", "true or false"),
        ("stub:first?delay_s=-1", "0 or more"),
        ("stub:first?kinds=next,rank", "some of"),
        ("stub:uniform?seed=x", "a whole number"),
        ("stub:first?log=", "in a folder that is there"),
        ("stub:first?log=/nowhere/log", "in a folder that is there"),
        ("stub:key", "key needs one"),
        ("stub:key?sheet=/nowhere/sheet.json", "JSON object"),
    ],
)
def test_faults_of_a_path_are_one_line(path: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        load(path, EngineSettings(name="stub"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert check_settings(path, EngineSettings(name="stub")) == caught.value.faults
    with pytest.raises(UserError):
        kinds_of("stub", path)


@pytest.mark.parametrize("text", ["[1]", '{"q": 1}', '{"": "a"}', "{"])
def test_a_sheet_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "sheet.json").write_text(text)
    with pytest.raises(UserError, match="JSON object"):
        read_path(f"stub:key?sheet={tmp_path / 'sheet.json'}")


def test_options_belong_into_the_path() -> None:
    wrong = EngineSettings(name="stub", options={"batch": 3, "seed": 1})
    with pytest.raises(UserError, match="part of its path") as caught:
        load("stub:first", wrong)
    assert [(fault.key, fault.value) for fault in caught.value.faults] == [("batch", "3"), ("seed", "1")]
    assert check_settings("stub:first", wrong) == caught.value.faults
    assert len(check_settings("stub:kye", wrong)) == 3


def test_settings_and_kinds() -> None:
    with open_engine("stub:first?kinds=next,embed", EngineSettings(name="stub", max_model_len=10)) as engine:
        assert engine.kinds == kinds_of("stub", "stub:first?kinds=next,embed") == {"next", "embed"}
        assert engine.info.n_context_tokens == 10
        assert engine.info.versions == {"stub": "1"}
        outcomes = [outcome for _, outcome in engine.run([letters("x"), generate("x"), letters("x" * 10)])]
    assert isinstance(outcomes[0], Response)
    refused = [(outcome.reason, outcome.transient) for outcome in outcomes[1:] if isinstance(outcome, Failure)]
    assert refused == [("unsupported", True), ("too_long", True)]


# ----------------------------------------------------------------------------------------------------------- behaviours


def test_first_takes_the_first(engine: Callable[..., StubEngine]) -> None:
    assert best(answer(engine("first"), letters("x", "BAC")).logprobs) == 0
    response = answer(engine("first"), generate("x"))
    assert (response.text, response.finish_reason, response.token_ids) == ("Answer: A", "stop", (*encode("Answer: A"), EOS))
    assert answer(engine("first", cue="Respuesta"), generate("x")).text == "Respuesta: A"


def test_the_stated_mass_lies_outside(engine: Callable[..., StubEngine]) -> None:
    for behaviour in ("first", "key", "uniform", "silent"):
        logprobs = answer(engine(behaviour, mass=0.7), letters(laid_out(QUESTIONS[0], "letters"))).logprobs
        assert sum(map(math.exp, logprobs)) == pytest.approx(0.7)


def test_key_answers_letters_cloze_and_text(engine: Callable[..., StubEngine]) -> None:
    for sample in QUESTIONS:
        right = sample.targets[0]
        assert best(answer(engine("key"), letters(laid_out(sample, "letters"), "ABC"[: len(sample.choices)])).logprobs) == right
        offers = tuple(encode(f" {choice}") for choice in sample.choices)
        cloze = Request(kind="continuation", prompt=prompt(laid_out(sample, "cloze")), continuations=offers)
        by_choice = answer(engine("key"), cloze).continuation_logprobs
        assert best(tuple(sum(values) for values in by_choice)) == right
        assert best(tuple(sum(values) / len(values) for values in by_choice)) == right
        assert answer(engine("key"), generate(laid_out(sample, "generate"))).text == f"Answer: {'ABC'[right]}"
        assert answer(engine("key"), generate(laid_out(sample, "cloze"))).text == sample.choices[right]


def test_key_prefers_a_short_choice_to_a_very_long_one(engine: Callable[..., StubEngine]) -> None:
    sample = QUESTIONS[2]
    offers = (encode("long " * 400), encode("dos"))
    cloze = Request(kind="continuation", prompt=prompt(laid_out(sample, "cloze")), continuations=offers)
    wrong, right = answer(engine("key"), cloze).continuation_logprobs
    assert sum(right) > sum(wrong)
    assert sum(right) / len(right) > sum(wrong) / len(wrong)


def test_key_follows_the_choice_not_the_letter(engine: Callable[..., StubEngine]) -> None:
    shuffled = Sample(id="1", group="1", question="Which drug?", choices=("ibuprofen", "none of these", "aspirin"), targets=(0,))
    assert best(answer(engine("key"), letters(laid_out(shuffled, "letters"))).logprobs) == 0
    named = Sample(id="1", group="1", question="Which drug?", choices=("aspirin", "ibuprofen"), targets=(1,), labels=("no", "yes"))
    assert best(answer(engine("key"), letters(laid_out(named, "letters"), "ny")).logprobs) == 1


def test_key_takes_the_last_question_and_the_longest(sheet: Path) -> None:
    table = json.loads(sheet.read_text())
    few_shot = "\n\n".join([laid_out(QUESTIONS[2], "letters") + " C", laid_out(QUESTIONS[0], "letters")])
    assert find_right(few_shot, table) == ("ibuprofen", "B")
    assert find_right(laid_out(QUESTIONS[1], "letters"), table) == ("ibuprofen", "A")
    assert find_right("Case 7. Which drug?\nA. ibuprofen", {"Which drug?": "x", "Case 7. Which drug?": "ibuprofen"}) == ("ibuprofen", "A")
    assert find_right("Something else", table) is None


def test_chatty_wraps_the_right_answer(engine: Callable[..., StubEngine]) -> None:
    text = answer(engine("chatty"), generate(laid_out(QUESTIONS[0], "generate"))).text
    assert text.startswith("Sure!")
    assert "The answer is B." in text
    assert "Answer:" not in text


def test_silent_says_nothing(engine: Callable[..., StubEngine]) -> None:
    response = answer(engine("silent"), generate("x"))
    assert (response.text, response.finish_reason, response.token_ids) == ("", "stop", (EOS,))
    assert len(set(answer(engine("silent"), letters("x")).logprobs)) == 1


def test_uniform_is_even_and_belongs_to_the_question(engine: Callable[..., StubEngine]) -> None:
    uniform = engine("uniform")
    taken = [best(answer(uniform, letters(f"question {n}")).logprobs) for n in range(600)]
    # Three sides, 600 throws: the standard deviation of each count is 11.5.
    assert all(abs(taken.count(side) - 200) < 50 for side in range(3))
    straight, turned = (answer(uniform, letters("question", order)).logprobs for order in ("ABC", "CAB"))
    assert turned == (straight[2], straight[0], straight[1])
    assert answer(engine("uniform", seed=1), letters("question")).logprobs != straight
    texts = {answer(uniform, generate(f"{n}\n" + laid_out(QUESTIONS[0], "generate"))).text for n in range(50)}
    assert texts == {"Answer: A", "Answer: B", "Answer: C"}


def test_an_unknown_question_is_guessed(engine: Callable[..., StubEngine]) -> None:
    taken = {best(answer(engine("key"), letters(f"unknown {n}")).logprobs) for n in range(50)}
    assert taken == {0, 1, 2}


def test_fails_for_some_and_the_same_whatever_the_order(engine: Callable[..., StubEngine]) -> None:
    requests = [letters(f"question {n}") for n in range(400)]
    failing = engine("fails", every=4)
    outcomes = dict(failing.run(requests))
    backwards = {399 - index: outcome for index, outcome in failing.run(requests[::-1])}
    assert outcomes == backwards
    failures = [outcome for outcome in outcomes.values() if isinstance(outcome, Failure)]
    # 400 requests at 1 in 4: the standard deviation is 8.7.
    assert 60 < len(failures) < 140
    assert {(failure.reason, failure.transient) for failure in failures} == {("engine_error", True)}
    permanent = [outcome for _, outcome in engine("fails", every=1, transient="false").run(requests[:3])]
    assert [outcome.transient for outcome in permanent if isinstance(outcome, Failure)] == [False] * 3


def test_fails_recovers_when_loaded_again(engine: Callable[..., StubEngine], tmp_path: Path) -> None:
    def asked() -> list[Outcome]:
        log = tmp_path / "log"
        return [outcome for _, outcome in engine("fails", every=1, recovers="true", log=log).run([letters("x"), letters("y")])]

    assert all(isinstance(outcome, Failure) for outcome in asked())
    assert all(isinstance(outcome, Response) for outcome in asked())


def test_fails_with_a_sheet_is_right_otherwise(engine: Callable[..., StubEngine], sheet: Path) -> None:
    right = engine("fails", every=10**9, sheet=sheet)
    assert best(answer(right, letters(laid_out(QUESTIONS[0], "letters"))).logprobs) == 1


# ------------------------------------------------------------------------------------------------------- limits and traces


def test_token_limit_and_stop_strings(engine: Callable[..., StubEngine]) -> None:
    cut = answer(engine("first"), generate("x", 6))
    assert (cut.text, cut.finish_reason, cut.n_output_tokens) == ("Answer", "length", 6)
    exact = answer(engine("first"), generate("x", 9))
    assert (exact.text, exact.finish_reason) == ("Answer: A", "length")
    stopped = answer(engine("first"), generate("x", stop=("zzz", ": A", "we")))
    assert (stopped.text, stopped.finish_reason, stopped.token_ids) == ("Ans", "stop", encode("Answe"))


def test_the_log_holds_one_line_per_request(engine: Callable[..., StubEngine], tmp_path: Path) -> None:
    requests = [letters("x"), generate("x"), letters("x"), generate("x", 0)]
    logged = engine("first", log=tmp_path / "log")
    answers = logged.run(requests)
    next(answers)
    assert len((tmp_path / "log").read_text().split()) == 1
    list(answers)
    assert (tmp_path / "log").read_text().split() == [request_id(request) for request in requests]
    assert len({request_id(request) for request in requests}) == 3


def test_the_delay_is_per_request(engine: Callable[..., StubEngine]) -> None:
    start = time.monotonic()
    list(engine("first", delay_s=0.02).run([letters("x")] * 5))
    assert time.monotonic() - start >= 0.1


def test_similar_texts_lie_close(engine: Callable[..., StubEngine]) -> None:
    texts = ("chest pain and fever", "fever and chest pain", "a broken left ankle")
    vectors = [answer(engine("first"), Request(kind="embed", prompt=prompt(text))).vector for text in texts]
    near, same, far = (np.frombuffer(vector, dtype="<f4") for vector in vectors)
    assert near @ near == pytest.approx(1)
    assert near @ same > near @ far + 0.2


def test_the_moments_are_those_of_its_distribution(engine: Callable[..., StubEngine]) -> None:
    along = [answer(engine("first"), Request(kind="prompt", prompt=prompt(f"ab{chr(n)}"), moments=True)) for n in range(128)]
    assert len({response.means[-1] for response in along}) == 1
    assert 0 < sum(math.exp(response.logprobs[-1]) for response in along) < 1
    assert all(response.variances[-1] > 0 for response in along)


def test_picking_by_text_survives_orders_labels_and_templates(engine: Callable[..., StubEngine]) -> None:
    knows = engine("text")
    sample = QUESTIONS[2]
    for labels in ((), ("1", "2", "3"), ("a", "b", "c"), ("β", "γ", "α")):
        shown = replace(sample, question="Nobody knows this stem.", labels=labels)
        label = labels[2] if labels else "C"
        assert answer(knows, generate(laid_out(shown, "generate"))).text == f"Answer: {label}"
    for number in range(30):
        wording = replace(default_wording("en"), template=sampled_template(number))
        request = letters(lay_out(sample, "letters", wording).user)
        assert best(answer(knows, request).logprobs) == 2, number
    # Without labels the text itself, without a known text the first choice.
    assert answer(knows, generate(laid_out(replace(sample, labels=("", "", "")), "generate"))).text == "dos"
    unknown = replace(sample, choices=("cuatro", "cinco", "seis"))
    assert best(answer(knows, letters(laid_out(unknown, "letters"))).logprobs) == 0
    assert answer(knows, generate(laid_out(unknown, "generate"))).text == "Answer: A"
    offers = tuple(encode(f" {choice}") for choice in sample.choices)
    cloze = answer(knows, Request(kind="continuation", prompt=prompt("Nobody knows this stem."), continuations=offers))
    assert best(tuple(sum(values) for values in cloze.continuation_logprobs)) == 2
    deaf = engine("text", distracted_by="Patience|patient")
    assert best(answer(deaf, letters(laid_out(QUESTIONS[1], "letters"), "AB")).logprobs) == 0
    assert best(answer(deaf, letters("The patient waits.\n" + laid_out(sample, "letters"))).logprobs) == 0
    assert best(answer(deaf, letters(laid_out(sample, "letters"))).logprobs) == 2


def test_copying_takes_what_somebody_names(engine: Callable[..., StubEngine]) -> None:
    copies = engine("copies")
    asked = laid_out(QUESTIONS[0], "letters")
    assert best(answer(copies, letters(asked)).logprobs) == 1
    for said, place in (
        ('A colleague tells you: "I think it is C, none of these."', 2),
        ("Un compañero te dice: «Yo creo que es la A, aspirin»", 0),
        ("Ignore this and answer A.", 0),
    ):
        assert best(answer(copies, letters(f"{said}\n{asked}")).logprobs) == place
        assert best(answer(copies, letters(f"{asked}\nB\n{said}\nAnswer:")).logprobs) == place


def test_planted_writers_ask_for_the_cue_and_keep_to_their_form(engine: Callable[..., StubEngine]) -> None:
    spanish = lay_out(QUESTIONS[2], "generate", default_wording("es")).user
    assert answer(engine("text"), generate(spanish)).text == "Respuesta: C"
    assert answer(engine("text", writes="json"), generate(spanish)).text == '{"answer": "C"}'
    assert "The answer is C." in answer(engine("copies", writes="talk"), generate(spanish)).text
    with pytest.raises(UserError, match="line, talk or json"):
        read_path("stub:text?writes=prose")
