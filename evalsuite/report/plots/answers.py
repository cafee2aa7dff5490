"""What figures about single models' answers show, as data: probabilities, costs, statuses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """One point of a curve, in shown units."""

    x: float
    """Place on the horizontal axis."""
    y: float
    """Place on the vertical axis."""
    low: float | None = None
    """Lower end of the interval of `y`; None: none is drawn."""
    high: float | None = None
    """Upper end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One model in one panel."""

    model: str
    """Model name."""
    color: str
    """Its colour, the same in every figure."""
    marker: int
    """Number of its marker shape, the same in every figure."""
    points: tuple[CurvePoint, ...]
    """From left to right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePanel:
    """One task."""

    label: str
    """Task name."""
    curves: tuple[Curve, ...]
    """One per model that has numbers; at least one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePlot:
    """Small multiples with the same axes: curves of several models, one panel per task."""

    x_axis: str
    """Label of the horizontal axis with its unit."""
    y_axis: str
    """Label of the vertical axis with its unit."""
    x_limits: tuple[float, float]
    """Ends of the horizontal axis."""
    y_limits: tuple[float, float]
    """Ends of the vertical axis."""
    diagonal: str
    """Name of the line on which both axes are equal; empty: it is not drawn."""
    panels: tuple[CurvePanel, ...]
    """In reading order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CostPoint:
    """One model under one strategy."""

    model: str
    """Model name."""
    strategy: str
    """Strategy id."""
    color: str
    """Colour of the model, the same in every figure."""
    marker: int
    """Number of the marker of the model, the same in every figure."""
    cost: float
    """What an answer took, above 0."""
    mean: float
    """Mean in shown units."""
    rung: int = 0
    """Place of the strategy on the ladder, from 1; 0: it is on none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CostPlot:
    """Means against what they cost, on a logarithmic axis; strategies are named above.

    Points of one strategy are joined or, where there are rungs, those of one model from rung to rung.
    """

    x_axis: str
    """Label of the axis of costs with its unit."""
    y_axis: str
    """Label of the axis of means with its unit."""
    y_limits: tuple[float, float]
    """Ends of the axis of means."""
    points: tuple[CostPoint, ...]
    """Strategy by strategy in the order of the study, models in theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StackRow:
    """One bar."""

    label: str
    """What it stands for."""
    parts: tuple[float, ...]
    """Percent of each part, in the order of `StackPlot.parts`; they add up to 100."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StackGroup:
    """Bars under one heading."""

    label: str
    """The heading; empty: none."""
    rows: tuple[StackRow, ...]
    """From top to bottom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StackPlot:
    """Stacked bars of the parts of a whole."""

    axis: str
    """Label of the axis with its unit."""
    parts: tuple[str, ...]
    """What each part is, from left to right, at most six; those that never occur are left out of the legend."""
    groups: tuple[StackGroup, ...]
    """From top to bottom."""
