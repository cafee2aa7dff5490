"""What every engine owes, asked of the openai engine; what a server cannot give is a failure, never a guess."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

from evalsuite.bytetext import BOS, EOS, N_VOCABULARY, encode
from evalsuite.engines import check_settings, kinds_of, open_engine
from evalsuite.engines.base import Engine, EngineSettings
from evalsuite.types import Failure, Request, Response
from tests.contract import test_engines as suite
from tests.contract.test_engines import BAD, TEXTS, along, answer, ask, continuation, embed, failure, generate, next_token, same
from tests.fake_server import N_CONTEXT_TOKENS, NAME, Fake, logprobs_after, serve

REQUESTS = [
    request
    for text in TEXTS
    for request in (
        next_token(text),
        continuation(text, "A", "ABC", "a much longer one"),
        Request(kind="prompt", prompt=along(text).prompt),
        generate(text),
        generate(text, temperature=0.8, top_p=0.9, seed=len(text)),
    )
]

test_no_requests_no_outcomes = suite.test_no_requests_no_outcomes
test_info_says_what_is_loaded = suite.test_info_says_what_is_loaded
test_equal_requests_get_equal_answers = suite.test_equal_requests_get_equal_answers
test_probabilities_of_different_candidates_fit_into_one = suite.test_probabilities_of_different_candidates_fit_into_one
test_next_is_a_continuation_of_one_token = suite.test_next_is_a_continuation_of_one_token
test_greedy_takes_the_most_probable_token = suite.test_greedy_takes_the_most_probable_token
test_a_seed_gives_the_same_draw_in_any_company = suite.test_a_seed_gives_the_same_draw_in_any_company
test_different_seeds_differ = suite.test_different_seeds_differ
test_greedy_repeats_itself = suite.test_greedy_repeats_itself
test_max_tokens_ends_with_length = suite.test_max_tokens_ends_with_length
test_stop_strings_end_and_are_cut_off = suite.test_stop_strings_end_and_are_cut_off


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    with serve() as fake:
        yield fake


@pytest.fixture(scope="module")
def subject(fake: Fake, tmp_path_factory: pytest.TempPathFactory) -> suite.Subject:
    folder = tmp_path_factory.mktemp("files")
    (folder / "config.json").write_text(json.dumps({"vocab_size": N_VOCABULARY, "max_position_embeddings": 4096}))
    options = {"url": fake.url, "model": NAME, "api": "completions", "server": "vllm"}
    settings = EngineSettings(name="openai", dtype="unknown", device="127.0.0.1", options=options)
    return suite.Subject(open=lambda: open_engine(str(folder), settings), path=str(folder), settings=settings, models_language=True)


@pytest.fixture(scope="module")
def engine(subject: suite.Subject) -> Iterator[Engine]:
    with subject.open() as engine:
        yield engine


def test_what_is_said_before_loading_holds_afterwards(subject: suite.Subject, engine: Engine) -> None:
    assert check_settings(subject.path, subject.settings) == ()
    assert kinds_of("openai", subject.path, subject.settings) == engine.kinds == {"generate", "next", "continuation", "prompt"}
    assert kinds_of("openai", subject.path) == {"generate"}


def test_values_are_those_of_the_server(engine: Engine) -> None:
    for text in TEXTS:
        ids = [BOS, *encode(text)]
        after = logprobs_after(ids)
        assert answer(engine, next_token(text)).logprobs == tuple(after[token] for token in encode("ABCD"))
        expected = tuple(logprobs_after(ids[:place])[ids[place]] for place in range(1, len(ids)))
        assert answer(engine, Request(kind="prompt", prompt=along(text).prompt)).logprobs == expected
        (first, _) = answer(engine, continuation(text, "AB", "B")).continuation_logprobs
        assert first == (after[ord("A")], logprobs_after([*ids, ord("A")])[ord("B")])


def test_one_sound_outcome_per_request_in_any_order(engine: Engine) -> None:
    together = ask(engine, REQUESTS)
    backwards = ask(engine, REQUESTS[::-1])[::-1]
    alone = [ask(engine, [request])[0] for request in REQUESTS]
    for request, one, two, three in zip(REQUESTS, together, backwards, alone, strict=True):
        assert isinstance(one, Response), one
        assert same(one, two)
        assert same(one, three)
        assert one.n_prompt_tokens == len(request.prompt.token_ids)
        assert all(math.isfinite(value) and value <= 0 for value in one.logprobs)
        assert [len(values) for values in one.continuation_logprobs] == [len(ids) for ids in request.continuations]
        n_expected = len(one.token_ids) if request.kind == "generate" else sum(map(len, request.continuations))
        assert one.n_output_tokens == n_expected
    assert not same(together[0], together[5])  # or the comparison would not see anything


def test_too_long_is_said_and_never_cropped(engine: Engine) -> None:
    """A server always generates one token, also where only log-probabilities are wanted."""
    full = "x" * (N_CONTEXT_TOKENS - 2)  # and BOS, and that token
    fits = (next_token(full), continuation(full[:-2], "ab"), generate(full[:-3], 4))
    over = (next_token(full + "x"), continuation(full[:-2], "a", "abc"), generate(full[:-2], 4))
    assert all(isinstance(outcome, Response) for outcome in ask(engine, fits))
    for outcome in ask(engine, over):
        assert isinstance(outcome, Failure)
        assert (outcome.reason, outcome.transient) == ("too_long", True)
        assert str(N_CONTEXT_TOKENS) in outcome.message


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_request_fails_alone_and_is_never_sent(engine: Engine, fake: Fake, bad: Request) -> None:
    good = REQUESTS[:3]
    expected = ask(engine, good)
    before = len(fake.calls)
    found = ask(engine, [*good, bad])
    outcome = found.pop()
    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.transient) == ("unsupported", True)
    assert "secret" not in outcome.message
    assert all(same(left, right) for left, right in zip(found, expected, strict=True))
    assert len(fake.calls) - before == 5  # one, three and one calls


def test_what_no_server_gives_is_unsupported(engine: Engine) -> None:
    for request in (embed("a"), along("a")):
        outcome = failure(engine, request)
        assert (outcome.reason, outcome.transient) == ("unsupported", True)


def test_ended_generations_count_their_end(engine: Engine) -> None:
    outcomes = ask(engine, [generate(f"{number}", 100) for number in range(100)])
    ended = [outcome for outcome in outcomes if isinstance(outcome, Response) and outcome.finish_reason == "stop"]
    assert ended
    assert all(outcome.token_ids[-1] == EOS for outcome in ended)
