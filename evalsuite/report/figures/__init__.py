"""Figures: a plot (data) becomes SVG and PNG bytes, the same bytes for the same data.

Marks differ in shape and fill as well as in colour, colours are Okabe and Ito's (2008, Color Universal Design), and every row is
labelled where it stands, so that the figures hold in greyscale and for colour-blind readers. Text stays text in the SVG. Names of
models never reach Matplotlib's math parser.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from evalsuite.report.figures.canvas import DEFAULTS, STYLE
from evalsuite.report.figures.dots import dots
from evalsuite.report.figures.forest import forest
from evalsuite.report.plots import DotPlot, ForestPlot, Plot

DRAWN_BY: Mapping[type[Plot], Callable[[Any], Canvas]] = {ForestPlot: forest, DotPlot: dots}
"""Kind of plot to the function that draws it."""


def draw(plot: Plot) -> tuple[bytes, bytes]:
    """Draw a plot.

    Returns:
        (SVG, PNG) bytes; equal for equal plots and the same version of Matplotlib.
    """
    with mpl.rc_context({**DEFAULTS, **STYLE}), warnings.catch_warnings():
        # A name in a script that the measuring font lacks is still drawn by whatever shows the SVG.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing")
        canvas = DRAWN_BY[type(plot)](plot)
        svg, png = io.BytesIO(), io.BytesIO()
        canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        canvas.savefig(png, format="png", dpi=220, metadata={"Software": None})
    return svg.getvalue(), png.getvalue()
