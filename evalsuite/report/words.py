"""Numbers in words: the only place where shares become percent and points. `sentences` makes verdicts of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.report.findings import Findings
from evalsuite.report.verdicts import Verdict

VERDICT_NAMES: dict[Verdict, str] = {
    "a_better": "better",
    "b_better": "worse",
    "equivalent": "same within margin",
    "inconclusive": "cannot tell",
    "not_established": "not established",
}
"""Verdicts as read from the side of the first model of the pair."""

CORRECTIONS = {"holm": "Holm", "benjamini_hochberg": "Benjamini-Hochberg", "none": ""}
"""Corrections over a family by the names of their authors; empty: none."""

_LANGUAGES = {
    "ar": "Arabic", "ca": "Catalan", "de": "German", "en": "English", "es": "Spanish", "eu": "Basque", "fr": "French", "gl": "Galician",
    "hi": "Hindi", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese",
    "ru": "Russian", "sv": "Swedish", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How values of a metric are shown."""

    factor: float
    """Shown value over stored value: 100 for shares, else 1."""
    n_digits: int
    """Digits after the point."""
    unit: str
    """Unit of a mean with its leading space if it takes one: `%` or nothing."""
    difference_unit: str
    """Unit of a difference: ` points` or nothing."""


SHARES = Scale(factor=100.0, n_digits=1, unit="%", difference_unit=" points")
"""For metrics that run between 0 and 1, and for every share."""


def scale_of(findings: Findings, metric: str) -> Scale:
    """Percent and points for metrics that run between 0 and 1, the bare number for all others."""
    known = findings.metrics.get(metric)
    if known is None or {known.worst, known.best} == {0.0, 1.0}:
        return SHARES
    return Scale(factor=1.0, n_digits=3, unit="", difference_unit="")


def number(value: float | None, scale: Scale, *, signed: bool = False) -> str:
    """A stored value as shown, with a true minus sign and no negative zero; a dash for None."""
    if value is None:
        return "–"
    text = f"{value * scale.factor:+.{scale.n_digits}f}"
    bare = text[1:]
    if not float(bare):
        return bare
    sign = "−" if text[0] == "-" else "+" if signed else ""
    return sign + bare


def interval(low: float | None, high: float | None, scale: Scale) -> str:
    """`27.1 to 35.3`; a dash if either end is None."""
    return "–" if low is None or high is None else f"{number(low, scale)} to {number(high, scale)}"


def p_number(p: float | None) -> str:
    """A p-value: four digits after the point below 0.1 (0.0496 must not read as 0.05 beside an alpha of 0.05), else two."""
    if p is None:
        return "–"
    if p < 0.00005:
        return "< 0.0001"
    return f"{p:.4f}" if p < 0.0995 else f"{p:.2f}"


def p_phrase(p: float | None) -> str:
    """`p = 0.012`, `p < 0.0001`, or `no p-value`."""
    text = p_number(p)
    return "no p-value" if p is None else f"p {text}" if text.startswith("<") else f"p = {text}"


def share(value: float) -> str:
    """A level such as 0.95 as `95%`."""
    return f"{100 * value:.6g}%"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def sentence_case(text: str) -> str:
    """A text with a capital at its start, the rest as it is."""
    return text[:1].upper() + text[1:]


def language_name(code: str) -> str:
    """English name of a language by its code; the code itself where it is not known."""
    return _LANGUAGES.get(code, code)


def counted(n: int, noun: str) -> str:
    """`1 sample`, `1,273 samples`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
