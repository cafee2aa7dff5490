"""Stacked bars: parts of a whole, told apart by shades and hatching alone, since colours belong to models."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch

from evalsuite.report.figures.canvas import BAND, INK, MUTED, PAPER, label_width, new_canvas, row_label, short
from evalsuite.report.figures.marks import draw_legend, legend_height
from evalsuite.report.plots.answers import StackPlot, StackRow

FILLS = ((BAND, ""), (MUTED, ""), (PAPER, "//////"), (PAPER, "......"), (PAPER, "xxxxx"), (INK, ""))
"""Filling and hatching of each part by its place."""

NARROWEST = 9.0
"""Percent from which on a part carries its number; a bar of one part only needs none."""

HEADING_IN, ROW_IN, BAR_IN, APART_IN, RIGHT_IN = 0.26, 0.235, 0.16, 0.1, 0.22


def stacks(plot: StackPlot) -> Canvas:
    """Draw stacked bars."""
    headed = sum(bool(group.label) for group in plot.groups)
    rows = [row for group in plot.groups for row in group.rows]
    height = HEADING_IN * headed + ROW_IN * len(rows) + APART_IN * (len(plot.groups) - 1)
    left = label_width([short(row.label) for row in rows])
    present = [at for at in range(len(plot.parts)) if any(row.parts[at] > 0 for row in rows)]
    bottom = 0.5 + legend_height(len(present))
    canvas, axes = new_canvas(height=0.06 + height + bottom, left=left, top=0.06, bottom=bottom, right=RIGHT_IN)
    axes.set_xlim(0, 100)
    axes.set_ylim(height, 0)
    y = 0.0
    for group in plot.groups:
        if group.label:
            row_label(axes, y + HEADING_IN / 2, group.label, left=left, color=INK, size=8.5, right=RIGHT_IN)
            y += HEADING_IN
        for row in group.rows:
            row_label(axes, y + ROW_IN / 2, short(row.label), left=left, color=MUTED, size=8, right=RIGHT_IN)
            _bar(axes, y + ROW_IN / 2, row)
            y += ROW_IN
        y += APART_IN
    axes.set_xlabel(plot.axis)
    draw_legend(canvas, [_patch(at, label=plot.parts[at]) for at in present])
    return canvas


def _patch(at: int, *, label: str) -> Patch:
    face, hatch = FILLS[at]
    return Patch(facecolor=face, edgecolor=MUTED, linewidth=0.6, hatch=hatch, label=label)


def _bar(axes: Axes, at: float, row: StackRow) -> None:
    start = 0.0
    for (face, hatch), size in zip(FILLS, row.parts, strict=False):
        if size > 0:
            axes.barh([at], [size], left=[start], height=BAR_IN, facecolor=face, edgecolor=MUTED, linewidth=0.6, hatch=hatch, zorder=2)
        if NARROWEST <= size <= 100 - NARROWEST / 2:
            # On paper of its own, since a number on hatching cannot be read.
            box = {"boxstyle": "round,pad=0.12", "facecolor": PAPER, "edgecolor": "none"}
            axes.text(start + size / 2, at, f"{size:.0f}", ha="center", va="center", fontsize=6.5, color=INK, bbox=box, zorder=3)
        start += size
