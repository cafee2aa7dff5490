"""The question alone."""

from __future__ import annotations

from functools import partial

from evalsuite.strategies.base import StrategySpec
from evalsuite.strategies.composed import Composed
from evalsuite.strategies.options import FormatOptions
from evalsuite.strategies.selection import selecting


def build(options: FormatOptions) -> Composed:
    """The strategy for these options."""
    return Composed(form=options)


SPEC = StrategySpec(
    name="zero_shot",
    summary="The question alone, asked once.",
    source="-",
    options=FormatOptions,
    build=partial(selecting, build),
)
