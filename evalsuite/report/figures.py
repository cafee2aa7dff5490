"""Figures: a plot (data) becomes SVG and PNG bytes, the same bytes for the same data.

Marks differ in shape and fill as well as in colour, colours are Okabe and Ito's (2008, Color Universal Design), and every row is
labelled where it stands, so that the figures hold in greyscale and for colour-blind readers. Text stays text in the SVG. Names of
models never reach Matplotlib's math parser.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from evalsuite.report.blocks import DotPlot, ForestPlot, ForestRow, Plot, Verdict

INK, MUTED, RULE, BAND, PAPER = "#1c1e21", "#62676e", "#c9cdd2", "#e4e8ec", "#ffffff"
"""Colours that are not a model's; `html` maps them to the page's own in light and dark."""

MODEL_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito without yellow and black, which vanish on white and on dark pages."""

MODEL_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")

WIDTH_IN = 4.8
"""Width of every figure in inches: text of 9 points stays legible in one column of a paper and on a phone."""

_DEFAULTS: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
"""Matplotlib's own, so that a matplotlibrc of this machine changes nothing."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evalsuite",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.linewidth": 0.7,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "text.color": INK,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "axes.labelsize": 8,
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
}

_VERDICT_MARKS: dict[Verdict, tuple[str, str]] = {
    "a_better": (">", "better"),
    "b_better": ("<", "worse"),
    "equivalent": ("s", "same within margin"),
    "inconclusive": ("o", "cannot tell"),
    "not_established": ("x", "not established"),
}


def model_style(models: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Colour and number of the marker of each model, by its place in the study; the same in every figure."""
    return {name: (MODEL_COLORS[at % len(MODEL_COLORS)], at % len(MODEL_MARKERS)) for at, name in enumerate(models)}


def draw(plot: Plot) -> tuple[bytes, bytes]:
    """Draw a plot.

    Returns:
        (SVG, PNG) bytes; equal for equal plots and the same version of Matplotlib.
    """
    with mpl.rc_context({**_DEFAULTS, **_STYLE}), warnings.catch_warnings():
        # A name in a script that the measuring font lacks is still drawn by whatever shows the SVG.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing")
        canvas = _forest(plot) if isinstance(plot, ForestPlot) else _dots(plot)
        svg, png = io.BytesIO(), io.BytesIO()
        canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        canvas.savefig(png, format="png", dpi=220, metadata={"Software": None})
    return svg.getvalue(), png.getvalue()


def _forest(plot: ForestPlot) -> Canvas:
    name_a, name_b = _short(plot.model_a), _short(plot.model_b)
    # Two long names would run into each other above the axis; then the second stands a line higher.
    stacked = len(name_a) + len(name_b) > 36
    rows, pitch, top, bottom = len(plot.rows), 0.46, 0.5 if stacked else 0.34, 0.86
    labels = [_short(row.label) for row in plot.rows]
    left = _label_width([*labels, *(row.detail for row in plot.rows)])
    canvas, axes = _canvas(height=top + bottom + pitch * rows, left=left, top=top, bottom=bottom)
    axes.set_xlim(*plot.limits)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axvspan(-plot.margin, plot.margin, color=BAND, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    for at, (row, label) in enumerate(zip(plot.rows, labels, strict=True)):
        _row_label(axes, at - 0.17, label, left=left, color=INK)
        _row_label(axes, at + 0.20, row.detail, left=left, color=MUTED, size=7.5)
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


def _dots(plot: DotPlot) -> Canvas:
    pitch, top, bottom = 0.235, 0.08, 0.5
    rows = sum(len(panel.rows) + 1 for panel in plot.panels) + 0.45 * (len(plot.panels) - 1)
    left = _label_width([name for panel in plot.panels for name in (_short(panel.label), *(_short(row.model) for row in panel.rows))])
    canvas, axes = _canvas(height=top + bottom + pitch * rows, left=left, top=top, bottom=bottom)
    axes.set_xlim(*plot.limits)
    axes.set_ylim(rows - 0.5, -0.5)
    at, chance = 0.0, None
    for panel in plot.panels:
        _row_label(axes, at, _short(panel.label), left=left, color=INK)
        first, last = at + 0.5, at + len(panel.rows) + 0.5
        if panel.chance is not None:
            axes.plot([panel.chance] * 2, [first, last], color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
            # Named where it appears or moves, not again on every task.
            if panel.chance != chance:
                axes.text(panel.chance, at, "chance", ha="center", va="center", color=MUTED, fontsize=7)
        chance = panel.chance
        for row in panel.rows:
            at += 1
            _row_label(axes, at, _short(row.model), left=left, color=MUTED, size=8)
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


def _canvas(*, height: float, left: float, top: float, bottom: float) -> tuple[Canvas, Axes]:
    """An empty figure (inches) with one pair of axes that shows its lower edge only."""
    canvas = Canvas(figsize=(WIDTH_IN, height))
    axes = canvas.add_axes((left / WIDTH_IN, bottom / height, (WIDTH_IN - left - 0.16) / WIDTH_IN, (height - top - bottom) / height))
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", length=3, width=0.7)
    axes.locator_params(axis="x", nbins=6)
    return canvas, axes


def _row_label(axes: Axes, at: float, text: str, *, left: float, color: str, size: float = 9) -> None:
    width = WIDTH_IN - left - 0.16
    axes.text(
        -(left - 0.06) / width,
        at,
        text,
        transform=axes.get_yaxis_transform(),
        ha="left",
        va="center",
        color=color,
        fontsize=size,
        clip_on=False,
    )


def _short(name: str) -> str:
    """A name as it fits beside a row, both ends kept since names of a series differ at the end; the whole name stands in the table."""
    return name if len(name) <= 26 else f"{name[:13]}…{name[-12:]}"


def _label_width(labels: Sequence[str]) -> float:
    """Inches that the widest label needs at 9 points, with a gap, at most half of the figure."""
    canvas = Canvas(figsize=(WIDTH_IN, 1), dpi=100)
    renderer: Any = FigureCanvasAgg(canvas).get_renderer()
    widths = [canvas.text(0, 0, label, fontsize=9).get_window_extent(renderer).width / 100 for label in labels]
    return min(max(widths, default=1.0) * 0.97 + 0.2, WIDTH_IN * 0.5)


def limits(values: Sequence[float | None], *, around: Sequence[float] = ()) -> tuple[float, float]:
    """Ends of an axis that hold every finite value and those in `around`, with 6% to spare on both sides."""
    kept = [value for value in (*values, *around) if value is not None and math.isfinite(value)]
    low, high = min(kept, default=0.0), max(kept, default=1.0)
    spare = 0.06 * (high - low or 1.0)
    return low - spare, high + spare
