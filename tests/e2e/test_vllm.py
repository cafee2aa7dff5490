"""The real vLLM on real (if tiny) checkpoints: equal to transformers, nothing left behind, nothing lost by kill -9."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalsuite.engines import open_engine
from evalsuite.engines.base import CachesPrefixes, Engine, EngineSettings
from evalsuite.engines.vllm import ENVIRONMENT
from evalsuite.types import Prompt, Request, Response, Sampling

pytestmark = [
    pytest.mark.xdist_group("vllm"),
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="needs vLLM (scripts/setup.sh installs it; EVALSUITE_VLLM=no leaves it out)"
    ),
]

TOLERANCE = 1e-3

STUDY = """
study: both_engines
question: Do both engines say the same?
models: [pocket-generalist]
tasks: [{name: pocket_clinical_en, limit: 60}, {name: pocket_general_en, limit: 60}]
strategies:
  - zero_shot
  - {id: three_shot, name: few_shot, shots: 3}
  - {id: cloze, name: zero_shot, format: cloze}
  - {id: generate, name: zero_shot, format: generate}
decoding: {temperature: 0, max_tokens: 16}
engine: {name: ENGINE, dtype: float32}
analysis: {primary: {strategy: zero_shot}, alpha: 0.05, margin: 0.05}
"""


def workers_of(pid: int) -> set[int]:
    """Engine processes that a process has started."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, status = (folder / "cmdline").read_bytes(), (folder / "stat").read_text()
        except OSError:
            continue
        parent = int(status.rsplit(")", 1)[1].split()[1])
        if b"evalsuite.engines._vllm_worker" in command and parent == pid:
            found.add(int(folder.name))
    return found


