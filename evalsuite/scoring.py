"""From answers to scores: one row per sample, cell and metric; and recalling answers from a store without an engine.

Columns are those of scores.parquet in DESIGN 5. A value stands only beside the status `scored`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite import metrics
from evalsuite.cards import metrics_of
from evalsuite.data import content_hash
from evalsuite.metrics.base import Metric
from evalsuite.plan import Item, Plan, PlannedModel, Refused
from evalsuite.programs import Preparation, answers_of, prepare_all
from evalsuite.store import Store
from evalsuite.types import Answer, Cell, Failure, Message, Prompt, Reading, Sample
from evalsuite.waves import Answered, Asked, Finished

Recorded = tuple[str, ...]
"""Name under which the keys of an item, or the facts of a preparation, are recorded in the out directory."""

REFUSED = Answer(reading=Reading(status="refused"))


def score_rows(plan: Plan, item: Item, answer: Answer, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of one answered item, one per metric of its task.

    Args:
        plan: the study.
        item: what was asked.
        answer: what the strategy returned.
        keys: keys of the item's requests.
    """
    card = plan.tasks[item.cell.task].task.card
    base = _base_row(plan, item.cell, item.sample, answer)
    base["request_keys"] = list(keys)
    items = answer.details.get("items", {})
    for name, metric in metrics_of(plan.tasks[item.cell.task].task).items():
        score = metrics.score(metric, item.sample, answer)
        reading = _reading(metric, answer)
        columns = _answer_columns(item.sample, reading, card.restricted)
        own = json.dumps(items[name]) if items.get(name) is not None else None
        yield {**base, "metric": name, "value": score.value, "status": score.status, "item": own, **columns}


def refused_rows(plan: Plan, cell: Cell) -> Iterator[dict[str, Any]]:
    """Rows of the samples of a cell to which its perturbation does not apply."""
    for shown in plan.shown(cell):
        if isinstance(shown, Refused):
            yield from score_rows(plan, Item(cell=cell, sample=shown.sample), REFUSED, ())


def _base_row(plan: Plan, cell: Cell, sample: Sample, answer: Answer) -> dict[str, Any]:
    card = plan.tasks[cell.task].task.card
    return {
        "study": plan.study.study,
        "model": cell.model,
        "task": cell.task,
        "language": sample.language,
        "strategy": cell.strategy,
        "perturbation": cell.perturbation,
        "variant": sample.variant,
        "replicate": cell.replicate,
        "sample_id": sample.id,
        "group": sample.group,
        "content_hash": content_hash(sample),
        "p_choices": None if answer.p_choices is None else list(answer.p_choices),
        "label_mass": answer.label_mass,
        "target": target_text(sample, card.restricted),
        "shown_targets": joined(sample.targets) if sample.choices else None,
        "n_choices": len(sample.choices) - sample.n_unlisted if sample.choices else None,
        "finish_reason": answer.finish_reason,
        "n_calls": answer.n_calls,
        "n_votes_missing": answer.n_votes_missing,
        "votes": answer.votes,
        "first_index": _original(None if sample.dialogue is None else sample.dialogue.first, answer.first),
        "first_target": None if sample.dialogue is None else target_text(sample.dialogue.first, card.restricted),
        "suggested_index": None if sample.suggested is None else sample.original_index(sample.suggested),
        "strict_kept": None if answer.strict is None else answer.strict.status == "scored",
        "n_prompt_tokens": answer.n_prompt_tokens,
        "n_output_tokens": answer.n_output_tokens,
        "failure": answer.failure,
        "output": None if card.restricted else answer.output,
        "tags": list(sample.tags),
    }


def _reading(metric: Metric, answer: Answer) -> Reading:
    return answer.strict if metric.reading == "strict" and answer.strict is not None else answer.reading


def _original(sample: Sample | None, reading: Reading | None) -> int | None:
    return None if sample is None or reading is None or reading.index is None else sample.original_index(reading.index)


def _answer_columns(sample: Sample, reading: Reading, restricted: bool) -> dict[str, Any]:
    if reading.index is None:
        return {"answer": None if restricted else reading.text, "answer_index": None, "answer_indices": None, "shown_position": None}
    shown = (reading.index, *reading.also)
    return {
        "answer": None if restricted else " | ".join([sample.choices[index] for index in shown]),
        # of several, the first shown; all of them, in the order of `target`, stand in `answer_indices`
        "answer_index": sample.original_index(reading.index),
        "answer_indices": joined([sample.original_index(index) for index in shown]),
        "shown_position": reading.index,
    }


