"""What heat maps show, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatCell:
    """One change, or the mark of a reason why there is none."""

    value: float | None
    """Change in shown units, whose sign decides the colour and whose size the depth; None: there is no number."""
    text: str
    """The change with its sign or, without a number, the mark under which the caption gives the reason."""
    clear: bool = False
    """True where the interval of the change holds no 0; drawn bold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatGroup:
    """Rows or columns that belong together."""

    label: str
    """Heading; empty: none."""
    names: tuple[str, ...]
    """What each of them is, in reading order; at least one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatPlot:
    """Changes as numbers on colour, rows and columns in groups; columns that do not fit beside each other go on below."""

    rows: tuple[HeatGroup, ...]
    """From top to bottom."""
    columns: tuple[HeatGroup, ...]
    """From left to right."""
    cells: tuple[tuple[HeatCell | None, ...], ...]
    """Per row of all groups in their order, one entry per column of all groups likewise; None: there is nothing to say."""
    largest: float
    """Size of a change that is drawn deepest, the same for figures that are read beside each other; above 0."""
    gain: str
    """What a positive cell means."""
    loss: str
    """What a negative cell means."""
