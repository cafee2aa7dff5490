"""Panels: two means per pair on the left, their difference on the right, one block of rows per panel."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch, Rectangle

from evalsuite.report.figures.canvas import BAND, INK, MODEL_MARKERS, MUTED, RULE, WIDTH_IN, label_width, new_axes, row_label, short
from evalsuite.report.figures.marks import draw_absence, draw_interval, draw_legend, legend_height, mark_style, verdict_entries
from evalsuite.report.plots.means import PanelPlot, PanelRow

HEADING_IN, ROW_IN, APART_IN = 0.28, 0.42, 0.14


def panels(plot: PanelPlot) -> Canvas:
    """Draw panels."""
    rows = [row for _, own in plot.panels for row in own]
    left = min(label_width([short(name) for row in rows for name in (row.model_a, f"− {row.model_b}")]), 1.75)
    height = sum(HEADING_IN + ROW_IN * len(own) for _, own in plot.panels) + APART_IN * (len(plot.panels) - 1)
    drawn = {(row.verdict, row.color) for row in rows if row.difference is not None}
    entries = [*verdict_entries(drawn, plot.names), Patch(color=BAND, label=f"margin ±{plot.margin:g}")]
    top, bottom = 0.08, 0.5 + legend_height(len(entries))
    canvas = Canvas(figsize=(WIDTH_IN, top + height + bottom))
    half = (WIDTH_IN - left - 0.16 - 0.22) / 2
    edge = WIDTH_IN - left - half
    means = new_axes(canvas, left=left, right=edge, top=top, bottom=bottom)
    differences = new_axes(canvas, left=left + half + 0.22, right=0.16, top=top, bottom=bottom)
    for axes, ends, label in ((means, plot.limits, plot.axis), (differences, plot.difference_limits, plot.difference_axis)):
        axes.set_xlim(*ends)
        axes.set_ylim(height, 0)
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlabel(label)
    y = 0.0
    for heading, own in plot.panels:
        row_label(means, y + HEADING_IN / 2, heading, left=left, color=INK, right=edge)
        differences.add_patch(_band(plot.margin, y + HEADING_IN, ROW_IN * len(own)))
        differences.plot([0, 0], [y + HEADING_IN, y + HEADING_IN + ROW_IN * len(own)], color=MUTED, linewidth=0.8, zorder=1)
        y += HEADING_IN
        for row in own:
            middle = y + ROW_IN / 2
            row_label(means, middle - 0.083, short(row.model_a), left=left, color=INK, size=8, right=edge)
            row_label(means, middle + 0.083, short(f"− {row.model_b}"), left=left, color=MUTED, size=8, right=edge)
            _means(means, middle, row, plot)
            _difference(differences, middle, row)
            y += ROW_IN
        y += APART_IN
    draw_legend(canvas, entries)
    return canvas


def _band(margin: float, top: float, height: float) -> Patch:
    return Rectangle((-margin, top), 2 * margin, height, facecolor=BAND, linewidth=0, zorder=0)


def _means(axes: Axes, at: float, row: PanelRow, plot: PanelPlot) -> None:
    axes.plot(plot.limits, [at, at], color=BAND, linewidth=0.7, zorder=0)
    if row.mean_a is not None and row.mean_b is not None:
        axes.plot([row.mean_a, row.mean_b], [at, at], color=RULE, linewidth=2.2, solid_capstyle="round", zorder=1)
    # The first stands on top where both are alike, smaller, so that the second still shows.
    for mean, color, marker, size in ((row.mean_b, row.color_b, row.marker_b, 7.0), (row.mean_a, row.color_a, row.marker_a, 5.0)):
        if mean is not None:
            axes.plot([mean], [at], marker=MODEL_MARKERS[marker], color=color, markersize=size, linestyle="none", zorder=3)


def _difference(axes: Axes, at: float, row: PanelRow) -> None:
    if row.difference is None:
        draw_absence(axes, at, "not established", size=7.5)
        return
    draw_interval(axes, at, row.low, row.high, row.color)
    axes.plot([row.difference], [at], **mark_style(row.verdict, row.color, size=6.5), zorder=3)
