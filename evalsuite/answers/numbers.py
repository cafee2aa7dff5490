"""Numbers as people and models write them: signs, thousands, decimal commas, powers of ten, fractions, tolerances.

Where two readings remain ("1.234" in Spanish, which may be a thousand) there is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from evalsuite.answers.units import unit_at

_DIGITS = r"\d{1,3}(?:[ '’]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*|[.,]\d+"
_POWER = r"(?:[eE][+-]?\d{1,3}(?!\w)|\s?[x×*·]\s?10\s?(?:\^\s?\{?\s?[+-]?\d{1,3}\s?\}?|\*\*\s?[+-]?\d{1,3}|[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))"
NUMBER = re.compile(
    # not inside a name (CHA2DS2, FIB-4, Fio2), not behind another number's point
    r"(?<![\w.,^])(?<![A-Za-z]-)(?P<sign>[+-]\s?)?(?P<digits>" + _DIGITS + r")(?P<power>" + _POWER + r")?"
)
_ORDINAL = re.compile(r"(?:st|nd|rd|th|er|ème|e|º|ª)\b", re.IGNORECASE)
_OUT_OF = re.compile(r"\s?(?:/\s?|out\s+of\s+|sur\s+|de\s+un\s+total\s+de\s+)(?P<below>\d+(?:[.,]\d+)?)(?![\w/])", re.IGNORECASE)
_RANGE = re.compile(r"\s?(?:%|[A-Za-z/]{1,8})?\s?(?:[-–—~]|to|a|à|or|o|ou)\s?(?=[+-]?\d)")
_PER = re.compile(r"(?:/|\bper)\s?\(?$")
_TO_ONE = re.compile(r":(\d+)(?![\d.,:])")
_TOLERANCE = re.compile(r"\s?(?:±|\+/-|\+-)\s?\d+(?:[.,]\d+)?")
_RAISED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
_COMPARED = re.compile(
    r"(?:[<>≤≥]=?|\b(?:less|more|greater|lower|higher|fewer|smaller|larger)\s+than|\b(?:below|above|under|over|between|normal(?:ly)?|at\s+least|at\s+"
    r"most|threshold|cut-?off|menos\s+de|más\s+de|menor\s+(?:de|que)|mayor\s+(?:de|que)|entre|moins\s+de|plus\s+de|inférieur[es]*\s+à|"
    r"supérieur[es]*\s+à)(?:\s+\w{1,6})?)\s*[:=]?\s*$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    # anywhere before the value in its clause
    r"\b(?:not|never|unlikely|cannot|maximum|minimum|maximal|minimal|highest|lowest|perfect|target|goal|possible|up\s+to|at\s+(?:least|most)|no\s+more\s+than|"
    r"rang(?:es?|ing)|(?:may|might|could)\s+be|no\s+(?:es|son|sea|será|puede|está|menos|más)|nunca|improbable|m[áa]xim[oae]s?|m[íi]nim[oae]s?|hasta|"
    r"como\s+mucho|al\s+menos|por\s+lo\s+menos|rango|varía|oscila|puede\s+ser|podría|posible|pas|jamais|peu\s+probable|"
    r"jusqu|au\s+(?:moins|plus)|varie|peut\s+être|pourrait)\b|n['’]t\b|\bde\s+0\s+[aà]\b"
    # or right before it
    r"|\b(?:out\s+of|sur(?:\s+un\s+total\s+de)?|de\s+un\s+(?:total|máximo)\s+de|no|non|instead\s+of|rather\s+than|except)\s*+$"
    r"|\b(?:between|entre|from|de|desde)\s+\S{0,12}\d\S{0,12}(?:\s\S{1,12})?\s+(?:and|y|et|to|a|à|hasta)\s*+$",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|unless|si)\b", re.IGNORECASE)
_LIMITED = re.compile(
    r"\s?(?:points?\b|puntos?\b)?[\s,(]{0,3}(?:if|unless|only\s+if|when|provided\s+that|depending|(?:or|and)\s+(?:higher|more|above|"
    r"greater|over|less|lower|fewer|below|under)|at\s+(?:least|most)|(?:maximum|max|minimum)(?![\s:=]*(?:of\s+)?\d)|is\s+(?:not|unlikely|"
    r"wrong|incorrect)|to\s+\(?[+-]?\d|si|cuando|salvo\s+si|o\s+(?:más|menos|mayor|menor|superior|inferior)|como\s+(?:máximo|mínimo|"
    r"mucho)|ou\s+(?:plus|moins|supérieure?|inférieure?)|au\s+(?:maximum|minimum|moins|plus))\b|\+\s*(?:$|[.)])|\s?\?",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[.,;!?]\s|\n|\b(?:so|therefore|thus|hence|but|because|since|por\s+(?:lo\s+)?tanto|así\s+que|pero|sino|donc|mais)\b", re.IGNORECASE
)
_GIVEN = re.compile(
    r"\b(?:weight|weighs|height|age|heart\s+rate|pulse|temperature|respiratory\s+rate|(?:systolic|diastolic|"
    r"blood)(?:\s+(?:blood\s+)?pressure)?|creatinine|albumin|calcium|sodium|potassium|chloride|bicarbonate|glucose|"
    r"platelets?(?:\s+count)?|bilirubin|INR|BUN|hematocrit|peso|altura|talla|edad|frecuencia\s+cardíaca|creatinina|albúmina|calcio|sodio|"
    r"poids|taille|âge|fréquence\s+cardiaque|créatinine|albumine)(?:\s+(?:level|concentration|value))?\s*(?:(?:is|was|of|es|est|de)\b|"
    r"[:=])?\s*$",
    re.IGNORECASE,
)
_QUALIFIED = re.compile(
    r"\b(?:ideal|adjusted|corrected|estimated|predicted|lean|dosing|gestational|mean|fractional|calculated|ajustado|corregid[oa]|idéal|ajusté|corrigée?)\b",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"\s?[,;]?\s?(?:(?:or|o|ou|to|a|à|and|y|et)\s+|[,;]\s?|[|&]\s?)\(?[+-]?\d")


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number in an output."""

    value: float | None
    """Its value; None if it can be read in two ways or is a bound or a range."""
    start: int
    """Offset of its first character."""
    end: int
    """Offset after it and its unit."""
    unit: str
    """Spelling of the unit behind it; empty if none stands there."""


