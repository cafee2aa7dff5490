"""What figures show, as data; how they look is decided in `figures`.

A new kind of plot is one class in a module here, one member of `Plot`, and one module in `figures` that draws it.
"""

from evalsuite.report.plots.answers import CostPlot, CurvePlot, StackPlot
from evalsuite.report.plots.differences import ForestPlot, GridPlot, SharePlot
from evalsuite.report.plots.dumbbell import DumbbellPlot
from evalsuite.report.plots.heat import HeatPlot
from evalsuite.report.plots.ladder import LadderPlot
from evalsuite.report.plots.means import DotPlot, PanelPlot, SizePlot
from evalsuite.report.plots.published import BesidePlot, MatrixPlot

Plot = (
    ForestPlot
    | DotPlot
    | GridPlot
    | SharePlot
    | PanelPlot
    | SizePlot
    | CurvePlot
    | CostPlot
    | StackPlot
    | MatrixPlot
    | BesidePlot
    | LadderPlot
    | DumbbellPlot
    | HeatPlot
)
