"""What a report is made from, and the few choices of rows that every section shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from evalsuite.config import Study
from evalsuite.metrics.base import Metric
from evalsuite.published.records import Paper
from evalsuite.published.reproduce import Measured
from evalsuite.report.blocks import Data, Raw
from evalsuite.report.explorer_tables import ExplorerData
from evalsuite.report.flip_examples import Flips
from evalsuite.seals import Holdout
from evalsuite.stats.analyses import Analyses, Labels
from evalsuite.stats.eyes_off import EyesOff
from evalsuite.tasks import TaskCard

Pair = tuple[str, str]
"""(model_a, model_b); positive differences favour model_a."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that is known after a study was run, scored and analysed. Frames may hold further columns."""

    study: Study
    """The study as run."""
    models: Mapping[str, Mapping[str, Any]]
    """Registry name to domain, base, repo or path (a label, never a path of this machine), revision, fingerprint, parameters_b,
    licence, note."""
    scores: pd.DataFrame
    """Columns of scores.parquet."""
    estimates: pd.DataFrame
    """model, task, metric, strategy, perturbation, n_samples, n_groups, n_scored ... n_failed, mean, ci_low, ci_high; optional
    `label_mass`, `role` (else the primary cell counts as primary) and `subset` (`all` or the name of what was left out)."""
    comparisons: pd.DataFrame
    """Columns of comparisons.csv; optional `subset` likewise, `status_note` (why no verdict is established), and `boot_low`, `boot_high`,
    `p_mcnemar` (sensitivity)."""
    cards: Mapping[str, TaskCard]
    """Task name to card."""
    prompts: Mapping[tuple[str, str], Mapping[str, str | None]] = field(default_factory=dict)
    """(task, strategy) to model to one full prompt as sent; None: restricted data or, on other tasks, nothing was sent."""
    prompt_differences: Mapping[tuple[Pair, str], str] = field(default_factory=dict)
    """((model_a, model_b), task) to the difference between the two rendered prompts as diff text; empty: identical."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """versions, hardware, seconds, tokens, counts, seeds, weights, data (mappings or plain values); plan_hash, analysis_hash,
    engine, store (name); analysis_changes (list of key, old, new, date); requests ({asked, found})."""
    command: str = ""
    """Command line that reproduces the report."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """Metric name to metric; one that is not here is taken as a share in [0, 1], higher is better."""
    selection: Mapping[str, Any] = field(default_factory=dict)
    """What the command line narrowed the study to: models, tasks (names), limit, shard, engine; absent or None: all. Optional
    `n_family`: comparisons of the whole pre-stated family, where the study leaves its pairs to the registry."""
    analyses: Analyses = field(default_factory=Analyses)
    """Further analyses: across tasks, contrasts, calibration and so on."""
    labels: Labels = field(default_factory=Labels)
    """Languages, families and models as the further analyses knew them."""
    explorer: ExplorerData | None = None
    """Every compared answer with its texts, for reading; None: none is shown."""
    flips: Flips | None = None
    """Example answers that turned under a perturbation, with their texts; None: nothing was perturbed."""
    excluded: Mapping[str, Mapping[str, str]] | None = None
    """Task to sample id to reason, of the samples left out by name that would else have been asked; None: all that the study names."""
    papers: tuple[Paper, ...] = ()
    """Papers whose printed numbers stand beside the measured ones."""
    preparations: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What strategies prepared, once per model and task: model, task, strategy, n_calls, n_prompt_tokens, n_output_tokens, n_failed (NaN:
    not recorded), facts (mappings by part: `chains`, `selection`, `neighbours`)."""
    measured: Measured = field(default_factory=Measured)
    """How the study asked, as far as it decides what its numbers can be held against."""
    holdout: Holdout | None = None
    """The sealed part; None where the study has none."""
    eyes_off: EyesOff = field(default_factory=EyesOff)
    """The sealed part beside the rest, where it was opened and there is a rest."""


