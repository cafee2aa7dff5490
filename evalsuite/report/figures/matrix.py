"""Matrix: signed differences as numbers on colour, rows in groups; the sign stands in the number, so that grey tells as much."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch, Rectangle

from evalsuite.report.figures.canvas import INK, MODEL_COLORS, MUTED, WIDTH_IN, label_width, new_canvas, row_label, short, text_width
from evalsuite.report.figures.marks import draw_legend, legend_height
from evalsuite.report.plots.published import MatrixCell, MatrixPlot

ROW_IN, HEADING_IN = 0.22, 0.27
WIDEST_IN = 0.62
"""Widest column; fewer columns leave room to the right."""

GAIN, LOSS = MODEL_COLORS[0], MODEL_COLORS[1]
FAINTEST, DEEPEST = 0.10, 0.62
"""Opacity of a difference of zero and of the largest; the page shows through, so that text stays legible on light and dark ones."""


def matrix(plot: MatrixPlot) -> Canvas:
    """Draw a matrix."""
    left = label_width([short(label) for _, rows in plot.groups for label, _ in rows])
    pitch = min(WIDEST_IN, (WIDTH_IN - left - 0.12) / len(plot.columns))
    right = WIDTH_IN - left - pitch * len(plot.columns)
    heads = ["\n".join(short(line) for line in column if line) for column in plot.columns]
    top = 0.12 + text_width([line for head in heads for line in head.split("\n")], size=8)
    drawn = [cell for _, rows in plot.groups for _, cells in rows for cell in cells if cell is not None]
    entries = _legend(plot, drawn)
    height = sum(HEADING_IN + ROW_IN * len(rows) for _, rows in plot.groups)
    bottom = 0.14 + legend_height(len(entries))
    canvas, axes = new_canvas(height=top + height + bottom, left=left, top=top, bottom=bottom, right=right)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(0, len(plot.columns))
    axes.set_ylim(height, 0)
    for at, head in enumerate(heads):
        # Turned text begins at its foot, where the column is.
        placed: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "bottom", "multialignment": "left"}
        axes.text(at + 0.5, -0.05, head, fontsize=8, color=INK, linespacing=1.1, **placed)
    largest = max((abs(cell.value) for cell in drawn), default=0.0) or 1.0
    size = min(7.5, 7.5 * (pitch - 0.04) / (text_width([cell.text for cell in drawn], size=7.5) or 1.0))
    y = 0.0
    for heading, rows in plot.groups:
        row_label(axes, y + HEADING_IN * 0.62, heading, left=left, color=MUTED, size=8, right=right)
        y += HEADING_IN
        for label, cells in rows:
            row_label(axes, y + ROW_IN / 2, short(label), left=left, color=INK, size=8.5, right=right)
            for place, cell in enumerate(cells):
                _cell(axes, (place, y), cell, largest, size)
            y += ROW_IN
    draw_legend(canvas, entries)
    return canvas


def depth(value: float, largest: float) -> float:
    """Opacity of a signed number's colour, by its size; 0 for 0."""
    # Square roots: differences of one and of three points are told apart beside one of sixty.
    return FAINTEST + (DEEPEST - FAINTEST) * min(abs(value) / largest, 1.0) ** 0.5 if value else 0.0


def _cell(axes: Axes, corner: tuple[float, float], cell: MatrixCell | None, largest: float, size: float) -> None:
    x, y = corner
    if cell is None:
        axes.text(x + 0.5, y + ROW_IN / 2, "·", ha="center", va="center", fontsize=8, color=MUTED)
        return
    color, alpha = GAIN if cell.value > 0 else LOSS, depth(cell.value, largest)
    axes.add_patch(Rectangle((x + 0.02, y + 0.01), 0.96, ROW_IN - 0.02, facecolor=color, edgecolor="none", alpha=alpha, zorder=1))
    if cell.doubtful:
        axes.add_patch(Rectangle((x + 0.04, y + 0.02), 0.92, ROW_IN - 0.04, **_doubt(), zorder=2))
    axes.text(x + 0.5, y + ROW_IN / 2 + 0.005, cell.text, ha="center", va="center", fontsize=size, color=INK, zorder=3)


def _doubt() -> dict[str, Any]:
    return {"facecolor": "none", "edgecolor": INK, "linewidth": 0.9, "linestyle": (0, (2, 1.5))}


def _legend(plot: MatrixPlot, drawn: list[MatrixCell]) -> list[Any]:
    entries: list[Any] = []
    if any(cell.value > 0 for cell in drawn):
        entries.append(Patch(facecolor=GAIN, alpha=0.45, label=plot.gain))
    if any(cell.value < 0 for cell in drawn):
        entries.append(Patch(facecolor=LOSS, alpha=0.45, label=plot.loss))
    if any(cell.doubtful for cell in drawn):
        entries.append(Patch(**_doubt(), label="cannot have arisen"))
    return entries
