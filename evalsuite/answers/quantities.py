"""Reading a quantity out of a generation: a number with its unit, a date, or a span of weeks and days.

Looked at in turn: what the output flags as its answer (a line "Answer: ...", a box, a field), a last sentence that concludes or is the only
one with a value, an output that holds nothing but one value. Two flagged answers that differ contradict each other unless the later is
called final or something was taken back between them. A value in a unit that does not convert exactly (`units`), one that is denied,
conditional, a bound or a range, data of the note, and a number that can be read in two ways are not read.

Sources: the cues are those of `cues`; the flagged line is that of MedCalc-Bench's prompts ("answer": ..., Khandekar et al. 2024, arXiv
2406.12036), whose own extraction takes a missing answer for a wrong one.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from evalsuite.answers import cues, rejection
from evalsuite.answers.labels import plain_text
from evalsuite.answers.numbers import Number, is_denied, is_given, number_of, numbers_in, plain_signs
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
    r"(?:[=≈≃]|\b(?:is|are|was|equals?|becomes|gives|yields|es|son|sería|est|vaut|of|de|at|to)\b|:)\s*+(?:(?:now|therefore|thus|then|"
    r"equal\s+to|approximately|approx\.?|about|around|roughly|calculated\s+(?:as|to\s+be)|estimated\s+(?:at|to\s+be)|to\s+be|"
    r"aproximadamente|de|environ|igual\s+a)\s*+)*+[=≈~:\"'(]*\s*+",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"(?:^|[,;]\s)\s*(?:and\s+)?(?:so|así\s+que)\b|\b(?:therefore|thus|hence|finally|(?:in|to)\s+(?:conclusion|conclude)|(?:answer|result|"
    r"final\s+\w+|total(?:[\s-][\w-]+){0,3})(?:\s+(?:is|equals|of)\b|\s*[:=])|(?:is|are)\s+equivalent\s+to|por\s+(?:lo\s+)?tanto|"
    r"(?:respuesta|resultado|(?:puntuación\s+)?total)(?:\s+(?:es|sería)\b|\s*[:=])|donc|par\s+conséquent|(?:réponse|résultat|"
    r"(?:score\s+)?total)(?:\s+(?:est|vaut)\b|\s*[:=]))",
    re.IGNORECASE,
)
_NAMES = re.compile(r"\b(?:score|index|total|ratio|gap|deficit|puntuación|índice|indice)\b", re.IGNORECASE)
_GIVES_UP = re.compile(
    r"\b(?:cannot|can\s+not|can['’]t|could\s+not|couldn['’]t|unable\s+to|(?:not|im)\s?possible\s+to|insufficient|not\s+(?:enough|"
    r"sufficient)|(?:more|additional|further)\s+(?:data|information|details)|no\s+(?:se\s+)?pued[eo]|imposible|insuficientes?|"
    r"no\s+es\s+posible|faltan?|ne\s+(?:peux|peut|puis)|impossible|insuffisante?s?|pas\s+possible|manquante?s?)\b",
    re.IGNORECASE,
)
_WANTS = re.compile(
    r"\b(?:needs?|needed|requires?|required|missing|unknown|not\s+(?:provided|given|available|known|stated|mentioned)|necesit\w{1,4}|"
    r"requier\w{1,3}|falta|desconocid[oa]|nécessite|requiert|besoin|inconnue?)\b",
    re.IGNORECASE,
)
_CALCULATED = re.compile(r"[\d)]\s?[A-Za-z²/ ]{0,12}[=≈≃]\s*$")
_CHAIN = re.compile(r"(?:[\s=≈≃~()×*/+^.\d$-]|approximately|approx|about|around|rounded|to|or|i\.e\.,?)*")
_PAIR = re.compile(r"[+-]?[\d.,]+\s?/\s?\d")
_CLOSED = re.compile(r"[\s.)\]$\"'*!]*(?:(?:points?|puntos?|pts)\b)?[\s.)\]$\"'*!]*")
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
    """Spelling of a unit behind it that is another than the asked one."""
    named: bool = True
    """Whether a unit stands behind it, or none is asked for."""


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
    text = (
        re.sub(r"[ \t]?\\(?:text|mathrm|textbf|mathbf|boxed)\s*\{\s*([^{}]*)\}(?!\^)", r" \1 ", output)
        if "\\boxed" not in output
        else output
    )
    text = re.sub(r"[ \t]?\\(?:text|mathrm)\s*\{\s*([^{}]*)\}(?=\^)", r" \1", text)
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
        value = _in_asked_unit(number, quantity)
        # 120/80 is two pressures, no quotient
        pair = quantity.unit == "mm Hg" and _PAIR.match(text, value.start, value.end)
        yield replace(value, text=None) if pair else value


def _in_asked_unit(number: Number, quantity: Quantity) -> Value:
    """A number as a value: without text where its unit is another or it cannot be told."""
    times = factor(quantity.unit, number.unit)
    told = None if number.value is None or times is None else canonical(number.value * times)
    other, named = number.unit if times is None else "", bool(number.unit or not quantity.unit)
    return Value(start=number.start, end=number.end, text=told, unit=other, named=named)


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
        before = text[max(0, start - 200, text.rfind("\n", max(0, start - 200), start) + 1) : start] if rule == "boxed" else ""
        if reading is not None:
            denied = is_denied(before, len(before), len(before))
            reading = Reading(status="unparsed", rule="conflict") if denied else reading
            yield Flagged(start=start, end=end + len(line), reading=reading, final=cues.is_called_final(text, start, end))


def _of_line(line: str, quantity: Quantity, language: str, rule: str) -> Reading | None:
    """What a flagged line answers: the value it begins with, else its result, else its only value; None without any value."""
    values = list(_values(line, quantity, language))
    if not values:
        return None
    lead = _LEAD.match(line)
    begin = lead.end() if lead else 0
    chosen = next((value for value in values if value.start <= begin <= value.start + 2 or value.start == begin), None)
    if chosen is None or _OPERATOR.match(line, chosen.end):
        chosen = None if _GIVES_UP.search(line) else _result_of(line, values) or (_only(values) if chosen is None else None)
        chosen = None if chosen is not None and is_given(line, chosen.start) else chosen
    if chosen is None or is_denied(line, chosen.start, chosen.end):
        return Reading(status="unparsed", rule="conflict")
    return _reading_of(_with_unit(chosen, values), rule)


def _only(values: list[Value]) -> Value | None:
    """The only value of the asked unit among values; None if one beside it is a bound, a range or cannot be told."""
    told = [value for value in values if value.text is not None]
    doubtful = any(value.text is None and not value.unit for value in values)
    return told[0] if len({value.text for value in told}) == 1 and not doubtful else None


def _result_of(line: str, values: list[Value]) -> Value | None:
    """The result that a line states: all of them alike, or steps of one calculation, whose last it is; None if they differ."""
    results = [value for value in values if _stands_as_result(line, value)]
    for one, other in pairwise(results):
        follows = one.text is None and _CONCLUDES.search(line, one.end, other.start)
        if one.text != other.text and not follows and not _CHAIN.fullmatch(line, one.end, other.start):
            return None
    return results[-1] if results else None


def _with_unit(chosen: Value, values: list[Value]) -> Value:
    """A value, or the same one written with the asked unit beside it: "0.25 (25%)" is 25 %; without text if the two are not the same."""
    others = {value.text for value in values if value.named and value.text is not None}
    if chosen.named or chosen.text is None or not others or chosen.text in others:
        return chosen
    text = others.pop() if len(others) == 1 else None
    alike = text is not None and any(math.isclose(float(text), float(chosen.text) * times, rel_tol=0.02) for times in (1, 100, 1000))
    return replace(chosen, text=text if alike else None)


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
    """The result of the last sentence that holds a value, if it concludes or is the only one that does; asides do not count.

    None if the output gives up, or if other sentences hold values and the last one does not say that it is the result.
    """
    if _GIVES_UP.search(text):
        return None
    last, n_others = "", 0
    for sentence in _SENTENCE.split(text):
        clause = sentence[:1000]
        values = list(_values(clause, quantity, language))
        aside = _ASIDE.search(clause)
        if values and (aside is None or values[0].start < aside.start()):
            n_others += bool(last)
            last = clause
    if not last:
        return None
    aside = _ASIDE.search(last)
    kept = last[: aside.start()] if aside else last
    values = list(_values(kept, quantity, language))
    if (
        (chosen := _result_of(kept, values)) is None
        or last.rstrip().endswith("?")
        or is_denied(last, chosen.start, chosen.end)
        or is_given(last, chosen.start)
    ):
        return None
    wanting, before = _WANTS.search(text if n_others == 0 else last), kept[: chosen.start]
    only = n_others == 0 and (not _CALCULATED.search(before[-40:]) or _is_of_what_is_asked(before, chosen, quantity))
    if wanting or not (only or _concludes(kept, chosen, quantity)):
        return None
    return _reading_of(_with_unit(chosen, values), "statement")


def _concludes(sentence: str, value: Value, quantity: Quantity) -> bool:
    """Whether a sentence gives a value as its conclusion, or ends with it as the result of a calculation of what was asked."""
    if _CONCLUDES.search(before := sentence[: value.start]):
        return True
    calculated = _CALCULATED.search(before[-40:]) and _CLOSED.fullmatch(sentence, value.end)
    return bool(calculated and _is_of_what_is_asked(before, value, quantity))


def _is_of_what_is_asked(before: str, value: Value, quantity: Quantity) -> bool:
    """Whether a calculated value is more than a step: a date, one written with the asked unit, or one called a score."""
    return quantity.form in ("date", "weeks_days") or (value.named if quantity.unit else _NAMES.search(before) is not None)


def _alone(text: str, quantity: Quantity, language: str) -> Reading | None:
    """The one value of an output of a few words: "25.2 mL/min", "About 4 points."; nothing if it holds two or goes on behind it."""
    if len(text) > 100:
        return None
    line = " ".join(text.split())
    values = list(_values(line, quantity, language))
    if (
        len(values) != 1
        or _GIVES_UP.search(line)
        or _WANTS.search(line)
        or is_denied(line, values[0].start, values[0].end)
        or is_given(line, values[0].start)
    ):
        return None
    short = len(line[: values[0].start].split()) <= 3 and _CLOSED.fullmatch(line, values[0].end)
    return _reading_of(values[0], "only_value") if short else None


def _scored(text: str, rule: str) -> Reading:
    return Reading(status="scored", text=text, rule=rule)
