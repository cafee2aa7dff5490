"""Exemplars from the task's exemplar split before the question.

`fixed` shows every sample the same exemplars, so that a comparison is not blurred by the draw and prompts share a prefix; `random`
draws anew for each sample; `knn` shows the nearest neighbours.
"""

from __future__ import annotations

from functools import partial

from evalsuite.strategies.base import StrategySpec
from evalsuite.strategies.composed import Composed
from evalsuite.strategies.options import ExemplarOptions
from evalsuite.strategies.selection import selecting


def build(options: ExemplarOptions) -> Composed:
    """The strategy for these options."""
    return Composed(form=options, choosing=options.choosing())


SPEC = StrategySpec(
    name="few_shot",
    summary="Exemplars from the task's exemplar split (fixed, random or nearest), then the question, asked once.",
    source="Brown et al. 2020 (arXiv 2005.14165); nearest neighbours: Liu et al. 2022 (arXiv 2101.06804)",
    options=ExemplarOptions,
    build=partial(selecting, build),
)
