"""Medprompt: nearest neighbours as exemplars, with self-generated and label-verified chains of thought, and a choice-shuffle ensemble.

Source: Nori et al. 2023 (arXiv 2311.16452). Each part can be changed or left out, which is how its ablation is written. Medprompt+
(promptbase) adds direct runs: `letters_runs`.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from evalsuite.strategies.base import StrategySpec
from evalsuite.strategies.composed import Composed
from evalsuite.strategies.consensus import Utility
from evalsuite.strategies.ensembles import Ensemble
from evalsuite.strategies.options import ReasonedOptions
from evalsuite.strategies.selection import selecting
from evalsuite.strategies.votes import Rule, Vote


class Options(ReasonedOptions):
    """Options in study.yaml."""

    exemplars: Literal["fixed", "random", "knn"] = "knn"
    """Which exemplars; Medprompt's are the nearest."""
    reasoning: bool = True
    """Whether the model reasons before it answers, after exemplars that do; without it any format will do."""
    ensemble: Annotated[int, Field(ge=1, le=120)] = 5
    """Orders of the choices, all different; 1: asked once, in the order that stands."""
    vote: Vote = "majority"
    """How the answers become one; `average` and `rank_average` need `reasoning: false` and letters."""
    letters_runs: Annotated[int, Field(ge=0, le=120)] = 0
    """Further runs that ask for the letter alone, after the same exemplars without reasoning, in further orders; Medprompt+ has 10."""
    letters_weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Of a choice's mean probability over those runs, added to its share of the votes. promptbase takes 0.5 for subjects that a model
    judged to need a scratch pad and 2.0 for others; 1.0 is their geometric mean and needs no judge: a letter that all runs are sure of
    weighs as much as all votes."""
    temperature: Annotated[float, Field(gt=0, le=10)] = 0.7
    """Of the members where there are no choices to re-order, which are then draws."""
    utility: Utility = "auto"
    """Free text: what agreement of two texts is worth; the text that agrees most with the others is taken."""

    @model_validator(mode="after")
    def _parts_agree(self) -> Options:
        if self.reasoning and self.format not in ("auto", "generate"):
            raise ValueError(f"format = {self.format}: reasoning is written; `generate`, or `reasoning: false`")
        if self.cot_from is not None and not self.reasoning:
            raise ValueError("cot_from belongs to `reasoning: true`")
        if self.letters_runs and self.ensemble == 1:
            raise ValueError("letters_runs stand beside an ensemble of at least 2")
        if "letters_weight" in self.model_fields_set and not self.letters_runs:
            raise ValueError("letters_weight belongs to `letters_runs`")
        return self


def build(options: Options) -> Composed:
    """The strategy for these options."""
    ensemble = Ensemble(
        n=options.ensemble,
        by="orders",
        rule=Rule(vote=options.vote, letters_weight=options.letters_weight, utility=options.utility),
        temperature=options.temperature,
        letters_runs=options.letters_runs,
    )
    return Composed(
        form=options,
        choosing=options.choosing(),
        reasoning=options.chains() if options.reasoning else None,
        ensemble=ensemble if options.ensemble > 1 else None,
    )


SPEC = StrategySpec(
    name="medprompt",
    summary="Nearest exemplars with self-generated, label-verified reasoning, and a vote over shuffled choices.",
    source="Nori et al. 2023 (arXiv 2311.16452)",
    options=Options,
    build=partial(selecting, build),
)
