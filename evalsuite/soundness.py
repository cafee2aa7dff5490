"""Whether samples are sound: their texts, choices, key, quantity and tags. A fault never holds a sample's text."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from evalsuite.cards import TaskCard
from evalsuite.rows import plain
from evalsuite.types import Excluded, Quantity, Sample

DUPLICATE = "duplicate_choices"
"""Known issue, and tag, of samples that hold one choice text twice."""


def _repeats(choices: Iterable[object]) -> bool:
    texts = [plain(choice) for choice in choices if _is_text(choice)]
    return len(set(texts)) < len(texts)


def tag_duplicates(sample: Sample, card: TaskCard) -> Sample:
    """The sample, tagged where it holds one choice text twice and the card allows that."""
    if DUPLICATE in card.known_issues and DUPLICATE not in sample.tags and _repeats(sample.choices):
        return replace(sample, tags=(*sample.tags, DUPLICATE))
    return sample


def sample_faults(sample: Sample, card: TaskCard) -> Iterator[tuple[str, object, str]]:
    """(key, value, allowed) of each fault of a sample; values never hold its text."""
    for key, text in (("id", sample.id), ("group", sample.group), ("question", sample.question)):
        if not _is_text(text):
            yield key, "empty", "a text"
    if sample.language != card.language:
        yield "language", "" if card.restricted else sample.language, f"the card's language, {card.language}"
    for tag in sorted(map(str, set(sample.tags) - set(card.known_issues))):
        yield "tags", "" if card.restricted else tag, "a name among the card's known_issues"
    if card.kind in ("choice", "labels"):
        yield from _check_choices(sample)
        if len(sample.targets) > 1 and not card.several:
            yield "targets", len(sample.targets), "one, unless the card's wording asks for several"
        return
    if (sample.quantity is not None) != (card.kind == "quantity"):
        yield "quantity", "none" if sample.quantity is None else sample.quantity.form, f"as the task is of kind {card.kind}"
    elif sample.quantity is not None:
        yield from _check_quantity(sample.quantity, sample.references)
    if not sample.references or not all(map(_is_text, sample.references)):
        yield "references", "empty", "at least one text, none of them empty"
    if sample.choices or sample.targets:
        yield "choices", len(sample.choices), f"none, since the task is of kind {card.kind}"


def _check_quantity(quantity: Quantity, references: Sequence[str]) -> Iterator[tuple[str, object, str]]:
    """Faults of what counts as right; limits that leave the right answer out would make every model wrong."""
    low, high = quantity.low, quantity.high
    if quantity.form not in ("number", "whole"):
        if (low, high) != (None, None):
            yield "quantity", quantity.form, "no limits, since only numbers have a tolerance"
        return
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low <= high):
        yield "quantity", f"{low} to {high}", "two finite limits, the lower one first"
    elif not all(low <= _leading_number(text) <= high for text in references if _is_text(text)):
        yield "quantity", f"{low} to {high}", "limits that the right number lies between"


def _leading_number(text: str) -> float:
    """The number that a reference begins with; NaN, which lies between no limits, if it begins with none."""
    try:
        return float(text.split()[0])
    except ValueError:
        return math.nan


def _check_choices(sample: Sample) -> Iterator[tuple[str, object, str]]:
    """Faults of choices and key; a key outside its choices is one, never a sample that every model gets wrong."""
    n = len(sample.choices)
    if n < 2:
        yield "choices", n, "at least two choices"
    if n > len(string.ascii_uppercase) and not sample.labels:
        yield "choices", n, "at most 26 choices, since the letters end there, or labels of the sample's own"
    for index, choice in enumerate(sample.choices):
        if not _is_text(choice):
            yield f"choices[{index}]", "empty", "a text"
    if not sample.targets or len(set(sample.targets)) < len(sample.targets):
        yield "targets", len(sample.targets), "the position of each right choice, once"
    for target in sample.targets:
        if type(target) is not int or target not in range(n):
            yield (
                "targets",
                str(target) if type(target) is int else type(target).__name__,
                f"a position from 0 to {n - 1}: the key lies outside its choices",
            )
    if sample.labels and (len(sample.labels) != n or len(set(sample.labels)) < n):
        yield "labels", len(sample.labels), f"{n} different labels"
    if _repeats(sample.choices) and DUPLICATE not in sample.tags:
        yield "choices", "the same text twice", f"different choices, or `{DUPLICATE}` among the card's known_issues"


def surrogate_in(made: Sample | Excluded) -> str:
    """The field that holds half of a surrogate pair, which JSON can write but no UTF-8 file or tokenizer takes; else empty."""
    texts = {name: _texts_in(getattr(made, name)) for name in made.__slots__}
    # Nearly always there is none. No regular expression: text without surrogates is told from others fastest by encoding it.
    if _is_encoded("".join(texts.values())):
        return ""
    return next((name for name, text in texts.items() if not _is_encoded(text)), "")


def _texts_in(held: object) -> str:
    """All text of a field in one piece; of what is no text, none."""
    if isinstance(held, str):
        return held
    if isinstance(held, tuple):
        return "".join([text for text in held if isinstance(text, str)])
    if isinstance(held, Mapping):
        return _texts_in((*held, *held.values()))
    return ""


def _is_encoded(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_text(value: object) -> bool:
    """Plugins are not always typed: None or a number must be seen here."""
    return isinstance(value, str) and bool(value.strip())
