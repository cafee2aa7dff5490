"""Requests that share a prefix reach the engine as neighbours, so that a prefix cache that remembers little still finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalsuite import runner
from evalsuite.engines.base import Engine
from evalsuite.study import run_study
from evalsuite.types import Outcome, Prompt, Request

N_QUESTIONS, N_POOL, N_ORDERS = 24, 40, 5

TASK = '''
"""Drawn questions; written by the tests."""

from evalsuite.tasks import choice_task

TASKS = (
    choice_task(name="drawn", file="questions.jsonl", exemplars="pool.jsonl", id="id", group="id", answer_kind="index0", restricted=False),
)
'''

STRATEGIES = {
    "fixed": {"name": "few_shot", "shots": 3},
    "random": {"name": "few_shot", "shots": 3, "exemplars": "random"},
    "nearest": {"name": "few_shot", "shots": 3, "exemplars": "knn", "embedder": "tfidf"},
    "shuffled_fixed": {"name": "choice_shuffle", "shots": 3, "ensemble": N_ORDERS},
    "shuffled_random": {"name": "choice_shuffle", "shots": 3, "exemplars": "random", "ensemble": N_ORDERS},
    "shuffled_nearest": {"name": "choice_shuffle", "shots": 3, "exemplars": "knn", "embedder": "tfidf", "ensemble": N_ORDERS},
    "medprompt": {"name": "medprompt", "shots": 3, "embedder": "tfidf", "ensemble": N_ORDERS},
}


class Recorder:
    """An engine that remembers in which order it was asked, run by run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.info = engine.info
        self.kinds = engine.kinds
        self.runs: list[list[Request]] = []

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Outcome]]:
        self.runs.append(list(requests))
        return self._engine.run(requests)

    def close(self) -> None:
        self._engine.close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    task = tmp_path / "tasks" / "drawn"
    task.mkdir(parents=True)
    (task / "task.py").write_text(TASK)
    words = ["aorta", "biopsy", "cough", "dose", "edema", "fever", "gait", "heart", "iris", "joint", "kidney", "lung"]
    rng = np.random.default_rng(0)
    for name, n in (("questions", N_QUESTIONS), ("pool", N_POOL)):
        rows = [
            {
                "id": f"{name}-{number}",
                "question": f"{' '.join(rng.choice(words, 12))} {name} {number}?",
                "options": rng.choice(words, 4, replace=False).tolist(),
                "answer": 0,
            }
            for number in range(n)
        ]
        (task / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "models.yaml").write_text("models:\n  first: {path: 'stub:first', domain: generalist}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs_of(project: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[list[Request]]:
    """What an engine is asked under some strategies, in its order, run by run."""
    study = {
        "study": "ordered",
        "question": "In which order?",
        "models": ["first"],
        "tasks": ["drawn"],
        "strategies": [{"id": name, **STRATEGIES[name]} for name in names],
        "analysis": {"n_resamples": 1000, "primary": {"strategy": names[0]}},
    }
    file = project / "study.yaml"
    file.write_text(json.dumps(study))
    recorders: list[Recorder] = []
    opened = runner.open_engine

    @contextmanager
    def recorded(*arguments: Any) -> Iterator[Recorder]:
        with opened(*arguments) as engine:
            recorders.append(Recorder(engine))
            yield recorders[-1]

    monkeypatch.setattr(runner, "open_engine", recorded)
    run_study(file, store=project / "store", out=project / "out")
    (recorder,) = recorders
    return recorder.runs


def n_shared(prompts: Sequence[Prompt]) -> int:
    """Tokens that a prompt has in common with the one before it, from the start on, summed over neighbours."""
    total = 0
    for before, after in pairwise(prompts):
        for left, right in zip(before.token_ids, after.token_ids, strict=False):
            if left != right:
                break
            total += 1
    return total


def most_shared(prompts: Sequence[Prompt]) -> int:
    """The most that `n_shared` can be in any order: all tokens but those that some prompt must be the first to hold at their place.

    That is the number of nodes of the trie of all prompts: whoever comes to a node first shares nothing of it with the one before.
    """
    trie: dict[int, Any] = {}
    n_nodes = 0
    for prompt in prompts:
        node = trie
        for token in prompt.token_ids:
            if token not in node:
                node[token] = {}
                n_nodes += 1
            node = node[token]
    return sum(len(prompt.token_ids) for prompt in prompts) - n_nodes


def exemplars_of(prompt: Prompt) -> str:
    """What stands before the question that is asked."""
    return prompt.text.rpartition("Question: ")[0]


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_order_shares_more_and_no_exemplars_are_left_and_come_back_to(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    answering = runs_of(project, monkeypatch, name)[-1]
    prompts = [request.prompt for request in answering]
    assert len(prompts) == N_QUESTIONS * (N_ORDERS if "ensemble" in STRATEGIES[name] else 1)
    assert n_shared(prompts) == most_shared(prompts)
    shown = [exemplars_of(prompt) for prompt in prompts]
    assert all(text.count("Question: ") == 3 for text in shown)
    n_switches = sum(before != after for before, after in pairwise(shown))
    assert n_switches == len(set(shown)) - 1
    if name in ("random", "shuffled_random", "nearest", "shuffled_nearest"):
        assert len(set(shown)) > N_QUESTIONS / 2


def test_strategies_that_show_the_same_exemplars_meet_in_one_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which the programs ask, the strategies follow each other, and each sample's exemplars come twice."""
    names = ("random", "nearest", "shuffled_random", "shuffled_nearest", "fixed", "shuffled_fixed")
    (answering,) = runs_of(project, monkeypatch, *names)
    prompts = [request.prompt for request in answering]
    assert n_shared(prompts) == most_shared(prompts)
    shown = [exemplars_of(prompt) for prompt in prompts]
    assert sum(before != after for before, after in pairwise(shown)) == len(set(shown)) - 1
    assert len(set(shown)) <= 2 * N_QUESTIONS + 1
    # The measure tells orders apart.
    elsewhere = [prompts[place] for place in np.random.default_rng(0).permutation(len(prompts))]
    assert n_shared(elsewhere) < most_shared(prompts) / 2
