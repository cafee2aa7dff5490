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

RIGHT_IN = 0.16
"""Inches to the right of the axes where nothing stands there."""

DEFAULTS: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
"""Matplotlib's own, so that a matplotlibrc of this machine changes nothing."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evalsuite",
    # TrueType instead of Type 3, which many publishers refuse.
    "pdf.fonttype": 42,
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


def new_canvas(*, height: float, left: float, top: float, bottom: float, right: float = RIGHT_IN) -> tuple[Canvas, Axes]:
    """An empty figure (inches) with one pair of axes that shows its lower edge only."""
    canvas = Canvas(figsize=(WIDTH_IN, height))
    return canvas, new_axes(canvas, left=left, right=right, top=top, bottom=bottom)


def new_axes(canvas: Canvas, *, left: float, right: float, top: float, bottom: float) -> Axes:
    """Axes that show their lower edge only, so many inches from the edges of a figure."""
    height = canvas.get_figheight()
    axes = canvas.add_axes((left / WIDTH_IN, bottom / height, (WIDTH_IN - left - right) / WIDTH_IN, (height - top - bottom) / height))
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", length=3, width=0.7)
    axes.locator_params(axis="x", nbins=6)
    return axes


def row_label(axes: Axes, at: float, text: str, *, left: float, color: str, size: float = 9, right: float = RIGHT_IN) -> None:
    """Write a label to the left of the axes, beside the row at `at`."""
    width = WIDTH_IN - left - right
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


def short(name: str, most: int = 26) -> str:
    """A name as it fits beside a row, both ends kept since names of a series differ at the end; the whole name stands in the table."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most // 2 - 1) :]}"


def label_width(labels: Sequence[str]) -> float:
    """Inches that the widest label needs at 9 points, with a gap, at most half of the figure."""
    return min(text_width(labels, size=9, empty=1.0) * 0.97 + 0.2, WIDTH_IN * 0.5)


def text_width(texts: Sequence[str], *, size: float, empty: float = 0.0) -> float:
    """Inches of the widest text at a size in points; `empty` where there is none."""
    canvas = Canvas(figsize=(WIDTH_IN, 1), dpi=100)
    renderer: Any = FigureCanvasAgg(canvas).get_renderer()
    return max((canvas.text(0, 0, text, fontsize=size).get_window_extent(renderer).width / 100 for text in texts), default=empty)


def limits(values: Sequence[float | None], *, around: Sequence[float] = ()) -> tuple[float, float]:
    """Ends of an axis that hold every finite value and those in `around`, with 6% to spare on both sides."""
    kept = [value for value in (*values, *around) if value is not None and math.isfinite(value)]
    low, high = min(kept, default=0.0), max(kept, default=1.0)
    spare = 0.06 * (high - low or 1.0)
    return low - spare, high + spare