def numbers_in(text: str, language: str, *, whole: bool) -> Iterator[Number]:
    """Numbers of a text, in its order; those of names and ordinals are left out.

    Args:
        text: plain text on one line, signs as in `plain_signs`.
        language: decides what commas and points mean.
        whole: a whole number is asked for, so that "12/15" is 12 of 15 and not 0.8.
    """
    position = 0
    while (found := NUMBER.search(text, position)) is not None:
        position = found.end()
        if _ORDINAL.match(text, position) or _is_part(text, found):
            continue
        number = _number(text, found, language, whole=whole)
        position = max(position, number.end)
        yield number


def _is_part(text: str, found: re.Match[str]) -> bool:
    """Whether a number is the surface of a unit ("per 1.73 m²") or counts the members of a list ("1) fever 2) cough")."""
    before = text[max(0, found.start() - 100) : found.start()]
    if found.group("digits") in ("1.73", "1,73") and _PER.search(before):
        return True
    return text[found.end() : found.end() + 1] == ")" and before.count("(") <= before.count(")")


def is_denied(line: str, start: int, end: int) -> bool:
    """Whether the words around a value deny it, make it depend on a condition, make a bound of it, or add another.

    Args:
        line: where it stands, at most a few hundred characters, in English, Spanish or French.
        start: offset of its first character.
        end: offset after it and its unit.
    """
    before = line[:start]
    clause = before[max((cut.end() for cut in _CLAUSE.finditer(before)), default=0) :]
    sentence = before[max(before.rfind(mark) + 1 for mark in (". ", "! ", "? ", "\n")) :]
    behind = _LIMITED.match(line, end) or _ANOTHER.match(line, end)
    return bool(_DENIED.search(clause) or _CONDITION.search(sentence) or behind)


def is_given(line: str, start: int) -> bool:
    """Whether a value is named as one of those that a note gives ("weight is 80 kg") and not as one worked out of them."""
    found = _GIVEN.search(line[max(0, start - 60) : start])
    return found is not None and not _QUALIFIED.search(line, max(0, start - 100), start)


