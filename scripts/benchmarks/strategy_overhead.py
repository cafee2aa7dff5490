"""What a request costs outside the engine: per strategy, the time of its programs, of rendering and of the store.

2,000 questions of 150 words with four choices and a pool of 10,000, the stub engine and its tokenizer of bytes. A study runs as always;
what it calls is wrapped in clocks. Rendering and tokenizing depend on the tokenizer and stand in a row of their own, as do neighbours,
which are looked up once for all; everything else outside the engine is the strategy's and the runner's.
"""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.claims import Claim
from evalsuite import runner
from evalsuite.collection import seldom_collected
from evalsuite.engines import open_engine
from evalsuite.programs import answers_of, prepare_all
from evalsuite.prompts import renderer_for
from evalsuite.resolve import resolve
from evalsuite.store import Store

N_QUESTIONS, N_POOL, N_WORDS = 2_000, 10_000, 150
N_TRIALS = 10_000
MOST_US = 200.0
"""Microseconds per request that are promised."""

STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "few_shot, 5 fixed": {"name": "few_shot", "shots": 5},
    "few_shot, 5 random": {"name": "few_shot", "shots": 5, "exemplars": "random"},
    "choice_shuffle, 5 orders, 5 shots": {"name": "choice_shuffle", "shots": 5, "ensemble": 5},
    "medprompt, 5 nearest, 5 orders": {"name": "medprompt", "embedder": "tfidf"},
}
"""Cases, as a study names them."""

TASK = '''
"""Drawn questions; written by the benchmark."""

from evalsuite.tasks import choice_task

TASKS = (
    choice_task(name="drawn", file="questions.jsonl", exemplars="pool.jsonl", id="id", group="id", answer_kind="index0", restricted=False),
)
'''

needs: tuple[str, ...] = ()
"""What is missing for it."""


@dataclass(slots=True)
class Clocks:
    """Processor seconds by what they were spent on, in whichever thread: what else runs on the machine hardly changes them."""

    seconds: dict[str, float] = field(default_factory=dict)
    n_calls: int = 0
    # Programs and waves run in two threads.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, timed."""

        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                self.add(name, started)

        return timed

    def add(self, name: str, started: float) -> None:
        """Count this thread's time since then."""
        spent = time.thread_time() - started
        with self.lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            self.n_calls += 1

    def own_s(self) -> float:
        """Seconds that the clocks took beside what they timed: looking at one costs as much as hashing."""
        trial = Clocks()
        call = trial.around("nothing", lambda: None)
        started = time.thread_time()
        for _ in range(N_TRIALS):
            call()
        return (time.thread_time() - started - trial.seconds["nothing"]) / N_TRIALS * self.n_calls


@dataclass(slots=True)
class TimedRenderer:
    """A renderer whose every call is timed."""

    renderer: Any
    clocks: Clocks
    known: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        if name not in self.known:
            value = getattr(self.renderer, name)
            self.known[name] = self.clocks.around("rendering", value) if callable(value) else value
        return self.known[name]


@dataclass(slots=True)
class TimedEngine:
    """An engine that is timed while it answers."""

    engine: Any
    clocks: Clocks

    @property
    def info(self) -> Any:
        """What is loaded."""
        return self.engine.info

    def run(self, requests: Sequence[Any]) -> Iterator[Any]:
        """Answer requests."""
        answers = iter(self.engine.run(requests))
        while True:
            started = time.thread_time()
            answer = next(answers, None)
            self.clocks.add("engine", started)
            if answer is None:
                return
            yield answer


@dataclass(slots=True)
class TimedSource:
    """A source of answers that is timed: its waves, and what it makes of requests beforehand."""

    source: Any
    clocks: Clocks

    def __call__(self, wave: Sequence[Any]) -> Any:
        """Answer a wave."""
        return self.clocks.around("waves", self.source)(wave)

    @property
    def interpreted(self) -> bool:
        """As the source says."""
        return bool(self.source.interpreted)

    def known_by(self, request: Any) -> Any:
        """Key and packed ids of a request."""
        return self.clocks.around("keys", self.source.known_by)(request)


