"""What a paper printed, as data: numbers with their source, and how well each is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Reading = Literal["read", "derived", "second_hand"]
"""`read`: seen where the paper's authors print it; `derived`: computed from what was read; `second_hand`: seen where others quote it."""

Counted = Literal["stated", "derived", "assumed"]
"""`stated`: the paper prints the number of items; `derived`: it follows from what was read; `assumed`: the data set's usual size."""

Kind = Literal["accuracy", "score", "difference", "other"]
"""`accuracy`: share of items that are right; `score`: a bounded mean of partial credit; `difference`: printed as one; `other`: a rate,
a ratio, a count."""

UNITS: Mapping[str, float] = {
    "percent": 0.01,
    "percentage_points": 0.01,
    "percent_relative": 0.01,
    "score_0_100": 0.01,
    "fraction": 1.0,
    "ratio": 1.0,
    "correlation": 1.0,
    "questions": 1.0,
    "elo": 1.0,
}
"""Printed unit to what turns a printed number into a stored one (shares in [0, 1])."""

SHARES = ("percent", "percentage_points", "score_0_100", "fraction")
"""Units whose stored number is a share or a difference of shares, shown in percent or points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One version of a paper."""

    id: str
    """Short name, as in `2404.04067v3`."""
    text: str
    """What it is, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrintedModel:
    """A model under the name that the paper gives it."""

    name: str
    """As printed."""
    hf_id: str | None = None
    """Hub id; None: the name does not tell."""
    hf_id_seen: bool = False
    """True: a source prints the id; False: it is the obvious one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrintedTask:
    """A task under the name that the paper gives it."""

    name: str
    """As printed."""
    language: str = "en"
    """ISO 639-1."""
    ours: tuple[str, ...] = ()
    """Tasks here that hold the same questions, the nearest first (`lm_eval:` names where the paper used that framework)."""
    split: str | None = None
    """The split of those questions, as the first of `ours` names it."""

    @property
    def evalsuite_task(self) -> str | None:
        """The nearest of our tasks; None: none holds the same questions."""
        return self.ours[0] if self.ours else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """How the paper asked and scored, as far as it says; None: it does not say, or that part could not be read."""

    shots: int | None = None
    """Exemplars per prompt."""
    method: str | None = None
    """`plain`: one prompt, one answer; else the method's name."""
    form: str | None = None
    """`letters`: the likeliest label; `cloze`: the likeliest text; `generate`: text that is read."""
    scorer: str | None = None
    """How an answer became a number, in words."""
    prompts: str | None = None
    """Framework whose prompts were used."""
    precision: str | None = None
    """Numbers that the model computed with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One printed number."""

    paper: str
    """Paper id."""
    version: str
    """Version id."""
    table: str
    """Where in the paper."""
    model: PrintedModel
    """Whose number it is."""
    task: PrintedTask
    """On what."""
    metric: str
    """As printed."""
    kind: Kind
    """What sort of number it is."""
    metrics_here: tuple[str, ...]
    """Metrics here that mean the same; empty: none."""
    setting: str
    """Conditions in the paper's words, shortened."""
    printed: str
    """The number as printed, final zeros included where the table shows how many decimals it has."""
    value: float
    """The printed number."""
    unit: str
    """One of `UNITS`."""
    n_items: int | None
    """Items that the number is over; None: neither stated nor derivable."""
    n_status: Counted | None
    """How `n_items` is known; None without it."""
    n_independent: int | None
    """Independent units among the items, where one question stands several times; else `n_items`."""
    ci_low: float | None
    """Lower end of a printed interval, in `unit`."""
    ci_high: float | None
    """Upper end."""
    asking: Asking
    """How it was asked and scored."""
    reading: Reading
    """How well the number is known."""
    source: str
    """Where it was read."""
    note: str
    """Remark on this number; empty if there is none."""
    base: str | None
    """Printed differences: the model that the paper says it subtracts."""
    lead: bool
    """True for the numbers that a summary shows where a task has several metrics."""
    overall: bool
    """True for a mean over several tasks, which repeats what they say."""

    @property
    def stored(self) -> float:
        """The value as it is stored here: shares in [0, 1], other units as printed."""
        return self.value * UNITS[self.unit]

    @property
    def cell(self) -> tuple[str, str, str]:
        """(task, metric, setting): what two models must have in common to be subtracted, within a version."""
        return self.task.name, self.metric, self.setting


@dataclass(frozen=True, kw_only=True, slots=True)
class DeclaredPair:
    """A biomedical model and the generalist that the paper compares it with."""

    biomedical: str
    """Hub id, or the printed name where no id is known."""
    base: str
    """Likewise."""
    follows: str | None
    """The model that the printed numbers follow, where it is another than `base`; None: they do, or cannot be checked."""
    version: str | None
    """Version that says so; None: all."""
    source: str
    """Where it says so."""
    note: str
    """Remark; empty if there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Defect:
    """A known fault of the paper's numbers."""

    text: str
    """One or two sentences."""
    tasks: tuple[str, ...]
    """Printed task names that it touches; empty: all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """Everything that is held of one paper."""

    id: str
    """arXiv id, else a short name."""
    title: str
    """Title."""
    authors: str
    """Authors, short."""
    year: int
    """Of the first version."""
    url: str
    """Where it is."""
    versions: tuple[Version, ...]
    """Oldest first."""
    not_read: str
    """What of its numbers could not be read; empty if all could."""
    records: tuple[Record, ...]
    """Printed numbers."""
    pairs: tuple[DeclaredPair, ...] = ()
    """Pairs that the paper declares."""
    defects: tuple[Defect, ...] = ()
    """Known faults."""
    models: Mapping[str, PrintedModel] = field(default_factory=dict)
    """Printed name to model."""

    @property
    def reference(self) -> str:
        """`Dada et al. 2024 (2404.04067)`."""
        return f"{self.authors} {self.year} ({self.id})"
