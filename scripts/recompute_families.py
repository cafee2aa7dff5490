"""The part of recompute_comparisons.py that looks at all rows together: families, their correction, the gate between them, and coverage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Row = Mapping[str, Any]
CORRECTED = (
    ("p_value", "p_adjusted"),
    ("p_equivalence", "p_equivalence_adjusted"),
    ("p_a_noninferior", "p_a_noninferior_adjusted"),
    ("p_b_noninferior", "p_b_noninferior_adjusted"),
)


def primary_cell(study: Mapping[str, Any]) -> tuple[str, str]:
    """Strategy and perturbation of the primary cell."""
    primary = study["analysis"]["primary"]
    first = study["strategies"][0]
    return (primary.get("strategy") or first.get("id") or first["name"], primary.get("perturbation") or "none")


def secondary_cells(study: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Strategy and perturbation of each cell of the secondary family."""
    strategy, perturbation = primary_cell(study)
    stated = study["analysis"].get("secondary") or {}
    return [(name, perturbation) for name in stated.get("strategies", [])] + [(strategy, name) for name in stated.get("perturbations", [])]


def corrected(p_values: Sequence[float], n_tests: int, correction: str) -> list[float]:
    """Adjusted p-values in the order of the given ones; absent tests count as p = 1."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    found = [0.0] * len(p_values)
    if correction == "benjamini_hochberg":
        ceiling = 1.0
        for rank in range(len(order), 0, -1):
            at = order[rank - 1]
            ceiling = found[at] = min(ceiling, p_values[at] * n_tests / rank)
        return found
    floor = 0.0
    for rank, at in enumerate(order):
        floor = max(floor, min(1.0, (n_tests - rank) * p_values[at]))
        found[at] = floor if correction == "holm" else p_values[at]
    return found


def is_testable(row: Row) -> bool:
    """Numbers exist and there are groups enough; recomputed rows have shown that both are right."""
    return not bool(pd.isna(row["p_value"])) and row["n_groups"] >= 10


def check_family(rows: Sequence[Row], study: Mapping[str, Any]) -> list[str]:
    """The correction again over the printed p-values of both families; their sizes are those of the whole study."""
    correction = study["analysis"]["correction"]
    n_primary = len(study.get("pairs") or []) * len(study["tasks"])
    gate, faults = 0.0, []
    for role, n_family in (("primary", n_primary), ("secondary", n_primary * len(secondary_cells(study)))):
        family = [row for row in rows if row["role"] == role and is_testable(row)]
        largest = 1.0 if len(family) < n_family else 0.0
        for raw, adjusted in CORRECTED:
            expected = [max(gate, p) for p in corrected([float(row[raw]) for row in family], n_family, correction)]
            largest = max([largest, *expected]) if raw == "p_value" else largest
            faults += [
                f"{row['task']} {row['model_a']} {row['model_b']}: {adjusted} is printed as {row[adjusted]}, recomputed as {p}"
                for row, p in zip(family, expected, strict=True)
                if not math.isclose(row[adjusted], p, rel_tol=1e-9, abs_tol=1e-12)
            ]
        gate = largest
    return faults


def check_coverage(rows: Sequence[Row], answers: Mapping[tuple[str, ...], Any], study: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Every pair and task of the stated cells has one row of its family, and nothing else is in it: (faults, notes).

    A run that was narrowed to some tasks or models lacks rows; that can be told by the answers, which it lacks too.
    """
    entries = [entry if isinstance(entry, dict) else {"name": entry} for entry in study["tasks"]]
    metrics = {entry["name"]: entry.get("metric") for entry in entries}
    pairs = study.get("pairs") or []
    roles = {primary_cell(study): "primary", **dict.fromkeys(secondary_cells(study), "secondary")}
    if "primary" not in {row["role"] for row in rows}:
        roles = {primary_cell(study): "primary"}  # the analysis was changed after answers were seen
    whole = [row for row in rows if row["subset"] == "all" and metrics.get(row["task"]) in (None, row["metric"])]
    asked = {(name[0], name[2], name[3], name[4]) for name in answers}
    faults, notes = [], []
    for cell, role in roles.items():
        found = {(row["task"], row["model_a"], row["model_b"]) for row in whole if (row["strategy"], row["perturbation"]) == cell}
        for task, *models in sorted({(name, a, b) for name in metrics for a, b in pairs} - found):
            if all((task, *cell, model) in asked for model in models):
                faults.append(f"{task} {' '.join(models)}: no row of the {role} cell")
            else:
                notes.append(f"{task} {' '.join(models)}: no row and no answers of both sides, as in a narrowed run; it counts as p = 1")
    if "primary" not in {row["role"] for row in rows}:
        return faults, notes
    for row in rows:
        inside = row["subset"] == "all" and row["metric"] == metrics.get(row["task"])
        expected = roles.get((row["strategy"], row["perturbation"]), "exploratory") if inside else "exploratory"
        if metrics.get(row["task"]) is not None and row["role"] != expected:
            faults.append(f"{row['task']} {row['metric']} {row['strategy']} {row['perturbation']} {row['subset']}: role {row['role']}")
    compared = {
        tuple(str(row[key]) for key in ("task", "metric", "strategy", "perturbation", side))
        for row in rows
        for side in ("model_a", "model_b")
    }
    for a, b in pairs:
        for name in answers:
            if name[-1] in (a, b) and name not in compared:
                both = (*name[:-1], a) in answers and (*name[:-1], b) in answers
                (faults if both else notes).append(f"{' '.join(name)}: not in a comparison of {a} and {b}")
    return faults, notes
