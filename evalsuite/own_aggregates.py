"""What the frameworks of foreign tasks would print of the same answers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evalsuite.foreign import Foreign, Group
from evalsuite.plan import Plan


def own_aggregates(plan: Plan, scores: pd.DataFrame) -> pd.DataFrame:
    """What the frameworks of foreign tasks would print: their own aggregation over the answers that there are.

    Statistics never use it: an aggregate such as the correlation of a whole set has no value of one sample. Answers that are missing
    (`n_missing`) are left out, as they are where the framework itself would have failed.
    """
    rows: list[dict[str, Any]] = []
    cells = ["model", "task", "strategy", "perturbation", "replicate", "metric"]
    own = scores[scores["task"].isin([name for name, task in plan.tasks.items() if task.task.foreign])]
    sizes = dict(own.groupby(cells).size().items())
    for values, part in own[own["item"].notna()].groupby(cells, sort=False):
        cell: dict[str, Any] = dict(zip(cells, values, strict=True))
        foreign = plan.tasks[cell["task"]].task.foreign
        if foreign is not None:
            n_all = sizes[values]
            value = _aggregated(foreign, cell["metric"], [json.loads(item) for item in part["item"]])
            rows.append({**cell, "value": value, "n_samples": len(part), "n_missing": n_all - len(part)})
    groups = {group.name: group for task in plan.tasks.values() if task.task.foreign for group in task.task.foreign.groups}
    for group in groups.values():
        rows.extend(_group_rows(group, rows))
    return pd.DataFrame(rows, columns=[*cells, "value", "n_samples", "n_missing"])


def _aggregated(foreign: Foreign, metric: str, items: Sequence[Any]) -> float:
    """The task's own aggregation; NaN where its code raises on what there is."""
    try:
        return foreign.aggregate(metric, items)
    except Exception:  # noqa: BLE001 - anybody's code, over answers that its author did not expect; the statistics do not depend on it
        return math.nan


def _group_rows(group: Group, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A group's own means over its tasks, weighted by samples or not, as its configuration says."""
    parts: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["task"] in group.tasks and row["metric"] in group.metrics:
            key = (row["model"], row["strategy"], row["perturbation"], row["replicate"], row["metric"])
            parts.setdefault(key, []).append(row)
    made = []
    for members in parts.values():
        weights = [row["n_samples"] if group.metrics[row["metric"]] else 1 for row in members]
        value = sum(weight * row["value"] for weight, row in zip(weights, members, strict=True)) / sum(weights)
        if {row["task"] for row in members} != set(group.tasks) or any(row["n_missing"] for row in members):
            value = math.nan  # the mean of a part is not the group's
        counts = {key: sum(row[key] for row in members) for key in ("n_samples", "n_missing")}
        made.append({**members[0], "task": group.name, "value": value, **counts})
    return made
