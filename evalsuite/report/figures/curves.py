"""Small multiples: reliability diagrams and selective accuracy, one panel per task."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from evalsuite.report.figures.canvas import INK, MODEL_MARKERS, MUTED, RULE, WIDTH_IN, short, text_width
from evalsuite.report.figures.marks import draw_legend, legend_columns, legend_height, legend_names
from evalsuite.report.plots.answers import Curve, CurvePlot

LEFT_IN, RIGHT_IN, GAP_IN, TITLE_IN, FOOT_IN = 0.62, 0.18, 0.3, 0.26, 0.5
MOST_HEIGHT_IN = 2.3
MANY_CURVES = 4
"""Curves up to which a panel may be a third of the figure wide."""

MANY_POINTS = 12
"""Points from which on a curve is drawn as a line with few markers."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 2)), (0, (8, 3)))
"""Styles of lines by the number of the marker, so that lines are told apart without colour."""


def curves(plot: CurvePlot) -> Canvas:
    """Draw small multiples."""
    # Many curves need wider panels.
    most = 3 if max(len(panel.curves) for panel in plot.panels) <= MANY_CURVES else 2
    n_columns = min({1: 1, 2: 2, 4: 2}.get(len(plot.panels), 3), most)
    n_rows = math.ceil(len(plot.panels) / n_columns)
    wide = (WIDTH_IN - LEFT_IN - RIGHT_IN - GAP_IN * (n_columns - 1)) / n_columns
    tall = min(wide, MOST_HEIGHT_IN)
    wide = min(wide, MOST_HEIGHT_IN * 1.25)
    entries = _entries(plot)
    legend = legend_columns(entries)
    bottom = FOOT_IN + legend_height(len(entries), legend)
    height = n_rows * (TITLE_IN + tall) + (n_rows - 1) * GAP_IN / 3 + bottom
    canvas = Canvas(figsize=(WIDTH_IN, height))
    for at, panel in enumerate(plot.panels):
        row, column = divmod(at, n_columns)
        x = LEFT_IN + column * (wide + GAP_IN)
        y = height - (row + 1) * (TITLE_IN + tall) - row * GAP_IN / 3
        axes = canvas.add_axes((x / WIDTH_IN, y / height, wide / WIDTH_IN, tall / height))
        _frame(axes, plot, first=column == 0, last=at + n_columns >= len(plot.panels))
        axes.set_title(fitted(panel.label, wide, size=8), fontsize=8, color=INK, loc="left", pad=4)
        if plot.diagonal:
            ends = (max(plot.x_limits[0], plot.y_limits[0]), min(plot.x_limits[1], plot.y_limits[1]))
            axes.plot(ends, ends, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        for place, curve in enumerate(panel.curves):
            # Later markers are smaller, so that those of equal curves are both seen.
            _curve(axes, curve, size=max(4.6 - 0.6 * place, 3.0) if len(panel.curves) > 2 else (4.8, 3.2)[place])
    middle = LEFT_IN + (n_columns * (wide + GAP_IN) - GAP_IN) / 2
    canvas.text(middle / WIDTH_IN, (bottom - 0.3) / height, plot.x_axis, ha="center", va="top", fontsize=8, color=MUTED)
    text: dict[str, Any] = {"ha": "left", "va": "center", "rotation": 90, "fontsize": 8, "color": MUTED}
    canvas.text(0.06 / WIDTH_IN, (bottom + height) / 2 / height, plot.y_axis, **text)
    draw_legend(canvas, entries, legend)
    return canvas


def fitted(name: str, width: float, *, size: float) -> str:
    """A name cut in its middle until it fits so many inches at a size in points."""
    text, kept = short(name), len(name) - 1
    while kept > 6 and text_width([text], size=size) > width:
        text = f"{name[: math.ceil(kept / 2)]}…{name[-(kept // 2) :]}"
        kept -= 1
    return text


def _frame(axes: Axes, plot: CurvePlot, *, first: bool, last: bool) -> None:
    axes.set_xlim(*plot.x_limits)
    axes.set_ylim(*plot.y_limits)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(length=2.5, width=0.7, color=RULE, labelsize=7.5, labelcolor=MUTED, pad=2)
    axes.tick_params(labelleft=first, labelbottom=last)


def _curve(axes: Axes, curve: Curve, *, size: float) -> None:
    drawn = curve.points
    xs, ys = [point.x for point in drawn], [point.y for point in drawn]
    for point in drawn:
        if point.low is not None and point.high is not None:
            axes.plot([point.x] * 2, [point.low, point.high], color=curve.color, linewidth=0.9, alpha=0.75, zorder=2)
    many = len(drawn) >= MANY_POINTS
    axes.plot(
        xs,
        ys,
        color=curve.color,
        linewidth=1.3 if many else 0.9,
        linestyle=DASHES[curve.marker % len(DASHES)],
        marker=MODEL_MARKERS[curve.marker],
        markersize=size,
        markevery=(curve.marker % 4, 5) if many else None,
        clip_on=False,
        zorder=3,
    )


def _entries(plot: CurvePlot) -> list[Line2D]:
    """The models that occur, in the order in which they do, and the diagonal."""
    seen = {curve.model: curve for panel in plot.panels for curve in panel.curves}
    labels = legend_names(list(seen))
    entries = [
        Line2D(
            [],
            [],
            color=curve.color,
            linewidth=1.2,
            linestyle=DASHES[curve.marker % len(DASHES)],
            marker=MODEL_MARKERS[curve.marker],
            markersize=4,
            label=labels[name],
        )
        for name, curve in seen.items()
    ]
    if plot.diagonal:
        entries.append(Line2D([], [], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), label=plot.diagonal))
    return entries
