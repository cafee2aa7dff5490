"""Exemplars from the task's exemplar split before the question.

Source: Brown et al. 2020 (arXiv 2005.14165). `fixed` shows every sample the same exemplars, so that a comparison is not
blurred by the draw and prompts share a prefix; `random` draws anew for each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from evalsuite.formats import Format
from evalsuite.seeds import derive_seed
from evalsuite.strategies.ask import ask
from evalsuite.strategies.ask_foreign import ask_foreign
from evalsuite.strategies.base import Context, StrategySpec
from evalsuite.strategies.options import FormatOptions
from evalsuite.tasks import TaskCard
from evalsuite.types import Answer, Asking, Kind, Sample


class Options(FormatOptions):
    """Options in study.yaml."""

    shots: Annotated[int, Field(ge=1, le=100)] = 5
    """Exemplars per prompt."""
    exemplars: Literal["fixed", "random"] = "fixed"
    """The same for every sample, or drawn anew for each."""
    exemplar_seed: Annotated[int, Field(ge=0)] = 0
    """Another number gives other exemplars under the same study seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FewShot:
    """Asks once, after exemplars."""

    options: Options
    """What study.yaml says."""

    @property
    def n_shots(self) -> int:
        """Exemplars per prompt."""
        return self.options.shots

    def form_for(self, card: TaskCard) -> Format:
        """The format for such a task."""
        return self.options.form_for(card)

    def kinds_for(self, card: TaskCard) -> frozenset[Kind]:
        """Request kinds of the format."""
        return self.options.kinds_for(card)

    def prepare(self, context: Context) -> Asking[tuple[Sample, ...]]:
        """The fixed exemplars; none where each sample draws its own."""
        if self.options.exemplars == "random" or self.form_for(context.card) == "native":
            return ()
        return drawn(context.pool(), self.options.shots, derive_seed(context.seed, *self._draw(context)))
        yield  # makes this a generator

    def answer(self, sample: Sample, state: tuple[Sample, ...], context: Context) -> Asking[Answer]:
        """One answer in the format, after the exemplars; their ids stand in `details`."""
        form = self.form_for(context.card)
        if form == "native":
            return (yield from ask_foreign(sample, self.options.shots, context))
        seed = derive_seed(context.seed, *self._draw(context), sample.id)
        shots = state or drawn(context.pool(), self.options.shots, seed)
        return (yield from ask(sample, shots, form, context, self.options.normalisation or "byte"))

    def _draw(self, context: Context) -> tuple[str | int, ...]:
        return ("few_shot", context.card.name, self.options.exemplar_seed)


def drawn(pool: Sequence[Sample], n_shots: int, seed: int) -> tuple[Sample, ...]:
    """Exemplars drawn without replacement, at most one per group.

    Args:
        pool: the exemplar pool, in a stable order.
        n_shots: how many; the pool must hold as many groups.
        seed: of the draw.

    Raises:
        ValueError: the pool holds fewer groups than shots.
    """
    shots: list[Sample] = []
    groups: set[str] = set()
    for index in np.random.default_rng(seed).permutation(len(pool)):
        shot = pool[int(index)]
        if shot.group in groups:
            continue
        groups.add(shot.group)
        shots.append(shot)
        if len(shots) == n_shots:
            return tuple(shots)
    raise ValueError(f"{n_shots} exemplars wanted, the pool holds {len(shots)} groups")


def build(options: Options) -> FewShot:
    """The strategy for these options."""
    return FewShot(options=options)


SPEC = StrategySpec(
    name="few_shot",
    summary="Seeded exemplars from the task's exemplar split, then the question, asked once.",
    source="Brown et al. 2020 (arXiv 2005.14165)",
    options=Options,
    build=build,
)
