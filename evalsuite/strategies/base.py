"""What a strategy is: two small programs over requests (DESIGN 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from evalsuite.config import Decoding
from evalsuite.embedders.neighbours import Nearest
from evalsuite.foreign import Foreign
from evalsuite.formats import Format, Layout, Wording
from evalsuite.metrics import Metric
from evalsuite.tasks import TaskCard
from evalsuite.types import Answer, Asking, Kind, Manner, Message, Need, Prompt, Sample


class Renders(Protocol):
    """What strategies need of a renderer; `prompts.Renderer` renders, `scoring.Silent` stands in where nothing is sent."""

    def render(self, messages: Sequence[Message], *, joint: str = " ") -> Prompt:
        """The prompt of a conversation that ends with a user turn."""
        ...

    def label_ids(self, prompt: Prompt, labels: Sequence[str], *, joint: str = " ") -> tuple[int, ...]:
        """One id per label, as next token after the prompt."""
        ...

    @property
    def chats(self) -> bool:
        """True if the model is asked through a chat template."""
        ...

    def render_own(self, text: str, turns: Sequence[Message], *, scored: bool) -> tuple[Prompt, str]:
        """A prompt whose words another framework decided, and the white space cut off its end."""
        ...

    def render_whole(self, text: str) -> Prompt:
        """A text whose own log-likelihood is wanted."""
        ...

    def following_ids(self, prompt: Prompt, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Ids of each text as it continues a prompt of `render_own`."""
        ...

    def continuation_ids(self, prompt: Prompt, texts: Sequence[str], joint: str = " ") -> tuple[tuple[int, ...], ...]:
        """Ids of each text as it continues the prompt."""
        ...


Vectors = Callable[[str, Sequence[str]], npt.NDArray[np.float32]]
"""(embedder, texts) -> one row per text."""


def _no_samples(split: str | None, limit: int) -> Sequence[Sample]:
    """There are none."""
    del split, limit
    return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a strategy may know: one model, one task, one replicate. Holds no target of the evaluated split but the sample's."""

    renderer: Renders
    """Renders messages for the model under test."""
    card: TaskCard
    """The task's card; its name is part of every seed, its kind decides the format where a strategy leaves it open."""
    wording: Wording
    """The task's wording."""
    pool: Callable[[], Sequence[Sample]]
    """Exemplar pool: samples of the task's exemplar split, none of whose groups is evaluated; loaded at first use."""
    decoding: Decoding
    """The study's decoding."""
    shots_as: str
    """`turns` or `text`."""
    system: str | None
    """The study's system prompt."""
    seed: int
    """Study seed."""
    replicate: int
    """Number of the draw."""
    foreign: Foreign | None = None
    """The task's own framework, where it has one."""
    thinking: tuple[str, str] | None = None
    """Marks around the model's thoughts, which are cut before an answer is read."""
    questions: Callable[[], Sequence[Sample]] = tuple
    """What this run asks of the task, every variant once, without targets and references: what a preparation may look up."""
    validation: Callable[[str | None, int], Sequence[Sample]] = _no_samples
    """(split other than the evaluated one, None: the card's own; most samples, as whole groups) -> samples with targets and all, none of
    whose groups is evaluated."""
    validation_split: str | None = None
    """The card's own split for that; None where it has none."""
    metric: Metric | None = None
    """Metric of the comparison; None where nothing is scored."""
    nearest: Nearest | None = None
    """Looks nearest neighbours up; None where nothing is looked up (previews and answers that are recalled)."""
    vectors: Vectors | None = None
    """Embeds texts that a model wrote, for votes on free text by similarity of meaning; None where no embedder is at hand."""
    recorded: Mapping[str, Any] | None = None
    """Facts of this preparation from when the study ran; empty in a preview. None: prepare. With facts, nothing is asked."""
    laid_out: dict[Format, tuple[Any, Wording, Sequence[tuple[Layout, str]]]] = field(default_factory=dict, repr=False, compare=False)
    """What `ask` keeps from one question to the next: the last exemplars in each format, the wording, and their layouts with answers."""
    manners: dict[Manner, Context] = field(default_factory=dict, repr=False, compare=False)
    """What `manners.context_under` keeps: this context as a manner changes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What a preparation leaves behind."""

    state: Any = None
    """What `answer` receives."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready record of what was found, by part (`chains`, `selection`, `neighbours`, `failed`): for the report, and for scoring again
    without a model. Holds no text of a sample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """How a strategy chooses among prompts before it answers."""

    n_candidates: int
    """Prompts among which it chooses, at least 2."""
    split: str | None
    """Split on which they are tried; None: the card's own."""
    limit: int
    """Most samples on which each is tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beforehand:
    """What of a strategy is not known before it is prepared, so that no preview can count it."""

    n_attempts: int = 0
    """Most attempts at a chain of thought for each question of the exemplar pool; 0: none is asked for."""
    embeds: bool = False
    """Whether hidden states of the pool and of all questions are asked for."""
    exemplars: bool = False
    """Whether exemplars follow from either or from a search; others stand in for them until then."""


class Strategy(Protocol):
    """A way of getting an answer. Frozen; its options are its fields."""

    def form_for(self, card: TaskCard) -> Format:
        """How samples of such a task are laid out and read.

        Raises:
            ValueError: the strategy's options do not fit such a task; the message says what does.
        """
        ...

    def kinds_for(self, card: TaskCard) -> frozenset[Kind]:
        """Request kinds that it needs from an engine for such a task."""
        ...

    @property
    def n_shots(self) -> int:
        """Exemplars per prompt; 0 means that the pool is not touched."""
        ...

    @property
    def lender(self) -> str | None:
        """Registry name of the model with which `prepare` runs for every model alike; None: each model prepares for itself."""
        ...

    @property
    def trial(self) -> Trial | None:
        """How it chooses among prompts; None: there is one prompt."""
        ...

    @property
    def beforehand(self) -> Beforehand:
        """What `prepare` asks and decides beside the trial of prompts."""
        ...

    def meets(self, card: TaskCard) -> frozenset[Need]:
        """What it offers to perturbations of such a task.

        Raises:
            ValueError: as `form_for`.
        """
        ...

    def prepare(self, context: Context) -> Asking[Prepared]:
        """Once per model and task: what spans samples. With `context.recorded` it asks nothing."""
        ...

    def answer(self, sample: Sample, state: Any, context: Context) -> Asking[Answer]:
        """Once per sample. Never raises for what a model did; a failed request becomes an answer's status."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StrategySpec:
    """A strategy as a plugin; each module in `evalsuite/strategies` that defines `SPEC` is one."""

    name: str
    """Name in study.yaml."""
    summary: str
    """One sentence."""
    source: str
    """Where the method is from."""
    options: type[BaseModel]
    """pydantic model (`extra="forbid"`) of the options in study.yaml."""
    build: Callable[[Any], Strategy]
    """Makes the strategy from checked options."""
