"""Figures about differences: the same bytes every time, nothing outside the paper, legible in grey, names as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from evalsuite.report.figures import DRAWN_BY, draw
from evalsuite.report.figures.canvas import DEFAULTS, STYLE, WIDTH_IN
from evalsuite.report.figures.sizes import side_by_side
from evalsuite.report.plots.differences import ForestPlot, ForestRow, GridCell, GridPlot, SharePlot, ShareRow
from evalsuite.report.plots.means import PanelPlot, PanelRow, SizePlot, SizePoint
from evalsuite.report.verdicts import VERDICTS, Verdict

HOSTILE = "<script>$\\frac{a}{</script>&_b"
LONG = "clinical-continued-pretrained-on-very-many-notes-of-one-hospital-70b-instruct"
BLUE, RED = "#0072B2", "#D55E00"
NAMES: tuple[tuple[Verdict, str], ...] = tuple((verdict, verdict.replace("_", " ")) for verdict in VERDICTS)


def forest(name: str = "model", n: int = 5, **changes: Any) -> ForestPlot:
    rows = [
        ForestRow(label=f"{name}{at}", second=f"− {name}", detail="+1.0 (−2.0 to 4.0)", verdict=VERDICTS[at % 5],
                  difference=None if at % 5 == 4 else 1.0, low=-2.0, high=4.0, color=BLUE)
        for at in range(n)
    ]  # fmt: skip
    total = ForestRow(
        label="all tasks", detail="+1.0 (0.5 to 1.5)", verdict="a_better", difference=1.0, low=0.5, high=1.5, color=BLUE, kind="total"
    )
    content: dict[str, Any] = {
        "left": name, "right": name, "color_left": RED, "color_right": BLUE, "axis": "difference in points", "margin": 3.0,
        "limits": (-5.0, 5.0), "rows": (ForestRow(label=name, kind="heading"), *rows, total), "names": NAMES,
    }  # fmt: skip
    return ForestPlot(**(content | changes))


def grid(name: str = "model", n: int = 12) -> GridPlot:
    cells = tuple(
        tuple(None if row == column else GridCell(verdict=VERDICTS[(row + column) % 5], color=BLUE, text="−10.5") for column in range(n))
        for row in range(20)
    )
    columns = tuple((f"{name}{at}", "− other") for at in range(n))
    return GridPlot(rows=tuple((f"{name}{at}", "") for at in range(20)), columns=columns, cells=cells, names=NAMES)


def shares(name: str = "model") -> SharePlot:
    row = ShareRow(label=name, second=f"− {name}", win=30.0, tie=65.0, loss=5.0, color_win=BLUE, color_loss=RED)
    total = ShareRow(label="all pairs", second="", win=0.0, tie=100.0, loss=0.0, color_win=BLUE, color_loss=RED, total=True)
    return SharePlot(axis="percent of the comparisons", rows=(row, total))


def panels(name: str = "model") -> PanelPlot:
    row = PanelRow(
        model_a=name, model_b=name, color_a=BLUE, color_b=RED, marker_a=0, marker_b=1, mean_a=50.0, mean_b=None, difference=2.0, low=None,
        high=None, verdict="inconclusive", color=BLUE,
    )  # fmt: skip
    gone = PanelRow(
        model_a=name, model_b=name, color_a=BLUE, color_b=RED, marker_a=0, marker_b=1, mean_a=None, mean_b=None, difference=None, low=None,
        high=None, verdict="not_established", color=BLUE,
    )  # fmt: skip
    return PanelPlot(
        panels=(("English: 3 tasks, 1,334 questions", (row, gone)), ("Spanish: 1 task, 500 questions", (row,))), axis="mean, percent",
        difference_axis="difference, 95% interval", limits=(40.0, 60.0), difference_limits=(-5.0, 5.0), margin=3.0, names=NAMES,
    )  # fmt: skip


def sizes(name: str = "model", n: int = 7) -> SizePlot:
    points = tuple(
        SizePoint(model=f"{name}{at}", color=BLUE, special=at % 2 == 0, size=(0.5, 8.0, 70.0)[at % 3], mean=50.0 + at, low=45.0, high=60.0)
        for at in range(n)
    )
    return SizePlot(axis="mean over all tasks, percent", points=points, lines=((0, 4),), limits=(40.0, 70.0))


MAKERS: dict[str, Callable[..., Any]] = {"forest": forest, "grid": grid, "shares": shares, "panels": panels, "sizes": sizes}


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_bytes_and_names_as_text(kind: str) -> None:
    plot = MAKERS[kind](HOSTILE)
    one, other = draw(plot), draw(MAKERS[kind](HOSTILE))
    assert (one.svg, one.png) == (other.svg, other.png)
    assert b"<script" not in one.svg
    assert b"&lt;script&gt;$" in one.svg


def outside(plot: Any) -> list[str]:
    """Texts of a figure that reach over its edges."""
    with mpl.rc_context({**DEFAULTS, **STYLE}):
        canvas = DRAWN_BY[type(plot)](plot)
        renderer: Any = FigureCanvasAgg(canvas).get_renderer()
        canvas.draw(renderer)
        width, height = canvas.bbox.width, canvas.bbox.height
        # Matplotlib keeps labels of ticks beyond the limits, and does not draw them.
        beyond = set()
        for axes in canvas.axes:
            low, high = axes.get_xlim()
            beyond |= {id(label) for label in axes.get_xticklabels() if not low <= label.get_position()[0] <= high}
        found = []
        for text in canvas.findobj(Text):
            box = text.get_window_extent(renderer)
            within = box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1
            if text.get_visible() and text.get_text() and id(text) not in beyond and not within:
                found.append(text.get_text())
        assert canvas.get_figwidth() == WIDTH_IN
    return found


@pytest.mark.parametrize("name", ["a", LONG])
@pytest.mark.parametrize("kind", MAKERS)
def test_nothing_reaches_over_the_edges(kind: str, name: str) -> None:
    assert outside(MAKERS[kind](name)) == []


@pytest.mark.parametrize("n", [1, 12, 13, 40])
def test_forests_of_every_length(n: int) -> None:
    assert outside(forest(LONG, n)) == []
    few, many = (len(draw(forest("m", rows)).png) for rows in (1, n))
    assert many >= few


@pytest.mark.parametrize("n", [1, 4, 16])
def test_grids_of_every_width(n: int) -> None:
    assert outside(grid(LONG, n)) == []
    # Numbers stand below the markers where columns are wide enough.
    assert (b">\xe2\x88\x9210.5</text>" in draw(grid("m", n)).svg) == (n < 16)


def test_a_diamond_without_width_is_a_marker() -> None:
    flat = ForestRow(label="all tasks", verdict="equivalent", difference=0.0, low=0.0, high=0.0, color=BLUE, kind="total")
    wide = ForestRow(label="all tasks", verdict="equivalent", difference=0.0, low=-2.0, high=2.0, color=BLUE, kind="total")
    drawn = [DRAWN_BY[ForestPlot](forest(rows=(row,), margin=None)).axes[0].patches for row in (flat, wide)]
    assert [len(patches) for patches in drawn] == [0, 1]


def test_a_forest_without_margin_names_none() -> None:
    assert b"margin" in draw(forest()).svg
    assert b"margin" not in draw(forest(margin=None)).svg


def test_wins_and_losses_differ_without_colour() -> None:
    svg = draw(shares()).svg
    assert svg.count(b"<pattern") >= 1
    for text in (b">win<", b">tie<", b">loss<", b">30<", b">65<"):
        assert text in svg
    # A part that is too narrow carries no number.
    assert b">5<" not in svg


def test_models_of_one_size_stand_beside_each_other() -> None:
    places = side_by_side([8.0, 70.0, 8.03, 1.0])
    assert places[1] == pytest.approx(70.0)
    assert places[3] == pytest.approx(1.0)
    assert places[0] < 8.0 < 8.03 < places[2]
    assert side_by_side([7.0, 13.0]) == pytest.approx([7.0, 13.0])
