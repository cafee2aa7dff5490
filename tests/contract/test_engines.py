"""What every engine owes, whatever computes: one suite over all of them. A new engine is one more `Subject`."""

from __future__ import annotations

import importlib.util
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from evalsuite.bytetext import BOS, EOS, encode
from evalsuite.engines import ENGINES, _cuda, check_settings, has_cuda, kinds_of, open_engine
from evalsuite.engines.base import Engine, EngineSettings
from evalsuite.errors import UserError
from evalsuite.types import Failure, Outcome, Prompt, Request, Response, Sampling
from tests.tiny_checkpoint import N_CONTEXT_TOKENS, save_checkpoint, tiny_config

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-5

TOLERANCES = {"vllm": 1e-4}
"""Where it is another: vLLM computes a prefix that it knows in another order than one that is new."""

WIDE_ENOUGH = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.1}
"""Heads of 32: what vLLM's attention on a CPU takes at least."""

WITHOUT_MOMENTS = ("vllm",)
"""Engines that give no moments along a prompt, and say so."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An engine under test."""

    open: Callable[[], AbstractContextManager[Engine]]
    """Loads it; its context is `N_CONTEXT_TOKENS`, its ids are bytes."""
    path: str
    """What it is loaded from."""
    settings: EngineSettings
    """How it is loaded."""
    models_language: bool
    """Its answers to different kinds come from one distribution (the stub's do not)."""
    loads_quickly: bool = True
    """Tests may open one of their own; if not, they share the one of the suite, and `test_vllm.py` opens another."""


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("tiny"), tiny_config())


NO_VLLM = None if importlib.util.find_spec("vllm") else "needs vLLM (scripts/setup.sh installs it; EVALSUITE_VLLM=no leaves it out)"
SUBJECTS = [
    "transformers",
    "transformers-small-batches",
    "stub-uniform",
    "stub-key",
    pytest.param("vllm", marks=[pytest.mark.xdist_group("vllm"), pytest.mark.skipif(NO_VLLM is not None, reason=str(NO_VLLM))]),
]


