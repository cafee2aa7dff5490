"""Chain of thought: the model reasons before it answers, alone or after exemplars whose reasoning it wrote itself.

Reasoning needs room: `decoding.max_tokens` bounds reasoning and answer together, those of the exemplars' chains too. Medprompt's released
code takes 500 and 200 more with every retry; models that think between marks need thousands. The report counts answers and chains that
were cut off: where they are more than a few, the limit decides what is measured. Every exemplar's chain lengthens every prompt.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from evalsuite.strategies.base import StrategySpec
from evalsuite.strategies.composed import Composed
from evalsuite.strategies.options import ReasonedOptions
from evalsuite.strategies.selection import selecting


class Options(ReasonedOptions):
    """Options in study.yaml."""

    format: Literal["auto", "generate"] = "auto"
    """Reasoning is written, so the answer is too."""
    shots: Annotated[int, Field(ge=0, le=100)] = 0
    """Exemplars per prompt; 0: the question alone."""


def build(options: Options) -> Composed:
    """The strategy for these options."""
    return Composed(form=options, choosing=options.choosing(), reasoning=options.chains())


SPEC = StrategySpec(
    name="cot",
    summary="The model reasons before it answers; exemplars show reasoning that it wrote itself and that arrived at the label.",
    source="Wei et al. 2022 (arXiv 2201.11903); zero-shot: Kojima et al. 2022 (arXiv 2205.11916); self-generated: arXiv 2311.16452",
    options=Options,
    build=partial(selecting, build),
)
