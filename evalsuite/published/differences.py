"""Biomedical minus generalist from printed numbers alone: no model, no network, no test of ours, hence no verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from evalsuite.models import ModelEntry
from evalsuite.published.plausible import plausible
from evalsuite.published.records import Paper, Reading, Record
from evalsuite.stats.unpaired import unpaired_interval

DeclaredBy = Literal["paper", "models.yaml", "both"]

LEVEL = 0.95
"""Level of the intervals."""

DIFFERENCE_COLUMNS = (
    "paper", "version", "table", "task", "language", "metric", "setting", "unit", "model_a", "model_b", "repo_a", "repo_b", "pair_from",
    "printed_as_difference", "value_a", "value_b", "difference", "ci_low", "ci_high", "ci_level", "n_items_a", "n_items_b", "n_status",
    "n_independent", "reading", "grim_a", "grim_b", "evalsuite_task", "lead", "overall", "note",
)  # fmt: skip

VALUE_COLUMNS = (
    "paper", "version", "table", "model", "hf_id", "hf_id_seen", "task", "language", "metric", "kind", "setting", "printed", "unit",
    "value", "n_items", "n_status", "ci_low", "ci_high", "reading", "grim", "evalsuite_task", "evalsuite_split", "source", "note",
)  # fmt: skip

FLAGS = ("printed_as_difference", "lead", "overall")

WORST: tuple[Reading, ...] = ("second_hand", "derived", "read")
"""From the least to the best known; a difference is known as well as the worse of its two numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrintedPair:
    """Two printed models that are compared."""

    version: str
    """Version that prints both."""
    model_a: str
    """The biomedical one, as printed."""
    model_b: str
    """The generalist, as printed."""
    declared_by: DeclaredBy
    """Who says that they belong together."""


def pairs_of_paper(paper: Paper, registry: Mapping[str, ModelEntry]) -> tuple[PrintedPair, ...]:
    """Pairs whose two models are both printed in one version: the paper's own, and those that models.yaml declares.

    Args:
        paper: printed numbers and declared pairs; a model counts where the paper's name for it has a hub id.
        registry: models.yaml.

    Returns:
        In the order of the versions and of the printed biomedical models.
    """
    found: list[PrintedPair] = []
    by_registry = set(_registry_pairs(registry))
    for version in paper.versions:
        models = {record.model.name: record.model.hf_id for record in paper.records if record.version == version.id}
        by_paper = {
            (a, b)
            for pair in paper.pairs
            if pair.version in (None, version.id)
            for a in models
            for b in models
            if pair.biomedical in (a, models[a]) and pair.base in (b, models[b])
        }
        for a, id_a in models.items():
            for b, id_b in models.items():
                known = (id_a, id_b) in by_registry
                if a != b and (known or (a, b) in by_paper):
                    said: DeclaredBy = "models.yaml" if (a, b) not in by_paper else "both" if known else "paper"
                    found.append(PrintedPair(version=version.id, model_a=a, model_b=b, declared_by=said))
    return tuple(found)


def unpaired_models(paper: Paper, registry: Mapping[str, ModelEntry]) -> tuple[str, ...]:
    """Printed biomedical models of models.yaml for which no generalist of theirs is printed under an id, in the paper's order."""
    paired = {(pair.version, pair.model_a) for pair in pairs_of_paper(paper, registry)}
    biomedical = {entry.repo for entry in registry.values() if entry.domain == "biomedical" and entry.repo}
    names = {
        record.model.name
        for record in paper.records
        if record.base is None and record.model.hf_id in biomedical and (record.version, record.model.name) not in paired
    }
    return tuple(name for name in dict.fromkeys(record.model.name for record in paper.records) if name in names)


def differences(paper: Paper, registry: Mapping[str, ModelEntry]) -> pd.DataFrame:
    """Every printed biomedical-minus-generalist difference, computed from two printed numbers or printed as one.

    An interval stands only where both numbers are shares of right answers over a known number of items; it is the one for unpaired
    answers (`stats.unpaired`), over independent items where one question stands several times. Missing intervals are NaN.

    Args:
        paper: from `files.load_paper`.
        registry: models.yaml.

    Returns:
        `DIFFERENCE_COLUMNS`; values are stored ones (shares in [0, 1]); empty if no pair is printed.
    """
    rows = [*_computed(paper, registry), *_printed(paper)]
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS)).astype(dict.fromkeys(FLAGS, bool))


