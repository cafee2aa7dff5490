"""Printed numbers beside measured ones, and everything by which the two were not asked or scored alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from evalsuite import strategies
from evalsuite.config import PluginEntry
from evalsuite.errors import Fault, UserError
from evalsuite.plan import Plan
from evalsuite.plugins import load_specs
from evalsuite.published.differences import worse_reading
from evalsuite.published.files import load_paper
from evalsuite.published.plausible import plausible
from evalsuite.published.records import SHARES, Paper, Record

PLAIN = ("zero_shot", "few_shot", "native")
"""Strategies of one prompt and one answer."""

BESIDE_COLUMNS = (
    "paper", "version", "task", "printed_task", "metric", "printed_metric", "setting", "published", "reproduced", "difference", "ci_low",
    "ci_high", "inside", "n_published", "n_status", "n_reproduced", "reading", "grim", "comparable", "differs", "unknown", "note",
)  # fmt: skip
VALUE_COLUMNS = ("model", "printed_model", "repo", *BESIDE_COLUMNS)
PAIR_COLUMNS = ("model_a", "model_b", "printed_a", "printed_b", *BESIDE_COLUMNS)
RATE_COLUMNS = (
    "paper", "version", "printed_task", "setting", "rate", "published", "reproduced", "difference", "ci_low", "ci_high", "inside",
    "n_reproduced", "reading", "comparable", "differs",
)  # fmt: skip

RATES = {"win rate": "win", "tie rate": "tie", "loss rate": "loss"}
"""Printed metric to the column of the shares of wins, ties and losses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """How this study asked and scored one task in the primary cell."""

    metric: str
    """Metric of the comparison."""
    split: str
    """Evaluated split."""
    form: str
    """`letters`, `cloze`, `generate`, or `native` for a task that brings its own words."""
    shots: int
    """Exemplars per prompt."""
    method: str
    """As papers' files call it (`method_of`)."""
    prompts: str | None = None
    """Framework whose prompts were used; None: ours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a study is, as far as it decides what it can be held against."""

    repos: Mapping[str, str | None] = field(default_factory=dict)
    """Model to its hub id in models.yaml."""
    precisions: Mapping[str, str] = field(default_factory=dict)
    """Model to the numbers that it computed with."""
    asked: Mapping[str, Asked] = field(default_factory=dict)
    """Task to how it was asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """Printed beside measured, one row per printed number that maps."""

    values: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(VALUE_COLUMNS)))
    """Means of models."""
    pairs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PAIR_COLUMNS)))
    """Differences of pairs."""
    rates: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RATE_COLUMNS)))
    """Shares of wins, ties and losses over all comparisons."""


def measured_of(plan: Plan) -> Measured:
    """What a plan measures in its primary cell."""
    label = plan.primary_strategy
    method = method_of(next(entry for entry in plan.study.strategies if entry.label == label))
    strategy = plan.strategies[label]
    asked = {}
    for task_name, task in plan.tasks.items():
        form = strategy.form_for(task.task.card)
        asked[task_name] = Asked(
            metric=task.metric,
            split=task.split,
            form="generate" if form == "reasoned" else form,
            shots=strategy.n_shots,
            method=method,
            prompts="lm_eval" if form == "native" else None,
        )
    return Measured(
        repos={name: model.entry.repo for name, model in plan.models.items()},
        precisions={name: model.settings.dtype for name, model in plan.models.items()},
        asked=asked,
    )


def method_of(entry: PluginEntry) -> str:
    """What papers' files call a strategy: `plain` for one prompt and one answer; one that no paper is known to have used keeps its name."""
    options = load_specs(strategies)[entry.name].options.model_validate(entry.options).model_dump()
    if entry.name in PLAIN:
        return "chosen exemplars" if options.get("exemplars") == "knn" else "plain"
    own = options.get("cot_from") is None
    if entry.name == "cot" and not options["shots"]:
        return "chain of thought"
    if entry.name == "cot" and own:
        return "chosen exemplars with chain of thought" if options["exemplars"] == "knn" else "self-generated CoT"
    if entry.name == "medprompt" and own and options["reasoning"] and options["exemplars"] == "knn" and options["ensemble"] > 1:
        return "Medprompt"
    return entry.name


def papers_of(plan: Plan) -> tuple[Paper, ...]:
    """The papers that a study names, in its order.

    Raises:
        UserError: one fault per paper or version that there is none of.
    """
    papers: list[Paper] = []
    faults: list[Fault] = []
    for name in plan.study.published:
        try:
            papers.append(load_paper(name, where=str(plan.file), key="published"))
        except UserError as error:
            faults.extend(error.faults)
    if faults:
        raise UserError(faults)
    return tuple(papers)


