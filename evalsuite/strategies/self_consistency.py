"""Several draws at a temperature; the answers vote."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field, model_validator

from evalsuite.strategies.base import StrategySpec
from evalsuite.strategies.composed import Composed
from evalsuite.strategies.consensus import Utility
from evalsuite.strategies.cot import Options as ReasonedOptions
from evalsuite.strategies.ensembles import Ensemble
from evalsuite.strategies.selection import selecting
from evalsuite.strategies.votes import Rule


class Options(ReasonedOptions):
    """Options in study.yaml."""

    samples: Annotated[int, Field(ge=2, le=200)] = 5
    """Draws."""
    temperature: Annotated[float, Field(gt=0, le=10)] = 0.7
    """Of the draws; top_p and the token limit are the study's."""
    reasoning: bool = True
    """Whether the model reasons before it answers."""
    utility: Utility = "auto"
    """Free text: what agreement of two texts is worth; the text that agrees most with the others is taken."""

    @model_validator(mode="after")
    def _lent_reasoning(self) -> Options:
        if self.cot_from is not None and not self.reasoning:
            raise ValueError("cot_from belongs to `reasoning: true`")
        return self


def build(options: Options) -> Composed:
    """The strategy for these options."""
    return Composed(
        form=options,
        choosing=options.choosing(),
        reasoning=options.chains() if options.reasoning else None,
        ensemble=Ensemble(n=options.samples, by="samples", rule=Rule(utility=options.utility), temperature=options.temperature),
    )


SPEC = StrategySpec(
    name="self_consistency",
    summary="Draws several answers at a temperature and lets them vote; of free texts the one that agrees most with the others is taken.",
    source="Wang et al. 2023 (arXiv 2203.11171); free text: minimum Bayes risk, Eikema & Aziz 2020 (arXiv 2005.10283)",
    options=Options,
    build=partial(selecting, build),
)
