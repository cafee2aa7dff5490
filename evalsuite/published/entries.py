"""What a paper's file holds, before its numbers become records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from evalsuite.config import FileModel
from evalsuite.published.records import UNITS, Counted, Kind, Reading

Text = Annotated[str, StringConstraints(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class FactsEntry(FileModel):
    """What may be said of a number, by its table, its column or its row."""

    task: Text | None = None
    """Printed task name."""
    metric: Text | None = None
    """Printed metric name, one of the paper's `metrics`."""
    setting: Text | None = None
    """Conditions, shortened."""
    unit: str | None = None
    """One of `records.UNITS`."""
    decimals: Annotated[int, Field(ge=0, le=20)] | None = None
    """Decimals that the table prints; None: those that the number shows."""
    n_items: Annotated[int, Field(ge=1)] | None = None
    """Items that the number is over."""
    n_status: Counted | None = None
    """How `n_items` is known; needed with it."""
    n_independent: Annotated[int, Field(ge=1)] | None = None
    """Independent units among the items; None: all of them."""
    ci_low: Number | None = None
    """Lower end of a printed interval."""
    ci_high: Number | None = None
    """Upper end."""
    shots: Annotated[int, Field(ge=0)] | None = None
    """Exemplars per prompt."""
    method: Text | None = None
    """`plain`: one prompt, one answer; else the method's name."""
    form: Literal["letters", "cloze", "generate"] | None = None
    """How an answer was asked for."""
    scorer: Text | None = None
    """How an answer became a number, in words."""
    prompts: Literal["lm_eval"] | None = None
    """Framework whose prompts were used."""
    precision: Text | None = None
    """Numbers that the model computed with."""
    reading: Reading | None = None
    """How well the number is known."""
    source: Text | None = None
    """Where it was read."""
    note: Text | None = None
    """Remark."""
    base: Text | None = None
    """Printed differences: the model that is subtracted, as the paper names it."""
    lead: bool | None = None
    """True for the numbers that a summary shows."""
    overall: bool | None = None
    """True for a mean over several tasks."""

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, value: str | None) -> str | None:
        if value is not None and value not in UNITS:
            raise ValueError(f"one of {', '.join(UNITS)}")
        return value


class RowEntry(FileModel):
    """The numbers of one model in one table."""

    model: Text
    """Printed model name."""
    values: tuple[Number | None, ...]
    """One per column; None: not printed."""
    facts: FactsEntry = FactsEntry()
    """What holds for this row only."""


class TableEntry(FileModel):
    """One table, or one place where numbers are printed."""

    name: Text
    """Where in the paper."""
    version: Text
    """Version id."""
    all: FactsEntry = FactsEntry()
    """What holds for every number of the table."""
    columns: Annotated[tuple[FactsEntry, ...], Field(min_length=1)] = (FactsEntry(),)
    """What holds for every number of a column."""
    rows: Annotated[tuple[RowEntry, ...], Field(min_length=1)]
    """The numbers."""


class ModelNameEntry(FileModel):
    """A printed model name."""

    hf_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")]
    """Hub id."""
    seen: bool = False
    """True: a source prints it."""


class TaskNameEntry(FileModel):
    """A printed task name."""

    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] = "en"
    """ISO 639-1."""
    ours: tuple[Text, ...] = ()
    """Tasks here with the same questions."""
    split: Text | None = None
    """Their split."""


class MetricNameEntry(FileModel):
    """A printed metric name."""

    kind: Kind
    """What sort of number it is."""
    ours: tuple[Text, ...] = ()
    """Metrics here that mean the same."""


class PairEntry(FileModel):
    """A pair that the paper declares."""

    biomedical: Text
    """Hub id or printed name."""
    base: Text
    """Hub id or printed name."""
    follows: Text | None = None
    """The model that the numbers follow, where it is another than `base`."""
    version: Text | None = None
    """Version that says so; None: all."""
    source: Text
    """Where it says so."""
    note: str = ""
    """Remark."""


class DefectEntry(FileModel):
    """A known fault."""

    text: Text
    """One or two sentences."""
    tasks: tuple[Text, ...] = ()
    """Printed task names that it touches; empty: all."""


class PaperEntry(FileModel):
    """One file."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._]*$")]
    """arXiv id, else a short name; also the file's name."""
    title: Text
    """Title."""
    authors: Text
    """Authors, short."""
    year: Annotated[int, Field(ge=1990, le=2100)]
    """Of the first version."""
    url: Annotated[str, StringConstraints(pattern=r"^https://\S+$")]
    """Where it is."""
    versions: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$")], Text]
    """Version id to what it is, oldest first."""
    not_read: str = ""
    """What of its numbers is not held."""
    models: Mapping[str, ModelNameEntry] = {}
    """Printed model name to its hub id; names that tell none are left out."""
    tasks: Mapping[str, TaskNameEntry] = {}
    """Printed task name to what it is here; others have no counterpart."""
    metrics: Mapping[str, MetricNameEntry] = {}
    """Every printed metric."""
    pairs: tuple[PairEntry, ...] = ()
    """Pairs that the paper declares."""
    defects: tuple[DefectEntry, ...] = ()
    """Known faults."""
    tables: tuple[TableEntry, ...] = ()
    """The numbers."""
