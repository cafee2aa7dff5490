"""Dates, and spans of weeks and days, in their usual spellings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from evalsuite.answers.tokens import fold

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan enero ene janvier janv",
            "february feb febrero fevrier fevr fev",
            "march mar marzo mars",
            "april apr abril abr avril avr",
            "may mayo mai",
            "june jun junio juin",
            "july jul julio juillet juil",
            "august aug agosto ago aout",
            "september sept sep septiembre setiembre septembre",
            "october oct octubre octobre",
            "november nov noviembre novembre",
            "december dec diciembre dic decembre",
        ),
        start=1,
    )
    for name in names.split()
}
_NUMERIC = re.compile(r"(?<![\d/.-])(\d{1,2})\s?([/.-])\s?(\d{1,2})\s?\2\s?(\d{4})(?![\d/-])")
_ISO = re.compile(r"(?<![\d/-])(\d{4})([/-])(\d{1,2})\2(\d{1,2})(?![\d/-])")
_MONTH_FIRST = re.compile(r"\b([^\W\d_]{3,10})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})\b", re.IGNORECASE)
_DAY_FIRST = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th|er)?\s+(?:of\s+|de\s+)?([^\W\d_]{3,10})\.?,?\s+(?:del?\s+|of\s+)?(\d{4})\b", re.IGNORECASE
)

_WEEK = r"(?:weeks?|wks?|w|semanas?|sem\.?|semaines?|SA|s)"
_DAY = r"(?:days?|d|d[ií]as?|jours?|j)"
_JOIN = r"[\s,;'\"+&-]{0,6}(?:(?:and|y|et)\s+)?['\"]?"
_SPANS = (
    re.compile(rf"(?<![\w.,/])(\d{{1,3}})\s?{_WEEK}(?!\w){_JOIN}(\d{{1,3}})\s?{_DAY}(?!\w)", re.IGNORECASE),
    re.compile(r"(?<![\w.,/])(\d{1,3})w\s?(\d{1,3})d(?!\w)", re.IGNORECASE),
    re.compile(rf"(?<![\w.,/])(\d{{1,2}})\s?(?:{_WEEK}\s?)?\+?\s?([0-6])/7(?:\s?{_WEEK})?(?!\w)", re.IGNORECASE),
    re.compile(rf"(?<![\w.,/])(\d{{1,2}})\s?\+\s?([0-6])(?:\s?{_WEEK})?(?!\w)", re.IGNORECASE),
    re.compile(r"\(\s?(\d{1,2})\s?,\s?(\d{1,2})\s?\)"),
)
_WEEKS_ONLY = re.compile(rf"(?<![\w.,/+-])(\d{{1,3}})\s?{_WEEK}(?!\w)", re.IGNORECASE)
_DAYS_ONLY = re.compile(rf"(?<![\w.,/+-])(\d{{1,3}})\s?{_DAY}(?!\w)", re.IGNORECASE)


def dates_in(text: str, language: str, *, swapped: bool = True) -> Iterator[tuple[int, int, str]]:
    """(start, end, MM/DD/YYYY) of the dates of a text, in its order; days that no calendar has are left out.

    A numeric date is read month first in English and day first elsewhere, the other way round where only that gives a date. Years of two
    digits are not read. `swapped` False: never the other way round.
    """
    found: list[tuple[int, int, str]] = []
    for match in _NUMERIC.finditer(text):
        first, second, year = int(match.group(1)), int(match.group(3)), int(match.group(4))
        pairs = ((first, second), (second, first)) if language == "en" else ((second, first), (first, second))
        made = next((written for month, day in pairs[: 1 + swapped] if (written := _written(year, month, day))), None)
        found.extend([(match.start(), match.end(), made)] if made else [])
    for match in _ISO.finditer(text):
        if made := _written(int(match.group(1)), int(match.group(3)), int(match.group(4))):
            found.append((match.start(), match.end(), made))
    for pattern, name, day in ((_MONTH_FIRST, 1, 2), (_DAY_FIRST, 2, 1)):
        for match in pattern.finditer(text):
            month = _MONTHS.get(fold(match.group(name)))
            made = _written(int(match.group(3)), month, int(match.group(day))) if month else None
            found.extend([(match.start(), match.end(), made)] if made else [])
    yield from sorted(found)


def spans_in(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, "(W weeks, D days)") of the spans of a text, in its order; seven days are a week.

    Weeks alone have no days, and days alone are counted in weeks; both only where no span of weeks and days stands.
    """
    found: dict[int, tuple[int, int, str]] = {}
    for pattern in _SPANS:
        for match in pattern.finditer(text):
            if not any(start < match.end() and match.start() < end for start, end, _ in found.values()):
                found[match.start()] = (match.start(), match.end(), _spanned(int(match.group(1)), int(match.group(2))))
    if not found:
        for pattern, n_days in ((_WEEKS_ONLY, 7), (_DAYS_ONLY, 1)):
            for match in pattern.finditer(text):
                found[match.start()] = (match.start(), match.end(), _spanned(0, n_days * int(match.group(1))))
    yield from sorted(found.values())


def _spanned(weeks: int, days: int) -> str:
    """A span in its canonical form."""
    weeks, days = divmod(7 * weeks + days, 7)
    return f"({weeks} weeks, {days} days)"


def _written(year: int, month: int, day: int) -> str | None:
    """A date in its canonical form; None if there is no such day."""
    try:
        return date(year, month, day).strftime("%m/%d/%Y")
    except ValueError:
        return None
