"""What figures show, as data; how they look is decided in `figures`.

A new kind of plot is one class here, one member of `Plot`, and one module in `figures` that draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalsuite.report.answer_plots import CostPlot, CurvePlot, StackPlot
from evalsuite.report.published_plots import BesidePlot, MatrixPlot

Verdict = Literal["a_better", "b_better", "equivalent", "inconclusive", "not_established"]
VERDICTS: tuple[Verdict, ...] = ("a_better", "b_better", "equivalent", "inconclusive", "not_established")


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


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelRow:
    """One pair in one panel: two means and their difference."""

    model_a: str
    """First model."""
    model_b: str
    """Second model."""
    color_a: str
    """Colour of the first, the same in every figure."""
    color_b: str
    """Colour of the second."""
    marker_a: int
    """Number of the marker of the first, the same in every figure."""
    marker_b: int
    """Number of the marker of the second."""
    mean_a: float | None
    """Mean of the first in shown units; None: nothing to draw."""
    mean_b: float | None
    """Mean of the second."""
    difference: float | None
    """First minus second in shown units."""
    low: float | None
    """Lower end of the interval of the difference."""
    high: float | None
    """Upper end."""
    verdict: Verdict
    """Decides the marker of the difference."""
    color: str
    """Colour of the difference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelPlot:
    """Panels one below the other: means on the left, differences on the right."""

    panels: tuple[tuple[str, tuple[PanelRow, ...]], ...]
    """(heading, rows) from top to bottom."""
    axis: str
    """Label of the axis of means with its unit."""
    difference_axis: str
    """Label of the axis of differences with its unit."""
    limits: tuple[float, float]
    """Ends of the axis of means, the same in every panel."""
    difference_limits: tuple[float, float]
    """Ends of the axis of differences."""
    margin: float
    """Half width of the shaded band in shown units."""
    names: tuple[tuple[Verdict, str], ...]
    """What each marker of a difference means; only markers that occur come into the legend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SizePoint:
    """One model in a plot against size."""

    model: str
    """Model name."""
    color: str
    """Its colour, the same in every figure."""
    special: bool
    """True for a specialist (drawn filled), False for a generalist (drawn hollow)."""
    size: float
    """Parameters in 10⁹, above 0."""
    mean: float
    """Mean in shown units."""
    low: float | None
    """Lower end of its interval."""
    high: float | None
    """Upper end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SizePlot:
    """Means against the number of parameters on a logarithmic axis."""

    axis: str
    """Label of the axis of means with its unit."""
    points: tuple[SizePoint, ...]
    """Numbered from 1 in this order; the key below the plot names them."""
    lines: tuple[tuple[int, ...], ...]
    """Places in `points` that a line joins, smaller size first: models of one family and domain."""
    limits: tuple[float, float]
    """Ends of the axis of means."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DotRow:
    """One model's mean on one task."""

    model: str
    """Model name."""
    color: str
    """Its colour, the same in every figure."""
    marker: int
    """Number of its marker shape, the same in every figure."""
    mean: float | None
    """Mean in shown units; None: nothing to draw."""
    low: float | None
    """Lower end of its interval."""
    high: float | None
    """Upper end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DotPanel:
    """One task in a dot plot."""

    label: str
    """Task name."""
    chance: float | None
    """Expected value of a uniform guess in shown units; None: no such line."""
    rows: tuple[DotRow, ...]
    """One per model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DotPlot:
    """Means with intervals, one block of rows per task."""

    axis: str
    """Label of the axis with its unit."""
    limits: tuple[float, float]
    """Ends of the axis."""
    panels: tuple[DotPanel, ...]
    """From top to bottom."""


Plot = ForestPlot | DotPlot | GridPlot | SharePlot | PanelPlot | SizePlot | CurvePlot | CostPlot | StackPlot | MatrixPlot | BesidePlot
