"""Words of a stem changed one by one, where that is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from evalsuite.perturbations.parts.protected import KINDS, Kind, folded, free_words, is_free, words_of
from evalsuite.perturbations.parts.real_words import REAL_WORDS
from evalsuite.types import Sample

Change = Callable[[str, np.random.Generator], str]
"""A word and a generator to what becomes of it; the word itself where the draw finds nothing to change."""

N_TRIES = 6
_FIGURES = re.compile(r"(?<![\w.,])\d{2,}(?![\w]|[.,]\d)")


def noised(sample: Sample, rate: float, protect: Collection[Kind], change: Change, rng: np.random.Generator) -> Sample | None:
    """The sample with a share of its stem's free words changed; None if no word is free or none could be changed.

    Words of four letters and more are free before those of three. What a word becomes is drawn again where it would be a word of the
    question, of a choice, or one that is left alone; a word that keeps failing stays.

    Args:
        sample: as shown.
        rate: share of the free words, in (0, 1]; rounded, at least one.
        protect: what is left alone; without `choices` the choices' own texts are changed too.
        change: what happens to a word.
        rng: of the draw.
    """
    known = words_of((sample.question, *sample.choices))
    question = _changed(sample.question, sample.choices, rate, protect, change, known, rng)
    if "choices" in protect:
        return None if question is None else replace(sample, question=question)
    choices = tuple(_changed(choice, (), rate, protect, change, known, rng) or choice for choice in sample.choices)
    if len({folded(choice) for choice in choices}) < len(choices):
        choices = sample.choices
    if question is None and choices == sample.choices:
        return None
    return replace(sample, question=question or sample.question, choices=choices)


def _changed(
    text: str,
    choices: tuple[str, ...],
    rate: float,
    protect: Collection[Kind],
    change: Change,
    known: Collection[str],
    rng: np.random.Generator,
) -> str | None:
    """A text with some of its free words changed; None if none was."""
    kept = frozenset(protect)
    words = free_words(text, choices, kept) or free_words(text, choices, kept, n_letters=3)
    if "numbers" not in kept:
        words = sorted([*words, *_FIGURES.finditer(text)], key=lambda word: word.start())
    if not words:
        return None
    n_words = max(1, round(rate * len(words)))
    order = rng.permutation(len(words)).tolist()
    changes: dict[int, str] = {}
    for number in order:
        if len(changes) == n_words:
            break
        if (made := _one_change(words[number][0], change, known, kept, rng)) is not None:
            changes[number] = made
    if not changes:
        return None
    parts, end = [], 0
    for number in sorted(changes):
        parts += [text[end : words[number].start()], changes[number]]
        end = words[number].end()
    return "".join([*parts, text[end:]])


def _one_change(word: str, change: Change, known: Collection[str], kept: Collection[Kind], rng: np.random.Generator) -> str | None:
    """What a word becomes; None if no draw gives anything allowed."""
    for _ in range(N_TRIES):
        made = change(word, rng)
        small = folded(made)
        # A forgotten accent leaves the folded word as it is, and that is allowed.
        if made != word and (small == folded(word) or (small not in known and _is_no_word(made.lower()))):
            return made
    return None


def _is_no_word(made: str) -> bool:
    """Whether what noise made of a word is no other word, and its parts, if it is broken, are none that are left alone."""
    return made not in REAL_WORDS and all(is_free(part, KINDS) for part in made.split("-\n"))
