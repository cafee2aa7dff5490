"""The frozen types that flow through the package, from a sample to a score.

Read this file first: data flows Sample -> Request -> Outcome -> Answer -> Score, one way only.
Every field has a sentence; "shown" means the order in which the choices stand in the prompt,
"original" the order in which the data set holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Kind = Literal["generate", "next", "continuation", "prompt", "embed"]
"""What is asked of an engine: free text; log-probabilities of given next tokens; of given continuations;
along the prompt itself; or the prompt's mean hidden state."""

Status = Literal["scored", "unparsed", "truncated", "too_long", "refused", "failed"]
"""Why a score has a value or has none (DESIGN 2.1). Only `scored` has a value."""

STATUSES: tuple[Status, ...] = ("scored", "unparsed", "truncated", "too_long", "refused", "failed")

Role = Literal["system", "user", "assistant"]

FinishReason = Literal["stop", "length", "none"]
"""`stop`: end-of-turn or a stop string; `length`: the token limit; `none`: nothing was generated (log-probability kinds)."""

FailureReason = Literal["too_long", "engine_error", "invalid_logprob", "unsupported", "out_of_memory"]


Need = Literal["written", "listed", "dialogue", "drawn_exemplars", "own_prompt"]
"""What a perturbation needs of a strategy: that the answer is written in one go (`generate`); that choices are shown; that a second turn
can follow; that exemplars are drawn by a seed; that the prompt is ours and not another framework's or chosen per model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """What decides whether a number, a date or a span of weeks and days is right."""

    form: Literal["number", "whole", "date", "weeks_days"]
    """What is asked for: a number, a whole number (a score or a count), MM/DD/YYYY, or "(W weeks, D days)". The right one is the sample's
    reference: a date or span as `answers.read_quantity` writes it, or a text that begins with the number."""
    low: float | None = None
    """Numbers: the lowest that counts as right, itself included; None for dates and spans, which must be equal."""
    high: float | None = None
    """Numbers: the highest likewise."""
    unit: str = ""
    """Numbers: the unit asked for, as the question writes it; empty for a bare number, a score or where the question names none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How a rendition of a sample is asked where a perturbation decides it; a field at its default leaves it to the study and the task."""

    contract: str = ""
    """Name of the output contract (`contracts`)."""
    system: str | None = None
    """System prompt."""
    template: int | None = None
    """Number of the template's draw (`prompt_templates.sampled_template`)."""
    exemplar_seed: int | None = None
    """Seed of the exemplars' draw."""
    choices_first: bool = False
    """Whether the choices stand before the question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """What goes before a second turn. The sample that holds it is what the second turn asks and what is scored."""

    first: Sample
    """What the first turn asks: of the same id and group, variant 0, without a dialogue of its own."""
    said: str
    """What the person says after the first answer."""
    repeats: bool
    """Whether the second turn then shows question and choices; else it asks about what the first one showed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One question of a task, as it will be shown."""

    id: str
    """Unique within its task and split; stable between runs."""
    group: str
    """Global name of the unit of resampling, e.g. `headqa:2017_M:64`; equal wherever that question stands."""
    question: str
    """The stem, or the text that is to be worked on."""
    context: str = ""
    """A passage that is shown before the question; empty if none."""
    choices: tuple[str, ...] = ()
    """Choice or label texts in shown order; empty for free-text tasks."""
    targets: tuple[int, ...] = ()
    """Shown positions of the right choices; one for single-answer tasks, empty for free-text tasks."""
    references: tuple[str, ...] = ()
    """Right texts of a free-text task, or the right quantity; empty for choice tasks."""
    quantity: Quantity | None = None
    """Tasks of kind `quantity`: the form that is asked for and what counts as right; else None."""
    language: str = "en"
    """ISO 639-1 code of the text; decides the wording around it."""
    variant: int = 0
    """Number of this rendition among those that a perturbation made of one sample."""
    order: tuple[int, ...] = ()
    """For each shown choice its original index, -1 for a choice that a perturbation added; empty: original order."""
    labels: tuple[str, ...] = ()
    """Labels in front of the choices; empty: A, B, C, ..."""
    tags: tuple[str, ...] = ()
    """Names of known issues of the card that touch this sample; one that begins with `key_` says that what is right is in doubt."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Further source fields (year, subject) for breakdowns; never shown to a model."""
    n_unlisted: int = 0
    """The last so many choices are not listed but may be answered, by their label: a refusal that an output contract allows."""
    suggested: int | None = None
    """Shown position of the choice that somebody in the text says is right; None: nobody does."""
    manner: Manner | None = None
    """How it is asked where a perturbation decides that; None: as study and task say."""
    dialogue: Dialogue | None = None
    """What goes before, where it is asked in a second turn; None: there is one turn."""

    def original_index(self, shown: int) -> int:
        """Original index of the choice at a shown position (-1 for an added one)."""
        return self.order[shown] if self.order else shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Excluded:
    """A row that the task leaves out, and why; counted on the card."""

    reason: str
    """Short name of the reason as on the card, e.g. `image_missing`."""
    sample_id: str
    """The id that the row would have had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation, before any chat template."""

    role: Role
    """Who speaks."""
    text: str
    """What is said, without template marks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A rendered prompt: exactly what an engine receives."""

    token_ids: tuple[int, ...]
    """Token ids, with exactly one BOS where the tokenizer has one."""
    text: str
    """The same as text with template marks, for people; not part of any key."""
    messages: tuple[Message, ...] = ()
    """What a server that renders by itself receives instead of ids, which are then empty; empty everywhere else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """Every decoding parameter of a `generate` request."""

    max_tokens: int
    """Most tokens to generate."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Nucleus mass; 1 switches it off."""
    stop: tuple[str, ...] = ()
    """Strings that end the generation; they are cut off the text."""
    seed: int | None = None
    """Seed of the draw above temperature 0, else None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One thing asked of an engine. Only the fields of its kind are set."""

    kind: Kind
    """Which of the five questions is asked."""
    prompt: Prompt
    """What the model reads."""
    sampling: Sampling | None = None
    """`generate`: how to decode."""
    candidates: tuple[int, ...] = ()
    """`next`: token ids whose log-probability after the prompt is wanted."""
    continuations: tuple[tuple[int, ...], ...] = ()
    """`continuation`: token ids of each continuation whose log-probabilities are wanted."""
    greedy: bool = False
    """`continuation`: also whether each continuation is what greedy decoding would give."""
    moments: bool = False
    """`prompt`: also the mean and variance of the log-probability over the vocabulary at each position."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """What an engine answered. Log-probabilities are natural logs under the whole vocabulary, always finite."""

    text: str = ""
    """`generate`: decoded new tokens without special tokens, cut before a stop string."""
    token_ids: tuple[int, ...] = ()
    """`generate`: the new token ids, as generated."""
    finish_reason: FinishReason = "none"
    """`generate`: why it ended."""
    logprobs: tuple[float, ...] = ()
    """`next`: one per candidate, in its order. `prompt`: one per token from the second on."""
    continuation_logprobs: tuple[tuple[float, ...], ...] = ()
    """`continuation`: for each continuation one per token."""
    continuation_greedy: tuple[bool, ...] = ()
    """`continuation` with greedy: for each continuation whether all its tokens are the likeliest at their places."""
    means: tuple[float, ...] = ()
    """`prompt` with moments: mean over the vocabulary of the log-probability, per position, weighted by probability."""
    variances: tuple[float, ...] = ()
    """`prompt` with moments: variance likewise."""
    vector: bytes = b""
    """`embed`: mean of the last hidden states over the prompt, a little-endian float32 per dimension: `numpy.frombuffer(vector, "<f4")`."""
    n_prompt_tokens: int = 0
    """Tokens of the prompt."""
    n_output_tokens: int = 0
    """Tokens generated or, for continuations, scored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An engine could not answer. Never a score."""

    reason: FailureReason
    """What went wrong; `too_long` is the limit that the model is served with, everything else is our fault."""
    message: str
    """One line for people; never holds prompt text."""
    transient: bool
    """True: ask again in the next run; False: kept, since asking again gives the same."""


Outcome = Response | Failure

Tell = Callable[[str, int, int], None]
"""Told of progress on what takes longer than a moment: (what is being done, how much is done, how much there is)."""

T = TypeVar("T")
Asking = Generator[Sequence[Request], Sequence[Outcome], T]
"""A program over requests: yields requests that may run together, receives their outcomes in order, returns T."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What was read out of a model's output by one rule set."""

    status: Status
    """`scored` if something could be read, else why not."""
    index: int | None = None
    """Shown position of the choice that was read; None for free text or if nothing was read."""
    text: str | None = None
    """The text that was read (free text, a quantity in its canonical form); None for choices or if nothing was read."""
    rule: str = ""
    """Name of the rule that read it, e.g. `answer_line`; empty for log-probabilities."""
    also: tuple[int, ...] = ()
    """Tasks with several right choices: the further shown positions that were read, ascending, all after `index`; else empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a strategy returns for one sample."""

    reading: Reading
    """The answer that counts (lenient reading for generated text)."""
    strict: Reading | None = None
    """Reading under the exact output contract; None where the format has no contract."""
    first: Reading | None = None
    """Dialogues: the reading of the first turn's answer, in positions of `Dialogue.first`; None where there is one turn."""
    p_choices: tuple[float, ...] | None = None
    """Probability of each shown choice, normalised over the choices; None if the format gives none."""
    label_mass: float | None = None
    """Share of the next-token probability that falls on the labels at all, in [0, 1]; letters only."""
    output: str | None = None
    """Raw output text of the deciding request; None for log-probability formats."""
    finish_reason: FinishReason = "none"
    """Of the deciding request."""
    n_calls: int = 0
    """Requests that this sample's answer took, shared preparation not counted."""
    n_votes_missing: int = 0
    """Members of an ensemble that gave no readable vote."""
    n_prompt_tokens: int = 0
    """Sum over its requests."""
    n_output_tokens: int = 0
    """Sum over its requests."""
    votes: str | None = None
    """Ensembles: the original index that each member voted for (several right choices: joined by `+`), members joined by `,`, `-` for a
    member that gave no readable vote; of free text and quantities `=` for a member that agrees with the answer and `x` for another one."""
    exemplars: tuple[str, ...] = ()
    """Ids of the exemplars that were shown, in the order shown."""
    failure: str | None = None
    """The failure's line when the status is `failed` or `too_long`."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Strategy-specific extras (votes, exemplars) as JSON-ready values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One metric of one answer."""

    metric: str
    """Name of the metric."""
    value: float | None
    """In the metric's unit, None unless `scored`."""
    status: Status
    """Why there is or is no value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One condition: everything that is held fixed while the samples vary."""

    model: str
    """Registry name."""
    task: str
    """Task name."""
    strategy: str
    """The study's id of the strategy."""
    perturbation: str
    """Name of the perturbation, `none` if none."""
    replicate: int
    """0, 1, ... independent draws; always 0 at temperature 0."""


def untold(what: str, n_done: int, n_all: int) -> None:
    """Tells nobody."""
    del what, n_done, n_all
