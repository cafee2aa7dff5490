"""Stacked bars: wins, ties and losses, told apart by filling as well as by colour."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch

from evalsuite.report.figures.canvas import BAND, INK, MUTED, PAPER, RULE, label_width, new_canvas, row_label, short
from evalsuite.report.figures.marks import draw_legend, legend_height
from evalsuite.report.plots.differences import SharePlot, ShareRow

STRIPES = "/////"
NARROWEST = 9.0
"""Percent from which on a part carries its number."""

PITCH_IN, BAR_IN, APART_IN = 0.46, 0.27, 0.14


def share_bars(plot: SharePlot) -> Canvas:
    """Draw wins, ties and losses."""
    n_totals = sum(row.total for row in plot.rows)
    height = PITCH_IN * len(plot.rows) + APART_IN * n_totals
    left = label_width([short(text) for row in plot.rows for text in (row.label, row.second)])
    bottom = 0.5 + legend_height(3)
    canvas, axes = new_canvas(height=0.08 + height + bottom, left=left, top=0.08, bottom=bottom, right=0.22)
    axes.set_xlim(0, 100)
    axes.set_ylim(height, 0)
    at = 0.0
    for row in plot.rows:
        at += APART_IN if row.total else 0.0
        middle = at + PITCH_IN / 2
        lines = [text for text in (row.label, row.second) if text]
        for line, text in enumerate(lines):
            y = middle + 0.165 * (line - (len(lines) - 1) / 2)
            row_label(axes, y, short(text), left=left, color=MUTED if line else INK, size=8 if line else 9, right=0.22)
        _bar(axes, middle, row)
        at += PITCH_IN
    axes.set_xlabel(plot.axis)
    draw_legend(
        canvas,
        [
            Patch(facecolor=MUTED, edgecolor=MUTED, label="win"),
            Patch(facecolor=BAND, edgecolor=RULE, label="tie"),
            Patch(facecolor=MUTED, edgecolor=PAPER, hatch=STRIPES, label="loss"),
        ],
    )
    return canvas


def _bar(axes: Axes, at: float, row: ShareRow) -> None:
    parts = ((row.win, row.color_win, PAPER, ""), (row.tie, BAND, PAPER, ""), (row.loss, row.color_loss, PAPER, STRIPES))
    start = 0.0
    for size, color, edge, hatch in parts:
        if size > 0:
            axes.barh([at], [size], left=[start], height=BAR_IN, color=color, edgecolor=edge, linewidth=0.8, hatch=hatch, zorder=2)
        if size >= NARROWEST:
            # On paper of its own, since the bars have every colour and stripes.
            box = {"boxstyle": "round,pad=0.18", "facecolor": PAPER, "edgecolor": "none"}
            axes.text(start + size / 2, at, f"{size:.0f}", ha="center", va="center", fontsize=7.5, color=INK, bbox=box, zorder=3)
        start += size
