"""Dot plot: means with intervals, one block of rows per task."""

from __future__ import annotations

from matplotlib.figure import Figure as Canvas

from evalsuite.report.figures.canvas import BAND, INK, MODEL_MARKERS, MUTED, label_width, new_canvas, row_label, short
from evalsuite.report.plots.means import DotPlot


def dots(plot: DotPlot) -> Canvas:
    """Draw a dot plot."""
    pitch, top, bottom = 0.235, 0.08, 0.5
    rows = sum(len(panel.rows) + 1 for panel in plot.panels) + 0.45 * (len(plot.panels) - 1)
    left = label_width([name for panel in plot.panels for name in (short(panel.label), *(short(row.model) for row in panel.rows))])
    canvas, axes = new_canvas(height=top + bottom + pitch * rows, left=left, top=top, bottom=bottom)
    axes.set_xlim(*plot.limits)
    axes.set_ylim(rows - 0.5, -0.5)
    at, chance = 0.0, None
    for panel in plot.panels:
        row_label(axes, at, short(panel.label), left=left, color=INK)
        first, last = at + 0.5, at + len(panel.rows) + 0.5
        if panel.chance is not None:
            axes.plot([panel.chance] * 2, [first, last], color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
            # Named where it appears or moves, not again on every task.
            if panel.chance != chance:
                axes.text(panel.chance, at, "chance", ha="center", va="center", color=MUTED, fontsize=7)
        chance = panel.chance
        for row in panel.rows:
            at += 1
            row_label(axes, at, short(row.model), left=left, color=MUTED, size=8)
            axes.plot(plot.limits, [at, at], color=BAND, linewidth=0.7, zorder=0)
            if row.mean is None:
                axes.text(plot.limits[1], at, "no value", ha="right", va="center", color=MUTED, fontsize=7.5, style="italic")
                continue
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [at, at], color=row.color, linewidth=1.4, solid_capstyle="butt", zorder=2)
            axes.plot([row.mean], [at], marker=MODEL_MARKERS[row.marker], color=row.color, markersize=5.5, linestyle="none", zorder=3)
        at += 1.45
    axes.set_xlabel(plot.axis)
    return canvas
