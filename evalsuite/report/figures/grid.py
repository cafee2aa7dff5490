"""Grid: many comparisons at a glance, one marker each; the numbers stand in the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure as Canvas

from evalsuite.report.figures.canvas import BAND, INK, MUTED, WIDTH_IN, label_width, new_canvas, row_label, short, text_width
from evalsuite.report.figures.marks import draw_legend, legend_height, mark_style, verdict_entries
from evalsuite.report.plots.differences import GridPlot

WIDEST_IN = 0.62
"""Widest column; fewer columns leave room to the right."""

TEXT_FROM_IN = 0.34
"""Narrowest column in which the difference stands below its marker."""


def grid(plot: GridPlot) -> Canvas:
    """Draw a grid."""
    left = label_width([text for row in plot.rows for text in _lines(row)])
    pitch = min(WIDEST_IN, (WIDTH_IN - left - 0.12) / len(plot.columns))
    two_lines = any(second for _, second in plot.rows)
    with_text = pitch >= TEXT_FROM_IN
    high = max(0.42 if two_lines else 0.27, 0.4 if with_text else 0.0)
    heads = [_lines(column) for column in plot.columns]
    top = 0.14 + text_width([line for lines in heads for line in lines], size=8)
    drawn = {(cell.verdict, cell.color) for row in plot.cells for cell in row if cell is not None}
    entries = verdict_entries(drawn, plot.names)
    bottom, height = 0.12 + legend_height(len(entries)), high * len(plot.rows)
    right = WIDTH_IN - left - pitch * len(plot.columns)
    canvas, axes = new_canvas(height=top + height + bottom, left=left, top=top, bottom=bottom, right=right)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(0, len(plot.columns))
    axes.set_ylim(height, 0)
    for at, lines in enumerate(heads):
        style: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 8, "color": INK, "linespacing": 1.1}
        axes.text(at + 0.5, -0.06, "\n".join(lines), **style)
    for at, (row, cells) in enumerate(zip(plot.rows, plot.cells, strict=True)):
        middle = (at + 0.5) * high
        axes.plot([0, len(plot.columns)], [at * high, at * high], color=BAND, linewidth=0.7, zorder=0)
        for line, text in enumerate(_lines(row)):
            y = middle + (0.165 * (line - 0.5) if row[1] else 0.0)
            row_label(axes, y, text, left=left, color=MUTED if line else INK, size=8 if line else 9, right=right)
        for place, cell in enumerate(cells):
            if cell is None:
                continue
            mark = middle - 0.075 if with_text and cell.text else middle
            axes.plot([place + 0.5], [mark], **mark_style(cell.verdict, cell.color, size=6.5), zorder=2)
            if with_text and cell.text:
                axes.text(place + 0.5, middle + 0.09, cell.text, ha="center", va="center", fontsize=7, color=MUTED)
    draw_legend(canvas, entries)
    return canvas


def _lines(texts: Sequence[str]) -> list[str]:
    return [short(text) for text in texts if text]
