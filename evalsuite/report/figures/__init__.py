"""Figures: a plot (data) becomes SVG, PNG and PDF bytes, the same bytes for the same data.

Marks differ in shape and fill as well as in colour, colours are Okabe and Ito's (2008, Color Universal Design), and every row is
labelled where it stands, so that the figures hold in greyscale and for colour-blind readers. Text stays text in the SVG. Names of
models never reach Matplotlib's math parser.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from evalsuite.report.figures.beside import beside
from evalsuite.report.figures.canvas import DEFAULTS, STYLE
from evalsuite.report.figures.costs import costs
from evalsuite.report.figures.curves import curves
from evalsuite.report.figures.dots import dots
from evalsuite.report.figures.dumbbell import dumbbell
from evalsuite.report.figures.forest import forest
from evalsuite.report.figures.grid import grid
from evalsuite.report.figures.heat import heat
from evalsuite.report.figures.ladder import ladder
from evalsuite.report.figures.matrix import matrix
from evalsuite.report.figures.panels import panels
from evalsuite.report.figures.pdf_fonts import pdf_families
from evalsuite.report.figures.shares import share_bars
from evalsuite.report.figures.sizes import sizes
from evalsuite.report.figures.stacks import stacks
from evalsuite.report.plots import Plot
from evalsuite.report.plots.answers import CostPlot, CurvePlot, StackPlot
from evalsuite.report.plots.differences import ForestPlot, GridPlot, SharePlot
from evalsuite.report.plots.dumbbell import DumbbellPlot
from evalsuite.report.plots.heat import HeatPlot
from evalsuite.report.plots.ladder import LadderPlot
from evalsuite.report.plots.means import DotPlot, PanelPlot, SizePlot
from evalsuite.report.plots.published import BesidePlot, MatrixPlot

DRAWN_BY: Mapping[type[Plot], Callable[[Any], Canvas]] = {
    ForestPlot: forest,
    DotPlot: dots,
    GridPlot: grid,
    SharePlot: share_bars,
    PanelPlot: panels,
    SizePlot: sizes,
    CurvePlot: curves,
    CostPlot: costs,
    StackPlot: stacks,
    MatrixPlot: matrix,
    BesidePlot: beside,
    LadderPlot: ladder,
    DumbbellPlot: dumbbell,
    HeatPlot: heat,
}
"""Kind of plot to the function that draws it."""


def draw(plot: Plot) -> Drawing:
    """Draw a plot.

    Returns:
        The drawing in three formats; equal for equal plots and the same version of Matplotlib.
    """
    with mpl.rc_context({**DEFAULTS, **STYLE}), warnings.catch_warnings():
        # A name in a script that the measuring font lacks is still drawn by whatever shows the SVG.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing")
        canvas = DRAWN_BY[type(plot)](plot)
        svg, png, pdf = io.BytesIO(), io.BytesIO(), io.BytesIO()
        canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        canvas.savefig(png, format="png", dpi=220, metadata={"Software": None})
        for text in canvas.findobj(Text):
            text.set_fontfamily(pdf_families())
        canvas.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return Drawing(svg=svg.getvalue(), png=png.getvalue(), pdf=pdf.getvalue())


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A figure in the formats that it is used in; none holds a date."""

    svg: bytes
    """For the page; text stays text."""
    png: bytes
    """For slides and mail, 220 dots per inch."""
    pdf: bytes
    """For papers; fonts are embedded as TrueType, which publishers ask for."""
