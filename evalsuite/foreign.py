"""Tasks that bring their own prompts and their own scores: what they ask, and what is handed back to them.

The other framework decides the words and judges the answers. In between everything is ours: rendering to tokens, engines,
store, statuses. Nothing here knows which framework it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evalsuite.types import Kind, Message, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How a prompt is put together; conditions of the study and of the model."""

    shots: int | None
    """Exemplars, drawn by the task's own sampler; None: as many as the task's own configuration says."""
    chat: bool
    """True: the model has a chat template, so that turns are wanted and not one text."""
    turns: bool
    """With a chat template: exemplars as turns of their own, or within one user turn."""
    system: str | None
    """The study's system prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One thing asked about a sample: a continuation's log-likelihood, a text's own, or generated text."""

    text: str = ""
    """The prompt where there is no chat template, word for word; with `rolling` the text that is scored."""
    turns: tuple[Message, ...] = ()
    """The prompt where there is one; an assistant's turn at the end is opened with its text and not closed."""
    continuation: str | None = None
    """The text whose log-likelihood after the prompt is wanted; None: text is generated, or the prompt itself is scored."""
    greedy: bool = False
    """With `continuation`: also whether greedy decoding would give it."""
    rolling: bool = False
    """The log-likelihood of `text` itself is wanted."""
    stop: tuple[str, ...] = ()
    """Generation: strings that end it, beside the study's."""
    max_tokens: int | None = None
    """Generation: the task's own limit; None: the study's."""
    n_draws: int = 1
    """Generation: how many answers; at temperature 0 one is drawn and stands for all."""


Result = tuple[float, bool] | float | tuple[str, ...]
"""What came back for an `Ask`: (log-likelihood, greedy), log-likelihood of the text itself, or the texts that were generated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What the task makes of the results of one sample."""

    items: Mapping[str, Any]
    """Metric to what the task's own aggregation takes for this sample, JSON-ready."""
    values: Mapping[str, float]
    """Metric to the value of this sample, in the metric's unit."""
    unread: frozenset[str] = frozenset()
    """Metrics for which the task's own filters found no answer in the text; their values stand for none."""
    index: int | None = None
    """Choices: position of the likeliest one."""
    text: str | None = None
    """Generation: the text as filtered for the first metric."""
    p_choices: tuple[float, ...] | None = None
    """Choices: probabilities proportional to the continuations' likelihoods."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A group of tasks that reports a mean of its own."""

    name: str
    """Name of the group, with its framework."""
    tasks: tuple[str, ...]
    """Names of its tasks."""
    metrics: Mapping[str, bool]
    """Metric to whether the mean is weighted by the number of samples."""


class Foreign(Protocol):
    """A task of another framework."""

    @property
    def kinds(self) -> frozenset[Kind]:
        """Request kinds that its asks become."""
        ...

    @property
    def groups(self) -> Sequence[Group]:
        """Groups that it was named through."""
        ...

    @property
    def configuration(self) -> str:
        """Digest of what decides its words, filters and metrics: its configuration with the sources of its functions, and the version."""
        ...

    def rows(self, split: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Rows of a split with their numbers, from 1."""
        ...

    def asks(self, sample: Sample, style: Style) -> tuple[Ask, ...]:
        """What is asked about a sample; empty for a sample that is not as the task made it (it was perturbed)."""
        ...

    def judge(self, sample: Sample, style: Style, results: Sequence[Result]) -> Judged:
        """What the results of `asks` are worth, in its order."""
        ...

    def aggregate(self, metric: str, items: Sequence[Any]) -> float:
        """The task's own aggregation of the items of all samples; NaN where it has none."""
        ...


WORDS, ROW = "own_words", "own_row"
"""Names in a sample's metadata: digest of what was shown when the task made it, and the framework's own hash of the row."""


def words_of(sample: Sample) -> str:
    """Digest of question, choices and references: first 16 hex digits of sha256."""
    text = "\0".join([sample.question, *sample.choices, "", *sample.references])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_as_made(sample: Sample) -> bool:
    """Whether a sample is still as its foreign task made it; a perturbed one is not."""
    in_order = sample.order in ((), tuple(range(len(sample.choices))))
    told_otherwise = sample.context or sample.labels or sample.n_unlisted or sample.manner is not None or sample.dialogue is not None
    return sample.variant == 0 and not told_otherwise and in_order and sample.metadata.get(WORDS) == words_of(sample)
