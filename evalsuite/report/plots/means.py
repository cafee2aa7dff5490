"""What figures about models' mean scores show, as data: by task, by language, by size."""

from __future__ import annotations

from dataclasses import dataclass

from evalsuite.report.verdicts import Verdict


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