def measure(n_repeats: int) -> Iterator[Claim]:
    """What is promised for every strategy, and what stands beside it.

    Args:
        n_repeats: runs of each, of which the median counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(project)
        for number, (case, entry) in enumerate(STRATEGIES.items()):
            # Neighbours are kept for later runs: each repeat has a folder of its own.
            runs = [run(project, f"s{number}r{repeat}", entry) for repeat in range(n_repeats)]
            n_requests = runs[0]["n_requests"]
            us = {part: median(found["seconds"][part] for found in runs) / n_requests * 1e6 for part in runs[0]["seconds"]}
            detail = f"{n_requests} requests; " + ", ".join(f"{part} {value:.0f}" for part, value in us.items()) + " us per request"
            ours = us["strategy"] + us["runner"]
            yield Claim(case=case, ours=ours, target=MOST_US, at_most=True, unit="us", detail=detail)
            for part in ("rendering", "neighbours"):
                if us[part]:
                    yield Claim(case=f"  {part}", ours=us[part], target=None, at_most=True, unit="us", detail=f"beside {case}")


def write_project(project: Path) -> None:
    """Registry, task and data. The first choice of every pool question is right, so that the stub's every chain of thought is kept."""
    rng = np.random.default_rng(0)
    words = ["".join(letters) for letters in rng.choice(list("abcdefghilmnoprstu"), size=(5_000, 6))]
    task = project / "tasks" / "drawn"
    task.mkdir(parents=True)
    (task / "task.py").write_text(textwrap.dedent(TASK), encoding="utf-8")
    for name, n in (("questions", N_QUESTIONS), ("pool", N_POOL)):
        drawn = rng.integers(len(words), size=(n, N_WORDS))
        options = rng.integers(len(words), size=(n, 4, 3))
        rows = (
            {
                "id": f"{name}-{number}",
                "question": " ".join(words[place] for place in drawn[number]) + "?",
                "options": [" ".join(words[place] for place in option) for option in options[number]],
                "answer": 0,
            }
            for number in range(n)
        )
        (task / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    registry = "models:\n  stub:\n    path: 'stub:first?n_context_tokens=100000'\n    domain: generalist\n"
    (project / "models.yaml").write_text(registry, encoding="utf-8")


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Change the working directory for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(project: Path, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds by part, and the number of requests of the answers and of what they need, of a study of one strategy."""
    study = {"study": name, "question": "How long?", "models": ["stub"], "tasks": ["drawn"], "strategies": [entry]}
    file = project / f"{name}.yaml"
    file.write_text(json.dumps(study), encoding="utf-8")
    with working_in(project):
        plan = resolve(file)
        clocks, runs = Clocks(), list[runner.ModelRun]()
        # As `run_study` does.
        with seldom_collected(), timed_parts(clocks), Store(project / f"store-{name}") as store:
            # Of all threads: programs go on beside the waves.
            started = time.process_time()
            n_finished = sum(1 for _ in runner.run_plan(plan, store, lambda _: None, runs, lambda: None))
            whole = time.process_time() - started - clocks.own_s()
    if n_finished != N_QUESTIONS or runs[0].n_failed:
        raise RuntimeError(f"{n_finished} of {N_QUESTIONS} questions were answered, {runs[0].n_failed} requests failed")
    spent = {"engine": 0.0, "rendering": 0.0, "waves": 0.0, "keys": 0.0, "neighbours": 0.0, **clocks.seconds}
    outside = {
        "strategy": whole - sum(spent[part] for part in ("waves", "keys", "rendering", "neighbours")),
        "runner": spent["waves"] + spent["keys"] - spent["engine"],
    }
    others = {part: spent[part] for part in ("rendering", "neighbours", "engine")}
    return {"n_requests": runs[0].n_asked + runs[0].n_known + runs[0].n_repeated, "seconds": {**outside, **others}}


@contextmanager
def timed_parts(clocks: Clocks) -> Iterator[None]:
    """While it lasts, what the runner calls is timed: its renderer, its engine, its answers to waves, and who looks neighbours up."""

    @contextmanager
    def opened(*arguments: Any) -> Iterator[TimedEngine]:
        with open_engine(*arguments) as engine:
            yield TimedEngine(engine, clocks)

    def with_clocks(drives: Callable[..., Any]) -> Callable[..., Any]:
        def driven(plan: Any, model: Any, renderer: Any, source: Any, *rest: Any, **named: Any) -> Any:
            if "nearest" in named:
                named["nearest"] = clocks.around("neighbours", named["nearest"])
            return drives(plan, model, renderer, TimedSource(source, clocks), *rest, **named)

        return driven

    with patch.multiple(
        runner,
        open_engine=opened,
        renderer_for=lambda *arguments: TimedRenderer(renderer_for(*arguments), clocks),
        prepare_all=with_clocks(prepare_all),
        answers_of=with_clocks(answers_of),
    ):
        yield
