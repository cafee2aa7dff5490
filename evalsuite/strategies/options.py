"""Options that every single-answer strategy shares, and what follows from them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from evalsuite.formats import Format
from evalsuite.strategies.ask import Normalisation
from evalsuite.tasks import TaskCard
from evalsuite.types import Kind


class FormatOptions(BaseModel):
    """How samples are asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal["auto", "letters", "cloze", "generate"] = "auto"
    """`auto`: the card's, else letters for choices and labels and generate for free text, quantities and several right choices."""
    normalisation: Normalisation | None = None
    """`cloze` only; byte by default."""

    @model_validator(mode="after")
    def _normalisation_of_cloze(self) -> FormatOptions:
        if self.normalisation is not None and self.format != "cloze":
            raise ValueError("normalisation belongs to `format: cloze`")
        return self

    def form_for(self, card: TaskCard) -> Format:
        """The format for a task.

        Raises:
            ValueError: letters or cloze for free text, a quantity or several right choices: the likeliest one choice is no set of choices.
        """
        if self.format == "auto" and card.form == "native":
            return "native"
        written = {"text": "free text needs", "quantity": "a quantity needs"}.get(card.kind)
        written = "several right choices need" if card.several else written
        if written is not None:
            if self.format not in ("auto", "generate"):
                raise ValueError(f"format = {self.format}: {written} `generate` (or `auto`)")
            return "generate"
        return card.form or "letters" if self.format == "auto" else self.format

    def kinds_for(self, card: TaskCard) -> frozenset[Kind]:
        """Request kinds that the format makes for a task.

        Raises:
            ValueError: as `form_for`.
        """
        form = self.form_for(card)
        return card.kinds if form == "native" else frozenset({KIND_OF_FORMAT[form]})


KIND_OF_FORMAT: dict[Format, Kind] = {"letters": "next", "cloze": "continuation", "generate": "generate"}
"""Which request kind each of our formats makes."""