def plain_signs(text: str) -> str:
    """A text with one minus sign, one kind of blank and no TeX around numbers."""
    text = re.sub(r"[−–—](?=\s?\d)", "-", text)
    # "al menos 3", "au moins 3" are bounds, no negative numbers
    text = re.sub(r"(?<!\b(?:al|lo|au|ou|de) )(?<!\bo )\b(?:minus|negative|menos|moins)\s+(?=\d)", "-", text, flags=re.IGNORECASE)
    text = text.replace("\\times", "×").replace("\\%", "%").replace("\\,", " ").replace("\\pm", "±").replace("\\approx", "≈")
    return re.sub(r"[\u00a0\u2009\u202f]", " ", text)


def number_of(digits: str, language: str) -> float | None:
    """The value of digits with separators; None if it can be read in two ways.

    A comma before other than three digits is a decimal one everywhere; before three digits it is decimal in Spanish and French and
    marks thousands in English, unless the number begins with 0. A point before three digits is ambiguous in Spanish.
    """
    plain = re.sub(r"[ '’]", "", digits)
    commas, points = plain.count(","), plain.count(".")
    if commas and points:
        decimal = max(plain.rfind(","), plain.rfind("."))
        mark = plain[decimal]
        groups = plain[:decimal].replace("," if mark == "." else ".", " ").split(" ")
        if plain.count(mark) > 1 or not _are_groups(groups):
            return None
        return float("".join(groups) + "." + plain[decimal + 1 :])
    mark = "," if commas else "."
    parts = plain.split(mark)
    if len(parts) == 1:
        return float(plain)
    if len(parts) > 2:
        return float("".join(parts)) if _are_groups(parts) else None
    head, tail = parts
    looks_grouped = len(tail) == 3 and 1 <= len(head) <= 3 and not head.startswith("0")
    if looks_grouped and mark == "," and language == "en":
        return float(head + tail)
    if looks_grouped and mark == "." and language == "es":
        return None
    return float(f"{head or '0'}.{tail}")


def _are_groups(parts: list[str]) -> bool:
    """Whether digits are parted into thousands."""
    return 1 <= len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:])


def _number(text: str, found: re.Match[str], language: str, *, whole: bool) -> Number:
    """One number with its power, fraction, tolerance and unit."""
    start, end = found.start(), found.end()
    value = number_of(found.group("digits"), language)
    if value is not None and found.group("power"):
        exponent = _exponent(found.group("power"))
        value = value * 10.0**exponent if abs(exponent) < 300 else None
    sign = found.group("sign") or ""
    # a minus between two numbers is a subtraction or a range, which `_RANGE` of the first one has seen
    if value is not None and sign.startswith("-"):
        value = -value
    over = _OUT_OF.match(text, end)
    if over is not None:
        end = over.end()
        below = number_of(over.group("below"), language)
        if not whole and "/" in over.group() and value is not None:
            value = value / below if below else None
    if (ratio := _TO_ONE.match(text, end)) is not None:
        value, end = value if ratio.group(1) == "1" else None, ratio.end()
    if (tolerance := _TOLERANCE.match(text, end)) is not None:
        end = tolerance.end()
    if _RANGE.match(text, end) or _COMPARED.search(text[max(0, start - 40) : start]):
        value = None
    if value is not None and not math.isfinite(value):
        value = None
    unit = unit_at(text, end)
    if unit is not None and (tolerance := _TOLERANCE.match(text, unit[1])) is not None:
        unit = (unit[0], tolerance.end())
    if unit is not None and _RANGE.match(text, unit[1]):
        value = None
    return Number(value=value, start=start, end=end if unit is None else unit[1], unit="" if unit is None else unit[0])


def _exponent(power: str) -> int:
    """The exponent of "e3", "× 10^3", "x10³"."""
    digits = re.search(r"[+-]?\d+$", re.sub(r"[\s{}]", "", re.sub(r"^(?:[eE]|\s?[x×*·]\s?10)", "", power).translate(_RAISED)))
    return int(digits.group()) if digits is not None else 0
