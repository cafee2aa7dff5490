"""What all figures share: colours, markers, sizes, an empty canvas, labels and limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

INK, MUTED, RULE, BAND, PAPER = "#1c1e21", "#62676e", "#c9cdd2", "#e4e8ec", "#ffffff"
"""Colours that are not a model's; `html` maps them to the page's own in light and dark."""

MODEL_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito without yellow and black, which vanish on white and on dark pages."""

MODEL_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")

WIDTH_IN = 4.8
"""Width of every figure in inches: text of 9 points stays legible in one column of a paper and on a phone."""

DEFAULTS: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
"""Matplotlib's own, so that a matplotlibrc of this machine changes nothing."""

STYLE: dict[Any, Any] = {
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


def model_style(models: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Colour and number of the marker of each model, by its place in the study; the same in every figure."""
    return {name: (MODEL_COLORS[at % len(MODEL_COLORS)], at % len(MODEL_MARKERS)) for at, name in enumerate(models)}


def new_canvas(*, height: float, left: float, top: float, bottom: float) -> tuple[Canvas, Axes]:
    """An empty figure (inches) with one pair of axes that shows its lower edge only."""
    canvas = Canvas(figsize=(WIDTH_IN, height))
    axes = canvas.add_axes((left / WIDTH_IN, bottom / height, (WIDTH_IN - left - 0.16) / WIDTH_IN, (height - top - bottom) / height))
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", length=3, width=0.7)
    axes.locator_params(axis="x", nbins=6)
    return canvas, axes


def row_label(axes: Axes, at: float, text: str, *, left: float, color: str, size: float = 9) -> None:
    """Write a label to the left of the axes, beside the row at `at`."""
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


def short(name: str) -> str:
    """A name as it fits beside a row, both ends kept since names of a series differ at the end; the whole name stands in the table."""
    return name if len(name) <= 26 else f"{name[:13]}…{name[-12:]}"


def label_width(labels: Sequence[str]) -> float:
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
