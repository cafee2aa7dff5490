"""Means against what they cost, logarithmic; strategies are named in a strip above the plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from evalsuite.report.figures.canvas import INK, MODEL_MARKERS, MUTED, PAPER, RULE, WIDTH_IN, new_canvas, short, text_width
from evalsuite.report.figures.curves import DASHES
from evalsuite.report.figures.marks import draw_legend, legend_columns, legend_height, legend_names
from evalsuite.report.plots.answers import CostPlot, CostPoint

PLOT_IN, LINE_IN = 2.5, 0.17
LEFT_IN, RIGHT_IN = 0.58, 0.22
WIDE_IN = WIDTH_IN - LEFT_IN - RIGHT_IN


def costs(plot: CostPlot) -> Canvas:
    """Draw means against costs."""
    ends = _ends([point.cost for point in plot.points])
    by_strategy: dict[str, list[CostPoint]] = {}
    for point in plot.points:
        by_strategy.setdefault(_named(point), []).append(point)
    laddered = any(point.rung for point in plot.points)
    names = _places({name: _middle([point.cost for point in own]) for name, own in by_strategy.items()}, ends)
    entries = _entries(plot)
    top = 0.14 + LINE_IN * (1 + max(line for _, line in names.values()))
    n_columns = legend_columns(entries)
    bottom = 0.46 + legend_height(len(entries), n_columns)
    canvas, axes = new_canvas(height=top + PLOT_IN + bottom, left=LEFT_IN, top=top, bottom=bottom, right=RIGHT_IN)
    _scale(axes, plot, ends)
    for name, own in by_strategy.items():
        ordered = sorted(own, key=lambda point: point.mean)
        middle, line = names[name]
        foot = (1 + (0.05 + LINE_IN * line) / PLOT_IN) * (plot.y_limits[1] - plot.y_limits[0]) + plot.y_limits[0]
        if not laddered:
            axes.plot([point.cost for point in ordered], [point.mean for point in ordered], color=RULE, linewidth=1, zorder=1)
        join = [(ordered[-1].cost, ordered[-1].mean), (_middle([point.cost for point in own]), foot)]
        axes.plot(*zip(*join, strict=True), color=RULE, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0, clip_on=False)
        y = 1 + (0.05 + LINE_IN * (line + 0.5)) / PLOT_IN
        # Rungs share their number of calls, so that lines run behind names.
        ground: dict[str, Any] = {"bbox": {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}} if laddered else {}
        axes.text(middle, y, short(name), transform=axes.transAxes, ha="center", va="center", fontsize=8, color=INK, **ground)
    _paths(axes, plot.points)
    taken: set[tuple[float, float]] = set()
    for point in plot.points:
        # Of points that coincide (a checkpoint under two names) the later one is smaller, so that both shapes are seen.
        twin = (point.cost, point.mean) in taken
        taken.add((point.cost, point.mean))
        mark: dict[str, Any] = {"marker": MODEL_MARKERS[point.marker], "markersize": 3.4 if twin else 6.5, "markeredgewidth": 0.6}
        axes.plot([point.cost], [point.mean], color=point.color, markeredgecolor=PAPER if twin else point.color, zorder=3, **mark)
    draw_legend(canvas, entries, n_columns)
    return canvas


def _named(point: CostPoint) -> str:
    return f"{point.rung} {point.strategy}" if point.rung else point.strategy


def _paths(axes: Axes, points: Sequence[CostPoint]) -> None:
    """Join the points of each model from rung to rung, and number them; nothing where there are no rungs."""
    own: dict[str, list[CostPoint]] = {}
    for point in points:
        if point.rung:
            own.setdefault(point.model, []).append(point)
    for path in own.values():
        path.sort(key=lambda point: point.rung)
        style: dict[str, Any] = {"color": path[0].color, "linestyle": DASHES[path[0].marker % len(DASHES)], "linewidth": 0.9, "alpha": 0.7}
        axes.plot([point.cost for point in path], [point.mean for point in path], zorder=1, **style)
        for point in path:
            place = (point.cost, point.mean)
            axes.annotate(str(point.rung), place, xytext=(5, 2.5), textcoords="offset points", fontsize=7, color=MUTED, zorder=4)


def _middle(values: Sequence[float]) -> float:
    """Geometric mean: the middle on a logarithmic axis."""
    return math.exp(sum(math.log(value) for value in values) / len(values))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    spare = max((max(values) / min(values)) ** 0.1, 1.08)
    return min(values) / spare, max(values) * spare


def _places(middles: dict[str, float], ends: tuple[float, float]) -> dict[str, tuple[float, int]]:
    """Strategy to where its name stands: share of the width, and the line above the plot; names on one line do not touch."""
    taken: list[float] = []
    places = {}
    for name, middle in sorted(middles.items(), key=lambda item: (item[1], item[0])):
        width = (text_width([short(name)], size=8) + 0.12) / WIDE_IN
        x = math.log(middle / ends[0]) / math.log(ends[1] / ends[0])
        x = min(max(x, width / 2), 1 - width / 2)
        line = next((at for at, end in enumerate(taken) if end <= x - width / 2), len(taken))
        taken[line : line + 1] = [x + width / 2]
        places[name] = (x, line)
    return places


def _scale(axes: Axes, plot: CostPlot, ends: tuple[float, float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.set_ylim(*plot.y_limits)
    steps = [base * 10.0**power for power in range(-3, 9) for base in (1, 2, 5)]
    inside = [step for step in steps if ends[0] <= step <= ends[1]]
    # Over many decades the powers of ten suffice; within one step only the ends can be named.
    inside = [step for step in inside if math.log10(step) % 1 == 0] if len(inside) > 8 else inside
    axes.xaxis.set_major_locator(FixedLocator(inside or [ends[0], ends[1]]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:.2g}"))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(axis="y", labelsize=8, labelcolor=MUTED, color=RULE, length=3, width=0.7)
    axes.spines["left"].set_visible(True)
    axes.set_xlabel(plot.x_axis)
    axes.set_ylabel(plot.y_axis)


def _entries(plot: CostPlot) -> list[Line2D]:
    seen = {point.model: point for point in plot.points}
    labels = legend_names(list(seen))
    return [
        Line2D([], [], color=point.color, marker=MODEL_MARKERS[point.marker], markersize=5, linestyle="none", label=labels[name])
        for name, point in seen.items()
    ]
