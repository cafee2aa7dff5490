"""Reading a quantity out of a generation: a number with its unit, a date, or a span of weeks and days.

Looked at in turn: what the output flags as its answer (a line "Answer: ...", a box, a field), a sentence that states a result, an output
that holds nothing but one value. Two flagged answers that differ contradict each other unless the later is called final or something
was taken back between them. A value in a unit that does not convert exactly (`units`), a bound, a range, and a number that can be read
in two ways are not read. Sources: the cues are those of `cues`; the flagged line is that of MedCalc-Bench's prompts ("answer": ...,
Khandekar et al. 2024, arXiv 2406.12036), whose own extraction takes a missing answer for a wrong one.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from evalsuite.answers import cues, rejection
from evalsuite.answers.labels import plain_text
from evalsuite.answers.numbers import Number, number_of, numbers_in, plain_signs
from evalsuite.answers.reading import Wording, without_thinking
from evalsuite.answers.spans import dates_in, spans_in
from evalsuite.answers.units import factor, spelled, unit_at
from evalsuite.types import Quantity, Reading, Sample

_STRICT_NUMBER = re.compile(r"(-?)(\d+(?:[.,]\d+)?)(?: (?=\S)|(?=%))?(.{0,30})")
_STRICT_DATE = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")
_STRICT_SPAN = re.compile(r"\(\d{1,3} weeks?, \d days?\)")
_LEAD = re.compile(
    r"[\s\"'“”«»({\[<:=≈~≃]*+(?:(?:is|es|est|equals?|approximately|approx\.?|about|around|roughly|circa|nearly|exactly|unos|"
    r"aproximadamente|cerca\s+de|environ|la|le|the)\b[\s:=≈~]*+)*+[\"'(\[]?",
    re.IGNORECASE,
)
_RESULT = re.compile(
    r"(?:[=≈≃]|\b(?:is|are|was|equals?|becomes|gives|yields|es|son|sería|est|vaut|of|de|at|to)\b|:)"
    r"\s*+(?:(?:now|therefore|thus|then|equal\s+to|approximately|approx\.?|about|around|roughly|calculated\s+(?:as|to\s+be)|estimated\s+(?:at|to\s+be)|"
    r"to\s+be|aproximadamente|de|environ|igual\s+a)\s*+)*+[=≈~:\"'(]*\s*+",
    re.IGNORECASE,
)
_SPEAKS = re.compile(
    r"\b(?:answer|score|index|result|total|therefore|thus|hence|so|final|finally|calculated|patient['’]s|resultado|puntuación|índice|"
    r"por lo tanto|"
    r"por tanto|"
    r"respuesta|résultat|donc|score|réponse|due\s+date|conception|gestational|ratio|deficit|gap|equivalent|corrected|estimated|approximately)\b|[=≈]",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"\b(?:normal|reference|cut-?off|threshold|corresponds?|indicates?|indicating|suggests?|mortality|risk\s+of|stage|class|grade)\b",
    re.IGNORECASE,
)
_RAISED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n")
_OPERATOR = re.compile(r"\s?(?:[+*/×^=≈·]|-\s?\d|x\s?\d)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A value at a place of an output."""

    start: int
    """Offset of its first character."""
    end: int
    """Offset after it and its unit."""
    text: str | None
    """In its canonical form; None if there is a value that cannot be told."""
    unit: str
    """Spelling of a unit behind it."""


