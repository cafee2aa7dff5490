"""The same question with its choices in several orders; the answers vote."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field

from evalsuite.strategies.base import StrategySpec
from evalsuite.strategies.composed import Composed
from evalsuite.strategies.ensembles import Ensemble
from evalsuite.strategies.options import ExemplarOptions
from evalsuite.strategies.selection import selecting
from evalsuite.strategies.votes import Rule, Vote


class Options(ExemplarOptions):
    """Options in study.yaml."""

    shots: Annotated[int, Field(ge=0, le=100)] = 0
    """Exemplars per prompt; 0: the question alone."""
    ensemble: Annotated[int, Field(ge=2, le=120)] = 5
    """Orders of the choices, all different; fewer where fewer exist (2 of two choices, 6 of three)."""
    vote: Vote = "majority"
    """How the answers become one; `average` and `rank_average` need letters."""


def build(options: Options) -> Composed:
    """The strategy for these options."""
    ensemble = Ensemble(n=options.ensemble, by="orders", rule=Rule(vote=options.vote))
    return Composed(form=options, choosing=options.choosing(), ensemble=ensemble)


SPEC = StrategySpec(
    name="choice_shuffle",
    summary="Asks with the choices in several seeded orders and lets the answers vote.",
    source="Nori et al. 2023 (arXiv 2311.16452); order sensitivity: Pezeshkpour & Hruschka 2023 (arXiv 2308.11483)",
    options=Options,
    build=partial(selecting, build),
)