def target_text(sample: Sample, restricted: bool) -> str | None:
    """Original index of the right choice as text (several: comma-separated); the reference of free text unless restricted."""
    if sample.choices:
        return joined([sample.original_index(target) for target in sample.targets])
    return None if restricted or not sample.references else sample.references[0]


def joined(numbers: Sequence[int]) -> str:
    """Numbers in ascending order, comma-separated; nearly always one, of which there is one per answer."""
    return str(numbers[0]) if len(numbers) == 1 else ",".join(map(str, sorted(numbers)))


class Silent:
    """Stands in for a renderer where answers are recalled and nothing is sent; only counts matter."""

    def render(self, messages: Sequence[Message], *, joint: str = " ") -> Prompt:
        """An empty prompt."""
        del messages, joint
        return Prompt(token_ids=(), text="")

    def label_ids(self, prompt: Prompt, labels: Sequence[str], *, joint: str = " ") -> tuple[int, ...]:
        """One number per label."""
        del prompt, joint
        return tuple(range(len(labels)))

    @property
    def chats(self) -> bool:
        """Whether turns or one text are asked for changes neither how many requests there are nor how they are read."""
        return False

    def render_own(self, text: str, turns: Sequence[Message], *, scored: bool) -> tuple[Prompt, str]:
        """An empty prompt, nothing cut off."""
        del text, turns, scored
        return Prompt(token_ids=(), text=""), ""

    def render_whole(self, text: str) -> Prompt:
        """An empty prompt."""
        del text
        return Prompt(token_ids=(), text="")

    def following_ids(self, prompt: Prompt, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """One number per text."""
        return self.continuation_ids(prompt, texts)

    def continuation_ids(self, prompt: Prompt, texts: Sequence[str], joint: str = " ") -> tuple[tuple[int, ...], ...]:
        """One number per text."""
        del prompt, joint
        return tuple((number,) for number in range(len(texts)))


def recall(
    plan: Plan,
    model: PlannedModel,
    store: Store,
    keys: Mapping[Recorded, Sequence[str]],
    facts: Mapping[Recorded, Mapping[str, Any]],
) -> Iterator[Finished[Item, Answer]]:
    """Answers of a model again from a store, by the keys that were recorded when it ran; no engine, no tokenizer.

    Nothing is prepared again: preparations give back what their facts hold, and prompts do not matter where nothing is sent.

    Args:
        plan: the study, with the same samples.
        model: one of its models.
        store: holds the outcomes.
        keys: recorded keys of each item, in the order asked.
        facts: recorded facts of each preparation.
    """

    def known(name: Preparation) -> Mapping[str, Any]:
        return facts.get((name.model, name.task, name.strategy), {})

    source = _Recorded(store=store, keys=keys)
    prepared = prepare_all(plan, model, Silent(), source, recall=known)
    for lender in plan.lenders.values():
        prepared |= prepare_all(plan, lender, Silent(), source, recall=known, lends=True)
    return answers_of(plan, model, Silent(), source, prepared)


def recorded_name(name: Item) -> Recorded:
    """Where an item's keys are recorded; equal for equal conditions and samples."""
    cell, sample = name.cell, name.sample
    return (cell.model, cell.task, cell.strategy, cell.perturbation, str(cell.replicate), sample.id, str(sample.variant))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recorded:
    """Answers waves from the store by the recorded keys."""

    store: Store
    keys: Mapping[Recorded, Sequence[str]]

    @property
    def interpreted(self) -> bool:
        """Nothing is waited for."""
        return True

    def __call__(self, wave: Sequence[Asked[Any]]) -> list[Answered]:
        return [_recalled(self.store, self.keys.get(recorded_name(asked.name), ()), asked.ordinal) for asked in wave]


def _recalled(store: Store, keys: Sequence[str], ordinal: int) -> Answered:
    if ordinal >= len(keys):
        missing = Failure(reason="engine_error", message="never asked: run the study again", transient=True)
        return Answered(key="", outcome=missing)
    key = keys[ordinal]
    outcome = store.get(key) or store.last_failure(key)
    if outcome is None:
        outcome = Failure(reason="engine_error", message="not in the store: run the study again", transient=True)
    return Answered(key=key, outcome=outcome)
