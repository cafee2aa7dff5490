"""The report as data: what is said, in which order, and nothing about how it looks.

`build` decides once; `html`, `markdown` and `latex` render the same blocks. Texts are plain: every renderer escapes them.
A new kind of block is one class here, one member of `Block`, and one branch in each renderer; what a figure shows is one of `plots`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from evalsuite.report.explorer_tables import ExplorerData
from evalsuite.report.facing import Facing
from evalsuite.report.plots import Plot
from evalsuite.report.verdicts import Verdict
from evalsuite.tabular import Cell as Cell
from evalsuite.tabular import Column as Column

Raw = str | int | float | bool | None
"""A value as it stands in a CSV file; None and NaN are empty fields."""


def slug(*parts: str) -> str:
    """File name or anchor of one or more names: letters, digits, `.`, `_` and `-` only."""
    return "_".join(re.sub(r"[^A-Za-z0-9.-]+", "_", part).strip("._") or "x" for part in parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Numbers behind a table or figure, unrounded, shares in [0, 1]; one CSV file."""

    columns: tuple[str, ...]
    """Column names."""
    rows: tuple[tuple[Raw, ...], ...]
    """One tuple per row, as wide as `columns`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str
    """Plain text."""
    small: bool = False
    """True for remarks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """Something that a reader must not overlook."""

    level: Literal["note", "warning", "failure"]
    """`failure`: results are missing through our fault; `warning`: results mean less than they seem to; `note`: context."""
    text: str
    """Plain text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bullets:
    """A list of plain texts."""

    items: tuple[str, ...]
    """One text per item."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one comparison says."""

    verdict: Verdict
    """The verdict that the sentence states."""
    text: str
    """The sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the study says about one pair."""

    sentence: str
    """One sentence over all tasks."""
    details: tuple[str, ...] = ()
    """Sentences that qualify it, such as what could not enter."""
    tally: str = ""
    """How many tasks say what, above the findings; empty where the sentence itself says so."""
    findings: tuple[Finding, ...]
    """One per task if there is more than one task, else empty."""
    folded: bool = False
    """True where there are so many findings that they would push the figure off the first screen; shown on demand then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table as shown, and the numbers behind it."""

    name: str
    """File stem, unique in the report."""
    title: str
    """What the table holds, without a full stop."""
    columns: tuple[Column, ...]
    """Heads."""
    rows: tuple[tuple[Cell, ...], ...]
    """Entries, as wide as `columns`; where the first entry repeats the one above, a renderer may leave it out."""
    data: Data
    """What goes into the CSV file."""
    note: str = ""
    """How to read it; empty if there is nothing to say."""
    folded: bool = False
    """True: a screen shows it on demand, however short it is; paper shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure: what to draw, one sentence that reads it, words for those who cannot see it, and its numbers."""

    name: str
    """File stem, unique in the report."""
    plot: Plot
    """What is drawn."""
    caption: str
    """One sentence that reads the figure, computed from its numbers."""
    alt: str
    """Alternative text: kind of figure, axes, content."""
    data: Data
    """What goes into the CSV file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Preformatted text whose every space counts, e.g. a prompt."""

    title: str
    """What it is."""
    text: str
    """The text as it is; renderers make control characters visible."""
    folded: bool = True
    """True: shown on demand where the medium can."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SideBySide:
    """Pairs of texts beside each other, what differs between them marked by more than colour."""

    name: str
    """File stem, unique in the report."""
    title: str
    """What they are, without a full stop."""
    items: tuple[Facing, ...]
    """One pair each, in reading order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Definitions:
    """Terms and their meanings."""

    items: tuple[tuple[str, str], ...]
    """(term, meaning)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """Numbers that are offered as a CSV file only."""

    name: str
    """File stem, unique among tables."""
    text: str
    """What the file holds, without a full stop."""
    data: Data
    """Its content."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explorer:
    """Every compared answer, to be looked through; only where scripts run, absent from all other media."""

    data: ExplorerData
    """What it shows."""


Block = Paragraph | Notice | Bullets | Answer | Table | Figure | Listing | SideBySide | Definitions | DataFile | Explorer


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A titled run of blocks."""

    anchor: str
    """Unique name for links."""
    title: str
    """Heading."""
    blocks: tuple[Block, ...]
    """Content, never empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything that is said about one study; the first section is the first screen."""

    study: str
    """Name of the study."""
    question: str
    """Its question."""
    sections: tuple[Section, ...]
    """In reading order."""


def blocks_of(report: Report) -> Iterator[Block]:
    """All blocks in reading order."""
    for section in report.sections:
        yield from section.blocks


def tables_of(report: Report) -> tuple[Table, ...]:
    """All tables in reading order."""
    return tuple(block for block in blocks_of(report) if isinstance(block, Table))


def figures_of(report: Report) -> tuple[Figure, ...]:
    """All figures in reading order."""
    return tuple(block for block in blocks_of(report) if isinstance(block, Figure))


def data_files_of(report: Report) -> tuple[DataFile, ...]:
    """All data files in reading order."""
    return tuple(block for block in blocks_of(report) if isinstance(block, DataFile))


def facing_of(report: Report) -> tuple[SideBySide, ...]:
    """All texts side by side in reading order."""
    return tuple(block for block in blocks_of(report) if isinstance(block, SideBySide))


def data_of_rows(columns: Iterable[str], rows: Iterable[Iterable[Raw]]) -> Data:
    """Data from any iterables.

    Raises:
        ValueError: a row is not as wide as the columns.
    """
    names = tuple(columns)
    kept = tuple(tuple(row) for row in rows)
    if any(len(row) != len(names) for row in kept):
        raise ValueError(f"a row is not {len(names)} wide")
    return Data(columns=names, rows=kept)
