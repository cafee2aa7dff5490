"""Reading an output that reasons before it answers, and telling the reasoning from the answer.

The contract of the format `reasoned` is that the last line holds the answer. What was said on the way to it is never taken for it: a last
line that answers stands whatever was weighed before, and of an output that was cut off only what it calls its answer is read.

Sources: the contract is that of openai/simple-evals; the rules for what stands before it, behind it and cut off are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from evalsuite.answers import cues
from evalsuite.answers.labels import plain_text
from evalsuite.answers.lines import lines_of
from evalsuite.answers.quantities import read_quantity, read_quantity_strict
from evalsuite.answers.reading import Wording, read_lenient, read_strict, without_thinking
from evalsuite.types import Reading, Sample

FLAGGED = frozenset({"contract_line", "boxed", "answer_field", "final_statement"})
"""Rules that read what an output itself calls its answer; of an output that was cut off no other is believed."""

_UNPARSED = Reading(status="unparsed")
_NOUNS = r"answer|respuesta|réponse"
_FINAL = r"(?:(?:my|final|la|the|ma|mi)\s+){0,2}"
_CALLED = r"(?:\s+(?:final|finale|definitiva))?"


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerLine:
    """A line that gives an answer."""

    start: int
    """Offset of the line."""
    end: int
    """Offset after it; where the cue stands alone, after the line below it; of free text, after the text."""
    reading: Reading
    """What it answers; `unparsed` with a rule where it contradicts itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """An output taken apart."""

    reasoning: str
    """What was written before the answer, or behind it where nothing stands before; word for word, without its answer lines."""
    answers: tuple[AnswerLine, ...]
    """The lines that answer, in the order of the text."""


def read_reasoned_strict(
    output: str, sample: Sample, wording: Wording, *, thinking: tuple[str, str] | None = None, cut: bool = False
) -> Reading:
    """Read an output under the contract: its last line is exactly `Answer: X`, whatever stands before it.

    Args:
        output: what the model wrote.
        sample: the sample as shown, with choices or a quantity.
        wording: the task's wording.
        thinking: marks of the model's thinking, which is not part of the output.
        cut: the output ended at the token limit; a last line that might have gone on is then not read.

    Returns:
        `scored` with rule `contract_line`, or `unparsed`; so too an output that answers and then invents the next question.
    """
    text = without_thinking(output, thinking)
    if len(own_part(text, sample, wording)) < len(text) or (cut and _may_go_on(text, sample, wording)):
        return _UNPARSED
    return _last_line_strict(text, sample, wording)


def read_reasoned(output: str, sample: Sample, wording: Wording, *, thinking: tuple[str, str] | None = None, cut: bool = False) -> Reading:
    """Read an output that reasons, as a careful human reader would.

    In turn: a last line that answers; else what `read_lenient` or `read_quantity` make of the whole. Free text is what follows the last
    line that begins with the cue, and without one nothing: reasoning is no answer. An output that keeps the contract is read as
    `read_reasoned_strict` reads it.

    Args:
        output: what the model wrote.
        sample: the sample as shown, never its targets.
        wording: the task's wording.
        thinking: marks of the model's thinking, which is not part of the output.
        cut: the output ended at the token limit. Only what it calls its answer is then read, and no value or list of letters that the
            limit may have shortened; free text is read as far as it goes, as it is where nothing is reasoned.

    Returns:
        `scored` with the name of the rule that read it, or `unparsed`; rule `conflict` if the output contradicts itself.
    """
    text = own_part(without_thinking(output, thinking), sample, wording)
    if not sample.choices and sample.quantity is None:
        found = answer_lines(text, sample, wording)
        return found[-1].reading if found else _UNPARSED
    if cut and _may_go_on(text, sample, wording):
        return _UNPARSED
    strict = _last_line_strict(text, sample, wording)
    if strict.status == "scored":
        return strict
    lines = answer_lines(text, sample, wording)
    if lines and not text[lines[-1].end :].strip():
        return lines[-1].reading
    reading = _read_whole(text, sample, wording)
    return reading if not cut or reading.status != "scored" or reading.rule in FLAGGED else _UNPARSED


