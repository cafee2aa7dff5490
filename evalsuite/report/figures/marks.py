"""Markers of verdicts, told apart by shape and fill, and the legend that names those which occur."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from evalsuite.report.figures.canvas import INK, MUTED, PAPER, WIDTH_IN, short, text_width
from evalsuite.report.verdicts import Verdict

_MARKERS: dict[Verdict, str] = {"a_better": ">", "b_better": "<", "equivalent": "s", "inconclusive": "o", "not_established": "x"}

LEGEND_COLUMNS = 3
LEGEND_LINE_IN = 0.19
LEGEND_MARK_IN = 0.42


def mark_style(verdict: Verdict, color: str, *, size: float = 7) -> dict[str, Any]:
    """How a verdict is drawn; what is not established or cannot be told is hollow and a little smaller."""
    filled = verdict not in ("inconclusive", "not_established")
    return {
        "marker": _MARKERS[verdict],
        "color": color,
        "markersize": size if filled else size - 0.5,
        "markerfacecolor": color if filled else PAPER,
        "markeredgecolor": color,
        "markeredgewidth": 1.3,
        "linestyle": "none",
    }


def draw_interval(axes: Axes, at: float, low: float | None, high: float | None, color: str) -> None:
    """A horizontal interval; nothing where an end is missing."""
    if low is not None and high is not None:
        axes.plot([low, high], [at, at], color=color, linewidth=1.4, solid_capstyle="butt", zorder=2)


def draw_absence(axes: Axes, at: float, text: str, *, size: float = 8) -> None:
    """Say in the middle of a row why there is nothing to draw, on the paper's own ground so that no line runs through it."""
    ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "center", "va": "center"}
    axes.text(0.5, at, text, color=MUTED, fontsize=size, style="italic", bbox=ground, **place)


def verdict_entries(drawn: Collection[tuple[Verdict, str]], names: Sequence[tuple[Verdict, str]]) -> list[Any]:
    """Legend entries of the verdicts that occur, in the order of `names`.

    Args:
        drawn: (verdict, colour) of every marker; one that has several colours is shown in none of them.
        names: what each marker means.
    """
    entries = []
    for verdict, name in names:
        colors = {color for found, color in drawn if found == verdict}
        if colors:
            color = colors.pop() if len(colors) == 1 else INK
            entries.append(Line2D([], [], label=name, **mark_style(verdict, color)))
    return entries


def legend_names(names: Sequence[str]) -> dict[str, str]:
    """Names as a legend has them: short, or whole where short ones could not be told apart."""
    cut = [short(name) for name in names]
    return {name: name if cut.count(text) > 1 else text for name, text in zip(names, cut, strict=True)}


def legend_columns(entries: Sequence[Any]) -> int:
    """Columns beside each other that the labels of a legend leave room for."""
    widest = text_width([str(entry.get_label()) for entry in entries], size=7.5) + LEGEND_MARK_IN
    return max(1, min(LEGEND_COLUMNS, int((WIDTH_IN - 0.1) / widest)))


def legend_height(n_entries: int, n_columns: int = LEGEND_COLUMNS) -> float:
    """Inches that a legend of so many entries needs at the foot of a figure."""
    return LEGEND_LINE_IN * math.ceil(n_entries / n_columns)


def draw_legend(canvas: Canvas, entries: Sequence[Any], n_columns: int = LEGEND_COLUMNS) -> None:
    """The legend at the foot of a figure."""
    if entries:
        canvas.legend(
            handles=list(entries),
            loc="lower center",
            ncols=n_columns,
            frameon=False,
            fontsize=7.5,
            handletextpad=0.4,
            columnspacing=1.4,
            borderaxespad=0.1,
            labelcolor=MUTED,
        )