def gone(pids: set[int], within_s: float = 20.0) -> bool:
    """Whether none of these processes is left after a while."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids):
            return True
        time.sleep(0.05)
    return False


def run(folder: Path, engine: str) -> subprocess.Popen[str]:
    study = folder / f"{engine}.yaml"
    study.write_text(STUDY.replace("ENGINE", engine))
    command = [
        sys.executable,
        "-m",
        "evalsuite",
        "run",
        str(study),
        "--store",
        str(folder / f"{engine}-store"),
        "--out",
        str(folder / engine),
    ]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def outcome_of(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def n_journalled(store: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in store.glob("*.jsonl") if not path.name.startswith(("engine-", "analysis-")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def killed(folder: Path) -> int:
    """A run through vLLM that is killed when answers have begun to come in; how many there were."""
    process = run(folder, "vllm")
    while process.poll() is None and n_journalled(folder / "vllm-store") == 0:
        time.sleep(0.001)
    workers = workers_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(workers) == 1
    assert gone(workers), "the engine's process outlived the run"
    return n_journalled(folder / "vllm-store")


@pytest.fixture(scope="module")
def manifests(folder: Path, killed: int) -> dict[str, dict[str, Any]]:
    """Both runs, each on a store of its own; that of vLLM resumed after the kill."""
    for engine in ("vllm", "transformers"):
        outcome_of(run(folder, engine))
    return {engine: json.loads((folder / engine / "manifest.json").read_text()) for engine in ("vllm", "transformers")}


@pytest.fixture(scope="module")
def scores(folder: Path, manifests: dict[str, Any]) -> dict[str, pd.DataFrame]:
    key = ["task", "strategy", "sample_id", "metric"]
    return {engine: pd.read_parquet(folder / engine / "scores.parquet").sort_values(key).reset_index(drop=True) for engine in manifests}


def test_both_were_really_asked(manifests: dict[str, dict[str, Any]], killed: int) -> None:
    counts = {engine: manifest["models"]["pocket-generalist"] for engine, manifest in manifests.items()}
    print({engine: (count["n_asked"], count["n_from_store"]) for engine, count in counts.items()})
    assert counts["transformers"]["n_from_store"] == 0
    n_all = counts["transformers"]["n_asked"]
    # What was answered before the kill was not asked again, and nothing else was known.
    assert 0 < counts["vllm"]["n_from_store"] <= killed
    assert counts["vllm"]["n_from_store"] + counts["vllm"]["n_asked"] == n_all >= 4 * 60
    assert all(count["n_failed"] == 0 for count in counts.values())


def test_both_give_the_same_scores(scores: dict[str, pd.DataFrame]) -> None:
    ours, other = scores["vllm"], scores["transformers"]
    shared = ["task", "strategy", "sample_id", "metric", "status", "answer", "value", "finish_reason", "n_prompt_tokens", "n_output_tokens"]
    assert len(ours) > 400
    pd.testing.assert_frame_equal(ours[shared], other[shared], check_exact=False, atol=TOLERANCE)
    asked = ours.p_choices.notna()
    assert asked.any()
    gaps = [np.abs(np.subtract(left, right)).max() for left, right in zip(ours.p_choices[asked], other.p_choices[asked], strict=True)]
    assert max(gaps) < TOLERANCE
    # Or the two might be one.
    assert max(gaps) > 0


def test_the_manifest_says_how_continuations_were_scored(manifests: dict[str, dict[str, Any]]) -> None:
    (note,) = manifests["vllm"]["engines"]["pocket-generalist"]
    assert note["notes"] == ["V1 model runner", "continuations by forced decoding"] or "V2 model runner" in note["notes"]
    assert note["versions"].keys() >= {"vllm", "torch", "transformers"}


def test_the_manifest_says_how_often_the_prefix_cache_hit(manifests: dict[str, dict[str, Any]]) -> None:
    found = manifests["vllm"]["models"]["pocket-generalist"]["prefix_cache"]
    assert 0 < found["n_hit_tokens"] < found["n_queried_tokens"]
    assert found["hit_rate"] == pytest.approx(found["n_hit_tokens"] / found["n_queried_tokens"], abs=1e-6)
    assert "prefix_cache" not in manifests["transformers"]["models"]["pocket-generalist"]


def prompt(*ids: int) -> Prompt:
    return Prompt(token_ids=ids, text="")


def test_one_engine_from_its_beginning_to_a_sudden_end(repository: Path) -> None:
    """One load for all: against transformers, an abandoned run, requests that fail, and a process that is killed."""
    checkpoint = repository / "evalsuite/pocket/checkpoints/pocket-generalist"
    random = np.random.default_rng(1)
    prompts = [prompt(1, *random.integers(10, 3000, size=size).tolist()) for size in (3, 40, 200, 129, 128, 17)]
    requests = []
    for each in prompts:
        tokens = tuple(random.integers(10, 3000, size=5).tolist())
        requests.append(Request(kind="next", prompt=each, candidates=tokens))
        continuations = (tokens, tokens[:2], (tokens[0], tokens[3]))
        requests.append(Request(kind="continuation", prompt=each, continuations=continuations, greedy=True))
        requests.append(Request(kind="prompt", prompt=each))
        requests.append(Request(kind="generate", prompt=each, sampling=Sampling(max_tokens=12)))
        requests.append(Request(kind="generate", prompt=each, sampling=Sampling(max_tokens=12, stop=(" of", "\n"))))
    settings = EngineSettings(name="vllm", dtype="float32", options={"max_num_seqs": 8, "kv_cache_gib": 0.25})
    with open_engine(str(checkpoint), EngineSettings(name="transformers", dtype="float32", device="cpu")) as reference:
        expected = dict(reference.run(requests))
    others = workers_of(os.getpid())
    with open_engine(str(checkpoint), settings) as engine:
        worker = workers_of(os.getpid()) - others
        assert len(worker) == 1
        check_equal(dict(engine.run(requests)), expected)

        # A caller that stops listening, and one that forgets its run without closing it.
        abandoned = engine.run(requests * 3)
        next(abandoned)
        abandoned.close()
        forgotten = engine.run(requests[::-1] * 3)
        next(forgotten)
        check_equal(dict(engine.run(requests)), expected)

        # Answers come one by one, while most of the wave is still with us: memory does not grow with it.
        stream = engine.run(requests * 40)
        next(stream)
        assert len(engine._places) <= 2 * 8  # type: ignore[attr-defined]
        stream.close()

        check_prefix_cache(engine, random)

        (pid,) = worker
        slow = [Request(kind="generate", prompt=each, sampling=Sampling(max_tokens=1000, temperature=1.0, seed=3)) for each in prompts * 4]
        ending = engine.run([requests[0], *slow])
        next(ending)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match=r"the process of vLLM ended \(exit code -9; it was killed"):
            list(ending)
        engine.close()
        engine.close()
        assert gone(worker)
        with pytest.raises(RuntimeError, match="closed"):
            list(engine.run(requests))


def check_prefix_cache(engine: Engine, random: np.random.Generator) -> None:
    """Prompts that begin alike are found in the cache, those that do not are not; what vLLM never looks up counts nowhere."""
    assert isinstance(engine, CachesPrefixes)

    def grown_by(requests: list[Request]) -> tuple[int, int]:
        before = engine.prefix_cache
        assert all(isinstance(outcome, Response) for _, outcome in engine.run(requests))
        after = engine.prefix_cache
        return after.n_queried_tokens - before.n_queried_tokens, after.n_hit_tokens - before.n_hit_tokens

    def following(beginning: list[int], n_tokens: int) -> Request:
        return Request(kind="next", prompt=prompt(*beginning, *random.integers(10, 3000, size=n_tokens).tolist()), candidates=(5, 6))

    grown_by([following([1], 9)])  # what was left over from the abandoned run is counted by now
    exemplars = [1, *random.integers(10, 3000, size=319).tolist()]  # ten blocks of 32 on a CPU, twenty of 16 on a GPU
    assert grown_by([following([1], 379) for _ in range(12)]) == (12 * 380, 0)
    assert grown_by([following(exemplars, 60) for _ in range(12)]) == (12 * 380, 11 * 320)
    assert grown_by([Request(kind="prompt", prompt=prompt(*exemplars))]) == (0, 0)


def check_equal(found: dict[int, Any], expected: dict[int, Any]) -> None:
    assert found.keys() == expected.keys()
    for place, right in expected.items():
        left = found[place]
        assert isinstance(left, Response), left
        assert (left.text, left.token_ids, left.finish_reason) == (right.text, right.token_ids, right.finish_reason)
        assert (left.n_prompt_tokens, left.n_output_tokens) == (right.n_prompt_tokens, right.n_output_tokens)
        assert left.continuation_greedy == right.continuation_greedy
        assert left.logprobs == pytest.approx(right.logprobs, abs=TOLERANCE)
        for values, other in zip(left.continuation_logprobs, right.continuation_logprobs, strict=True):
            assert values == pytest.approx(other, abs=TOLERANCE)


WRONG = """
import sys
from pathlib import Path
from evalsuite.engines import _vllm_asking as asking
right = asking._decoded_by_force
def wrong(output, tokens):
    values, ranks = right(output, tokens)
    return tuple(value - 0.01 for value in values), ranks