def beside(papers: Sequence[Paper], estimates: pd.DataFrame, comparisons: pd.DataFrame, shares: pd.DataFrame, measured: Measured) -> Beside:
    """Printed beside measured; pure. Values that are not comparable are kept, with what differs.

    A printed number maps to a model of the same hub id, on a task with the same questions, in a metric of the same meaning.

    Args:
        papers: from `files.load_paper`.
        estimates: model, task, metric, mean, ci_low, ci_high, n_samples of the primary cell.
        comparisons: model_a, model_b, task, metric, difference, ci_low, ci_high, n_samples of the primary cell.
        shares: model_a, model_b, n_comparisons, win, win_low, win_high and so on; empty: no rates.
        measured: the study.

    Returns:
        Values as stored: shares in [0, 1], `difference` = reproduced - published. Missing values are None.
    """
    values = [row for paper in papers for row in _values(paper, estimates, measured)]
    pairs = [row for paper in papers for row in _pairs(paper, comparisons, measured)]
    rates = [row for paper in papers for row in _rates(paper, shares)]
    return Beside(
        values=pd.DataFrame(values, columns=list(VALUE_COLUMNS)),
        pairs=pd.DataFrame(pairs, columns=list(PAIR_COLUMNS)),
        rates=pd.DataFrame(rates, columns=list(RATE_COLUMNS)),
    )


def comparability(record: Record, asked: Asked, task: str, *, n_samples: int, precision: str) -> tuple[list[str], list[str]]:
    """What differs between a printed number and ours, and what the paper does not say, both in plain words.

    Args:
        record: the printed number.
        asked: how this study asked.
        task: our task.
        n_samples: samples behind our number.
        precision: numbers that our model computed with.

    Returns:
        (what differs, what is not known).
    """
    there = record.asking
    same_framework = there.prompts is not None and there.prompts == asked.prompts
    differs, unknown = [], []
    if not same_framework:
        differs.append(f"other prompt: {'the words of ' + there.prompts if there.prompts else 'its own words'} there")
    facts: list[tuple[str, Any, Any]] = [
        ("exemplars", there.shots, asked.shots),
        ("method", there.method, asked.method),
        *([] if same_framework else [("format", there.form, asked.form)]),
        # The split is written as our own task names it; a framework's task has its own name for it.
        *([("split", record.task.split, asked.split)] if task == record.task.evalsuite_task else []),
        ("items", record.n_items, n_samples),
        ("precision", there.precision, precision),
    ]
    for what, printed, ours in facts:
        if printed is None:
            unknown.append(what)
        elif printed != ours:
            differs.append(f"other {what}: {printed} there, {ours} here")
    if not same_framework and not (there.form == asked.form == "letters"):
        if there.scorer is None:
            unknown.append("scorer")
        else:
            differs.append(f"other scorer: {there.scorer}")
    if not record.model.hf_id_seen:
        unknown.append("hub id (known by its name only)")
    return differs, unknown


def other_base(paper: Paper, version: str, repo_a: str | None, repo_b: str | None) -> str | None:
    """What the paper compares the first model with, where that is another model than the second; None where it is the same or unsaid."""
    bases = [pair.base for pair in paper.pairs if pair.version in (None, version) and pair.biomedical == repo_a]
    return None if not bases or repo_b in bases else " and ".join(dict.fromkeys(bases))


def _mapped(paper: Paper, measured: Measured) -> Iterator[tuple[Record, str, str]]:
    """(record, model, task) of every printed number that maps."""
    for record in paper.records:
        for model, repo in measured.repos.items():
            if repo is None or repo != record.model.hf_id or record.unit not in SHARES or record.kind not in ("accuracy", "score"):
                continue
            for task, asked in measured.asked.items():
                if task in record.task.ours and asked.metric in record.metrics_here:
                    yield record, model, task


def _values(paper: Paper, estimates: pd.DataFrame, measured: Measured) -> Iterator[dict[str, Any]]:
    for record, model, task in _mapped(paper, measured):
        asked = measured.asked[task]
        for row in _rows(estimates, model=model, task=task, metric=asked.metric):
            n_samples = int(row["n_samples"])
            differs, unknown = comparability(record, asked, task, n_samples=n_samples, precision=measured.precisions[model])
            yield {
                "model": model,
                "printed_model": record.model.name,
                "repo": measured.repos[model],
                **_facts(record, task, asked, differs, unknown),
                **_beside(record.stored, row, "mean", n_samples),
                "n_published": record.n_items,
                "reading": record.reading,
                "grim": plausible(record),
                "note": record.note,
            }


