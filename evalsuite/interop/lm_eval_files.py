"""What lm-evaluation-harness 0.4.x leaves on disk: results_<time>.json, and samples_<task>_<time>.jsonl beside it.

Every line of a samples file is checked before anything of it is used: a file that was cut, edited or mixed up is a fault with its
line, never a smaller or different score. Messages name files, lines, metrics and counts, never what stands in a row.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalsuite.errors import Fault, UserError
from evalsuite.interop.aggregations import AGGREGATIONS, DEFAULTS, aggregated, sample_values
from evalsuite.rows import Row, scan_rows

RESULTS_NAME = re.compile(r".+_(?P<date>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)\.json")
"""Results files: `results_<time>.json`, or `<stem>_<time>.json` where `--output_path` named a file."""
OURS = "evalsuite"
"""Key that only our own export writes, in results and rows."""
SAME = 1e-9
"""Largest difference between what the lines give and the printed result, relative to the larger of 1 and the result."""

Metrics = tuple[str, str]
"""(metric, filter)."""


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """One results file."""

    path: Path
    """Where it lies."""
    date: str
    """Its time stamp, as in the names of its samples files."""
    content: Mapping[str, Any] = field(repr=False)
    """What it holds."""

    @property
    def model(self) -> str:
        """Name of the model: a hub id as it is, of a local path the last part."""
        name = str(self.content.get("model_name") or self.path.parent.name)
        if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
            return name
        return name.rstrip("/").rpartition("/")[2] or name

    @property
    def tasks(self) -> tuple[str, ...]:
        """Its tasks, groups left out."""
        return tuple(sorted(self.content["n-samples"]))

    def samples(self, task: str) -> Path:
        """Where the samples of a task lie."""
        return self.path.parent / f"samples_{task}_{self.date}.jsonl"


@dataclass(frozen=True, kw_only=True)
class CheckedRow:
    """One line of a samples file: one document through one filter."""

    number: int
    """Line number, from 1."""
    filter: str
    """Name of the filter, `none` if none."""
    items: Mapping[str, Any]
    """Metric to what lm-eval aggregates for this sample: a number, or a list such as (log-likelihood, words)."""
    row: Row = field(repr=False)
    """The line."""


@dataclass(frozen=True, kw_only=True)
class CheckedTask:
    """A task's samples, every line read and counted, every result made again and equal to the printed one."""

    run: RunFile
    """The run it belongs to."""
    task: str
    """lm-eval's name."""
    rows: tuple[CheckedRow, ...] = field(repr=False)
    """All lines."""
    kept: Mapping[Metrics, str]
    """Metrics that can be compared, and how lm-eval aggregates them."""
    values: Mapping[Metrics, Mapping[int, float]] = field(repr=False)
    """Of those: line number to value of the sample."""
    left_out: tuple[str, ...]
    """A line per metric that is not, and why."""
    sha256: str
    """Of the samples file."""


