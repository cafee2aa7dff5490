"""The task's own prompts with as many exemplars as its own configuration says; for tasks of another framework."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from evalsuite.formats import Format
from evalsuite.strategies.ask_foreign import ask_foreign
from evalsuite.strategies.base import Beforehand, Context, Prepared, StrategySpec, Trial
from evalsuite.tasks import TaskCard
from evalsuite.types import Answer, Asking, Kind, Need, Sample


class Options(BaseModel):
    """Options in study.yaml: none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Native:
    """Asks as the task itself would."""

    n_shots: int = 0
    """Exemplars of our own drawing: none."""
    lender: str | None = None
    """Nothing is prepared, so nobody does it for others."""
    trial: Trial | None = None
    """There is one prompt, the task's own."""
    beforehand: Beforehand = field(default_factory=Beforehand)
    """Nothing is prepared."""

    def form_for(self, card: TaskCard) -> Format:
        """Always the task's own.

        Raises:
            ValueError: the task has none.
        """
        if card.form != "native":
            raise ValueError("only tasks of another framework (lm_eval:...) have prompts of their own")
        return "native"

    def kinds_for(self, card: TaskCard) -> frozenset[Kind]:
        """What the task asks."""
        return card.kinds

    def meets(self, card: TaskCard) -> frozenset[Need]:
        """Nothing: prompts are the task's own."""
        del card
        return frozenset()

    def prepare(self, context: Context) -> Asking[Prepared]:
        """Nothing spans samples."""
        return Prepared()
        yield  # makes this a generator

    def answer(self, sample: Sample, state: None, context: Context) -> Asking[Answer]:
        """One answer in the task's own way."""
        return (yield from ask_foreign(sample, None, context))


def build(options: Options) -> Native:
    """The strategy for these options."""
    del options
    return Native()


SPEC = StrategySpec(
    name="native",
    summary="The task's own prompts and number of exemplars (lm_eval tasks only).",
    source="-",
    options=Options,
    build=build,
)
