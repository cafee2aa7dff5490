"""What figures about paired differences show, as data: forest plots, grids of verdicts, shares of wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalsuite.report.verdicts import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestRow:
    """One difference in a forest plot, or the heading of those below it."""

    label: str
    """Task, or the first model of a pair."""
    second: str = ""
    """Second line of the label; empty: none."""
    detail: str = ""
    """Difference and interval as text."""
    verdict: Verdict = "not_established"
    """Decides the marker."""
    difference: float | None = None
    """Difference in shown units (points); None: nothing to draw."""
    low: float | None = None
    """Lower end of the interval in shown units."""
    high: float | None = None
    """Upper end."""
    color: str = ""
    """Colour of marker and interval; headings have none."""
    kind: Literal["single", "subtotal", "total", "heading"] = "single"
    """`subtotal` and `total` are drawn as diamonds, `heading` as a line of text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestPlot:
    """Differences with intervals, one below the other."""

    left: str
    """Whom or what negative differences favour; stands over the left end of the axis."""
    right: str
    """Whom or what positive ones favour."""
    color_left: str
    """Colour of `left`: a model's, the same in every figure, or that of remarks."""
    color_right: str
    """Colour of `right`."""
    axis: str
    """Label of the axis with its unit."""
    margin: float | None
    """Half width of the shaded band in shown units; None: no band."""
    limits: tuple[float, float]
    """Ends of the axis, the same for figures that are read beside each other."""
    rows: tuple[ForestRow, ...]
    """From top to bottom."""
    names: tuple[tuple[Verdict, str], ...]
    """What each marker means; only markers that occur come into the legend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GridCell:
    """One comparison in a grid."""

    verdict: Verdict
    """Decides the marker."""
    color: str
    """Its colour."""
    text: str
    """The difference as text; drawn where there is room."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GridPlot:
    """Many comparisons at a glance: one marker each, in rows and columns."""

    rows: tuple[tuple[str, str], ...]
    """(label, second line) from top to bottom; the second may be empty."""
    columns: tuple[tuple[str, str], ...]
    """(label, second line) from left to right."""
    cells: tuple[tuple[GridCell | None, ...], ...]
    """Per row, one entry per column; None: no such comparison."""
    names: tuple[tuple[Verdict, str], ...]
    """What each marker means; only markers that occur come into the legend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareRow:
    """Wins, ties and losses of one pair, or of all."""

    label: str
    """First model of the pair, or what the row sums up."""
    second: str
    """Second line of the label; may be empty."""
    win: float
    """Share of wins in percent; the three add up to 100."""
    tie: float
    """Share of ties in percent."""
    loss: float
    """Share of losses in percent."""
    color_win: str
    """Colour of wins: the first model's."""
    color_loss: str
    """Colour of losses: the second model's."""
    total: bool = False
    """True for the row over all pairs, which stands apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SharePlot:
    """Stacked bars of wins, ties and losses."""

    axis: str
    """Label of the axis with its unit."""
    rows: tuple[ShareRow, ...]
    """From top to bottom."""
