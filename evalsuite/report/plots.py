"""What figures show, as data; how they look is decided in `figures`.

A new kind of plot is one class here, one member of `Plot`, and one module in `figures` that draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["a_better", "b_better", "equivalent", "inconclusive", "not_established"]
VERDICTS: tuple[Verdict, ...] = ("a_better", "b_better", "equivalent", "inconclusive", "not_established")


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestRow:
    """One comparison in a forest plot."""

    label: str
    """Task name."""
    detail: str
    """Difference and interval as text."""
    verdict: Verdict
    """Decides the marker."""
    difference: float | None
    """Difference in shown units (points); None: nothing to draw."""
    low: float | None
    """Lower end of the interval in shown units."""
    high: float | None
    """Upper end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestPlot:
    """Paired differences of one pair, with the margin."""

    model_a: str
    """Positive differences favour this one."""
    model_b: str
    """Negative differences favour this one."""
    color_a: str
    """Colour of model_a, the same in every figure."""
    color_b: str
    """Colour of model_b."""
    axis: str
    """Label of the axis with its unit."""
    margin: float
    """Half width of the shaded band in shown units."""
    limits: tuple[float, float]
    """Ends of the axis, the same for every pair."""
    rows: tuple[ForestRow, ...]
    """From top to bottom."""


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


Plot = ForestPlot | DotPlot
