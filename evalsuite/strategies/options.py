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
    """`auto`: the card's, else letters for choices and labels and generate for free text."""
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
            ValueError: letters or cloze for free text.
        """
        if card.kind == "text":
            if self.format not in ("auto", "generate"):
                raise ValueError(f"format = {self.format}: free text needs `generate` (or `auto`)")
            return "generate"
        return card.form or "letters" if self.format == "auto" else self.format


KIND_OF_FORMAT: dict[Format, Kind] = {"letters": "next", "cloze": "continuation", "generate": "generate"}
"""Which request kind each format makes."""
