"""The three readings of a generation."""

from __future__ import annotations

from typing import Protocol

from evalsuite.answers import cues
from evalsuite.answers.labels import Found, Options, labels_of, options_of, plain_text
from evalsuite.answers.page import page_of
from evalsuite.answers.rules import RULES
from evalsuite.types import Reading, Sample


class Wording(Protocol):
    """What reading needs of `formats.Wording`; a protocol, since `formats` and `answers` are neighbouring layers."""

    @property
    def answer(self) -> str:
        """Cue, and first word of the output contract."""
        ...

    @property
    def question(self) -> str:
        """Label of the stem."""
        ...

    @property
    def context(self) -> str:
        """Label of the passage."""
        ...

    @property
    def several(self) -> bool:
        """Whether every right choice is asked for, so that several may be read."""
        ...


def without_thinking(output: str, thinking: tuple[str, str] | None) -> str:
    """An output without its thinking.

    Args:
        output: as generated.
        thinking: opening and closing mark of the model, None if it has none.

    Returns:
        What follows the last closing mark, plus what stood before the first opening mark. A closing mark without an
        opening one ends thinking that the template opened. Thinking that never ends has no answer after it.
    """
    if thinking is None:
        return output
    opening, closing = thinking
    before, opened, _ = output.partition(opening)
    head, closed, tail = output.rpartition(closing)
    if not closed:
        return before if opened else output
    if opening in tail:
        tail = tail.partition(opening)[0]
    return (before if opened and opening in head else "") + tail


def read_strict(output: str, sample: Sample, wording: Wording, *, thinking: tuple[str, str] | None = None) -> Reading:
    """Read an output under the contract: one line `Answer: X` and nothing else but white space around it.

    The cue is the wording's, the label one of the sample's, both exactly as written; a wording that asks for several takes
    several labels, each once, joined by ", ". Source: `formats.right_answer`, whose output always keeps the contract.

    Args:
        output: what the model wrote.
        sample: the sample as shown; only its labels matter.
        wording: the task's wording.
        thinking: marks of the model's thinking, which is not part of the output.

    Returns:
        `scored` with rule `contract_line`, or `unparsed`.
    """
    line = without_thinking(output, thinking).strip()
    start = f"{wording.answer}: "
    if not line.startswith(start) or not sample.choices:
        return Reading(status="unparsed")
    places = {label: index for index, label in enumerate(labels_of(sample))}
    rest = line.removeprefix(start)
    if rest in places:
        return Reading(status="scored", index=places[rest], rule="contract_line")
    if not wording.several:
        return Reading(status="unparsed")
    found = [places.get(label, -1) for label in rest.split(", ")]
    if -1 in found or len(set(found)) != len(found):
        return Reading(status="unparsed")
    return _scored(tuple(sorted(found)), "contract_line")


def read_lenient(output: str, sample: Sample, wording: Wording, *, thinking: tuple[str, str] | None = None) -> Reading:
    """Read an output as a careful human reader would, by the rules of `RULES` in their order.

    An output that keeps the contract is read as `read_strict` reads it, so that the two never disagree. One that answers
    and then goes on to invent a new question is read up to that question.

    Args:
        output: what the model wrote.
        sample: the sample as shown: labels, choices, and whether its stem asks for what is wrong. Never its targets.
        wording: the task's wording.
        thinking: marks of the model's thinking, which is not part of the output.

    Returns:
        `scored` with the name of the rule that read it, or `unparsed`; rule `conflict` if the output contradicts itself.
        The caller decides from the finish reason whether an unparsed output was `truncated`.
    """
    kept = read_strict(output, sample, wording, thinking=thinking)
    if kept.status == "scored":
        return kept
    raw = without_thinking(output, thinking)
    if not sample.choices or not raw.strip():
        return Reading(status="unparsed")
    options = options_of(sample, several=wording.several)
    text = plain_text(raw)
    end = cues.new_question(text)
    if end is not None:
        # the raw text is only for bold spans, which a run-on output does not need
        reading = _read(text[:end], text[:end], sample, options, wording)
        if reading.status == "scored":
            return reading
    return _read(raw, text, sample, options, wording)


def read_text(output: str, *, thinking: tuple[str, str] | None = None) -> Reading:
    """Read free text: what the model wrote, stripped; nothing is `unparsed`.

    Args:
        output: what the model wrote.
        thinking: marks of the model's thinking, which is not part of the output.
    """
    text = without_thinking(output, thinking).strip()
    return Reading(status="scored", text=text, rule="text") if text else Reading(status="unparsed")


def _read(raw: str, text: str, sample: Sample, options: Options, wording: Wording) -> Reading:
    """The first rule that finds something."""
    page = page_of(raw, text, options, wording.answer, sample.question)
    for rule in RULES:
        found: Found | None = rule.read(page)
        if found is not None:
            return Reading(status="unparsed", rule="conflict") if found.conflict else _scored(found.indices, rule.name)
    return Reading(status="unparsed")


def _scored(indices: tuple[int, ...], rule: str) -> Reading:
    """A reading of one or several choices."""
    return Reading(status="scored", index=indices[0], also=indices[1:], rule=rule)
