"""The second run of a finished study: no model is loaded, and it takes a small part of the first run's time.

The study is the demo: five pocket checkpoints through the transformers engine, 1,582 questions in four ways. Every run is the command
`evalsuite run` in a process of its own, from its start to its end, imports included. The second one sees that nothing has changed and says
what the first one said.

Beside it a run that is told to do everything again: it answers from the store, scores, compares and reports. Whether a model was
loaded is read in the manifest; torch is not imported either. It has a part that every study pays, and one that grows with the study. The
first is measured by itself, with one sample of each task.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.claims import Claim
from benchmarks.sides import SCRIPTS

ROOT = SCRIPTS.parent
STUDY = "studies/demo.yaml"
MOST = 0.05
"""Share of the first run's time that is promised."""

needs: tuple[str, ...] = ()
"""What is missing for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """One run."""

    wall_s: float
    """Seconds from the start of the process to its end."""
    cpu_s: float
    """Processor time of the process, in seconds over all cores."""
    seconds: dict[str, float]
    """Of them those of its parts, and the whole without the interpreter's start."""
    torch: bool
    """Whether it imported torch."""
    models: dict[str, dict[str, Any]]
    """What the manifest says of each model that was run."""


def measure(n_repeats: int, selection: Sequence[str] = ()) -> Iterator[Claim]:
    """One first run, and as many second ones as there are repeats, as they come and with everything done again; medians count.

    Args:
        n_repeats: second runs.
        selection: arguments that narrow the study.

    Raises:
        RuntimeError: a run failed, or a second run loaded a model or asked for something.
    """
    with tempfile.TemporaryDirectory() as folder:
        first_s, first_cpu_s, _ = _called(["-m", "evalsuite"], Path(folder), selection)
        n_asked = sum(model["n_asked"] for model in _models(Path(folder)).values())
        if not n_asked:
            raise RuntimeError("the first run asked nothing")
        second = [_standing(Path(folder), selection) for _ in range(n_repeats)]
        later = [_run(Path(folder), [*selection, "--again"]) for _ in range(n_repeats)]
        small = Path(folder) / "small"
        least = [_run(small, [*selection, "--limit", "1", "--again"]) for _ in range(n_repeats + 1)]
    for ran in (*later, *least[1:]):
        if any(model["n_asked"] or model["load_s"] for model in ran.models.values()):
            raise RuntimeError("a second run loaded a model or asked for something")
    imported = sum(ran.torch for ran in later)
    wall_s = median(seconds for seconds, _ in second)
    yield Claim(
        case="second run of a finished study, share",
        ours=wall_s / first_s,
        target=MOST,
        at_most=True,
        unit="",
        detail=(
            f"{STUDY}: first run {first_s:.1f} s for {n_asked:,} requests, second {wall_s:.2f} s "
            f"({min(second)[0]:.2f} to {max(second)[0]:.2f}); "
            f"processor time {first_cpu_s:.1f} and {median(cpu_s for _, cpu_s in second):.2f} s; nothing done again; "
            f"holds here from a first run of {wall_s / MOST:.0f} s on; whole processes, imports included"
        ),
    )
    yield Claim(case="  second run", ours=wall_s, target=None, at_most=True, unit="s", detail=f"beside {first_s:.1f} s of the first")
    parts = {name: median(ran.seconds[name] for ran in later) for name in later[0].seconds if name != "whole"}
    parts["start of the interpreter"] = median(ran.wall_s - ran.seconds["whole"] for ran in later)
    again_s = median(ran.wall_s for ran in later)
    parts["scoring, tables and the rest"] = again_s - sum(parts.values())
    told = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
    detail = f"no model loaded, torch imported in {imported} of {n_repeats}; {told} s"
    yield Claim(case="  everything again", ours=again_s, target=None, at_most=True, unit="s", detail=detail)
    fixed_s = median(ran.wall_s for ran in least[1:])
    detail = "everything again with one sample of each task"
    yield Claim(case="  of it what every study pays", ours=fixed_s, target=None, at_most=True, unit="s", detail=detail)


def _standing(folder: Path, selection: Sequence[str]) -> tuple[float, float]:
    """Seconds, and those of the processor, of the command as a person gives it.

    Raises:
        RuntimeError: it failed, or did something again.
    """
    wall_s, cpu_s, said = _called(["-m", "evalsuite"], folder, selection)
    if not said.startswith("nothing has changed"):
        raise RuntimeError(f"a second run did something again: {said[:200]}")
    return wall_s, cpu_s


def _run(folder: Path, selection: Sequence[str]) -> Ran:
    wall_s, cpu_s, said = _called([str(SCRIPTS / "benchmarks" / "timed_study.py")], folder, selection)
    told = json.loads(said.splitlines()[-1])
    return Ran(wall_s=wall_s, cpu_s=cpu_s, seconds=told["seconds"], torch=told["torch"], models=_models(folder))


def _models(folder: Path) -> dict[str, dict[str, Any]]:
    """What the manifest says of each model that was run."""
    models: dict[str, dict[str, Any]] = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))["models"]
    return models


def _called(command: Sequence[str], folder: Path, selection: Sequence[str]) -> tuple[float, float, str]:
    """Seconds, those of the processor, and the standard output of `evalsuite run` as a command of Python."""
    place = ["--store", str(folder / "store"), "--out", str(folder / "out")]
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command, "run", STUDY, *place, *selection], cwd=ROOT, capture_output=True, text=True, check=False
    )
    wall_s, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise RuntimeError(f"the run failed: {done.stderr[-500:]}")
    return wall_s, after.children_user - before.children_user + after.children_system - before.children_system, done.stdout
