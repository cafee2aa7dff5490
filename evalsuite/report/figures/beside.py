"""Printed beside measured: a dot with its interval for what was measured, a diamond for what was printed."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from evalsuite.report.figures.canvas import BAND, INK, MODEL_COLORS, MUTED, PAPER, label_width, new_canvas, row_label, short
from evalsuite.report.figures.marks import draw_interval, draw_legend, legend_height
from evalsuite.report.plots.published import BesidePlot, BesideRow

ROW_IN, HEADING_IN = 0.23, 0.27
MEASURED, PRINTED = MODEL_COLORS[0], MODEL_COLORS[1]


def beside(plot: BesidePlot) -> Canvas:
    """Draw printed beside measured numbers."""
    rows = [row for _, own in plot.groups for row in own]
    left = label_width([short(row.label) for row in rows])
    height = sum(HEADING_IN + ROW_IN * len(own) for _, own in plot.groups)
    entries = _legend(plot, rows)
    top, bottom = 0.06, 0.5 + legend_height(len(entries))
    canvas, axes = new_canvas(height=top + height + bottom, left=left, top=top, bottom=bottom)
    axes.set_xlim(*plot.limits)
    axes.set_ylim(height, 0)
    y = 0.0
    for heading, own in plot.groups:
        row_label(axes, y + HEADING_IN * 0.62, heading, left=left, color=MUTED, size=8)
        y += HEADING_IN
        if plot.zero:
            # Headings are longer than the labels and would cross one line through all groups.
            axes.plot([0, 0], [y, y + ROW_IN * len(own)], color=MUTED, linewidth=0.8, zorder=1)
        for row in own:
            row_label(axes, y + ROW_IN / 2, short(row.label), left=left, color=INK, size=8.5)
            axes.plot(plot.limits, [y + ROW_IN / 2] * 2, color=BAND, linewidth=0.7, zorder=0)
            _marks(axes, y + ROW_IN / 2, row)
            y += ROW_IN
    axes.set_xlabel(plot.axis)
    draw_legend(canvas, entries)
    return canvas


def _marks(axes: Axes, at: float, row: BesideRow) -> None:
    draw_interval(axes, at, row.low, row.high, MEASURED)
    draw_interval(axes, at, row.printed_low, row.printed_high, PRINTED)
    if row.mean is not None:
        axes.plot([row.mean], [at], **_dot(), zorder=3)
    if row.printed is not None:
        axes.plot([row.printed], [at], **_diamond(row), zorder=4)


def _dot() -> dict[str, Any]:
    return {"marker": "o", "color": MEASURED, "markersize": 5.5, "linestyle": "none"}


def _diamond(row: BesideRow) -> dict[str, Any]:
    marker = {"marker": "X" if row.doubtful else "D", "color": PRINTED, "markersize": 4.4, "linestyle": "none"}
    return marker | {"markeredgecolor": PRINTED, "markerfacecolor": PRINTED if row.alike else PAPER, "markeredgewidth": 1.2}


def _legend(plot: BesidePlot, rows: list[BesideRow]) -> list[Any]:
    entries: list[Any] = []
    if any(row.mean is not None for row in rows):
        entries.append(Line2D([], [], label="measured here with interval", **_dot()))
    printed = [row for row in rows if row.printed is not None]
    kinds = {(row.doubtful, row.alike) for row in printed}
    names = {
        (False, True): "printed",
        (False, False): "printed, asked otherwise",
        (True, True): "printed, cannot have arisen",
        (True, False): "printed, cannot have arisen",
    }
    for kind in sorted(kinds):
        row = next(row for row in printed if (row.doubtful, row.alike) == kind)
        entries.append(Line2D([], [], label=names[kind], **_diamond(row)))
    if any(row.printed_low is not None for row in rows):
        entries.append(Line2D([], [], label=plot.interval, color=PRINTED, linewidth=1.4))
    return entries
