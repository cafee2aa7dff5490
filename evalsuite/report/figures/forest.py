"""Forest plot: paired differences with intervals and the margin."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from evalsuite.report.figures.canvas import BAND, INK, MUTED, PAPER, label_width, new_canvas, row_label, short
from evalsuite.report.plots import ForestPlot, ForestRow, Verdict

_VERDICT_MARKS: dict[Verdict, tuple[str, str]] = {
    "a_better": (">", "better"),
    "b_better": ("<", "worse"),
    "equivalent": ("s", "same within margin"),
    "inconclusive": ("o", "cannot tell"),
    "not_established": ("x", "not established"),
}


def forest(plot: ForestPlot) -> Canvas:
    """Draw a forest plot."""
    name_a, name_b = short(plot.model_a), short(plot.model_b)
    # Two long names would run into each other above the axis; then the second stands a line higher.
    stacked = len(name_a) + len(name_b) > 36
    rows, pitch, top, bottom = len(plot.rows), 0.46, 0.5 if stacked else 0.34, 0.86
    labels = [short(row.label) for row in plot.rows]
    left = label_width([*labels, *(row.detail for row in plot.rows)])
    canvas, axes = new_canvas(height=top + bottom + pitch * rows, left=left, top=top, bottom=bottom)
    axes.set_xlim(*plot.limits)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axvspan(-plot.margin, plot.margin, color=BAND, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    for at, (row, label) in enumerate(zip(plot.rows, labels, strict=True)):
        row_label(axes, at - 0.17, label, left=left, color=INK)
        row_label(axes, at + 0.20, row.detail, left=left, color=MUTED, size=7.5)
        _forest_mark(axes, at, row, plot)
    axes.set_xlabel(plot.axis)
    for (x, align), name, color, line in (
        ((0.0, "left"), f"← {name_b}", plot.color_b, 0),
        ((1.0, "right"), f"{name_a} →", plot.color_a, stacked),
    ):
        y = 1 + (0.09 + 0.16 * line) / (pitch * rows)
        axes.text(x, y, name, transform=axes.transAxes, ha=align, va="bottom", color=color, fontsize=8)
    _legend(canvas, plot)
    return canvas


def _forest_mark(axes: Axes, at: int, row: ForestRow, plot: ForestPlot) -> None:
    if row.difference is None:
        axes.text(
            0.5,
            at,
            "not established",
            transform=axes.get_yaxis_transform(),
            ha="center",
            va="center",
            color=MUTED,
            fontsize=8,
            style="italic",
        )
        return
    color = _verdict_color(row.verdict, plot)
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [at, at], color=color, linewidth=1.4, solid_capstyle="butt", zorder=2)
    axes.plot([row.difference], [at], **_verdict_style(row.verdict, color), zorder=3)


def _verdict_color(verdict: Verdict, plot: ForestPlot) -> str:
    return {"a_better": plot.color_a, "b_better": plot.color_b, "equivalent": INK}.get(verdict, MUTED)


def _verdict_style(verdict: Verdict, color: str) -> dict[str, Any]:
    filled = verdict not in ("inconclusive", "not_established")
    return {
        "marker": _VERDICT_MARKS[verdict][0],
        "color": color,
        "markersize": 7 if filled else 6.5,
        "markerfacecolor": color if filled else PAPER,
        "markeredgecolor": color,
        "markeredgewidth": 1.3,
        "linestyle": "none",
    }


def _legend(canvas: Canvas, plot: ForestPlot) -> None:
    present = [verdict for verdict in _VERDICT_MARKS if any(row.verdict == verdict and row.difference is not None for row in plot.rows)]
    entries: list[Any] = [Line2D([], [], label=_VERDICT_MARKS[v][1], **_verdict_style(v, _verdict_color(v, plot))) for v in present]
    entries.append(Patch(color=BAND, label=f"margin ±{plot.margin:g}"))
    canvas.legend(
        handles=entries,
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=7.5,
        handletextpad=0.4,
        columnspacing=1.4,
        borderaxespad=0.1,
        labelcolor=MUTED,
    )