def read_quantity_strict(output: str, sample: Sample, wording: Wording, *, thinking: tuple[str, str] | None = None) -> Reading:
    """Read an output under the contract: one line `Answer: X` and nothing else but white space around it.

    X is a number (digits, decimal point, or comma in Spanish and French) with or without a unit that means the one asked for, a date
    MM/DD/YYYY, or "(3 weeks, 2 days)".

    Returns:
        `scored` with rule `contract_line`, or `unparsed`.

    Raises:
        ValueError: the sample asks for no quantity; a programming error.
    """
    quantity = _asked(sample)
    line = plain_signs(without_thinking(output, thinking).strip())
    start = f"{wording.answer}: "
    rest = line.removeprefix(start)
    if not line.startswith(start) or "\n" in rest:
        return Reading(status="unparsed")
    if quantity.form in ("date", "weeks_days"):
        pattern = _STRICT_DATE if quantity.form == "date" else _STRICT_SPAN
        found = spans_in(rest) if quantity.form == "weeks_days" else dates_in(rest, sample.language, swapped=False)
        held = [text for _, _, text in found] if pattern.fullmatch(rest) else []
        return _scored(held[0], "contract_line") if len(held) == 1 else Reading(status="unparsed")
    kept = _STRICT_NUMBER.fullmatch(rest)
    if kept is None or ("," in kept.group(2) and sample.language == "en"):
        return Reading(status="unparsed")
    value, unit = number_of(kept.group(2), sample.language), kept.group(3)
    named = (spelled(unit), len(unit)) if spelled(unit) == spelled(quantity.unit) else unit_at(unit, 0)
    times = factor(quantity.unit, named[0]) if named is not None and named[1] == len(unit) else 1.0 if not unit else None
    if value is None or times is None or not math.isfinite(value):
        return Reading(status="unparsed")
    return _scored(canonical((-value if kept.group(1) else value) * times), "contract_line")


def read_quantity(output: str, sample: Sample, wording: Wording, *, thinking: tuple[str, str] | None = None) -> Reading:
    """Read a quantity as a careful human reader would.

    Args:
        output: what the model wrote.
        sample: the sample as shown; only its language and the form and unit of its quantity matter, never the right answer.
        wording: the task's wording.
        thinking: marks of the model's thinking, which is not part of the output.

    Returns:
        `scored`, with the quantity in its canonical form (a number in the asked unit; MM/DD/YYYY; "(W weeks, D days)") and the name
        of the rule; else `unparsed`, with rule `conflict` if the output contradicts itself and `other_unit` if the unit is another.

    Raises:
        ValueError: the sample asks for no quantity; a programming error.
    """
    kept = read_quantity_strict(output, sample, wording, thinking=thinking)
    if kept.status == "scored":
        return kept
    quantity = _asked(sample)
    text = plain_signs(plain_text(_undressed(without_thinking(output, thinking))))
    end = cues.new_question(text)
    text = text if end is None else text[:end]
    flagged = list(_flagged(text, quantity, sample.language, wording.answer))
    if flagged:
        return _settled(text, flagged)
    return _stated(text, quantity, sample.language) or _alone(text, quantity, sample.language) or Reading(status="unparsed")


def canonical(value: float) -> str:
    """A number in the form in which readings hold it."""
    return f"{value:.12g}"


def _asked(sample: Sample) -> Quantity:
    if sample.quantity is None:
        raise ValueError(f"sample {sample.id} asks for no quantity")
    return sample.quantity


