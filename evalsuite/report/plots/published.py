"""What figures about printed numbers show, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixCell:
    """One printed difference in a matrix."""

    value: float
    """Difference in shown units; its sign decides the colour, its size the depth."""
    text: str
    """The difference as text."""
    doubtful: bool = False
    """True where a number behind it cannot have arisen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixPlot:
    """Differences as coloured numbers, rows in groups."""

    columns: tuple[tuple[str, str], ...]
    """(label, second line) from left to right."""
    groups: tuple[tuple[str, tuple[tuple[str, tuple[MatrixCell | None, ...]], ...]], ...]
    """(heading, rows) from top to bottom; a row is its label and one cell per column, None where nothing was printed."""
    gain: str
    """What a positive cell means."""
    loss: str
    """What a negative cell means."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BesideRow:
    """A measured number, a printed one, or both."""

    label: str
    """What the row is about."""
    mean: float | None = None
    """Measured, in shown units; None: nothing was measured."""
    low: float | None = None
    """Lower end of its interval."""
    high: float | None = None
    """Upper end."""
    printed: float | None = None
    """Printed, in shown units; None: nothing was printed."""
    printed_low: float | None = None
    """Lower end of an interval computed from printed numbers."""
    printed_high: float | None = None
    """Upper end."""
    doubtful: bool = False
    """True where the printed number cannot have arisen."""
    alike: bool = True
    """False: the two were not asked or scored alike; the printed one is drawn hollow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BesidePlot:
    """Printed beside measured numbers, rows in groups."""

    axis: str
    """Label of the axis with its unit."""
    limits: tuple[float, float]
    """Ends of the axis."""
    groups: tuple[tuple[str, tuple[BesideRow, ...]], ...]
    """(heading, rows) from top to bottom."""
    zero: bool = False
    """True for differences: a line stands at zero."""
    interval: str = "interval"
    """What the intervals of printed numbers are, for the legend."""
