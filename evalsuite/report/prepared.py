"""What strategies prepared, part by part, as the sections of a report read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evalsuite.report.findings import Findings, in_order


def parts_made(findings: Findings, name: str) -> Iterator[Made]:
    """The records of one part, models, tasks and strategies in the order of the study; a record that is none is passed over."""
    frame = findings.preparations
    if not len(frame):
        return
    for row in in_order(findings, frame).to_dict("records"):
        facts = row["facts"].get(name) if isinstance(row["facts"], Mapping) else None
        if isinstance(facts, Mapping) and facts:
            yield Made(model=str(row["model"]), task=str(row["task"]), strategy=str(row["strategy"]), facts=facts)


def count_of(made: Made, key: str) -> int | None:
    """A count of a record; None where it was not recorded."""
    value = made.facts.get(key)
    return int(value) if isinstance(value, int | float) and not pd.isna(value) else None


def whole(value: int | None) -> str:
    """A count as shown; a dash for None."""
    return "–" if value is None else f"{value:,}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """One part of one preparation."""

    model: str
    """Model that prepared."""
    task: str
    """Task name."""
    strategy: str
    """Strategy id."""
    facts: Mapping[str, Any]
    """What was recorded of the part."""