asking._decoded_by_force = wrong
from evalsuite.engines._vllm_loaded import load_engine
from evalsuite.engines.base import CachesPrefixes, Engine, EngineSettings
from evalsuite.engines.vllm import ENVIRONMENT
from evalsuite.engines.vllm import order_of
from evalsuite.types import Prompt, Request
settings = EngineSettings(name="vllm", dtype="float32", options={"kv_cache_gib": 0.25, "max_num_seqs": 8})
served = load_engine(order_of(Path(sys.argv[1]), settings))
print(*served.ready["notes"], sep="\\n", file=sys.stderr)
prompt = Prompt(token_ids=(1, 30, 40), text="")
served.take(0, Request(kind="continuation", prompt=prompt, continuations=((50, 60), (70,))))
served.take(1, Request(kind="next", prompt=prompt, candidates=(50, 70)))
found = {}
while served.busy:
    found.update(served.step())
by_continuation = [values[0] for values in found[0].continuation_logprobs]
assert max(abs(a - b) for a, b in zip(by_continuation, found[1].logprobs)) < 1e-4, found
"""


def test_a_fast_way_that_is_wrong_is_off_and_the_notes_say_so(repository: Path) -> None:
    checkpoint = repository / "evalsuite/pocket/checkpoints/pocket-generalist"
    command = [sys.executable, "-c", WRONG, str(checkpoint)]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(repository), os.environ["PYTHONPATH"]])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    notes = done.stderr.splitlines()
    if "V2 model runner" in notes:
        pytest.skip("this vLLM has another fast way")
    assert "continuations by log-probabilities along the whole prompt" in notes
    assert any(line.startswith("scoring continuations by forced decoding is off: on the probe it differs by 0.01") for line in notes)
    assert not any("logprob_token_ids is off" in line for line in notes)
