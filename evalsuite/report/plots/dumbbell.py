"""What figures about written answers show, as data: right, right as asked, and valid."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class DumbbellRow:
    """One model under one form, in shown units."""

    model: str
    """Model name."""
    color: str
    """Its colour, the same in every figure."""
    strict: float | None
    """Right and exactly as asked; None: nothing to draw."""
    lenient: float | None
    """Right, however it was written."""
    validity: float | None
    """Exactly as asked, right or wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DumbbellGroup:
    """One form that is asked for."""

    label: str
    """What it is called."""
    rows: tuple[DumbbellRow, ...]
    """One per model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DumbbellPlot:
    """Two shares of the same answers joined by a line, and a third one beside them."""

    axis: str
    """Label of the axis with its unit."""
    limits: tuple[float, float]
    """Ends of the axis."""
    groups: tuple[DumbbellGroup, ...]
    """From top to bottom."""
