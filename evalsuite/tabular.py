"""What a table shows, without the numbers behind it: for a report's tables, and for a terminal that need not import the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """Head of one column of a table."""

    label: str
    """Plain text."""
    kind: Literal["text", "number", "code"] = "text"
    """`number`: aligned right in figures of equal width; `code`: monospaced."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One entry of a table."""

    text: str
    """Plain text as shown; empty where there is nothing to show."""
    alert: bool = False
    """True where a reader must look (failures, a revision that is not pinned)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tabular:
    """A table as it is shown."""

    columns: tuple[Column, ...]
    """Heads."""
    rows: tuple[tuple[Cell, ...], ...]
    """Entries, as wide as `columns`."""
    note: str = ""
    """How to read it; empty if there is nothing to say."""
