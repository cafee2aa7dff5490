"""Heat map: changes as numbers on colour, rows and columns in groups; columns that do not fit go on in a further band.

The sign stands in the number, so that grey tells as much as colour does; a cell without a number is hatched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch, Rectangle

from evalsuite.report.figures.canvas import BAND, INK, MUTED, PAPER, RULE, WIDTH_IN, new_canvas, row_label, short, text_width
from evalsuite.report.figures.marks import draw_legend, legend_columns, legend_height
from evalsuite.report.figures.matrix import GAIN, LOSS, depth
from evalsuite.report.plots.heat import HeatCell, HeatGroup, HeatPlot

ROW_IN, APART_IN, RIGHT_IN = 0.23, 0.18, 0.1
HEADING_IN = 0.22
"""Height of the heading of a group of rows, or of columns."""

NARROWEST_IN, WIDEST_IN = 0.33, 0.66
"""Least and largest width of a column."""

GROUP_GAP_IN = 0.1
"""Between two groups of columns."""

WIDEST_LABEL_IN = 1.75
"""Most that the names of the rows take; longer ones are cut in the middle."""

TEXT_SIZE, HEADING_SIZE, HEAD_SIZE, LABEL_SIZE = 7.0, 7.5, 8.0, 8.5
HATCH = "//////"


def heat(plot: HeatPlot) -> Canvas:
    """Draw a heat map."""
    names, left = _row_names(plot.rows)
    room = WIDTH_IN - left - RIGHT_IN
    drawn = [cell for row in plot.cells for cell in row if cell is not None]
    # Bold figures are wider than those that are measured.
    needed = 1.12 * text_width([cell.text for cell in drawn], size=TEXT_SIZE) + 0.06
    n_columns = sum(len(group.names) for group in plot.columns)
    spread = (room - GROUP_GAP_IN * (len(plot.columns) - 1)) / n_columns
    pitch = max(NARROWEST_IN, needed, min(WIDEST_IN, spread))
    bands = bands_of(plot.columns, pitch, room)
    entries = _legend(plot, drawn)
    n_beside = legend_columns(entries) if entries else 1
    body = sum(HEADING_IN * bool(group.label) + ROW_IN * len(group.names) for group in plot.rows)
    heads = [_head_height(band, pitch) for band in bands]
    height = sum(heads) + body * len(bands) + APART_IN * (len(bands) - 1)
    bottom = 0.14 + legend_height(len(entries), n_beside)
    canvas, axes = new_canvas(height=0.08 + height + bottom, left=left, top=0.08, bottom=bottom, right=RIGHT_IN)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    # One unit of either axis is one inch.
    axes.set_xlim(0, room)
    axes.set_ylim(height, 0)
    top = 0.0
    for band, head in zip(bands, heads, strict=True):
        for run in band:
            _heads(axes, run, top, top + head, pitch=pitch, turned=_turned(band, pitch))
        _body(axes, band, top + head, plot, names=names, left=left, pitch=pitch)
        top += head + body + APART_IN
    draw_legend(canvas, entries, n_beside)
    return canvas


def bands_of(groups: Sequence[HeatGroup], pitch: float, room: float) -> list[list[Run]]:
    """Groups of columns from left to right and from band to band; one that is wider than a band is cut into even parts.

    Args:
        groups: in reading order.
        pitch: width of a column in inches.
        room: width of a band in inches.
    """
    bands: list[list[Run]] = [[]]
    used, first = 0.0, 0
    for group in groups:
        heading = min(text_width([group.label], size=HEADING_SIZE) + 0.06, room) if group.label else 0.0
        most = max(1, int((room + 1e-6) / pitch))
        n_parts = -(-len(group.names) // most)
        size = -(-len(group.names) // n_parts)
        for at in range(0, len(group.names), size):
            part = group.names[at : at + size]
            width = max(len(part) * pitch, heading)
            if bands[-1] and used + GROUP_GAP_IN + width > room + 1e-6:
                bands.append([])
            start = used + GROUP_GAP_IN if bands[-1] else 0.0
            bands[-1].append(Run(label=group.label, names=part, first=first + at, left=start))
            used = start + width
        first += len(group.names)
    return bands


def _row_names(groups: Sequence[HeatGroup]) -> tuple[list[str], float]:
    """Names of all rows, cut until they take no more than their room, and the inches that they take with a gap."""
    for most in range(30, 9, -2):
        names = [short(name, most) for group in groups for name in group.names]
        width = text_width(names, size=LABEL_SIZE, empty=0.5) + 0.16
        if width <= WIDEST_LABEL_IN:
            break
    return names, min(width, WIDEST_LABEL_IN + 0.2)


def _turned(band: Sequence[Run], pitch: float) -> bool:
    """Whether the heads of the columns must stand on end."""
    return text_width([short(name) for run in band for name in run.names], size=HEAD_SIZE) > pitch - 0.04


def _head_height(band: Sequence[Run], pitch: float) -> float:
    turned = [short(name) for run in band for name in run.names if _turned(band, pitch)]
    return HEADING_IN * any(run.label for run in band) + max(0.22, text_width(turned, size=HEAD_SIZE) + 0.12)


def _heads(axes: Axes, run: Run, top: float, foot: float, *, pitch: float, turned: bool) -> None:
    """Heading and names of some columns, between two heights."""
    if run.label:
        ends = [run.left + 0.02, run.left + pitch * len(run.names) - 0.02]
        axes.text(ends[0], top + HEADING_IN / 2 - 0.03, run.label, ha="left", va="center", fontsize=HEADING_SIZE, color=MUTED)
        axes.plot(ends, [top + HEADING_IN - 0.03] * 2, color=RULE, linewidth=0.8)
    for at, name in enumerate(run.names):
        x = run.left + (at + 0.5) * pitch
        axes.text(x, foot - 0.05, short(name), rotation=90 * turned, ha="center", va="bottom", fontsize=HEAD_SIZE, color=INK)


def _body(axes: Axes, band: Sequence[Run], top: float, plot: HeatPlot, *, names: Sequence[str], left: float, pitch: float) -> None:
    """All rows of the columns that stand beside each other, from a height on."""
    y, place = top, 0
    for group in plot.rows:
        if group.label:
            row_label(axes, y + HEADING_IN * 0.6, group.label, left=left, color=MUTED, size=HEADING_SIZE, right=RIGHT_IN)
            y += HEADING_IN
        for _ in group.names:
            row_label(axes, y + ROW_IN / 2, names[place], left=left, color=INK, size=LABEL_SIZE, right=RIGHT_IN)
            for run in band:
                own = plot.cells[place][run.first : run.first + len(run.names)]
                for at, cell in enumerate(own):
                    _cell(axes, (run.left + at * pitch, y), cell, largest=plot.largest, pitch=pitch)
            y += ROW_IN
            place += 1


def _cell(axes: Axes, corner: tuple[float, float], cell: HeatCell | None, *, largest: float, pitch: float) -> None:
    x, y = corner
    center: dict[str, Any] = {"ha": "center", "va": "center"}
    middle = (x + pitch / 2, y + ROW_IN / 2 + 0.005)
    if cell is None:
        axes.text(*middle, "·", fontsize=8, color=MUTED, **center)
        return
    place, size = (x + 0.008, y + 0.008), (pitch - 0.016, ROW_IN - 0.016)
    if cell.value is None:
        axes.add_patch(Rectangle(place, *size, **_hatched(), zorder=1))
        ground = {"facecolor": PAPER, "edgecolor": "none", "boxstyle": "round,pad=0.15"}
        axes.text(*middle, cell.text, fontsize=TEXT_SIZE, color=MUTED, bbox=ground, zorder=3, **center)
        return
    color, alpha = (GAIN if cell.value > 0 else LOSS, depth(cell.value, largest)) if cell.value else (BAND, 1.0)
    axes.add_patch(Rectangle(place, *size, facecolor=color, edgecolor="none", alpha=alpha, zorder=1))
    weight = "bold" if cell.clear else "normal"
    axes.text(*middle, cell.text, fontsize=TEXT_SIZE, fontweight=weight, color=INK, zorder=3, **center)


def _hatched() -> dict[str, Any]:
    # Without a ground of its own, which a dark page could not map.
    return {"facecolor": "none", "edgecolor": RULE, "hatch": HATCH, "linewidth": 0.6}


def _legend(plot: HeatPlot, drawn: Sequence[HeatCell]) -> list[Any]:
    entries: list[Any] = []
    if any(cell.value is not None and cell.value < 0 for cell in drawn):
        entries.append(Patch(facecolor=LOSS, alpha=0.45, label=f"− {plot.loss}"))
    if any(cell.value is not None and cell.value > 0 for cell in drawn):
        entries.append(Patch(facecolor=GAIN, alpha=0.45, label=f"+ {plot.gain}"))
    if any(cell.value is None for cell in drawn):
        entries.append(Patch(**_hatched(), label="no number"))
    return entries


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Columns of one group that stand beside each other in one band."""

    label: str
    """Heading of the group."""
    names: tuple[str, ...]
    """Their names from left to right."""
    first: int
    """Number of the first of them among all columns of the plot."""
    left: float
    """Inches from the left end of the band."""