def _pairs(paper: Paper, comparisons: pd.DataFrame, measured: Measured) -> Iterator[dict[str, Any]]:
    mapped: dict[tuple[str, str], list[Record]] = {}
    for record, model, task in _mapped(paper, measured):
        mapped.setdefault((model, task), []).append(record)
    for row in comparisons.to_dict("records"):
        pair, task = (str(row["model_a"]), str(row["model_b"])), str(row["task"])
        asked = measured.asked.get(task)
        if asked is None or row["metric"] != asked.metric:
            continue
        for a in mapped.get((pair[0], task), ()):
            for b in mapped.get((pair[1], task), ()):
                if (a.version, a.cell, a.unit) == (b.version, b.cell, b.unit):
                    yield _pair_row(paper, (a, b), row, measured)


def _pair_row(paper: Paper, printed: tuple[Record, Record], row: Mapping[Any, Any], measured: Measured) -> dict[str, Any]:
    a, b = printed
    task, n_samples = str(row["task"]), int(row["n_samples"])
    asked = measured.asked[task]
    names = (str(row["model_a"]), str(row["model_b"]))
    differs: list[str] = []
    unknown: list[str] = []
    base = other_base(paper, a.version, *(measured.repos[name] for name in names))
    if base is not None:
        differs.append(f"other base: the paper compares with {base}")
    for record, name in zip(printed, names, strict=True):
        found = comparability(record, asked, task, n_samples=n_samples, precision=measured.precisions[name])
        differs += [text for text in found[0] if text not in differs]
        unknown += [text for text in found[1] if text not in unknown]
    checks = {plausible(a), plausible(b)}
    return {
        "model_a": names[0],
        "model_b": names[1],
        "printed_a": a.model.name,
        "printed_b": b.model.name,
        **_facts(a, task, asked, differs, unknown),
        **_beside(a.stored - b.stored, row, "difference", n_samples),
        "n_published": a.n_items if a.n_items == b.n_items else None,
        "reading": worse_reading(a.reading, b.reading),
        "grim": next(check for check in ("impossible", "untested", "undecided", "possible") if check in checks),
        "note": "; ".join(dict.fromkeys(note for note in (a.note, b.note) if note)),
    }


def _rates(paper: Paper, shares: pd.DataFrame) -> Iterator[dict[str, Any]]:
    over_all = _rows(shares, model_a="", model_b="") if len(shares) else []
    for record in paper.records:
        for row in over_all if record.metric in RATES else ():
            name = RATES[record.metric]
            ours = {name: row[name], "ci_low": row[f"{name}_low"], "ci_high": row[f"{name}_high"]}
            yield {
                "paper": paper.id,
                "version": record.version,
                "printed_task": record.task.name,
                "setting": record.setting,
                "rate": name,
                **_beside(record.stored, ours, name, int(row["n_comparisons"])),
                "reading": record.reading,
                "comparable": False,
                "differs": "other pairs, other tasks, other prompts",
            }


def _facts(record: Record, task: str, asked: Asked, differs: Sequence[str], unknown: Sequence[str]) -> dict[str, Any]:
    """What both kinds of row take from a printed number."""
    return {
        "paper": record.paper,
        "version": record.version,
        "task": task,
        "printed_task": record.task.name,
        "metric": asked.metric,
        "printed_metric": record.metric,
        "setting": record.setting,
        "n_status": record.n_status,
        "comparable": not differs and not unknown,
        "differs": "; ".join(differs),
        "unknown": ", ".join(unknown),
    }


def _beside(published: float, row: Mapping[Any, Any], key: str, n_samples: int) -> dict[str, Any]:
    """The two numbers, their difference, and whether the printed one lies in our interval; None where ours is missing."""
    ours, low, high = (None if pd.isna(row[name]) else float(row[name]) for name in (key, "ci_low", "ci_high"))
    return {
        "published": published,
        "reproduced": ours,
        "difference": None if ours is None else ours - published,
        "ci_low": low,
        "ci_high": high,
        "inside": None if low is None or high is None else low <= published <= high,
        "n_reproduced": n_samples,
    }


def _rows(frame: pd.DataFrame, **wanted: str) -> list[dict[Any, Any]]:
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame.to_dict("records")
