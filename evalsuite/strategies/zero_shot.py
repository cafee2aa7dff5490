"""The question alone."""

from __future__ import annotations

from dataclasses import dataclass

from evalsuite.formats import Format
from evalsuite.strategies.ask import ask
from evalsuite.strategies.ask_foreign import ask_foreign
from evalsuite.strategies.base import Context, StrategySpec
from evalsuite.strategies.options import FormatOptions
from evalsuite.tasks import TaskCard
from evalsuite.types import Answer, Asking, Kind, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class ZeroShot:
    """Asks once, without exemplars."""

    options: FormatOptions
    """How samples are asked."""
    n_shots: int = 0
    """None."""

    def form_for(self, card: TaskCard) -> Format:
        """The format for such a task."""
        return self.options.form_for(card)

    def kinds_for(self, card: TaskCard) -> frozenset[Kind]:
        """Request kinds of the format."""
        return self.options.kinds_for(card)

    def prepare(self, context: Context) -> Asking[None]:
        """Nothing spans samples."""
        return None
        yield  # makes this a generator

    def answer(self, sample: Sample, state: None, context: Context) -> Asking[Answer]:
        """One answer in the format."""
        form = self.form_for(context.card)
        if form == "native":
            return (yield from ask_foreign(sample, 0, context))
        return (yield from ask(sample, (), form, context, self.options.normalisation or "byte"))


def build(options: FormatOptions) -> ZeroShot:
    """The strategy for these options."""
    return ZeroShot(options=options)


SPEC = StrategySpec(
    name="zero_shot",
    summary="The question alone, asked once.",
    source="-",
    options=FormatOptions,
    build=build,
)
