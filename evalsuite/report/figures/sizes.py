"""Means against the number of parameters, logarithmic; a key below the plot names the numbered points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from evalsuite.report.figures.canvas import INK, MUTED, PAPER, WIDTH_IN, new_canvas, short
from evalsuite.report.figures.marks import draw_legend, legend_height
from evalsuite.report.plots.means import SizePlot, SizePoint

PLOT_IN, KEY_LINE_IN = 2.5, 0.18
LEFT_IN, RIGHT_IN = 0.55, 0.2

ALIKE = 1.1
"""Sizes up to this ratio are drawn beside each other."""

STEP, WIDEST = 0.03, 0.3
"""Distance of such points, and most of all of them together, as parts of the axis."""

LINES: Mapping[bool, Literal["-", "--"]] = {True: "-", False: "--"}
"""Lines that join specialists, and those that join generalists."""


def sizes(plot: SizePlot) -> Canvas:
    """Draw means against sizes."""
    n_lines = math.ceil(len(plot.points) / 2)
    entries = _entries(plot)
    bottom = 0.55 + KEY_LINE_IN * n_lines + 0.1 + legend_height(len(entries))
    canvas, axes = new_canvas(height=0.12 + PLOT_IN + bottom, left=LEFT_IN, top=0.12, bottom=bottom, right=RIGHT_IN)
    _scale(axes, plot)
    xs = side_by_side([point.size for point in plot.points])
    for joined in plot.lines:
        means, style = [plot.points[at].mean for at in joined], LINES[plot.points[joined[0]].special]
        axes.plot([xs[at] for at in joined], means, color=MUTED, linewidth=1, linestyle=style, zorder=1)
    for number, (x, point) in enumerate(zip(xs, plot.points, strict=True), 1):
        if point.low is not None and point.high is not None:
            axes.plot([x, x], [point.low, point.high], color=point.color, linewidth=1.2, solid_capstyle="butt", zorder=2)
        axes.plot([x], [point.mean], **_mark(point), zorder=3)
        axes.annotate(str(number), (x, point.mean), xytext=(6, 3), textcoords="offset points", fontsize=8, color=INK)
        _key(axes, number, point, n_lines)
    draw_legend(canvas, entries)
    return canvas


def side_by_side(sizes: Sequence[float]) -> list[float]:
    """Where points stand: at their size, models of (almost) one size beside each other so that no interval hides another."""
    span = math.log(max(sizes) / min(sizes))
    order = sorted(range(len(sizes)), key=lambda at: (sizes[at], at))
    places, start = list(sizes), 0
    for end in range(1, len(order) + 1):
        if end < len(order) and sizes[order[end]] <= ALIKE * sizes[order[start]]:
            continue
        step = min(STEP, WIDEST / (end - start)) * span
        for k, at in enumerate(order[start:end]):
            places[at] = sizes[at] * math.exp(step * (k - (end - start - 1) / 2))
        start = end
    return places


def _key(axes: Axes, number: int, point: SizePoint, n_lines: int) -> None:
    """One entry of the key below the plot: number, marker, name, size."""
    column, line = divmod(number - 1, n_lines)
    width = WIDTH_IN - LEFT_IN - RIGHT_IN
    x = (column * (WIDTH_IN / 2 - 0.05) + 0.2 - LEFT_IN) / width
    y = -(0.6 + KEY_LINE_IN * line) / PLOT_IN
    style: dict[str, Any] = {"transform": axes.transAxes, "va": "center", "fontsize": 8, "clip_on": False}
    axes.text(x, y, str(number), color=INK, ha="right", **style)
    axes.plot([x + 0.11 / width], [y], transform=axes.transAxes, clip_on=False, **(_mark(point) | {"markersize": 5}))
    axes.text(x + 0.21 / width, y, f"{short(point.model)} ({_size(point.size)})", color=MUTED, ha="left", **style)


def _scale(axes: Axes, plot: SizePlot) -> None:
    low, high = min(point.size for point in plot.points), max(point.size for point in plot.points)
    axes.set_xscale("log")
    spare = max((high / low) ** 0.2, 1.2)
    axes.set_xlim(low / spare, high * spare)
    axes.set_ylim(*plot.limits)
    ticks = sorted({point.size for point in plot.points})
    kept = [size for at, size in enumerate(ticks) if at == 0 or size / ticks[at - 1] > (high / low) ** 0.06]
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _size(value)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.tick_params(axis="y", labelsize=8, labelcolor=MUTED, length=3, width=0.7)
    axes.spines["left"].set_visible(True)
    axes.set_xlabel("parameters (logarithmic)")
    axes.set_ylabel(plot.axis)


def _mark(point: SizePoint) -> dict[str, Any]:
    return {
        "marker": "s" if point.special else "o",
        "markersize": 6.5,
        "markerfacecolor": point.color if point.special else PAPER,
        "markeredgecolor": point.color,
        "markeredgewidth": 1.4,
        "linestyle": "none",
    }


def _entries(plot: SizePlot) -> list[Line2D]:
    """Specialists and generalists, with the line of those that are joined."""
    found = []
    for special, name in ((True, "specialist"), (False, "generalist")):
        if any(point.special == special for point in plot.points):
            joined = any(plot.points[line[0]].special == special for line in plot.lines)
            face = MUTED if special else PAPER
            mark: dict[str, Any] = {"marker": "s" if special else "o", "markersize": 6, "markerfacecolor": face, "markeredgecolor": MUTED}
            found.append(Line2D([], [], color=MUTED, linewidth=1, linestyle=LINES[special] if joined else "none", label=name, **mark))
    return found


def _size(value: float) -> str:
    """Parameters as people write them: 8B, 1.5B, 770M."""
    return f"{value:.3g}B" if value >= 1 else f"{value * 1000:.3g}M"