def find_runs(folder: Path) -> list[RunFile]:
    """All results files in a folder and below it, oldest first.

    Raises:
        UserError: no such folder, none in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise UserError(Fault(file=str(folder), key="", value="", allowed="no such folder: give the --output_path of lm_eval"))
    runs: list[RunFile] = []
    faults = []
    for path in sorted(folder.rglob("*.json")):
        match = RESULTS_NAME.fullmatch(path.name)
        if not match:
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            why = getattr(error, "msg", type(error).__name__)
            faults.append(Fault(file=str(path), key="", value=str(why), allowed="the whole JSON that lm-eval wrote; it is torn or damaged"))
            continue
        if not isinstance(content, dict) or not {"results", "configs"} <= content.keys():
            continue
        if not isinstance(content.get("n-samples"), dict):
            allowed = "missing: written by lm-eval before 0.4.3, or cut; without it nobody can say whether samples are missing"
            faults.append(Fault(file=str(path), key="n-samples", value="", allowed=allowed))
            continue
        runs.append(RunFile(path=path, date=match["date"], content=content))
    if faults:
        raise UserError(faults)
    if not runs:
        allowed = "no results_<time>.json in it or below: give the --output_path of an lm_eval 0.4 run with --log_samples"
        raise UserError(Fault(file=str(folder), key="", value="", allowed=allowed))
    return sorted(runs, key=lambda run: (run.date, str(run.path)))


def check_task(run: RunFile, task: str) -> CheckedTask:
    """Read and check all samples of a task.

    Raises:
        UserError: the file is missing or cut, a line is malformed, lines are missing, too many or not the run's, or a result is another.
    """
    path = run.samples(task)
    if not path.exists():
        allowed = "missing: run lm_eval with --log_samples, or name a run that has it with --run"
        raise UserError(Fault(file=str(path), key="", value="", allowed=allowed))
    rows, faults = _read(path)
    faults = faults or _twice(path, rows)
    if faults:
        raise UserError(faults)
    expected = run.content["n-samples"][task]["effective"]
    counts = _counts(rows)
    found = max(counts.values(), default=0)
    ours = _ours(run, task)
    if ours is not None and len(rows) != ours["n_rows"]:
        allowed = f"{ours['n_rows']} lines, as {run.path.name} says; copy the file again"
        raise UserError(Fault(file=f"{path}:{len(rows)}", key="", value=f"{len(rows)} lines", allowed=allowed))
    if found != expected:
        allowed = f"{expected}, as n-samples in {run.path.name} says; lines are missing or too many, copy the file again"
        raise UserError(Fault(file=f"{path}:{rows[-1].number}", key="", value=f"{found} samples", allowed=allowed))
    uneven = _uneven(path, rows)
    if uneven is not None:
        raise UserError(uneven)
    stated = (run.content.get("task_hashes") or {}).get(task)
    if stated is not None and stated != _task_hash(rows):
        allowed = f"the lines that {run.path.name} was made with; their hashes are not those under task_hashes"
        raise UserError(Fault(file=str(path), key="doc_hash, prompt_hash and target_hash", value="", allowed=allowed))
    judged = [_judge(run, task, rows, key) for key in sorted(counts)]
    faults = [one for one in judged if isinstance(one, Fault)] + _unsampled(run, task, path, counts)
    if faults:
        raise UserError(faults)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return CheckedTask(
        run=run,
        task=task,
        rows=tuple(rows),
        kept={one.key: one.how for one in judged if isinstance(one, _Kept)},
        values={one.key: one.values for one in judged if isinstance(one, _Kept)},
        left_out=tuple(one for one in judged if isinstance(one, str)),
        sha256=digest,
    )


def printed(run: RunFile, task: str, metric: str, name: str) -> float | None:
    """What results.json says of a metric (`acc`) or of its error (`acc_stderr`) under a filter; None if no number."""
    value = run.content["results"].get(task, {}).get(f"{metric},{name}")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _ours(run: RunFile, task: str) -> Mapping[str, Any] | None:
    """What our export says of a task; None for lm-eval's own files."""
    entry = run.content.get(OURS)
    return entry["tasks"][task] if isinstance(entry, dict) else None


def _read(path: Path) -> tuple[list[CheckedRow], list[Fault]]:
    rows, faults = [], []
    with path.open("rb") as file:
        n_lines = sum(1 for _ in file)
    for number, row in scan_rows(path):
        if isinstance(row, Fault):
            torn = number == n_lines
            allowed = "a whole JSON object: the last line is torn, so the file was cut; copy it again" if torn else row.allowed
            faults.append(Fault(file=row.file, key="", value=row.value, allowed=allowed))
            continue
        try:
            rows.append(_checked(number, row))
        except _LineError as error:
            faults.append(Fault(file=f"{path}:{number}", key=error.key, value="", allowed=error.allowed))
    return rows, faults


class _LineError(ValueError):
    """A line that is not one of lm-eval's. Never quotes the line."""

    def __init__(self, key: str, allowed: str) -> None:
        super().__init__(key, allowed)
        self.key, self.allowed = key, allowed


def _checked(number: int, row: Row) -> CheckedRow:
    if isinstance(row.get("doc_id"), bool) or not isinstance(row.get("doc_id"), int):
        raise _LineError("doc_id", "a whole number")
    for key in ("doc_hash", "target_hash"):
        if not re.fullmatch("[0-9a-f]{64}", str(row.get(key))):
            raise _LineError(key, "the sha256 that lm-eval 0.4.3 and later write; without it answers cannot be paired")
    names = row.get("metrics")
    if not isinstance(row.get("filter"), str) or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _LineError("filter and metrics", "a name and a list of names")
    items = {}
    for name in names:
        if name not in row:
            raise _LineError(name, "is named in `metrics` but has no value in this line")
        if isinstance(row[name], int | float) and not math.isfinite(row[name]):
            raise _LineError(name, "a finite number")
        items[name] = row[name]
    return CheckedRow(number=number, filter=str(row["filter"]), items=items, row=row)


def _twice(path: Path, rows: Sequence[CheckedRow]) -> list[Fault]:
    """A document that stands twice under one filter; two runs that were written into one file look like this."""
    seen: dict[tuple[int, str], int] = {}
    faults = []
    for row in rows:
        key = (row.row["doc_id"], row.filter)
        if key in seen:
            allowed = f"each doc_id once per filter; line {seen[key]} has it too"
            faults.append(Fault(file=f"{path}:{row.number}", key="doc_id", value=str(key[0]), allowed=allowed))
        seen.setdefault(key, row.number)
    return faults[:1]


