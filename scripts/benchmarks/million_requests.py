"""A study of a million requests from its file to its report, with the stub engine and its tokenizer of bytes.

Two models, ten tasks, three perturbations that make five renditions of every question, letters. Every request differs from every
other, so that the engine is really asked as often as it says. The study runs as always, without clocks in its way. Rendering (with
tokenizing) and what the stub computes depend on tokenizer and engine: a part of the study's requests is rendered and answered once more
for that, and so much is taken off. Everything else is ours, from reading the study to the last file of the report.

Questions have about 150 tokens, as in all other cases: of the stub's tokenizer, whose tokens are bytes. Beside it the same with questions
as long as real ones, which are 1,200 of its tokens.

Run as a module it is the measured side: python -m benchmarks.million_requests N_REQUESTS [N_WORDS]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.claims import Claim
from benchmarks.sides import SCRIPTS
from benchmarks.strategy_overhead import working_in
from evalsuite import conclude, study
from evalsuite.collection import seldom_collected
from evalsuite.engines import open_engine
from evalsuite.engines.base import Engine
from evalsuite.plan import Selection
from evalsuite.programs import answers_of, prepare_all
from evalsuite.prompts import renderer_for
from evalsuite.resolve import resolve
from evalsuite.types import Request
from evalsuite.waves import Answered, Asked

N_LARGE, N_SMALL = 1_000_000, 100_000
"""Requests of the large study and of the one beside it."""
MOST_US, MOST_GIB, MOST_RATIO = 100.0, 2.0, 11.0
"""Microseconds per request, GiB, and how many times the small study's seconds the large one may take."""
N_TASKS = 10
N_WORDS, N_FEW_WORDS = 150, 10
"""Words of a question: as long as real ones are, and such that it has about 150 of the stub's tokens."""
MODELS: Mapping[str, Mapping[str, str]] = {
    "first": {"path": "stub:first?n_context_tokens=100000", "domain": "generalist"},
    "uniform": {"path": "stub:uniform?n_context_tokens=100000", "domain": "biomedical", "base": "first"},
}
PERTURBATIONS = ("none", "cyclic_shift", {"name": "labels", "style": "numbers"})
N_SHOWN = 5
"""Renditions of a question under all of them: one, the three shifts of four choices, one."""

TASK = '''
"""Drawn questions; written by the benchmark."""

from evalsuite.tasks import choice_task

TASKS = (choice_task(name="{name}", file="questions.jsonl", id="id", group="id", answer_kind="index0", restricted=False),)
'''

STAGES: Mapping[str, tuple[tuple[Any, tuple[str, ...]], ...]] = {
    "plan": ((study, ("resolve", "probe")),),
    "conclude": ((study, ("conclude",)),),
    "statistics": ((conclude, ("compare_frames", "estimate_frame", "analyse", "own_aggregates")),),
    "report": ((conclude, ("explorer_of", "flip_examples", "findings_of", "build", "write_report", "model_card")),),
}
"""Stage to what is called for it and by whom: a few calls, so that looking at the clock costs nothing. What is left is the run itself."""

N_APART = 100_000
"""Requests of the study that are rendered and answered once more, apart, to know how much of the run's time that is."""

needs: tuple[str, ...] = ()
"""What is missing for it."""


def measure(n_repeats: int) -> Iterator[Claim]:
    """The large studies once and the small one `n_repeats` times, each in a process of its own.

    Args:
        n_repeats: runs of the small study, of which the median counts.
    """
    large = measured(N_LARGE, N_FEW_WORDS)
    yield from claims_of(large, "a million requests", MOST_US, MOST_GIB)
    beside = median(measured(N_SMALL, N_FEW_WORDS)["whole"] for _ in range(n_repeats))
    yield Claim(
        case="a million requests over 100,000", ours=large["whole"] / beside, target=MOST_RATIO, at_most=True, unit="x",
        detail=f"processor time of the whole, {large['whole']:.0f} s over {beside:.1f} s",
    )  # fmt: skip
    yield from claims_of(measured(N_LARGE, N_WORDS), "  of 1,200 tokens", None, None)


