"""The openai engine: what is sent, what is believed, when a call is repeated, when a run stops, and that no key is ever told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

import evalsuite
from evalsuite.bytetext import BOS, N_VOCABULARY, encode
from evalsuite.config import Study
from evalsuite.engines import _openai_calls as calls
from evalsuite.engines import check_settings, open_engine
from evalsuite.engines import openai as engine_module
from evalsuite.engines.base import Engine, EngineSettings, Metered
from evalsuite.engines.openai import OpenAIEngine
from evalsuite.errors import Fault, UserError
from evalsuite.models import ChatEntry, ModelEntry, find_checkpoint, load_registry
from evalsuite.models.endpoints import EndpointEntry, address_fault, is_loopback
from evalsuite.plan import Selection
from evalsuite.preview import check_study, preview, preview_lines
from evalsuite.prompts.messages import MessagesRenderer
from evalsuite.rescoring import report_study
from evalsuite.resolve import resolve
from evalsuite.serving import settings_for
from evalsuite.store import Identity, Store, request_key
from evalsuite.types import Failure, Message, Outcome, Prompt, Request, Response, Sampling
from tests.fake_server import NAME, Fake, Said, serve
from tests.planted import Project, make_project

KEY = "sk-very-secret-0123456789"
SECRET = "a question that nobody may read"


@pytest.fixture
def fake() -> Iterator[Fake]:
    with serve() as fake:
        yield fake


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of thousandths of a second, and a key in the environment."""
    monkeypatch.setattr(calls, "BACKOFF_S", 0.002)
    monkeypatch.setattr(engine_module, "GRACE_S", 2.0)
    monkeypatch.setenv("OUR_KEY", KEY)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What renders for a server that takes ids."""
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": N_VOCABULARY, "max_position_embeddings": 100}))
    added = [{"id": 257, "content": "<|end|>", "special": True}, {"id": 5, "content": "plain", "special": False}]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    return tmp_path


def settings(fake: Fake, api: str = "chat", **options: Any) -> EngineSettings:
    base = {"url": fake.url, "model": NAME, "api": api, "api_key_env": "OUR_KEY", "timeout_s": 5.0}
    return EngineSettings(name="openai", dtype="unknown", device="127.0.0.1", options={**base, **options})


def chat(text: str = "What?A", **sampling: Any) -> Request:
    prompt = Prompt(token_ids=(), text=text, messages=(Message(role="system", text="Be brief."), Message(role="user", text=text)))
    return Request(kind="generate", prompt=prompt, sampling=Sampling(**{"max_tokens": 20, **sampling}))


def ids(text: str = "hello", **sampling: Any) -> Request:
    sampled = Sampling(**{"max_tokens": 5, **sampling})
    return Request(kind="generate", prompt=Prompt(token_ids=(BOS, *encode(text)), text=text), sampling=sampled)


def ask(engine: Engine, requests: list[Request]) -> list[Outcome]:
    pairs = dict(engine.run(requests))
    assert sorted(pairs) == list(range(len(requests)))
    return [pairs[number] for number in range(len(requests))]


def asked(fake: Fake, request: Request | None = None, **options: Any) -> Outcome:
    """One request to a fresh engine."""
    with open_engine("", settings(fake, **options)) as engine:
        (outcome,) = ask(engine, [request or chat()])
    return outcome


def failed(outcome: Outcome) -> Failure:
    assert isinstance(outcome, Failure), outcome
    assert KEY not in outcome.message
    assert SECRET not in outcome.message
    assert "\n" not in outcome.message
    return outcome


def stopped(fake: Fake, requests: list[Request] | None = None, **options: Any) -> Fault:
    """The one line with which a run stops."""
    with open_engine("", settings(fake, **options)) as engine, pytest.raises(UserError) as caught:
        ask(engine, requests or [chat()])
    (fault,) = caught.value.faults
    assert KEY not in str(fault)
    assert SECRET not in str(fault)
    return fault


# ------------------------------------------------------------------------------------------------------------ what is sent


def test_a_chat_server_receives_messages_and_the_study_s_decoding(fake: Fake) -> None:
    outcome = asked(fake, chat("Which? B", temperature=0.5, top_p=0.9, seed=7, stop=("\n",)))
    assert isinstance(outcome, Response)
    assert (outcome.text, outcome.finish_reason, outcome.token_ids) == ("The answer is B.", "stop", ())
    assert (outcome.n_prompt_tokens, outcome.n_output_tokens) == (2, 5)
    ((path, body, headers),) = fake.calls
    assert path == "/v1/chat/completions"
    assert body == {
        "model": NAME,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which? B"}],
        "max_tokens": 20,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["\n"],
        "n": 1,
        "stream": False,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }
    assert headers["authorization"] == f"Bearer {KEY}"


def test_the_limit_has_the_name_that_the_server_knows(fake: Fake) -> None:
    asked(fake, max_tokens_name="max_completion_tokens")
    (body,) = fake.bodies()
    assert body["max_completion_tokens"] == 20
    assert not {"max_tokens", "seed", "stop"} & set(body)


def test_without_a_variable_no_key_is_sent(fake: Fake) -> None:
    chosen = settings(fake)
    options = {name: value for name, value in chosen.options.items() if name != "api_key_env"}
    with open_engine("", EngineSettings(name="openai", options=options)) as engine:
        ask(engine, [chat()])
    assert "authorization" not in fake.calls[0][2]


def plain(path: str, body: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """What servers other than vLLM say."""
    return {**content, "choices": [{"index": 0, "text": "so", "finish_reason": "length"}]}


def test_a_completions_server_receives_ids(fake: Fake, files: Path) -> None:
    fake.spoils = plain
    with open_engine(str(files), settings(fake, "completions")) as engine:
        (outcome,) = ask(engine, [ids()])
        assert engine.kinds == {"generate"}
        assert engine.info.n_context_tokens == 100
    assert isinstance(outcome, Response)
    assert (outcome.text, outcome.n_prompt_tokens, outcome.n_output_tokens) == ("so", 6, 5)
    (body,) = fake.bodies()
    assert body == {
        "model": NAME, "prompt": [BOS, *encode("hello")], "max_tokens": 5, "temperature": 0.0, "top_p": 1.0, "n": 1, "stream": False,
        "presence_penalty": 0.0, "frequency_penalty": 0.0,
    }  # fmt: skip


NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_k": -1, "min_p": 0.0}


def test_vllm_is_told_every_default_that_a_checkpoint_could_set(fake: Fake, files: Path) -> None:
    with open_engine(str(files), settings(fake, "completions", server="vllm")) as engine:
        ask(engine, [ids(stop=("<|end|>", "zzz"))])
        assert engine.info.n_context_tokens == 100
        assert engine.info.versions["vllm"] == "0.99.0"
    body = fake.bodies()[-1]
    assert {name: body[name] for name in NEUTRAL} == NEUTRAL
    # A special token never stands in the text, so as a string it would never be found.
    assert (body["stop"], body["stop_token_ids"]) == (["zzz"], [257])


def test_vllm_is_told_them_in_a_chat_too_and_asked_for_text_only(fake: Fake) -> None:
    """Its chat takes a repetition penalty from generation_config.json as well, and that one changes greedy decoding."""
    with open_engine("", settings(fake, server="vllm")) as engine:
        assert engine.kinds == {"generate"}
        (outcome, refused) = ask(engine, [chat("Which? B"), Request(kind="next", prompt=chat().prompt, candidates=(1,))])
    assert isinstance(outcome, Response)
    assert (outcome.text, outcome.token_ids, outcome.n_output_tokens) == ("The answer is B.", (), 5)
    assert failed(refused).reason == "unsupported"
    ((path, body, _),) = fake.calls
    assert path == "/v1/chat/completions"
    assert {name: body[name] for name in NEUTRAL} == NEUTRAL
    assert entry(server="vllm").endpoint is not None


def test_other_kinds_are_not_sent(fake: Fake) -> None:
    for kind, more in (("next", {"candidates": (1,)}), ("embed", {}), ("prompt", {})):
        outcome = failed(asked(fake, Request(kind=kind, prompt=chat().prompt, **more)))  # type: ignore[arg-type]
        assert (outcome.reason, outcome.transient) == ("unsupported", True)
    assert failed(asked(fake, ids())).reason == "unsupported"
    assert failed(asked(fake, chat(max_tokens=0))).reason == "unsupported"
    assert fake.calls == []


# -------------------------------------------------------------------------------------------------------- what is believed


def choice(n_output_tokens: int = 1, **changes: Any) -> dict[str, Any]:
    sound = {"index": 0, "message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"}
    return {"choices": [{**sound, **changes}], "usage": {"prompt_tokens": 3, "completion_tokens": n_output_tokens}}


def test_what_a_model_says_is_a_response(fake: Fake) -> None:
    said = [
        (choice(), ("B", "stop")),
        (choice(20, finish_reason="length"), ("B", "length")),
        (choice(19, finish_reason="length"), ("B", "length")),  # the token that ends the answer may go uncounted
        (choice(20, message={"role": "assistant", "content": None}, finish_reason="length"), ("", "length")),
        ({"choices": choice()["choices"]}, ("B", "stop")),
        (choice(message={"role": "assistant", "content": "B. and so on"}), ("B", "stop")),  # the stop string was not obeyed
    ]
    for body, expected in said:
        fake.planted.append(Said(body=body))
        outcome = asked(fake, chat(stop=(".",)))
        assert isinstance(outcome, Response)
        assert (outcome.text, outcome.finish_reason) == expected


MALFORMED = {
    "no json": b"{",
    "nothing": b"",
    "a list": [1],
    "no choices": {"usage": {}},
    "two choices": {"choices": choice()["choices"] * 2},
    "no finish reason": choice(finish_reason=None),
    "unknown finish reason": choice(finish_reason="tool_calls"),
    "no message": choice(message=None),
    "text is a number": choice(message={"content": 3}),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_answer_is_our_failure_and_asked_again_next_time(fake: Fake, body: Any) -> None:
    fake.planted.append(Said(body=body))
    outcome = failed(asked(fake))
    assert (outcome.reason, outcome.transient) == ("engine_error", True)
    assert len(fake.calls) == 1


def test_a_filter_is_never_a_zero(fake: Fake) -> None:
    for said in (
        Said(body=choice(finish_reason="content_filter")),
        Said(body=choice(message={"content": None, "refusal": SECRET})),
        Said(status=400, body={"error": {"code": "content_filter", "param": "prompt", "message": SECRET}}),
    ):
        fake.planted.append(said)
        outcome = failed(asked(fake))
        assert (outcome.reason, outcome.transient) == ("engine_error", False)
        assert "filter" in outcome.message or "refusal" in outcome.message


def test_a_condition_that_the_server_does_not_obey_is_unsupported_for_good(fake: Fake) -> None:
    fake.planted.append(Said(status=400, body={"error": {"param": "temperature", "code": "unsupported_value", "message": SECRET}}))
    outcome = failed(asked(fake))
    assert (outcome.reason, outcome.transient) == ("unsupported", False)
    assert "temperature" in outcome.message
    fake.planted.append(Said(body={**choice(), "usage": {"prompt_tokens": 3, "completion_tokens": 99}}))
    outcome = failed(asked(fake))
    assert (outcome.reason, outcome.transient) == ("unsupported", False)


def test_a_prompt_that_does_not_fit_is_too_long(fake: Fake) -> None:
    for error in (
        {"code": "context_length_exceeded", "param": "messages", "message": SECRET},
        {"type": "BadRequestError", "code": 400, "message": f"This model's maximum context length is 512 tokens. {SECRET}"},
    ):
        fake.planted.append(Said(status=400, body={"error": error}))
        outcome = failed(asked(fake))
        assert (outcome.reason, outcome.transient) == ("too_long", True)
    fake.planted.append(Said(status=400, body={"error": {"message": SECRET, "code": SECRET}}))
    assert failed(asked(fake)).reason == "engine_error"


def table(content: dict[str, Any]) -> dict[str, Any]:
    """Log-probabilities of a sound answer, to be spoilt."""
    found: dict[str, Any] = content["choices"][0]["logprobs"]["top_logprobs"][0]
    return found


SPOILS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another prompt was read": (lambda content: content["usage"].update(prompt_tokens=7), "engine_error"),
    "other ids were read": (lambda content: content["choices"][0].update(prompt_token_ids=[1, 2]), "engine_error"),
    "a log-probability is missing": (lambda content: table(content).popitem(), "engine_error"),
    "none at all": (lambda content: content["choices"][0].update(logprobs=None), "engine_error"),
    "not a number": (lambda content: table(content).update({"token_id:65": float("nan")}), "invalid_logprob"),
    "minus infinity": (lambda content: table(content).update({"token_id:65": -9999.0}), "invalid_logprob"),
    "above 0": (lambda content: table(content).update({"token_id:65": 0.5}), "invalid_logprob"),
    "a text for a number": (lambda content: table(content).update({"token_id:65": "x"}), "engine_error"),
}


@pytest.mark.parametrize("name", SPOILS)
def test_log_probabilities_are_exact_or_a_failure(fake: Fake, files: Path, name: str) -> None:
    spoil, reason = SPOILS[name]
    request = Request(kind="next", prompt=ids().prompt, candidates=(65, 66))

    def spoiled(path: str, body: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        spoil(content)
        return content

    with open_engine(str(files), settings(fake, "completions", server="vllm")) as engine:
        assert isinstance(ask(engine, [request])[0], Response)
        fake.spoils = spoiled
        assert failed(ask(engine, [request])[0]).reason == reason


def test_a_number_of_log_probabilities_along_the_prompt_that_is_not_the_prompt_s(fake: Fake, files: Path) -> None:
    request = Request(kind="continuation", prompt=ids().prompt, continuations=((65, 66),))

    def shortened(path: str, body: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        content["choices"][0]["prompt_logprobs"].pop()
        return content

    with open_engine(str(files), settings(fake, "completions", server="vllm")) as engine:
        fake.spoils = shortened
        assert "along a prompt of 8 tokens" in failed(ask(engine, [request])[0]).message


def test_a_lowered_limit_is_no_answer(fake: Fake, files: Path) -> None:
    """vLLM cuts max_tokens to what its context or its owner leaves, and says nothing."""

    def cut(path: str, body: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        content["choices"][0].update(token_ids=[65, 66], text="AB", finish_reason="length")
        return content

    with open_engine(str(files), settings(fake, "completions", server="vllm")) as engine:
        fake.spoils = cut
        outcome = failed(ask(engine, [ids()])[0])
    assert (outcome.reason, outcome.transient) == ("unsupported", True)
    assert "2 of 5" in outcome.message


@pytest.mark.parametrize("server", ["other", "vllm"])
def test_a_limit_that_a_chat_server_lowered_is_no_answer(fake: Fake, server: str) -> None:
    for n_counted in (0, 1, 18):
        fake.planted.append(Said(body=choice(n_counted, finish_reason="length")))
        outcome = failed(asked(fake, server=server))
        assert (outcome.reason, outcome.transient) == ("unsupported", True)
        assert f"{n_counted} of 20" in outcome.message


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": 3}}, {"usage": {"completion_tokens": "20"}}], ids=str)
def test_at_the_limit_an_answer_that_nobody_counted_is_none(fake: Fake, usage: dict[str, Any]) -> None:
    fake.planted.append(Said(body={"choices": choice(finish_reason="length")["choices"], **usage}))
    outcome = failed(asked(fake))
    assert (outcome.reason, outcome.transient) == ("engine_error", True)
    assert "does not say how many tokens it gave" in outcome.message


def test_a_completions_server_must_count_as_well(fake: Fake, files: Path) -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"completion_tokens": 5}, "engine_error", "how many prompt tokens it read"),
        ({}, "engine_error", "how many prompt tokens it read"),
        ({"prompt_tokens": 6}, "engine_error", "how many tokens it gave"),
        ({"prompt_tokens": 6, "completion_tokens": 3}, "unsupported", "3 of 5"),
    ]
    with open_engine(str(files), settings(fake, "completions")) as engine:
        for usage, reason, words in cases:
            fake.planted.append(Said(body={"choices": [{"index": 0, "text": "so", "finish_reason": "length"}], "usage": usage}))
            outcome = failed(ask(engine, [ids()])[0])
            assert (outcome.reason, outcome.transient) == (reason, True)
            assert words in outcome.message


GREEDY: dict[str, tuple[dict[str, Any], bool | str]] = {
    "the likeliest": ({"65": {"logprob": -0.5, "rank": 1}}, True),
    "one is likelier": ({"65": {"logprob": -0.5, "rank": 2}, "3": {"logprob": -0.25, "rank": 1}}, False),
    "first of two equals": ({"65": {"logprob": -0.5, "rank": 2}, "66": {"logprob": -0.5, "rank": 1}}, True),
    "second of two equals": ({"65": {"logprob": -0.5, "rank": 2}, "9": {"logprob": -0.5, "rank": 1}}, False),
    "the likeliest was not told": ({"65": {"logprob": -0.5, "rank": 3}}, "engine_error"),
    "the likeliest has no number": ({"65": {"logprob": -0.5, "rank": 2}, "3": {"logprob": None, "rank": 1}}, "engine_error"),
    "the likeliest is above 0": ({"65": {"logprob": -0.5, "rank": 2}, "3": {"logprob": 0.5, "rank": 1}}, "invalid_logprob"),
    "no id": ({"65": {"logprob": -0.5, "rank": 2}, "x": {"logprob": -0.25, "rank": 1}}, "engine_error"),
}  # fmt: skip


@pytest.mark.parametrize("name", GREEDY)
def test_greedy_is_the_first_of_the_likeliest(fake: Fake, files: Path, name: str) -> None:
    row, expected = GREEDY[name]
    request = Request(kind="continuation", prompt=ids().prompt, continuations=((65,),), greedy=True)

    def planted(path: str, body: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        content["choices"][0]["prompt_logprobs"][-1] = row
        return content

    with open_engine(str(files), settings(fake, "completions", server="vllm")) as engine:
        fake.spoils = planted
        (outcome,) = ask(engine, [request])
    if isinstance(expected, str):
        assert failed(outcome).reason == expected
    else:
        assert isinstance(outcome, Response)
        assert (outcome.continuation_greedy, outcome.continuation_logprobs) == ((expected,), ((-0.5,),))
    assert fake.bodies()[-1]["prompt_logprobs"] == 1


def test_greedy_is_what_the_server_generates_and_asked_for_only_where_wanted(fake: Fake, files: Path) -> None:
    with open_engine(str(files), settings(fake, "completions", server="vllm")) as engine:
        (said,) = ask(engine, [ids("hi")])
        assert isinstance(said, Response)
        other = (*said.token_ids[:-1], (said.token_ids[-1] + 1) % 256)
        request = Request(kind="continuation", prompt=ids("hi").prompt, continuations=(other, said.token_ids), greedy=True)
        greedy, plain = ask(engine, [request, replace(request, greedy=False)])
    assert isinstance(greedy, Response)
    assert isinstance(plain, Response)
    assert (greedy.continuation_greedy, plain.continuation_greedy) == ((False, True), ())
    assert greedy.continuation_logprobs == plain.continuation_logprobs
    assert sorted(body["prompt_logprobs"] for body in fake.bodies()[-4:]) == [0, 0, 1, 1]


def unknown_ids(path: str, body: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    content["choices"][0].pop("logprobs", None)
    return content


def raw_logits(path: str, body: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    for table in (content["choices"][0].get("logprobs") or {}).get("top_logprobs", []):
        table.update({token: value - 2.0 for token, value in table.items()})
    return content


@pytest.mark.parametrize("spoils", [unknown_ids, raw_logits])
def test_a_server_that_is_not_what_its_entry_says_is_found_out_at_the_start(fake: Fake, files: Path, spoils: Any) -> None:
    fake.spoils = spoils
    with pytest.raises(UserError, match="server: other"), open_engine(str(files), settings(fake, "completions", server="vllm")):
        pass


def test_a_vllm_server_of_another_model_is_told(fake: Fake, files: Path) -> None:
    chosen = settings(fake, "completions", server="vllm", model="other")
    with pytest.raises(UserError, match=f"serves: {NAME}"), open_engine(str(files), chosen):
        pass


# ---------------------------------------------------------------------------------------------- when a call is made again


@pytest.mark.parametrize("said", [Said(status=status) for status in (429, 500, 502, 503, 504)] + [Said(hangs_up=True)], ids=str)
def test_what_may_pass_is_repeated(fake: Fake, said: Said) -> None:
    fake.planted += [said, said]
    with open_engine("", settings(fake)) as engine:
        (outcome,) = ask(engine, [chat()])
        assert isinstance(engine, Metered)
        assert engine.spent.n_repeats == 2
    assert isinstance(outcome, Response)
    assert len(fake.calls) == 3


def test_a_slow_answer_is_given_up_and_asked_for_again(fake: Fake) -> None:
    fake.planted.append(Said(body=choice(), delay_s=1.2))
    assert isinstance(asked(fake, timeout_s=0.5), Response)
    assert len(fake.calls) >= 2  # more on a machine that is very busy


def test_what_does_not_pass_is_a_transient_failure(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "N_ATTEMPTS", 3)
    fake.planted += [Said(status=503)] * 3
    outcome = failed(asked(fake))
    assert (outcome.reason, outcome.transient, outcome.message) == ("engine_error", True, "HTTP 503, 3 times")
    assert len(fake.calls) == 3


def test_other_refusals_are_not_repeated(fake: Fake) -> None:
    for status in (400, 409, 418, 501):
        fake.planted.append(Said(status=status, body={"error": {"message": SECRET}}))
        assert failed(asked(fake)).transient
    assert len(fake.calls) == 4


def test_retry_after_is_obeyed_by_all(fake: Fake) -> None:
    fake.planted.append(Said(status=429, headers={"Retry-After": "0.4"}))
    began = time.monotonic()
    with open_engine("", settings(fake, max_concurrency=2)) as engine:
        outcomes = ask(engine, [chat(), chat(), chat()])
    assert all(isinstance(outcome, Response) for outcome in outcomes)
    assert time.monotonic() - began >= 0.4


def test_waits_that_servers_ask_for() -> None:
    def wait(failed: bool = True, **headers: str) -> float:
        return calls.asked_wait_s({name.replace("_", "-"): value for name, value in headers.items()}, failed=failed, now=1_000_000.0)

    assert wait() == wait(retry_after="soon") == wait(failed=False, retry_after="3") == 0
    assert wait(retry_after="3") == 3
    assert wait(retry_after_ms="250") == 0.25
    assert wait(retry_after=formatdate(1_000_030, usegmt=True)) == 30
    assert wait(retry_after=formatdate(999_000, usegmt=True)) == 0
    assert wait(failed=False, x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="1m30.5s") == 90.5
    assert wait(failed=False, x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="20ms") == 0.02
    assert wait(failed=False, x_ratelimit_remaining_requests="1", x_ratelimit_reset_requests="60s") == 0


def test_waits_grow_are_seeded_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF_S", 0.5)
    waits = [calls.backoff_s(3, attempt) for attempt in range(1, 12)]
    assert waits == [calls.backoff_s(3, attempt) for attempt in range(1, 12)]
    assert all(0.5 <= wait / (0.5 * 2**place) <= 1.5 for place, wait in enumerate(waits[:6]))
    assert waits[-1] == calls.LONGEST_BACKOFF_S
    assert calls.backoff_s(4, 1) != waits[0]


def test_requests_per_minute_are_kept(fake: Fake) -> None:
    began = time.monotonic()
    with open_engine("", settings(fake, requests_per_minute=600)) as engine:
        ask(engine, [chat()] * 4)
    assert time.monotonic() - began >= 0.3


def test_as_many_at_once_as_allowed_and_each_outcome_as_it_is_known(fake: Fake) -> None:
    fake.delay_s = 0.15
    fake.planted.append(Said(body=choice(), delay_s=2.0))  # the first one dawdles
    with open_engine("", settings(fake, max_concurrency=3)) as engine:
        order = [index for index, _ in engine.run([chat()] * 7)]
    assert fake.most_at_once == 3
    assert sorted(order) == list(range(7))
    assert order[-1] in (0, 1, 2)  # whichever of the first three met the planted answer
    assert order[0] != order[-1]


def test_whoever_stops_listening_stops_the_asking(fake: Fake) -> None:
    fake.delay_s = 0.1
    with open_engine("", settings(fake, max_concurrency=2)) as engine:
        answering = engine.run([chat()] * 50)
        next(answering)
        answering.close()  # type: ignore[attr-defined]
        time.sleep(0.4)
        n_calls = len(fake.calls)
        time.sleep(0.4)
    assert len(fake.calls) == n_calls < 50


# -------------------------------------------------------------------------------------------------------- when a run stops

ENDS = {
    "key": (Said(status=401, body={"error": {"message": f"Wrong: {KEY}", "code": "invalid_api_key"}}), "does not accept the key"),
    "rights": (Said(status=403), "does not allow this account"),
    "address": (Said(status=404), "knows no such model or address"),
    "redirect": (Said(status=307, headers={"Location": "http://192.0.2.1/elsewhere"}), "redirects are not followed"),
    "credit": (Said(status=429, body={"error": {"code": "insufficient_quota", "message": SECRET}}), "no credit left"),
    "quota": (Said(status=429, headers={"Retry-After": "86400"}), "asks to wait 86400 s"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_what_no_further_call_would_survive_stops_the_run_in_one_line(fake: Fake, name: str) -> None:
    said, words = ENDS[name]
    fake.planted += [said] * 100
    fault = stopped(fake, [chat(SECRET)] * 30, max_concurrency=2)
    assert words in str(fault)
    assert len(fake.calls) <= 4


def test_a_server_that_is_gone_stops_the_run(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "N_ATTEMPTS", 2)
    monkeypatch.setattr(calls, "N_LOST", 5)
    fake.planted += [Said(status=502)] * 500
    assert "no longer answers (HTTP 502)" in str(stopped(fake, [chat()] * 100, max_concurrency=2))
    assert len(fake.calls) < 20


def test_a_paid_answer_that_comes_with_the_end_of_the_quota_is_kept(fake: Fake) -> None:
    gone = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6h0m0s"}
    fake.planted.append(Said(body=choice(), headers=gone))
    found = []
    with open_engine("", settings(fake, max_concurrency=1)) as engine, pytest.raises(UserError, match="asks to wait 21600 s"):
        for pair in engine.run([chat()] * 5):
            found.append(pair)
    assert [index for index, _ in found] == [0]
    assert len(fake.calls) == 1


def test_what_was_answered_before_the_stop_is_handed_over(fake: Fake) -> None:
    fake.planted += [Said(body=choice()), Said(body=choice()), Said(status=401)]
    found = []
    with open_engine("", settings(fake, max_concurrency=1)) as engine, pytest.raises(UserError):
        for pair in engine.run([chat()] * 5):
            found.append(pair)
    assert [index for index, _ in found] == [0, 1]


def test_nobody_is_there(fake: Fake, files: Path) -> None:
    chosen = settings(fake, "completions", server="vllm")
    gone = EngineSettings(name="openai", options={**chosen.options, "url": "http://127.0.0.1:9/v1"})
    with pytest.raises(UserError, match="connection lost"), open_engine(str(files), gone):
        pass


# ------------------------------------------------------------------------------------------------ counts, keys, and entries


def test_cost_is_counted_by_the_server_s_own_tokens(fake: Fake) -> None:
    with open_engine("", settings(fake, price_input=2.0, price_output=10.0)) as engine:
        ask(engine, [chat("A" * 40), chat("B" * 400)])
        assert isinstance(engine, OpenAIEngine)
        spent = engine.spent
    assert (spent.n_calls, spent.n_repeats, spent.n_prompt_tokens, spent.n_output_tokens) == (2, 0, 110, 10)
    assert spent.cost_usd == pytest.approx((110 * 2 + 10 * 10) / 1e6)
    assert spent.served_as == (f"{NAME}-2026-01-01",)
    with open_engine("", settings(fake)) as engine:
        assert isinstance(engine, OpenAIEngine)
        assert engine.spent.cost_usd is None


def test_a_proxy_never_carries_what_stays_on_this_machine(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(asked(fake), Response)


def test_messages_are_part_of_the_key_and_ids_keep_theirs() -> None:
    identity = Identity(fingerprint="f", engine="openai", dtype="unknown", quantisation=None)
    sampling = Sampling(max_tokens=5)

    def key(*texts: str, ids: tuple[int, ...] = ()) -> str:
        messages = tuple(Message(role="user", text=text) for text in texts)
        prompt = Prompt(token_ids=ids, text="for people", messages=messages)
        return request_key(identity, Request(kind="generate", prompt=prompt, sampling=sampling))

    assert len({key("a"), key("b"), key("a", "b"), key("ab"), key(), key(ids=(1,))}) == 6
    # As it was before there were messages.
    assert key(ids=(1, 2)) == "ce75120b8f97f1a573d2e1221f05bc4b5539391da42c35f80494ca08ff14dc8f"


def entry(**endpoint: Any) -> ModelEntry:
    return ModelEntry.model_validate(
        {"domain": "generalist", "endpoint": {"url": "https://h.example/v1/", "model": "m", "api": "chat", **endpoint}}
    )


def faults(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "models.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load_registry()
    return [str(fault) for fault in caught.value.faults]


BAD_ENTRIES = {
    "key in the file": ("{url: 'https://h/v1', model: m, api: chat, api_key_env: " + KEY + "}", "api_key_env: the NAME"),
    "key under its own name": ("{url: 'https://h/v1', model: m, api: chat, api_key: " + KEY + "}", "endpoint.api_key: unknown key"),
    "key in the address": ("{url: 'https://u:" + KEY + "@h/v1', model: m, api: chat}", "without user, password"),
    "key behind the address": ("{url: 'https://h/v1?key=" + KEY + "', model: m, api: chat}", "without user, password"),
    "no address": ("{url: h, model: m, api: chat}", "must be http"),
    "whole address": ("{url: 'https://h/v1/chat/completions', model: m, api: chat}", "must end before"),
    "no tokenizer": ("{url: 'https://h/v1', model: m, api: completions}", "also give `path` or `repo`"),
    "another server": ("{url: 'https://h/v1', model: m, api: chat, server: tgi}", "endpoint.server"),
    "price in words": ("{url: 'https://h/v1', model: m, api: chat, price: {input: much, output: 1}}", "price.input"),
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_a_wrong_entry_is_one_line_and_no_key_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, words = BAD_ENTRIES[name]
    (line,) = faults(tmp_path, f"models:\n  m:\n    domain: generalist\n    endpoint: {text}\n", monkeypatch)
    assert words in line
    assert KEY not in line


def test_what_a_chat_server_cannot_obey_is_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for more in ("path: here", "repo: a/b", "chat: {template: plain}", "chat: {answer_prefix: So}"):
        text = f"models:\n  m:\n    domain: generalist\n    {more}\n    endpoint: {{url: 'https://h/v1', model: m, api: chat}}\n"
        (line,) = faults(tmp_path, text, monkeypatch)
        assert "renders by itself" in line


def test_addresses() -> None:
    assert [
        address_fault(url) for url in ("http://localhost:8000/v1", "https://api.example.org/v1", "http://[::1]:80", "http://gpu07/v1")
    ] == [""] * 4
    assert all(address_fault(url) for url in ("", "ftp://h", "http://", "http://h:x/v1", "http://h/v1#a", "http://a b/", "http://[1/"))
    assert [is_loopback(host) for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1")] == [True] * 5
    assert not any(is_loopback(host) for host in ("127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "example.org", "::2"))


def test_options_are_the_entry_and_back() -> None:
    for made in (entry(), entry(price={"input": 1, "output": 2}, requests_per_minute=60, api_key_env="OUR_KEY")):
        assert made.endpoint is not None
        options = made.endpoint.as_options()
        assert json.loads(json.dumps(options)) == options
        assert check_settings("", EngineSettings(name="openai", options=options)) == ()
        price = {"price": {"input": 1, "output": 2}} if "price_input" in options else {}
        plain = {name: value for name, value in options.items() if not name.startswith("price_")}
        assert EndpointEntry.model_validate({**plain, **price}) == made.endpoint


def test_a_missing_key_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = entry(api_key_env="NOT_SET_ANYWHERE")
    assert made.endpoint is not None
    (fault,) = check_settings("", EngineSettings(name="openai", options=made.endpoint.as_options()))
    assert (fault.key, fault.value) == ("endpoint.api_key_env", "")


def test_a_server_is_known_by_its_address_and_never_pinned() -> None:
    found = find_checkpoint("m", entry())
    assert (found.pinned, found.served, found.takes, found.path) == (False, "m at h.example", "messages", "")
    prints = {find_checkpoint("m", made).fingerprint for made in (entry(), entry(model="n"), entry(url="https://h.example/v2"))}
    assert len(prints) == 3
    assert find_checkpoint("other", entry(max_concurrency=1, timeout_s=3)).fingerprint == found.fingerprint


def test_a_study_sets_the_pace_and_never_who_answers() -> None:
    made = entry()
    checkpoint = find_checkpoint("m", made)

    def options(**engine: Any) -> dict[str, Any]:
        study = Study.model_validate({"study": "s", "question": "Why?", "models": ["m"], "tasks": ["t"], "engine": engine})
        return dict(settings_for(study, made, checkpoint).options)

    assert options(name="openai", max_concurrency=2)["max_concurrency"] == 2
    assert options(name="vllm", gpu_memory_utilization=0.5)["max_concurrency"] == 8
    assert "gpu_memory_utilization" not in options(name="vllm", gpu_memory_utilization=0.5)
    with pytest.raises(UserError, match="decides who answers"):
        options(name="openai", model="another")


def test_the_renderer_of_a_chat_server_sends_the_conversation() -> None:
    turns = (Message(role="system", text="Be brief."), Message(role="user", text="Why?"))
    prompt = MessagesRenderer(model="m", chat=ChatEntry()).render(turns)
    assert (prompt.token_ids, prompt.messages) == ((), turns)
    folded = MessagesRenderer(model="m", chat=ChatEntry(system="fold")).render(turns)
    assert folded.messages == (Message(role="user", text="Be brief.\n\nWhy?"),)
    with pytest.raises(UserError, match="format: generate"):
        MessagesRenderer(model="m", chat=ChatEntry()).label_ids(prompt, ["A"])


# ------------------------------------------------------------------------------------------------------------------ studies


@pytest.fixture
def project(tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Planted questions; a chat server and a stub."""
    project = make_project(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("EVALSUITE_TASKS", str(project.folder / "tasks"))
    registry(project, fake.url)
    return project


def registry(project: Project, url: str) -> None:
    (project.folder / "models.yaml").write_text(
        f"""
models:
  hosted:
    domain: generalist
    endpoint: {{url: '{url}', model: {NAME}, api: chat, api_key_env: OUR_KEY, price: {{input: 1000.0, output: 3000.0}}}}
  ours:
    path: stub:first
    domain: biomedical
    base: hosted
"""
    )


FREE = {"models": "[hosted, ours]", "strategies": "[{name: zero_shot, format: generate}]", "engine": "{name: stub}"}


def study_of(project: Project, **changes: str) -> Path:
    return project.study(**{**FREE, "tasks": "[{name: planted, limit: 50}]", **changes})


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_hosted_model_goes_through_a_whole_study(project: Project, fake: Fake) -> None:
    study = study_of(project)
    assert any("hosted: not pinned, openai unknown on 127.0.0.1" in line for line in check_study(study, Selection()))
    told = preview(study, Selection(), project.store)
    hosted = told.models[0]
    assert (hosted.n_requests, hosted.counted, hosted.n_too_long) == (50, False, 0)
    assert hosted.cost_usd == (hosted.n_prompt_tokens / 1e3, 50 * 256 * 3 / 1e3)
    assert any(line.startswith("hosted: about USD") for line in preview_lines(told))
    assert fake.calls == []

    result = evalsuite.run_study(study, store=project.store, out=project.folder / "out")
    assert result.n_failed == 0
    assert len(fake.calls) == 50
    assert any(line.startswith("hosted: 50 calls (0 repeated)") and "USD" in line for line in result.notes)
    manifest = json.loads((project.folder / "out" / "manifest.json").read_text())
    assert manifest["weights"]["hosted"]["pinned"] is False
    assert manifest["models"]["hosted"]["spent"]["served_as"] == [f"{NAME}-2026-01-01"]
    assert manifest["engines"]["hosted"][0]["name"] == "openai"
    assert "spent" not in manifest["models"]["ours"]
    report = (project.folder / "out" / "report.md").read_text()
    assert f"{NAME} at 127.0.0.1" in report
    assert "not pinned" in report

    again = evalsuite.run_study(study, store=project.store, out=project.folder / "again")
    assert len(fake.calls) == 50
    rescored = report_study(project.folder / "out", store=project.store)
    assert rescored.scores is not None
    assert again.scores is not None
    assert rescored.scores.equals(again.scores)
    assert KEY.encode() not in everything_in(project.folder)
    assert b"OUR_KEY" in everything_in(project.folder / "out")  # its name may be told


def test_a_stopped_run_goes_on_where_it_was(project: Project, fake: Fake) -> None:
    fake.planted += [Said(body=choice())] * 10 + [Said(status=401)] * 100
    study = study_of(project)
    with pytest.raises(UserError, match="does not accept the key"):
        evalsuite.run_study(study, store=project.store, out=project.folder / "out")
    with Store(project.store) as store:
        assert store.stats().n_answers == 10
    fake.planted.clear()
    before = len(fake.calls)
    evalsuite.run_study(study, store=project.store, out=project.folder / "out")
    assert len(fake.calls) - before == 40


@pytest.mark.parametrize(("form", "kind"), [("letters", "next"), ("cloze", "continuation")])
def test_letters_and_cloze_on_a_text_server_are_one_line(project: Project, form: str, kind: str) -> None:
    with pytest.raises(UserError) as caught:
        check_study(study_of(project, strategies=f"[{{name: zero_shot, format: {form}}}]"), Selection())
    (fault,) = caught.value.faults
    assert f"asks {kind}" in fault.allowed
    assert "use format: generate" in fault.allowed


def test_the_engine_is_named_for_servers_only(project: Project) -> None:
    with pytest.raises(UserError, match="with an `endpoint:`"):
        resolve(study_of(project, engine="{name: openai}"))


def restrict(project: Project) -> None:
    plugin = next((project.folder / "tasks").rglob("task.py"))
    plugin.write_text(plugin.read_text().replace("restricted=False", "restricted=True"))


def test_restricted_texts_leave_this_machine_only_by_name(project: Project, fake: Fake) -> None:
    restrict(project)
    assert resolve(study_of(project)).tasks["planted"].task.card.restricted  # this machine may have them
    registry(project, "https://api.example.org/v1")
    with pytest.raises(UserError) as caught:
        resolve(study_of(project))
    (fault,) = caught.value.faults
    assert (fault.key, fault.value) == ("engine.send_restricted_to", "api.example.org")
    for hosts in ("[example.org]", "[other.example.org]"):
        with pytest.raises(UserError):
            resolve(study_of(project, engine=f"{{name: stub, send_restricted_to: {hosts}}}"))
    plan = resolve(study_of(project, engine="{name: stub, send_restricted_to: [api.example.org]}"))
    assert plan.models["hosted"].settings.options["url"] == "https://api.example.org/v1"
    assert resolve(study_of(project, models="[ours]")).models
    assert fake.calls == []


def test_consent_changes_no_study_that_gives_none() -> None:
    assert (
        "send_restricted_to"
        not in Study.model_validate({"study": "s", "question": "Why?", "models": ["m"], "tasks": ["t"]}).model_dump(mode="json")["engine"]
    )


def test_asking_before_loading_imports_no_client() -> None:
    code = """
import sys
from evalsuite.engines import check_settings, kinds_of
from evalsuite.engines.base import EngineSettings
made = EngineSettings(name="openai", options={"url": "http://localhost:1/v1", "model": "m", "api": "chat", "no such": 1})
assert check_settings("", made)
print(*sorted({"httpx2", "torch", "transformers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ.copy())
    assert done.stdout.split() == []
