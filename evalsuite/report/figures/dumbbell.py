"""Dumbbells: strict and lenient accuracy joined by a line, validity as a bar across the row; one block of rows per form."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from evalsuite.report.figures.canvas import BAND, INK, MUTED, PAPER, label_width, new_canvas, row_label, short
from evalsuite.report.figures.marks import draw_absence, draw_legend, legend_height
from evalsuite.report.plots.dumbbell import DumbbellPlot, DumbbellRow

HEADING_IN, ROW_IN, APART_IN = 0.25, 0.225, 0.08


def dumbbell(plot: DumbbellPlot) -> Canvas:
    """Draw dumbbells."""
    rows = [row for group in plot.groups for row in group.rows]
    left = label_width([name for group in plot.groups for name in (short(group.label), *(short(row.model) for row in group.rows))])
    height = HEADING_IN * len(plot.groups) + ROW_IN * len(rows) + APART_IN * (len(plot.groups) - 1)
    entries = _legend(rows)
    top, bottom = 0.06, 0.5 + legend_height(len(entries))
    canvas, axes = new_canvas(height=top + height + bottom, left=left, top=top, bottom=bottom)
    axes.set_xlim(*plot.limits)
    axes.set_ylim(height, 0)
    y = 0.0
    for group in plot.groups:
        row_label(axes, y + HEADING_IN / 2, short(group.label), left=left, color=INK)
        y += HEADING_IN
        for row in group.rows:
            row_label(axes, y + ROW_IN / 2, short(row.model), left=left, color=MUTED, size=8)
            _row(axes, y + ROW_IN / 2, row, plot)
            y += ROW_IN
        y += APART_IN
    axes.set_xlabel(plot.axis)
    draw_legend(canvas, entries)
    return canvas


def _row(axes: Axes, at: float, row: DumbbellRow, plot: DumbbellPlot) -> None:
    axes.plot(plot.limits, [at, at], color=BAND, linewidth=0.7, zorder=0)
    if row.strict is None and row.lenient is None and row.validity is None:
        draw_absence(axes, at, "no value", size=7.5)
        return
    if row.strict is not None and row.lenient is not None:
        axes.plot([row.strict, row.lenient], [at, at], color=row.color, linewidth=2.2, solid_capstyle="round", zorder=2)
    if row.validity is not None:
        axes.plot([row.validity], [at], **_bar(row.color), zorder=1)
    # The hollow one is larger, so that a ring still shows around a filled one at the same place.
    if row.lenient is not None:
        axes.plot([row.lenient], [at], **_dot(row.color, filled=False), zorder=3)
    if row.strict is not None:
        axes.plot([row.strict], [at], **_dot(row.color, filled=True), zorder=4)


def _dot(color: str, *, filled: bool) -> dict[str, Any]:
    face = color if filled else PAPER
    style = {"marker": "o", "color": color, "markersize": 4.2 if filled else 7.0, "linestyle": "none"}
    return style | {"markerfacecolor": face, "markeredgecolor": color, "markeredgewidth": 1.3}


def _bar(color: str) -> dict[str, Any]:
    return {"marker": "|", "color": color, "markersize": 9.5, "markeredgewidth": 1.4, "linestyle": "none"}


def _legend(rows: list[DumbbellRow]) -> list[Any]:
    """What each mark is, in no model's colour, where it occurs."""
    entries = []
    if any(row.strict is not None for row in rows):
        entries.append(Line2D([], [], label="right, as asked", **_dot(MUTED, filled=True)))
    if any(row.lenient is not None for row in rows):
        entries.append(Line2D([], [], label="right, leniently read", **_dot(MUTED, filled=False)))
    if any(row.validity is not None for row in rows):
        entries.append(Line2D([], [], label="as asked, right or wrong", **_bar(MUTED)))
    return entries