def claims_of(found: Mapping[str, Any], name: str, most_us: float | None, most_gib: float | None) -> Iterator[Claim]:
    """Time and memory of a large study, and what rendering and the engine take beside it."""
    yield Claim(case=f"{name}, each", ours=ours_of(found), target=most_us, at_most=True, unit="us", detail=told(found))
    for part in ("rendering", "engine"):
        detail = "beside a million requests"
        yield Claim(case=f"    {part}", ours=us_of(found)[part], target=None, at_most=True, unit="us", detail=detail)
    detail = "largest memory of the process: " + ", ".join(f"{stage} {gib:.2f}" for stage, gib in found["memory_gib"].items())
    yield Claim(case=f"{name}, memory", ours=found["memory_gib"]["whole"], target=most_gib, at_most=True, unit="GiB", detail=detail)


def measured(n_requests: int, n_words: int) -> dict[str, Any]:
    """What a process of its own found."""
    command = [sys.executable, "-m", "benchmarks.million_requests", str(n_requests), str(n_words)]
    done = subprocess.run(command, cwd=SCRIPTS, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def told(found: Mapping[str, Any]) -> str:
    """Where the time went."""
    parts = ", ".join(f"{name} {value:.1f}" for name, value in us_of(found).items())
    return f"{found['n_asked']:,} asked, stub: {parts} us of processor time per request; {found['wall']:.0f} s on the clock"


def us_of(found: Mapping[str, Any]) -> dict[str, float]:
    """Microseconds per request by stage."""
    return {name: seconds / found["n_asked"] * 1e6 for name, seconds in found["seconds"].items()}


def ours_of(found: Mapping[str, Any]) -> float:
    """Microseconds per request of everything but rendering and the engine."""
    return sum(us for name, us in us_of(found).items() if name not in ("rendering", "engine"))


def write_project(project: Path, n_questions: int, n_words: int) -> Path:
    """Registry, tasks, data and study; returns the study's file.

    Args:
        project: a folder.
        n_questions: of each task.
        n_words: of each question.
    """
    rng = np.random.default_rng(0)
    words = ["".join(letters) for letters in rng.choice(list("abcdefghilmnoprstu"), size=(5_000, 6))]
    for number in range(N_TASKS):
        name = f"drawn_{number}"
        task = project / "tasks" / name
        task.mkdir(parents=True)
        (task / "task.py").write_text(textwrap.dedent(TASK).format(name=name), encoding="utf-8")
        with (task / "questions.jsonl").open("w", encoding="utf-8") as questions:
            for place in range(n_questions):
                drawn = rng.integers(len(words), size=n_words)
                row = {
                    "id": f"{number}-{place}",
                    "question": " ".join(words[word] for word in drawn) + "?",
                    "options": [
                        " ".join(words[word] for word in option)
                        for option in rng.integers(len(words), size=(4, 3 if n_words > N_FEW_WORDS else 2))
                    ],
                    "answer": int(rng.integers(4)),
                }
                questions.write(json.dumps(row) + "\n")
    (project / "models.yaml").write_text(json.dumps({"models": MODELS}), encoding="utf-8")
    file = project / "study.yaml"
    content = {
        "study": "million",
        "question": "How long?",
        "models": list(MODELS),
        "tasks": [f"drawn_{number}" for number in range(N_TASKS)],
        "strategies": ["zero_shot"],
        "perturbations": PERTURBATIONS,
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@contextmanager
def timed_stages(seconds: dict[str, float]) -> Iterator[None]:
    """While it lasts, processor seconds are counted by stage."""

    def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            try:
                return call(*arguments, **named)
            finally:
                seconds[stage] = seconds.get(stage, 0.0) + time.process_time() - started

        return counted

    with ExitStack() as stack:
        for stage, calls in STAGES.items():
            for holder, names in calls:
                for name in names:
                    stack.enter_context(patch.object(holder, name, timed(stage, getattr(holder, name))))
        yield


def run(n_requests: int, n_words: int) -> dict[str, Any]:
    """Processor seconds by stage, of all and on the clock, and the largest memory, of a study of so many requests."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        file = write_project(project, n_requests // (N_TASKS * N_SHOWN * len(MODELS)), n_words)
        stages: dict[str, float] = {}
        memory_gib: dict[str, float] = {}
        with working_in(project):
            with timed_stages(stages), noted_memory(memory_gib):
                started, on_the_clock = time.process_time(), time.perf_counter()
                result = study.run_study(file, store="store", out="out")
                whole, wall = time.process_time() - started, time.perf_counter() - on_the_clock
            memory_gib["whole"] = largest_gib()
            apart = seconds_apart(file)
    n_asked, n_failed = sum(run.n_asked for run in result.runs), sum(run.n_failed for run in result.runs)
    if n_asked != n_requests or n_failed:
        raise RuntimeError(f"{n_asked} of {n_requests} requests were asked, {n_failed} failed")
    seconds = {name: each * n_requests for name, each in apart.items()}
    seconds |= {name: stages[name] for name in ("plan", "statistics", "report")}
    seconds["conclude, rest"] = stages["conclude"] - stages["statistics"] - stages["report"]
    seconds["run"] = whole - sum(seconds.values())
    return {"n_asked": n_asked, "seconds": seconds, "whole": whole, "wall": wall, "memory_gib": memory_gib}


@dataclass(slots=True)
class Noting:
    """A renderer that notes what is asked of it."""

    renderer: Any
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.renderer, name)
        if not callable(value):
            return value

        def noted(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, arguments, named))
            return value(*arguments, **named)

        return noted


@seldom_collected()
def seconds_apart(file: Path) -> dict[str, float]:
    """Processor seconds per request of rendering and of the engine: a part of the study's requests once more, and nothing else beside."""
    plan = resolve(file, Selection(limit=N_APART // (N_TASKS * N_SHOWN * len(MODELS))))
    rendering = engine_s = 0.0
    n_requests = 0
    for model in plan.models.values():
        noting = Noting(renderer_for(model.checkpoint, model.entry.chat, plan.study.prompting))
        requests: list[Request] = []
        with open_engine(model.checkpoint.path, model.settings) as engine:

            def answer(wave: Sequence[Asked[Any]], engine: Engine = engine, requests: list[Request] = requests) -> list[Answered]:
                asked = [one.request for one in wave]
                requests.extend(asked)
                outcomes = dict(engine.run(asked))
                return [Answered(key="", outcome=outcomes[place]) for place in range(len(asked))]

            prepared = prepare_all(plan, model, noting, answer)
            for _ in answers_of(plan, model, noting, answer, prepared):
                pass
            anew = renderer_for(model.checkpoint, model.entry.chat, plan.study.prompting)
            started = time.process_time()
            for name, arguments, named in noting.calls:
                getattr(anew, name)(*arguments, **named)
            rendered = time.process_time()
            for _ in engine.run(requests):
                pass
            answered = time.process_time()
        rendering += rendered - started
        engine_s += answered - rendered
        n_requests += len(requests)
    return {"rendering": rendering / n_requests, "engine": engine_s / n_requests}


def largest_gib() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@contextmanager
def noted_memory(memory_gib: dict[str, float]) -> Iterator[None]:
    """While it lasts, the largest memory so far is noted when a study was planned, when it was run and when statistics are done."""

    def noting(name: str, call: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
        def noted(*arguments: Any, **named: Any) -> Any:
            if before:
                memory_gib[name] = largest_gib()
            found = call(*arguments, **named)
            memory_gib.setdefault(name, largest_gib())
            return found

        return noted

    with (
        patch.object(study, "resolve", noting("planned", vars(study)["resolve"], before=False)),
        patch.object(study, "conclude", noting("run", vars(study)["conclude"], before=True)),
        patch.object(conclude, "explorer_of", noting("statistics", vars(conclude)["explorer_of"], before=True)),
    ):
        yield


def main() -> None:
    """A table for people, and a line of JSON."""
    found = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else N_WORDS)
    for name, us in sorted(us_of(found).items(), key=lambda entry: -entry[1]):
        print(f"{name:<20} {us:>8.1f} us {found['seconds'][name]:>8.1f} s")
    print(f"ours {ours_of(found):.1f} us; {found['whole']:.0f} s of processor time, {found['wall']:.0f} s; largest memory")
    print(", ".join(f"{name} {gib:.2f} GiB" for name, gib in found["memory_gib"].items()))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
