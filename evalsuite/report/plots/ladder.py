"""What figures about strategies of one part more each show, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LadderMark:
    """One model on one rung, in shown units."""

    model: str
    """Model name."""
    color: str
    """Its colour, the same in every figure."""
    marker: int
    """Number of its marker shape, the same in every figure."""
    mean: float | None = None
    """Mean; None: nothing to draw."""
    low: float | None = None
    """Lower end of its interval."""
    high: float | None = None
    """Upper end."""
    difference: float | None = None
    """Paired difference to what the rung is set against; None: nothing to draw."""
    difference_low: float | None = None
    """Lower end of its interval."""
    difference_high: float | None = None
    """Upper end."""
    clear: bool = False
    """True where that interval holds no 0; drawn filled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LadderRung:
    """One strategy."""

    label: str
    """What it is called, its number before it where the rungs are in order."""
    marks: tuple[LadderMark, ...]
    """One per model, the same models in the same order on every rung."""
    first: bool = False
    """True where nothing is subtracted, so that an empty place is no missing number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LadderPlot:
    """Strategies from top to bottom: means on the left, paired differences within each model on the right."""

    axis: str
    """Label of the axis of means with its unit."""
    difference_axis: str
    """Label of the axis of differences with its unit."""
    limits: tuple[float, float]
    """Ends of the axis of means."""
    difference_limits: tuple[float, float]
    """Ends of the axis of differences."""
    rungs: tuple[LadderRung, ...]
    """From top to bottom."""
    joined: bool
    """Whether a line joins the means of each model, since the rungs are in order."""