def taken_apart(output: str, sample: Sample, wording: Wording, *, thinking: tuple[str, str] | None = None) -> Written:
    """The reasoning of an output, and its answer lines.

    Args:
        output: what the model wrote.
        sample: the sample as shown.
        wording: the task's wording.
        thinking: marks of the model's thinking, which is no part of the reasoning: chat templates drop it from earlier turns.
    """
    text = own_part(without_thinking(output, thinking), sample, wording)
    lines = answer_lines(text, sample, wording)
    if not lines:
        return Written(reasoning=text.strip(), answers=())
    kept, begin = [], 0
    for line in lines:
        kept.append(text[begin : line.start])
        begin = line.end + text.startswith("\n", line.end)
    before = "".join(kept).strip()
    return Written(reasoning=before or text[begin:].strip(), answers=lines)


def answer_lines(text: str, sample: Sample, wording: Wording) -> tuple[AnswerLine, ...]:
    """The lines that begin with an answer cue and give an answer; of free text the last one alone, with all that follows it."""
    if not sample.choices and sample.quantity is None:
        return _text_answer(text, wording.answer)
    word, pattern, spans = cues.cue_word(wording.answer), cues.contract_pattern(wording.answer), lines_of(text)
    found: list[AnswerLine] = []
    for number, (start, end) in enumerate(spans):
        if (found and start < found[-1].end) or word.search(text, start, end) is None:
            continue
        # the pattern takes a cue that is alone on its line, if the line ends
        plain = plain_text(text[start:end]).strip()
        match = pattern.match(f"{plain}\n")
        if match is None:
            continue
        alone = match.end() >= len(plain)
        if alone and number + 1 < len(spans):
            end = spans[number + 1][1]
        reading = _read_whole(text[start:end], sample, wording)
        if reading.status == "scored" or reading.rule:
            found.append(AnswerLine(start=start, end=end, reading=reading))
    return tuple(found)


def own_part(text: str, sample: Sample, wording: Wording) -> str:
    """An output up to where it has answered and goes on to invent the next question; the whole of it where it does not."""
    for number, position in enumerate(_new_questions(text, wording)):
        head = text[:position]
        if answer_lines(head, sample, wording) or (number == 0 and _answers_without_cue(head, sample, wording)):
            return head
    return text


def _answers_without_cue(text: str, sample: Sample, wording: Wording) -> bool:
    free = not sample.choices and sample.quantity is None
    return not free and _read_whole(text, sample, wording).status == "scored"


def _new_questions(text: str, wording: Wording) -> Iterator[int]:
    """Where lines begin as a next question would: with the label of a question or a passage."""
    for match in _question_pattern((wording.question.strip(), wording.context.strip())).finditer(text):
        if text[: match.start()].strip():
            yield match.start()


@cache
def _question_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    named = "".join(f"|{re.escape(label)}" for label in labels if label)
    words = f"Question|Pregunta|Q|User|Human|Usuario|Instruction{named}"
    return re.compile(rf"^[ \t]*+(?:{words})(?:[ \t]+\d{{1,4}})?[ \t]*:", re.MULTILINE)


def _last_line_strict(text: str, sample: Sample, wording: Wording) -> Reading:
    line = text.strip().rpartition("\n")[2]
    return read_strict(line, sample, wording) if sample.choices else read_quantity_strict(line, sample, wording)


def _read_whole(text: str, sample: Sample, wording: Wording) -> Reading:
    return read_lenient(text, sample, wording) if sample.choices else read_quantity(text, sample, wording)


def _may_go_on(text: str, sample: Sample, wording: Wording) -> bool:
    """Whether an output that was cut off ends in the middle of an answer line whose value or list could have gone on."""
    lines = answer_lines(text, sample, wording) if sample.quantity is not None or wording.several else ()
    return bool(lines) and lines[-1].end >= len(text.rstrip(" \t"))


@cache
def _text_cue(cue: str) -> re.Pattern[str]:
    noun = f"(?:{re.escape(cue.strip())}|{_NOUNS})" if cue.strip() else f"(?:{_NOUNS})"
    return re.compile(rf"^[ \t>#•*_-]*+{_FINAL}{noun}{_CALLED}[ \t*_]*:[ \t*_]*", re.IGNORECASE | re.MULTILINE)


def _text_answer(text: str, cue: str) -> tuple[AnswerLine, ...]:
    """What follows the last cue that anything follows."""
    end = len(text)
    for match in reversed(list(_text_cue(cue).finditer(text))):
        answer, opened = text[match.end() : end].strip(), match.group()
        if opened.count("**") % 2 and answer.endswith("**"):
            answer = answer.removesuffix("**").rstrip()
        if answer:
            reading = Reading(status="scored", text=answer, rule="contract_line")
            return (AnswerLine(start=match.start(), end=len(text), reading=reading),)
        end = match.start()
    return ()