def _uneven(path: Path, rows: Sequence[CheckedRow]) -> Fault | None:
    """A filter that has fewer lines than another: every filter sees every document, one filter after the other."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.filter] = counts.get(row.filter, 0) + 1
    most = max(counts.values())
    for name, count in counts.items():
        if count < most:
            allowed = f"{most}, as for the other filters; lines are missing, copy the file again"
            return Fault(file=f"{path}:{rows[-1].number}", key=f"filter {name}", value=f"{count} samples", allowed=allowed)
    return None


def _task_hash(rows: Sequence[CheckedRow]) -> str:
    """lm-eval's hash over all lines of a task, in their order."""
    parts = (str(row.row["doc_hash"]) + str(row.row.get("prompt_hash")) + str(row.row["target_hash"]) for row in rows)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _counts(rows: Sequence[CheckedRow]) -> dict[Metrics, int]:
    counts: dict[Metrics, int] = {}
    for row in rows:
        for name in row.items:
            counts[name, row.filter] = counts.get((name, row.filter), 0) + 1
    return counts


@dataclass(frozen=True, kw_only=True)
class _Kept:
    key: Metrics
    how: str
    values: Mapping[int, float]


def _judge(run: RunFile, task: str, rows: Sequence[CheckedRow], key: Metrics) -> _Kept | Fault | str:
    """A metric's values once its result is made again from them; a fault if it is another; a line if it cannot be made."""
    name, how = key
    label = metric_name(name, how)
    own = [row for row in rows if row.filter == how and name in row.items]
    items = [row.items[name] for row in own]
    value = printed(run, task, name, how)
    if value is None:
        return f"{task}, {label}: left out, {run.path.name} has no number for it to be checked against"
    stated = _aggregation(run, task, name)
    values = sample_values(stated if stated in AGGREGATIONS else "mean", items)
    if values is not None and is_our_set(run, name):
        return _Kept(key=key, how=stated, values=dict(zip((row.number for row in own), values, strict=True)))
    made = aggregated(stated if stated in AGGREGATIONS else "mean", items)
    agrees = made is not None and abs(made - value) <= SAME * max(1.0, abs(value))
    if values is None or made is None or (not agrees and stated not in AGGREGATIONS) or (stated in DEFAULTS and stated not in AGGREGATIONS):
        function = stated if re.fullmatch(r"\w+", stated) else "a function of its task"
        return f"{task}, {label}: left out, its result ({function}) is not made of values of single samples"
    if not agrees:
        allowed = f"{value!r}, as {run.path.name} says; the two files are not of one run, or one was changed"
        return Fault(file=str(run.samples(task)), key=f"{stated} of {label}", value=repr(made), allowed=allowed)
    return _Kept(key=key, how=stated, values=dict(zip((row.number for row in own), values, strict=True)))


def _unsampled(run: RunFile, task: str, path: Path, counts: Mapping[Metrics, int]) -> list[Fault]:
    """Printed results of which no line holds a value."""
    faults = []
    for key, value in run.content["results"].get(task, {}).items():
        name, comma, how = str(key).partition(",")
        is_result = comma and not name.endswith("_stderr") and isinstance(value, int | float)
        if is_result and (name, how) not in counts:
            allowed = f"values in every line, since {run.path.name} has a result for it"
            faults.append(Fault(file=str(path), key=metric_name(name, how), value="", allowed=allowed))
    return faults


def _aggregation(run: RunFile, task: str, metric: str) -> str:
    """How lm-eval made one number of a metric's values: stated in the task, or its default."""
    entries = run.content["configs"].get(task, {}).get("metric_list") or []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("metric") == metric and entry.get("aggregation") is not None:
            return str(entry["aggregation"])
    return DEFAULTS.get(metric, "mean")


def is_our_set(run: RunFile, metric: str) -> bool:
    """True for a metric of a set that we exported: its lines hold right or wrong, its result is checked when the rows are ours again."""
    entry = run.content.get(OURS)
    return isinstance(entry, dict) and metric in entry["set_metrics"]


def split_metric(full: str) -> Metrics:
    """Inverse of `metric_name`."""
    name, _, how = full.partition(",")
    return name, how or "none"


def metric_name(metric: str, how: str) -> str:
    """Name of a metric here: lm-eval's, with the filter where there is one (`exact_match,flexible-extract`)."""
    return metric if how == "none" else f"{metric},{how}"