def _undressed(output: str) -> str:
    """An output whose powers and units survive the removal of emphasis and TeX."""
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf|boxed)\s*\{\s*([^{}]*)\}", r" \1 ", output) if "\\boxed" not in output else output
    text = re.sub(r"(?<=\w)\^\{?2\}?(?!\d)", "²", text)
    text = re.sub(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"(\1)/(\2)", text)
    # NFKC, which `plain_text` applies, would write 10³ as 103
    return re.sub(r"(?<=10)[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: "^" + found.group().translate(_RAISED), text)


def _values(text: str, quantity: Quantity, language: str) -> Iterator[Value]:
    """The values of the asked form in a text."""
    if quantity.form in ("date", "weeks_days"):
        for start, end, made in dates_in(text, language) if quantity.form == "date" else spans_in(text):
            yield Value(start=start, end=end, text=made, unit="")
        return
    for number in numbers_in(text, language, whole=quantity.form == "whole"):
        yield _in_asked_unit(number, quantity)


def _in_asked_unit(number: Number, quantity: Quantity) -> Value:
    """A number as a value: without text where its unit is another or it cannot be told."""
    times = factor(quantity.unit, number.unit)
    told = None if number.value is None or times is None else canonical(number.value * times)
    return Value(start=number.start, end=number.end, text=told, unit=number.unit if times is None else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Flagged:
    """What a flagged answer holds."""

    start: int
    """Offset of its cue."""
    end: int
    """Offset after what was looked at."""
    reading: Reading
    """What was read there."""
    final: bool
    """Its cue calls it final."""


def _flagged(text: str, quantity: Quantity, language: str, cue: str) -> Iterator[Flagged]:
    """Lines "Answer: ...", boxes and fields, in the order of the text; a cue with no value on its line flags nothing."""
    places = [(found.start(), found.end(), "contract_line") for found in cues.contract_pattern(cue).finditer(text)]
    places += [(end, end, "boxed") for end in cues.box_ends(text)]
    places += [(end, end, "answer_field") for end in cues.field_ends(text)]
    for start, end, rule in sorted(places):
        stop = text.find("\n", end, end + 500)
        line = text[end : end + 500 if stop < 0 else stop]
        line = line[: line.find("}")] if rule == "boxed" and "}" in line else line
        reading = _of_line(line, quantity, language, rule)
        if reading is not None:
            yield Flagged(start=start, end=end + len(line), reading=reading, final=cues.is_called_final(text, start, end))


def _of_line(line: str, quantity: Quantity, language: str, rule: str) -> Reading | None:
    """What a flagged line answers: the value it begins with, else that behind its last "=" or "is", else its only one; None without any."""
    values = list(_values(line, quantity, language))
    if not values:
        return None
    lead = _LEAD.match(line)
    begin = lead.end() if lead else 0
    chosen = next((value for value in values if value.start <= begin <= value.start + 2 or value.start == begin), None)
    if chosen is None or _OPERATOR.match(line, chosen.end):
        results = [value for value in values if _stands_as_result(line, value)]
        told = [value for value in values if value.text is not None] if chosen is None else []
        chosen = results[-1] if results else told[0] if len({value.text for value in told}) == 1 else None
    elif re.match(r"\s?,?\s?(?:or|o|ou|to|a|à)\s+\(?\d", line[chosen.end :]):
        chosen = None
    if chosen is None:
        return Reading(status="unparsed", rule="conflict")
    return _reading_of(chosen, rule)


def _stands_as_result(line: str, value: Value) -> bool:
    """Whether "=", "is" or their like stands right before a value that no arithmetic follows."""
    before = [found for found in _RESULT.finditer(line, max(0, value.start - 60), value.start) if found.end() == value.start]
    return bool(before) and not _OPERATOR.match(line, value.end)


def _reading_of(value: Value, rule: str) -> Reading:
    if value.text is None:
        return Reading(status="unparsed", rule="other_unit" if value.unit else "conflict")
    return _scored(value.text, rule)


def _settled(text: str, flagged: list[Flagged]) -> Reading:
    """The flagged answer that stands."""
    held, taken_back = flagged[0], tuple(rejection.taken_back_at(text)) if len(flagged) > 1 else ()
    for one in flagged[1:]:
        same = one.reading.text is not None and one.reading.text == held.reading.text
        number = bisect_left(taken_back, held.end)
        back = number < len(taken_back) and taken_back[number] <= one.start
        unread = held.reading.text is None and held.reading.rule != "conflict"
        if same or one.final or back or unread:
            held = one if not (held.final and same) else held
        elif not held.final:
            held = Flagged(start=one.start, end=one.end, reading=Reading(status="unparsed", rule="conflict"), final=False)
    return held.reading


def _stated(text: str, quantity: Quantity, language: str) -> Reading | None:
    """The last result that a sentence states: "The patient's MAP is 93 mm Hg", "= 25.2 mL/min"; asides and bounds do not count."""
    last: Value | None = None
    for sentence in _SENTENCE.split(text):
        clause = sentence[:1000]
        if not _SPEAKS.search(clause):
            continue
        results = [value for value in _values(clause, quantity, language) if _stands_as_result(clause, value)]
        fit = [value for value in results if value.text is not None and not _ASIDE.search(clause[: value.start])]
        last = fit[-1] if fit else last
    return None if last is None else _reading_of(last, "statement")


def _alone(text: str, quantity: Quantity, language: str) -> Reading | None:
    """The one value of a short output: "25.2 mL/min", "About 4 points."; nothing if it holds two."""
    if len(text) > 200:
        return None
    values = list(_values(" ".join(text.split()), quantity, language))
    return _reading_of(values[0], "only_value") if len(values) == 1 else None


def _scored(text: str, rule: str) -> Reading:
    return Reading(status="scored", text=text, rule=rule)
