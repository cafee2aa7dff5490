"""What a task is: its card, its splits, and how a row becomes a sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from evalsuite.foreign import Foreign
from evalsuite.formats import Format, Wording
from evalsuite.metrics import METRICS, Metric
from evalsuite.rows import Row
from evalsuite.types import Excluded, Kind, Sample

TaskKind = Literal["choice", "labels", "text", "quantity"]
"""`choice`: each sample has its own choices; `labels`: the same labels for all; `text`: free text against references; `quantity`: a number
with a tolerance, a date, or a span of weeks and days, read out of generated text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """One split of a task's data and what must be true of it."""

    n_rows: int | None
    """Exact number of rows in the source; None if unknown. Another number is a fault."""
    excluded: Mapping[str, int] = field(default_factory=dict)
    """How many rows are left out, by reason; checked when the split is read."""
    tagged: Mapping[str, int] = field(default_factory=dict)
    """How many samples carry each tag; checked likewise."""
    counted: bool = True
    """False: we never had this split in hand, so exclusions and tags are reported when it is read, not compared."""
    hub_split: str | None = None
    """Name of the split on the hub; None: not on the hub under this task's id."""
    file: str | None = None
    """File name in a local folder if it is not `<split>.jsonl[.gz]`; `.csv` and `.parquet` are read too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskCard:
    """Everything about a task but its data access."""

    name: str
    """Name in study.yaml and in every column."""
    kind: TaskKind
    """What kind of answer is wanted."""
    description: str
    """What is asked, of what material, in one or two sentences."""
    language: str
    """ISO 639-1."""
    licence: str
    """Licence of the data as its source states it."""
    citation: str
    """Authors, year, title, and link or identifier."""
    splits: Mapping[str, Split]
    """Splits by name."""
    split: str
    """The split that is evaluated unless the study says otherwise."""
    exemplar_split: str | None
    """Split that exemplars come from; None: the task has none, few-shot is a fault."""
    metric: str
    """Default metric."""
    metrics: tuple[str, ...]
    """All metrics that are computed, the default among them."""
    chance: float | None
    """Expected value of the default metric for a uniform guess; None where that has no meaning."""
    exemplar_splits: Mapping[str, str] = field(default_factory=dict)
    """Evaluated split to the split its exemplars come from, where that is not `exemplar_split`; see `pool_split`."""
    aliases: tuple[str, ...] = ()
    """Other folder names under $EVALSUITE_DATA."""
    hub_id: str | None = None
    """Data set id on the hub; None if none is known."""
    hub_config: str | None = None
    """Configuration name on the hub."""
    revision: str | None = None
    """Commit of the data set on the hub; None: not pinned, shown as such. Never invented."""
    restricted: bool = False
    """True: texts never appear in reports, logs, errors or exports."""
    family: str = ""
    """Tasks of one family repeat each other's questions (4 and 5 options) and are never pooled twice; empty: its own name."""
    known_issues: Mapping[str, str] = field(default_factory=dict)
    """Name (a sample tag where samples carry it) to one sentence."""
    get_data: str = ""
    """One line: how a person gets the data."""
    wording: Wording | None = None
    """Words around the sample; None: the default of the language."""
    kinds: frozenset[Kind] = frozenset()
    """Request kinds of the format `native`; empty for tasks without prompts of their own."""
    form: Format | None = None
    """Format that `format: auto` takes; None: letters for choices and labels, generate where the answer must be written: free text,
    quantities, several right choices."""

    @property
    def several(self) -> bool:
        """True if samples may have several right choices, which is said in the wording since the model must be told."""
        return self.wording is not None and self.wording.several


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task plugin: the card, and how a row becomes a sample."""

    card: TaskCard
    """The card."""
    to_sample: Callable[[Row, int], Sample | Excluded]
    """(row, 0-based number of the row in its split) -> sample. For a malformed row raises RowError, whose words (never the row's) are
    always shown; of any other exception only type and line are shown where the task is restricted."""
    keeps: Callable[[Row], bool] | None = None
    """Whether a row is this task's at all, where one file or hub split serves several tasks (a column `subject`); the others are neither
    counted nor fingerprinted. None: all are."""
    choose_reader: Callable[[Sequence[Row]], Callable[[Row, int], Sample | Excluded]] | None = None
    """Chooses what stands in for `to_sample` from all rows of a split, where a row alone does not say how it is to be read (keys from 0 or
    from 1). Raises RowError where the rows do not say it either. None: `to_sample` reads them."""
    folder: Path | None = None
    """Folder of the plugin, set when it is found; data files beside the plugin lie there."""
    foreign: Foreign | None = None
    """Set where another framework owns prompts, rows and scores; then nothing of the look-up order of data is used."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """Metrics of the task's own by name, before those of `evalsuite.metrics`."""


def metrics_of(task: Task) -> dict[str, Metric]:
    """The metrics that the card names, its own before ours."""
    return {name: task.metrics.get(name) or METRICS[name] for name in task.card.metrics}


VALIDATION = ("validation", "valid", "val", "dev")
"""What a split is called that prompts may be chosen on; the first that a card has counts."""


def validation_split(card: TaskCard, split: str, named: str | None) -> str | None:
    """The split that prompts are chosen on when `split` is evaluated; None: there is none, or it is the evaluated one.

    Args:
        card: the task's card.
        split: the evaluated split.
        named: the split that the study names; None: the first of `VALIDATION` that is not evaluated.
    """
    found = [name for name in (VALIDATION if named is None else (named,)) if name in card.splits and name != split]
    return found[0] if found else None


def pool_split(card: TaskCard, split: str, named: str | None = None) -> str | None:
    """The split that exemplars come from when `split` is evaluated; None: there is none, or it is the evaluated one.

    Args:
        card: the task's card.
        split: the evaluated split.
        named: the split that the study names; None: the card's.
    """
    chosen = card.exemplar_splits.get(split, card.exemplar_split) if named is None else named
    return None if chosen == split else chosen