@pytest.fixture(scope="session", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    name = request.param
    if name == "vllm":
        options = {"max_num_seqs": 16, "kv_cache_gib": 0.25}
        settings = EngineSettings(name="vllm", dtype="float32", options=options)
        checkpoint = save_checkpoint(tmp_path_factory.mktemp("tiny"), tiny_config(**WIDE_ENOUGH))
        return Subject(
            open=lambda: open_engine(str(checkpoint), settings),
            path=str(checkpoint),
            settings=settings,
            models_language=True,
            loads_quickly=False,
        )
    if name.startswith("transformers"):
        options = {"batch_tokens": 40} if name.endswith("batches") else {}
        settings = EngineSettings(name="transformers", dtype="float32", device="cpu", options=options)
        return Subject(open=lambda: open_engine(str(checkpoint), settings), path=str(checkpoint), settings=settings, models_language=True)
    sheet = tmp_path_factory.mktemp("sheet") / "sheet.json"
    sheet.write_text('{"hello": "ABC"}')
    path = f"stub:{name.removeprefix('stub-')}?n_context_tokens={N_CONTEXT_TOKENS}&sheet={sheet}"
    settings = EngineSettings(name="stub")
    return Subject(open=lambda: open_engine(path, settings), path=path, settings=settings, models_language=False)


@pytest.fixture(scope="session")
def engine(subject: Subject) -> Iterator[Engine]:
    with subject.open() as engine:
        yield engine


def prompt(text: str) -> Prompt:
    return Prompt(token_ids=(BOS, *encode(text)), text=text)


def next_token(text: str, candidates: str = "ABCD") -> Request:
    return Request(kind="next", prompt=prompt(text), candidates=encode(candidates))


def continuation(text: str, *texts: str) -> Request:
    return Request(kind="continuation", prompt=prompt(text), continuations=tuple(encode(t) for t in texts))


def along(text: str, *, moments: bool = True) -> Request:
    return Request(kind="prompt", prompt=prompt(text), moments=moments)


def embed(text: str) -> Request:
    return Request(kind="embed", prompt=prompt(text))


def generate(text: str, n: int = 12, **sampling: object) -> Request:
    return Request(kind="generate", prompt=prompt(text), sampling=Sampling(max_tokens=n, **sampling))  # type: ignore[arg-type]


TEXTS = ("a", "hello", "a longer prompt: " * 4, "été", "What is the first-line treatment?", "b")


def mixed(engine: Engine) -> list[Request]:
    """Every kind that the engine has, prompts of 2 to 70 tokens, none in order of length."""
    requests: list[Request] = []
    for text in TEXTS:
        requests += [next_token(text), continuation(text, "A", "ABC", "a much longer one"), along(text), embed(text), generate(text)]
        requests.append(generate(text, temperature=0.8, top_p=0.9, seed=len(text)))
    return suited(requests, engine)


def suited(requests: Sequence[Request], engine: Engine) -> list[Request]:
    """Those of the engine's kinds, without moments where it has none."""
    moments = engine.info.name not in WITHOUT_MOMENTS
    return [replace(request, moments=request.moments and moments) for request in requests if request.kind in engine.kinds]


def tolerance_of(engine: Engine) -> float:
    return TOLERANCES.get(engine.info.name, TOLERANCE)


def ask(engine: Engine, requests: Sequence[Request]) -> list[Outcome]:
    """Outcomes in the order of the requests; exactly one each."""
    pairs = list(engine.run(requests))
    assert sorted(index for index, _ in pairs) == list(range(len(requests)))
    return [outcome for _, outcome in sorted(pairs, key=lambda pair: pair[0])]


def answer(engine: Engine, request: Request) -> Response:
    (outcome,) = ask(engine, [request])
    assert isinstance(outcome, Response), outcome
    return outcome


def failure(engine: Engine, request: Request) -> Failure:
    (outcome,) = ask(engine, [request])
    assert isinstance(outcome, Failure)
    return outcome


def vector_of(response: Response) -> list[float]:
    return np.frombuffer(response.vector, dtype="<f4").tolist()


def numbers(response: Response) -> list[float]:
    flat = [value for values in response.continuation_logprobs for value in values]
    return [*response.logprobs, *flat, *response.means, *response.variances, *vector_of(response)]


def same(left: Outcome, right: Outcome, tolerance: float = TOLERANCE) -> bool:
    assert isinstance(left, Response)
    assert isinstance(right, Response)
    alike = (left.text, left.token_ids, left.finish_reason) == (right.text, right.token_ids, right.finish_reason)
    counts = (left.n_prompt_tokens, left.n_output_tokens) == (right.n_prompt_tokens, right.n_output_tokens)
    return alike and counts and numbers(left) == pytest.approx(numbers(right), abs=tolerance)


def test_every_engine_of_the_folder_is_listed() -> None:
    folder = Path(__file__).parents[2] / "evalsuite" / "engines"
    assert set(ENGINES) == {path.stem for path in folder.glob("[a-z]*.py")} - {"base"}


def test_unknown_engine_is_one_line_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean transformers") as caught, open_engine("x", EngineSettings(name="transformer")):
        pass
    assert len(caught.value.faults) == 1
    assert check_settings("x", EngineSettings(name="transformer")) == caught.value.faults
    with pytest.raises(UserError, match="did you mean transformers"):
        kinds_of("transformer", "x")


def test_what_is_said_before_loading_holds_afterwards(subject: Subject, engine: Engine) -> None:
    assert check_settings(subject.path, subject.settings) == ()
    assert kinds_of(subject.settings.name, subject.path) == engine.kinds


def test_kinds_that_are_missing_are_said(engine: Engine) -> None:
    requests = (next_token("hello"), continuation("hello", "A"), along("hello"), embed("hello"), generate("hello"))
    for request, outcome in zip(requests, ask(engine, requests), strict=True):
        served = request.kind in engine.kinds and not (request.moments and engine.info.name in WITHOUT_MOMENTS)
        assert isinstance(outcome, Response) == served
        assert served or (isinstance(outcome, Failure) and (outcome.reason, outcome.transient) == ("unsupported", True))


def test_more_candidates_than_one_answer_holds(engine: Engine) -> None:
    """vLLM gives 128 log-probabilities at once."""
    everything = Request(kind="next", prompt=prompt("hello"), candidates=tuple(range(EOS + 1)))
    backwards = replace(everything, candidates=everything.candidates[::-1])
    found, other = ask(engine, [everything, backwards])
    assert isinstance(found, Response)
    assert isinstance(other, Response)
    assert found.logprobs == pytest.approx(other.logprobs[::-1], abs=tolerance_of(engine))
    assert len(set(found.logprobs)) > 1


def test_continuations_say_whether_they_are_greedy(engine: Engine, subject: Subject) -> None:
    if not subject.models_language:
        pytest.skip("this engine's kinds are not one distribution")
    for text in TEXTS:
        likeliest = answer(engine, generate(text, 4)).token_ids
        other = (*likeliest[:-1], (likeliest[-1] + 1) % EOS)
        request = Request(kind="continuation", prompt=prompt(text), continuations=(other, likeliest), greedy=True)
        assert answer(engine, request).continuation_greedy == (False, True)
        assert answer(engine, replace(request, greedy=False)).continuation_greedy == ()


def test_every_engine_is_checked_without_loading_it(tmp_path: Path) -> None:
    for name in ENGINES:
        faults = check_settings(str(tmp_path), EngineSettings(name=name, options={"no such": 1}))
        assert "no such" in [fault.key for fault in faults]


def test_asking_before_loading_imports_nothing_heavy() -> None:
    code = """
import sys
from evalsuite.engines import check_settings, has_cuda, kinds_of
from evalsuite.engines.base import EngineSettings
has_cuda()
for name in ("transformers", "stub", "vllm"):
    assert check_settings("stub:kye", EngineSettings(name=name, device="cuda", options={"batch": 3}))
assert kinds_of("transformers", "nowhere") == kinds_of("stub", "stub:first") == kinds_of("vllm", "nowhere") | {"embed"}
print(*sorted({"torch", "vllm", "transformers", "safetensors", "huggingface_hub"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_missing_library_is_told_before_loading(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name))
    (fault,) = check_settings(str(checkpoint), EngineSettings(name="transformers", device="cpu"))
    assert (fault.key, fault.allowed) == ("name", "needs the library `torch`, which is not installed")


# ------------------------------------------------------------------------------------------------------------ the driver

TWO = "GPU 0: NVIDIA H200 (UUID: GPU-1)\n  MIG 1g.18gb Device 0: (UUID: MIG-1)\nGPU 1: NVIDIA H200 (UUID: GPU-2)\n"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts an `nvidia-smi` with the given shell lines onto an otherwise empty PATH."""

    def install(lines: str) -> None:
        _cuda._n_listed.cache_clear()
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    _cuda._n_listed.cache_clear()
    yield install
    _cuda._n_listed.cache_clear()


def test_cuda_is_there_only_where_a_driver_answers(driver: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_cuda()  # no such program
    for lines in ("echo 'GPU 0: NVIDIA H200'; exit 9", "echo 'No devices found.'", "exit 0"):
        driver(lines)
        assert not has_cuda()
    monkeypatch.setattr(_cuda, "TIMEOUT_S", 0.2)
    driver("while :; do :; done")
    assert not has_cuda()


def test_the_driver_is_asked_once(driver: Callable[[str], None], tmp_path: Path) -> None:
    driver(f"echo asked >> '{tmp_path}/asked'; echo 'GPU 0: NVIDIA H200'")
    assert has_cuda()
    assert has_cuda()
    assert (tmp_path / "asked").read_text() == "asked\n"


@pytest.mark.parametrize(
    ("visible", "n"),
    [(None, 2), ("0,1", 2), ("1", 1), ("", 0), ("-1", 0), ("0,-1,1", 1), ("2", 0), ("0,7", 1), ("GPU-1", 1), ("MIG-1", 1)],
)
def test_only_visible_devices_count(driver: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, visible: str | None, n: int) -> None:
    driver(f"printf '%s' '{TWO}'")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _cuda.n_cuda_devices() == n
    assert has_cuda() == (n > 0)


def test_a_device_needs_its_driver(driver: Callable[[str], None], checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(device: str) -> list[str]:
        faults = check_settings(str(checkpoint), EngineSettings(name="transformers", dtype="float32", device=device))
        return [f"{fault.key}: {fault.allowed}" for fault in faults]

    assert told("cpu") == told("auto") == []
    assert [line[:39] for line in told("cuda") + told("cuda:0")] == ["device: this machine has 0 CUDA devices"] * 2
    driver(f"printf '%s' '{TWO}'")
    assert [line[:39] for line in told("cuda:2")] == ["device: this machine has 2 CUDA devices"]
    assert bool(told("cuda:1")) == (torch.version.cuda is None)
    assert all("built without CUDA" in line for line in told("cuda:1"))


def test_info_says_what_is_loaded(engine: Engine) -> None:
    assert engine.info.dtype != "auto"
    assert engine.info.n_context_tokens == N_CONTEXT_TOKENS
    assert engine.info.versions
    assert engine.info.name in ENGINES


def test_one_sound_outcome_per_request(engine: Engine) -> None:
    requests = mixed(engine)
    for request, outcome in zip(requests, ask(engine, requests), strict=True):
        assert isinstance(outcome, Response), outcome
        n_prompt_tokens = len(request.prompt.token_ids)
        assert outcome.n_prompt_tokens == n_prompt_tokens
        logprobs = [*outcome.logprobs, *(value for values in outcome.continuation_logprobs for value in values), *outcome.means]
        assert all(math.isfinite(value) and value <= 0 for value in logprobs)
        n_along = n_prompt_tokens - 1 if request.kind == "prompt" else 0
        assert len(outcome.logprobs) == len(request.candidates) + n_along
        assert len(outcome.means) == len(outcome.variances) == (n_along if request.moments else 0)
        assert all(value >= 0 for value in outcome.variances)
        assert [len(values) for values in outcome.continuation_logprobs] == [len(tokens) for tokens in request.continuations]
        assert (len(outcome.vector) > 0) == (request.kind == "embed")
        assert all(map(math.isfinite, vector_of(outcome)))
        if request.kind == "generate":
            assert outcome.finish_reason in ("stop", "length")
            assert outcome.n_output_tokens == len(outcome.token_ids) <= 12
        else:
            assert (outcome.text, outcome.token_ids, outcome.finish_reason) == ("", (), "none")
            assert outcome.n_output_tokens == sum(map(len, request.continuations))


def test_no_requests_no_outcomes(engine: Engine) -> None:
    assert ask(engine, []) == []


def test_nothing_depends_on_the_batch_or_the_order(engine: Engine) -> None:
    requests = mixed(engine)
    together = ask(engine, requests)
    backwards = ask(engine, requests[::-1])[::-1]
    alone = [ask(engine, [request])[0] for request in requests]
    assert all(same(left, right, tolerance_of(engine)) for left, right in zip(together, backwards, strict=True))
    assert all(same(left, right, tolerance_of(engine)) for left, right in zip(together, alone, strict=True))
    n_per_text = len(requests) // len(TEXTS)
    assert not same(together[0], together[n_per_text], tolerance_of(engine))  # or the comparison would not see anything


def test_equal_requests_get_equal_answers(engine: Engine) -> None:
    for request in (
        next_token("hello"),
        continuation("hello", "A", "A", "BC"),
        generate("hello"),
        generate("hello", temperature=1.0, seed=3),
    ):
        first, _, third = ask(engine, [request, next_token("between"), request])
        assert same(first, third, tolerance_of(engine))
    twice = answer(engine, next_token("hello", "AABC"))
    assert twice.logprobs[0] == twice.logprobs[1]


def test_probabilities_of_different_candidates_fit_into_one(engine: Engine) -> None:
    whole = answer(engine, next_token("hello", "".join(map(chr, range(128)))))
    assert 0 < sum(map(math.exp, whole.logprobs)) <= 1 + tolerance_of(engine)


def test_next_is_a_continuation_of_one_token(engine: Engine) -> None:
    for text in TEXTS:
        by_next = answer(engine, next_token(text, "ABCD"))
        by_continuation = answer(engine, continuation(text, "A", "B", "C", "D"))
        assert by_next.logprobs == pytest.approx([values[0] for values in by_continuation.continuation_logprobs], abs=tolerance_of(engine))


def test_continuation_is_the_end_of_the_prompt_kind(engine: Engine, subject: Subject) -> None:
    if not subject.models_language:
        pytest.skip("this engine's kinds are not one distribution")
    for text, more in (("hello", " there"), ("a", "é"), ("one " * 10, "two three")):
        (by_continuation,) = answer(engine, continuation(text, more)).continuation_logprobs
        (by_prompt,) = suited([along(text + more)], engine)
        expected = answer(engine, by_prompt).logprobs[-len(encode(more)) :]
        assert by_continuation == pytest.approx(expected, abs=tolerance_of(engine))


def test_greedy_takes_the_most_probable_token(engine: Engine, subject: Subject) -> None:
    if not subject.models_language:
        pytest.skip("this engine's kinds are not one distribution")
    everything = Request(kind="next", prompt=prompt("hello"), candidates=tuple(range(EOS + 1)))
    logprobs = answer(engine, everything).logprobs
    assert answer(engine, generate("hello", 1)).token_ids == (logprobs.index(max(logprobs)),)
    assert sum(map(math.exp, logprobs)) == pytest.approx(1, abs=tolerance_of(engine))


def test_a_seed_gives_the_same_draw_in_any_company(engine: Engine) -> None:
    request = generate("hello", 20, temperature=1.0, seed=7)
    alone = answer(engine, request)
    company = [generate(text, 5 + len(text) % 9, temperature=1.3, seed=len(text)) for text in TEXTS]
    for place in (0, 3, len(company)):
        assert same(ask(engine, [*company[:place], request, *company[place:]])[place], alone)


def test_different_seeds_differ(engine: Engine, subject: Subject) -> None:
    outcomes = ask(engine, [generate("what?", 20, temperature=1.0, seed=seed) for seed in range(16)])
    draws = {outcome.token_ids for outcome in outcomes if isinstance(outcome, Response)}
    assert len(draws) > (8 if subject.models_language else 1)


def test_greedy_repeats_itself(engine: Engine) -> None:
    outcomes = {answer(engine, generate("hello")).token_ids for _ in range(3)}
    assert len(outcomes) == 1


def test_max_tokens_ends_with_length(engine: Engine) -> None:
    response = answer(engine, generate("hello", 2))
    assert (response.finish_reason, len(response.token_ids)) == ("length", 2)


def test_stop_strings_end_and_are_cut_off(engine: Engine) -> None:
    # Found by looking: a text of this engine with two plain characters in a row that is not its beginning.
    texts = [f"prompt {number}" for number in range(30)]
    wholes = [outcome for outcome in ask(engine, [generate(text, 30) for text in texts]) if isinstance(outcome, Response)]
    found = ((text, whole, re.search(r"(?<=.)[ -~]{2}", whole.text, re.DOTALL)) for text, whole in zip(texts, wholes, strict=True))
    text, whole, stop = next((text, whole, match.group()) for text, whole, match in found if match)
    place = whole.text.index(stop)
    stopped = answer(engine, generate(text, 30, stop=("never to be seen", stop)))
    assert stopped.finish_reason == "stop"
    assert stopped.text == whole.text[:place]
    assert stopped.token_ids == whole.token_ids[: len(stopped.token_ids)]
    assert len(stopped.token_ids) < len(whole.token_ids) or whole.text.endswith(stop)


def test_too_long_is_said_and_never_cropped(engine: Engine) -> None:
    full = "x" * (N_CONTEXT_TOKENS - 1)  # and BOS
    fits = suited((next_token(full), along(full), embed(full), continuation(full[:-2], "ab"), generate(full[:-4], 4)), engine)
    long = (next_token(full + "x"), along(full + "x"), embed(full + "x"), continuation(full[:-2], "a", "abc"), generate(full[:-4], 5))
    over = suited(long, engine)
    assert all(isinstance(outcome, Response) for outcome in ask(engine, fits))
    for outcome in ask(engine, over):
        assert isinstance(outcome, Failure)
        assert (outcome.reason, outcome.transient) == ("too_long", True)
        assert str(N_CONTEXT_TOKENS) in outcome.message


BAD = {
    "unknown kind": Request(kind="rank", prompt=prompt("secret")),  # type: ignore[arg-type]
    "empty prompt": Request(kind="embed", prompt=Prompt(token_ids=(), text="")),
    "empty continuation": continuation("secret", "A", ""),
    "no continuations": continuation("secret"),
    "no candidates": next_token("secret", ""),
    "prompt outside the vocabulary": Request(kind="embed", prompt=Prompt(token_ids=(BOS, 258), text="")),
    "candidate outside the vocabulary": Request(kind="next", prompt=prompt("secret"), candidates=(65, 100_000)),
    "negative id": Request(kind="continuation", prompt=prompt("secret"), continuations=((65, -1),)),
    "no sampling": Request(kind="generate", prompt=prompt("secret")),
    "no seed": generate("secret", temperature=1.0),
    "temperature below 0": generate("secret", temperature=-1.0),
    "temperature not a number": generate("secret", temperature=math.nan, seed=1),
    "no mass": generate("secret", temperature=1.0, top_p=0.0, seed=1),
    "no tokens": generate("secret", 0),
    "empty stop": generate("secret", stop=("",)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_request_fails_alone(engine: Engine, bad: Request) -> None:
    good = mixed(engine)[:5]
    expected = ask(engine, good)
    found = ask(engine, [*good[:3], bad, *good[3:]])
    outcome = found.pop(3)
    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.transient) == ("unsupported", True)
    assert outcome.message
    assert "secret" not in outcome.message
    assert "\n" not in outcome.message
    assert all(same(left, right, tolerance_of(engine)) for left, right in zip(found, expected, strict=True))


def test_closing_twice_is_harmless(subject: Subject) -> None:
    if not subject.loads_quickly:
        pytest.skip("loads slowly; tests/e2e/test_vllm.py closes one")
    with subject.open() as engine:
        assert answer(engine, next_token("hello")).logprobs
        engine.close()
        engine.close()


def test_an_error_inside_closes_the_engine(subject: Subject) -> None:
    if not subject.loads_quickly:
        pytest.skip("loads slowly; tests/e2e/test_vllm.py closes one")
    with pytest.raises(ZeroDivisionError), subject.open() as engine:
        raise ZeroDivisionError
    engine.close()


# The reference for transformers: one prompt at a time, no padding, no cache, all logits, written without the engine.


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager").eval()


@pytest.fixture(scope="module", params=[40, 4096])
def by_tokens(request: pytest.FixtureRequest, checkpoint: Path) -> Iterator[Engine]:
    settings = EngineSettings(name="transformers", device="cpu", options={"batch_tokens": request.param})
    with open_engine(str(checkpoint), settings) as engine:
        yield engine


def table(model: torch.nn.Module, ids: Sequence[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


def test_next_against_plain_forward_passes(by_tokens: Engine, model: torch.nn.Module) -> None:
    for request, outcome in zip(requests := [next_token(text) for text in TEXTS], ask(by_tokens, requests), strict=True):
        assert isinstance(outcome, Response)
        logp = table(model, request.prompt.token_ids)[-1]
        assert outcome.logprobs == pytest.approx(logp[list(request.candidates)].tolist(), abs=TOLERANCE)


def test_prompt_and_its_moments_against_plain_forward_passes(by_tokens: Engine, model: torch.nn.Module) -> None:
    for request, outcome in zip(requests := [along(text) for text in TEXTS], ask(by_tokens, requests), strict=True):
        assert isinstance(outcome, Response)
        ids = request.prompt.token_ids
        logp = table(model, ids)[:-1]
        assert outcome.logprobs == pytest.approx([float(logp[place, ids[place + 1]]) for place in range(len(ids) - 1)], abs=TOLERANCE)
        mean = (logp.exp() * logp).sum(-1)
        assert outcome.means == pytest.approx(mean.tolist(), abs=TOLERANCE)
        assert outcome.variances == pytest.approx(((logp.exp() * logp.square()).sum(-1) - mean.square()).tolist(), abs=1e-4)


def test_continuation_against_plain_forward_passes(by_tokens: Engine, model: torch.nn.Module) -> None:
    for request, outcome in zip(requests := [continuation(text, "A", "ABC") for text in TEXTS], ask(by_tokens, requests), strict=True):
        assert isinstance(outcome, Response)
        n_prompt_tokens = len(request.prompt.token_ids)
        for tokens, values in zip(request.continuations, outcome.continuation_logprobs, strict=True):
            logp = table(model, request.prompt.token_ids + tokens)
            expected = [float(logp[n_prompt_tokens - 1 + place, token]) for place, token in enumerate(tokens)]
            assert values == pytest.approx(expected, abs=TOLERANCE)


def test_embed_against_plain_forward_passes(by_tokens: Engine, model: torch.nn.Module) -> None:
    for text, outcome in zip(TEXTS, ask(by_tokens, [embed(text) for text in TEXTS]), strict=True):
        assert isinstance(outcome, Response)
        with torch.no_grad():
            hidden = model(torch.tensor([prompt(text).token_ids]), output_hidden_states=True).hidden_states[-1][0]
        assert vector_of(outcome) == pytest.approx(hidden.mean(0).tolist(), abs=TOLERANCE)


def test_greedy_generation_against_the_library(by_tokens: Engine, model: torch.nn.Module) -> None:
    texts = [f"{text}{number}" for number in range(3) for text in TEXTS]
    plain = GenerationConfig(do_sample=False, max_new_tokens=30, eos_token_id=EOS, pad_token_id=EOS, bos_token_id=BOS)
    for text, outcome in zip(texts, ask(by_tokens, [generate(text, 30) for text in texts]), strict=True):
        assert isinstance(outcome, Response)
        ids = torch.tensor([prompt(text).token_ids])
        expected = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=plain)  # type: ignore[operator]
        assert list(outcome.token_ids) == expected[0, ids.shape[1] :].tolist()
