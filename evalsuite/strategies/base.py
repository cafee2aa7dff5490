"""What a strategy is: two small programs over requests (DESIGN 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from evalsuite.config import Decoding
from evalsuite.foreign import Foreign
from evalsuite.formats import Format, Wording
from evalsuite.tasks import TaskCard
from evalsuite.types import Answer, Asking, Kind, Message, Prompt, Sample


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

    def prepare(self, context: Context) -> Asking[Any]:
        """Once per model and task: what spans samples. Returns the state that `answer` receives."""
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