def values(paper: Paper) -> pd.DataFrame:
    """Every printed number with what GRIM says of it: `VALUE_COLUMNS`, `value` as stored (shares in [0, 1])."""
    rows = [
        {
            **{name: getattr(record, name) for name in ("paper", "version", "table", "metric", "kind", "setting", "printed", "unit")},
            **{name: getattr(record, name) for name in ("n_items", "n_status", "ci_low", "ci_high", "reading", "source", "note")},
            "model": record.model.name,
            "hf_id": record.model.hf_id,
            "hf_id_seen": record.model.hf_id_seen,
            "task": record.task.name,
            "language": record.task.language,
            "value": record.stored,
            "grim": plausible(record),
            "evalsuite_task": record.task.evalsuite_task,
            "evalsuite_split": record.task.split,
        }
        for record in paper.records
    ]
    return pd.DataFrame(rows, columns=list(VALUE_COLUMNS))


def difference_interval(a: Record, b: Record) -> tuple[float, float] | None:
    """The interval for unpaired answers between two printed shares; None where either is none or its number of items is unknown."""
    if a.kind != "accuracy" or b.kind != "accuracy" or a.n_independent is None or b.n_independent is None:
        return None
    return unpaired_interval(a.stored, a.n_independent, b.stored, b.n_independent, level=LEVEL)


def worse_reading(a: Reading, b: Reading) -> Reading:
    """How well a difference of two numbers is known."""
    return min(a, b, key=WORST.index)


def _registry_pairs(registry: Mapping[str, ModelEntry]) -> Iterator[tuple[str, str]]:
    for entry in registry.values():
        if entry.domain != "biomedical" or entry.repo is None:
            continue
        for name in (entry.base, *entry.comparators):
            other = registry[name].repo if name else None
            if other:
                yield entry.repo, other


def _computed(paper: Paper, registry: Mapping[str, ModelEntry]) -> Iterator[dict[str, Any]]:
    held: dict[tuple[str, str], dict[tuple[str, str, str], Record]] = {}
    for record in paper.records:
        if record.kind != "difference":
            held.setdefault((record.version, record.model.name), {})[record.cell] = record
    for pair in pairs_of_paper(paper, registry):
        first, second = (held.get((pair.version, name), {}) for name in (pair.model_a, pair.model_b))
        for cell, a in first.items():
            b = second.get(cell)
            if b is None or b.unit != a.unit:
                continue
            interval = difference_interval(a, b)
            yield _row(a) | {
                "model_a": pair.model_a,
                "model_b": pair.model_b,
                "repo_a": a.model.hf_id,
                "repo_b": b.model.hf_id,
                "pair_from": pair.declared_by,
                "printed_as_difference": False,
                "value_a": a.stored,
                "value_b": b.stored,
                "difference": a.stored - b.stored,
                "ci_low": interval[0] if interval else None,
                "ci_high": interval[1] if interval else None,
                "ci_level": LEVEL if interval else None,
                "n_items_a": a.n_items,
                "n_items_b": b.n_items,
                "n_independent": min(a.n_independent, b.n_independent) if a.n_independent and b.n_independent else None,
                "reading": worse_reading(a.reading, b.reading),
                "grim_a": plausible(a),
                "grim_b": plausible(b),
                "note": "; ".join(dict.fromkeys(note for note in (a.note, b.note) if note)),
            }


def _printed(paper: Paper) -> Iterator[dict[str, Any]]:
    for record in paper.records:
        if record.kind != "difference" or record.base is None:
            continue
        ids = (record.model.name, record.model.hf_id)
        declared = [p for p in paper.pairs if p.version in (None, record.version) and p.biomedical in ids]
        notes = [f"the numbers follow {pair.follows}" for pair in declared if pair.follows] + [pair.note for pair in declared if pair.note]
        yield _row(record) | {
            "model_a": record.model.name,
            "model_b": record.base,
            "repo_a": record.model.hf_id,
            "repo_b": None,
            "pair_from": "paper",
            "printed_as_difference": True,
            "difference": record.stored,
            "reading": record.reading,
            "grim_a": "untested",
            "grim_b": "untested",
            "note": "; ".join([*notes, *([record.note] if record.note else [])]),
        }


def _row(record: Record) -> dict[str, Any]:
    """What both kinds of difference take from a record."""
    return {
        **{
            name: getattr(record, name)
            for name in ("paper", "version", "table", "metric", "setting", "unit", "n_status", "lead", "overall")
        },
        "task": record.task.name,
        "language": record.task.language,
        "evalsuite_task": record.task.evalsuite_task,
    }
