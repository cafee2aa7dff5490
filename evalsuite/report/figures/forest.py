"""Forest plot: differences with intervals and the margin, diamonds for what several rows come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon

from evalsuite.report.figures.canvas import (
    BAND,
    INK,
    MUTED,
    PAPER,
    RIGHT_IN,
    RULE,
    WIDTH_IN,
    label_width,
    new_canvas,
    short,
    text_width,
)
from evalsuite.report.figures.marks import draw_absence, draw_interval, draw_legend, legend_height, mark_style, verdict_entries
from evalsuite.report.plots.differences import ForestPlot, ForestRow

MANY_ROWS = 12
"""From more rows on, numbers stand to the right of the plot and rows are a line high."""

NARROWEST = 0.02
"""Part of the axis below which a diamond would be a line; a marker stands for it."""

HEADING_IN, GAP_IN = 0.27, 0.1


def forest(plot: ForestPlot) -> Canvas:
    """Draw a forest plot."""
    layout = _layout_of(plot)
    name_left, name_right = short(plot.left), short(plot.right)
    # Two long names would run into each other above the axis; then the second stands a line higher.
    stacked = len(name_left) + len(name_right) > (26 if layout.compact else 36)
    entries = _legend_entries(plot)
    top, bottom = 0.5 if stacked else 0.34, 0.5 + legend_height(len(entries))
    canvas, axes = new_canvas(height=top + bottom + layout.height, left=layout.left, top=top, bottom=bottom, right=layout.right)
    axes.set_xlim(*plot.limits)
    axes.set_ylim(layout.height, 0)
    if layout.compact:
        axes.locator_params(axis="x", nbins=5)
    if plot.margin is not None:
        axes.axvspan(-plot.margin, plot.margin, color=BAND, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    for at, row in zip(layout.centres, plot.rows, strict=True):
        _row_text(axes, at, row, layout)
        if row.kind != "heading":
            _row_mark(axes, at, row, dict(plot.names)["not_established"])
    ends = [-(layout.left - 0.06) / layout.width, 1 + (layout.right - 0.06) / layout.width if layout.compact else 1]
    across = axes.get_yaxis_transform()
    for at in layout.rules:
        axes.plot(ends, [at, at], transform=across, color=RULE, linewidth=0.7, clip_on=False)
    axes.set_xlabel(plot.axis)
    for (x, align), text, color, line in (
        ((0.0, "left"), f"← {name_left}", plot.color_left, 0),
        ((1.0, "right"), f"{name_right} →", plot.color_right, stacked),
    ):
        y = 1 + (0.09 + 0.16 * line) / layout.height
        axes.text(x, y, text, transform=axes.transAxes, ha=align, va="bottom", color=color, fontsize=8)
    draw_legend(canvas, entries)
    return canvas


def _layout_of(plot: ForestPlot) -> _Layout:
    singles = [row for row in plot.rows if row.kind != "heading"]
    compact = len(singles) > MANY_ROWS
    shift = 0.12 if any(row.kind == "heading" for row in plot.rows) else 0.0
    texts = [text for row in singles for text in (short(row.label), short(row.second), "" if compact else row.detail)]
    right = text_width([row.detail for row in plot.rows], size=7.5) + 0.16 if compact else RIGHT_IN
    centres, rules, y = [], [], 0.0
    for above, row in zip((None, *plot.rows), plot.rows, strict=False):
        n_lines = 1 + bool(row.second) + (bool(row.detail) and not compact)
        height = HEADING_IN if row.kind == "heading" else 0.1 + 0.16 * n_lines + (0.02 if compact else 0.05)
        if above is not None and row.kind in ("heading", "total"):
            y += GAP_IN
            rules += [y - GAP_IN / 4] if row.kind == "total" else []
        centres.append(y + height / 2)
        y += height
    left = label_width(texts) + shift
    return _Layout(compact=compact, left=left, right=right, shift=shift, height=y, centres=tuple(centres), rules=tuple(rules))


def _row_text(axes: Axes, at: float, row: ForestRow, layout: _Layout) -> None:
    bold = row.kind in ("heading", "total")
    # Nothing is drawn beside a heading, so that it may run on.
    lines = [(short(row.label, 52 if row.kind == "heading" else 26), INK, 9.0)]
    lines += [(short(row.second), MUTED, 8.0)] if row.second else []
    lines += [(row.detail, MUTED, 7.5)] if row.detail and not layout.compact else []
    left = layout.left - (0.0 if row.kind in ("heading", "total") else layout.shift)
    for line, (text, color, size) in enumerate(lines):
        y = at + 0.165 * (line - (len(lines) - 1) / 2)
        axes.text(
            -(left - 0.06) / layout.width,
            y,
            text,
            transform=axes.get_yaxis_transform(),
            ha="left",
            va="center",
            color=color,
            fontsize=size,
            fontweight="bold" if bold and line == 0 else "normal",
            clip_on=False,
        )
    if layout.compact and row.detail:
        axes.text(
            1 + (layout.right - 0.06) / layout.width,
            at,
            row.detail,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            color=MUTED,
            fontsize=7.5,
            clip_on=False,
        )


def _row_mark(axes: Axes, at: float, row: ForestRow, unknown: str) -> None:
    if row.difference is None:
        draw_absence(axes, at, unknown)
        return
    if row.kind == "single" or row.low is None or row.high is None:
        draw_interval(axes, at, row.low, row.high, row.color)
        axes.plot([row.difference], [at], **mark_style(row.verdict, row.color), zorder=3)
        return
    left, right = axes.get_xlim()
    if row.high - row.low < NARROWEST * (right - left):
        axes.plot([row.difference], [at], **{**mark_style(row.verdict, row.color, size=5.5), "marker": "D"}, zorder=3)
        return
    half = 0.085 if row.kind == "total" else 0.06
    ends = [(row.low, at), (row.difference, at - half), (row.high, at), (row.difference, at + half)]
    hollow = row.verdict in ("inconclusive", "not_established")
    axes.add_patch(Polygon(ends, closed=True, facecolor=PAPER if hollow else row.color, edgecolor=row.color, linewidth=1.2, zorder=3))


def _legend_entries(plot: ForestPlot) -> list[Any]:
    drawn = [row for row in plot.rows if row.kind != "heading" and row.difference is not None]
    entries = verdict_entries({(row.verdict, row.color) for row in drawn if row.kind == "single"}, plot.names)
    if any(row.kind in ("subtotal", "total") for row in drawn):
        style: dict[str, Any] = {"marker": "D", "markersize": 5.5, "markeredgecolor": MUTED, "linestyle": "none"}
        entries.append(Line2D([], [], label="several tasks (hollow: cannot tell)", markerfacecolor=PAPER, **style))
    if plot.margin is not None:
        entries.append(Patch(color=BAND, label=f"margin ±{plot.margin:g}"))
    return entries


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """Where everything stands, in inches."""

    compact: bool
    """True: numbers to the right of the plot, one line less per row."""
    left: float
    """From the edge to the axes."""
    right: float
    """From the axes to the other edge."""
    shift: float
    """By how much rows stand in from their headings."""
    height: float
    """Of the axes."""
    centres: tuple[float, ...]
    """Of each row, from the top of the axes."""
    rules: tuple[float, ...]
    """Of the lines above totals."""

    @property
    def width(self) -> float:
        """Of the axes."""
        return WIDTH_IN - self.left - self.right