def whole(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows over all samples (`subset` is `all`, or the frame has no such column)."""
    return frame[frame["subset"] == "all"] if "subset" in frame else frame


def parts(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows over a subset of the samples; none if the frame has no such column."""
    return frame[frame["subset"] != "all"] if "subset" in frame else frame.iloc[:0]


def primary_strategy(study: Study) -> str:
    """Strategy id of the primary cell."""
    return study.analysis.primary.strategy or study.strategies[0].label


def primary_metrics(findings: Findings) -> dict[str, str]:
    """Task to the metric of the comparison: the study's, else the card's."""
    wanted = {entry.name: entry.metric for entry in findings.study.tasks if entry.metric}
    return {name: wanted.get(name) or card.metric for name, card in findings.cards.items()}


def narrowed(findings: Findings) -> bool:
    """True where less than the whole study was run."""
    return any(findings.selection.get(key) for key in ("models", "tasks", "limit"))


def family_size(findings: Findings) -> int | None:
    """Comparisons of the whole pre-stated family, whatever part of it was run; None where nothing tells.

    The study may leave its pairs to the registry; what was run tells them, unless models were left out.
    """
    if findings.selection.get("n_family"):
        return int(findings.selection["n_family"])
    if findings.study.pairs is None and findings.selection.get("models"):
        return None
    pairs = findings.study.pairs if findings.study.pairs is not None else pairs_of(whole(findings.comparisons))
    return len(pairs) * len(findings.study.tasks)


def is_set_metric(findings: Findings, metric: str) -> bool:
    """True for a metric of a whole cell, which is no mean over samples."""
    known = findings.metrics.get(metric)
    return known is not None and known.of_set is not None


def exclusions(findings: Findings) -> dict[str, dict[str, str]]:
    """Task to sample id to reason, of the samples left out by name; tasks in the order of the study."""
    if findings.excluded is not None:
        order = [entry.name for entry in findings.study.tasks]
        return {task: dict(findings.excluded[task]) for task in sorted(findings.excluded, key=lambda name: _rank(name, order))}
    found: dict[str, dict[str, str]] = {}
    for item in findings.study.exclude:
        found.setdefault(item.task, {})[item.sample_id] = item.reason
    return found


def in_primary_cell(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the primary cell and metric, whatever their role."""
    primary = findings.study.analysis.primary
    metrics = primary_metrics(findings)
    cell = (frame["strategy"] == primary_strategy(findings.study)) & (frame["perturbation"] == primary.perturbation)
    default = frame["task"].map(metrics)
    return frame[cell & (default.isna() | (frame["metric"] == default))]


def main_rows(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """What the report leads with: the primary rows over all samples or, where a later change left none, those of the primary cell."""
    rows = whole(frame).reset_index(drop=True)
    primary = rows[rows["role"] == "primary"] if "role" in rows else rows.iloc[:0]
    return in_order(findings, primary if len(primary) else in_primary_cell(findings, rows))


def other_rows(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows over all samples that are not among `main_rows`."""
    rows = whole(frame).reset_index(drop=True)
    return in_order(findings, rows[~rows.index.isin(main_rows(findings, frame).index)])


def pooled_rows(findings: Findings, scope: str = "all") -> pd.DataFrame:
    """Pooled differences of one scope, or of every scope of a kind (`language:`), pairs in the order of the study."""
    frame = findings.analyses.pooled
    if not len(frame):
        return frame
    kept = frame["scope"].str.startswith(scope) if scope.endswith(":") else frame["scope"] == scope
    return in_order(findings, frame[kept].reset_index(drop=True))


def pooled_name(findings: Findings) -> str:
    """What the mean that the study states is taken over, as a label."""
    return "all tasks" if findings.study.analysis.pooled_tasks is None else "pooled tasks"


def of_pair(frame: pd.DataFrame, pair: Pair) -> list[dict[str, Any]]:
    """Rows of one pair as dictionaries; none of a frame without rows."""
    return [row for row in records(frame) if (row["model_a"], row["model_b"]) == pair]


def in_order(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows sorted by pair or task as the study lists them, names that it does not list last."""
    study = findings.study
    orders = {
        "model_a": list(study.models),
        "model_b": list(study.models),
        "task": [entry.name for entry in study.tasks],
        "strategy": [entry.label for entry in study.strategies],
        "perturbation": [entry.label for entry in study.perturbations],
        "model": list(study.models),
    }
    pairs = [f"{a}\n{b}" for a, b in study.pairs or ()]
    keys = pd.DataFrame(index=frame.index)
    if "model_a" in frame:
        keys["pair"] = [_rank(f"{a}\n{b}", pairs) for a, b in zip(frame["model_a"], frame["model_b"], strict=True)]
    for column, order in orders.items():
        if column in frame:
            keys[column] = [_rank(str(name), order) for name in frame[column]]
    for column in ("metric", "subset", "scope"):
        if column in frame:
            keys[column] = [(0, str(name)) for name in frame[column]]
    ranks: list[tuple[Any, ...]] = list(keys.itertuples(index=False, name=None)) if len(keys.columns) else [()] * len(frame)
    ranked = sorted(range(len(frame)), key=lambda at: ranks[at])
    return frame.iloc[ranked]


def _rank(name: str, order: list[str]) -> tuple[int, str]:
    return (order.index(name), "") if name in order else (len(order), name)


def pairs_of(frame: pd.DataFrame) -> list[Pair]:
    """Pairs of a comparisons frame in its order, each once."""
    return list(dict.fromkeys((str(a), str(b)) for a, b in zip(frame["model_a"], frame["model_b"], strict=True)))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries; every kind of missing value becomes None."""
    return [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]


def data_of(frame: pd.DataFrame) -> Data:
    """A frame as the content of a CSV file, unrounded."""
    columns = tuple(str(name) for name in frame.columns)
    return Data(columns=columns, rows=tuple(tuple(row[name] for name in columns) for row in records(frame)))


def _plain(value: Any) -> Raw:
    """A NumPy or pandas value as a Python value; lists as text."""
    if isinstance(value, str):
        return value
    if value is None or (not hasattr(value, "__len__") and pd.isna(value)):
        return None
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, bool | int | float) else str(value)
