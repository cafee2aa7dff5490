"""A ladder of strategies: means on the left, what each adds within a model on the right; one line of marks per model and rung."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from evalsuite.report.figures.canvas import BAND, INK, MODEL_MARKERS, MUTED, PAPER, WIDTH_IN, label_width, new_axes, row_label, short
from evalsuite.report.figures.curves import DASHES
from evalsuite.report.figures.marks import draw_interval, draw_legend, legend_columns, legend_height, legend_names
from evalsuite.report.plots.ladder import LadderMark, LadderPlot

LINE_IN, APART_IN, LEAST_IN = 0.135, 0.16, 0.36
GAP_IN, EDGE_IN = 0.24, 0.16
LABEL_IN = 1.45
"""Most inches for the names of strategies."""


def ladder(plot: LadderPlot) -> Canvas:
    """Draw a ladder."""
    left = min(label_width([short(rung.label, 22) for rung in plot.rungs]), LABEL_IN)
    pitch = max(APART_IN + LINE_IN * max(len(rung.marks) for rung in plot.rungs), LEAST_IN)
    entries = _entries(plot)
    n_columns = legend_columns(entries)
    top, bottom = 0.08, 0.5 + legend_height(len(entries), n_columns)
    height = pitch * len(plot.rungs)
    canvas = Canvas(figsize=(WIDTH_IN, top + height + bottom))
    half = (WIDTH_IN - left - EDGE_IN - GAP_IN) / 2
    edge = WIDTH_IN - left - half
    means = new_axes(canvas, left=left, right=edge, top=top, bottom=bottom)
    differences = new_axes(canvas, left=left + half + GAP_IN, right=EDGE_IN, top=top, bottom=bottom)
    for axes, ends, label in ((means, plot.limits, plot.axis), (differences, plot.difference_limits, plot.difference_axis)):
        axes.set_xlim(*ends)
        axes.set_ylim(height, 0)
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlabel(label, fontsize=7.5)
    differences.plot([0, 0], [0, height], color=MUTED, linewidth=0.8, zorder=1)
    paths: dict[str, list[tuple[float, float, LadderMark]]] = {}
    for at, rung in enumerate(plot.rungs):
        middle = pitch * (at + 0.5)
        row_label(means, middle, short(rung.label, 22), left=left, color=INK, size=8, right=edge)
        if at:
            for axes, ends in ((means, plot.limits), (differences, plot.difference_limits)):
                axes.plot(ends, [pitch * at] * 2, color=BAND, linewidth=0.7, zorder=0)
        for place, mark in enumerate(rung.marks):
            y = middle + LINE_IN * (place - (len(rung.marks) - 1) / 2)
            if mark.mean is None:
                _absent(means, y)
            else:
                draw_interval(means, y, mark.low, mark.high, mark.color)
                means.plot([mark.mean], [y], **_style(mark, filled=True), zorder=3)
                paths.setdefault(mark.model, []).append((mark.mean, y, mark))
            if mark.difference is not None:
                draw_interval(differences, y, mark.difference_low, mark.difference_high, mark.color)
                differences.plot([mark.difference], [y], **_style(mark, filled=mark.clear), zorder=3)
            elif not rung.first:
                _absent(differences, y)
    for points in paths.values() if plot.joined else ():
        mark = points[0][2]
        style: Any = DASHES[mark.marker % len(DASHES)]
        means.plot(
            [x for x, _, _ in points], [y for _, y, _ in points], color=mark.color, linewidth=0.8, linestyle=style, alpha=0.7, zorder=1
        )
    draw_legend(canvas, entries, n_columns)
    return canvas


def _style(mark: LadderMark, *, filled: bool) -> dict[str, Any]:
    return {
        "marker": MODEL_MARKERS[mark.marker],
        "markersize": 4.8,
        "color": mark.color,
        "markerfacecolor": mark.color if filled else PAPER,
        "markeredgecolor": mark.color,
        "markeredgewidth": 1.1,
        "linestyle": "none",
    }


def _absent(axes: Axes, at: float) -> None:
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "center", "va": "center"}
    axes.text(0.5, at, "no number", color=MUTED, fontsize=6.5, style="italic", **place)


def _entries(plot: LadderPlot) -> list[Line2D]:
    """The models, and what filled and hollow marks of differences mean, where both occur or either does."""
    marks = plot.rungs[0].marks
    names = legend_names([mark.model for mark in marks])
    entries = [Line2D([], [], label=names[mark.model], **_style(mark, filled=True)) for mark in marks]
    drawn = {mark.clear for rung in plot.rungs for mark in rung.marks if mark.difference is not None}
    for clear, label in ((True, "interval excludes 0"), (False, "interval includes 0")):
        if clear in drawn:
            face = MUTED if clear else PAPER
            style: dict[str, Any] = {"marker": "o", "markersize": 4.8, "markerfacecolor": face, "markeredgecolor": MUTED}
            entries.append(Line2D([], [], color=MUTED, linestyle="none", label=label, **style))
    return entries
