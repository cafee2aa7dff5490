"""Slips of the keyboard in the stem.

Each chosen word has one slip: a neighbouring key, two letters swapped, one left out, one doubled, or (Spanish) an accent forgotten. The
first letter stands. Numbers, units, names of medicines and words that stand in a choice are left alone, and so are negations, quantifiers,
names, codes and capitals; no slip makes a word into one of those, or into another word of the question.

Source: keyboard slips and swaps of Belinkov & Bisk 2018 (arXiv 1711.02173), drops and additions of Pruthi et al. 2019 (arXiv 1905.11268),
who keep the first letter and the last; here only the first is kept. Protection, the Spanish keyboard and accents are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.noise import noised
from evalsuite.perturbations.parts.protected import KINDS, Kind
from evalsuite.perturbations.parts.stems import drawn_variants, misfit
from evalsuite.types import Sample

LANGUAGES = frozenset({"en", "es"})
_ROWS = {"en": ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"), "es": ("1234567890", "qwertyuiop", "asdfghjklñ", "zxcvbnm")}
_SHIFTS = (0.0, 0.5, 0.75, 1.25)
_UNACCENTED = str.maketrans("áéíóúü", "aeiouu")


def neighbours(rows: Sequence[str]) -> dict[str, str]:
    """For each key the keys beside, above and below it, at most one key's width away; letters and figures are kept apart."""
    places = {key: (column + _SHIFTS[row], row) for row, keys in enumerate(rows) for column, key in enumerate(keys)}
    return {
        key: "".join(
            other
            for other, (x, y) in places.items()
            if other != key and abs(x - at) <= 1 and abs(y - row) <= 1 and other.isdigit() == key.isdigit()
        )
        for key, (at, row) in places.items()
    }


NEIGHBOURS: Mapping[str, Mapping[str, str]] = {language: neighbours(rows) for language, rows in _ROWS.items()}


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the words that may be touched which are; at least one word."""
    protect: tuple[Kind, ...] = KINDS
    """What is left alone. Left out: numbers (figures and number words), units, names of medicines; choices: their words in the stem, and
    the choices themselves."""
    variants: Annotated[int, Field(ge=1, le=16)] = 1
    """How many renditions per sample."""


def slips(word: str, keys: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """What one slip makes of a word, by kind of slip.

    Args:
        word: at least two characters.
        keys: for each key its neighbours.
    """
    inner = range(1, len(word))
    yield "key", [f"{word[:at]}{other}{word[at + 1 :]}" for at in inner for other in keys.get(word[at], "")]
    yield "swap", [f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}" for at in inner[:-1] if word[at] != word[at + 1]]
    yield "drop", [f"{word[:at]}{word[at + 1 :]}" for at in inner]
    yield "double", [f"{word[: at + 1]}{word[at:]}" for at in inner]
    yield "accent", [f"{word[:at]}{word[at].translate(_UNACCENTED)}{word[at + 1 :]}" for at in inner if word[at] in "áéíóúü"]


def slipped(word: str, language: str, rng: np.random.Generator) -> str:
    """The word after one slip: its kind drawn first, then its place."""
    kinds = [made for _, made in slips(word, NEIGHBOURS[language]) if made]
    made = kinds[int(rng.integers(len(kinds)))]
    return made[int(rng.integers(len(made)))]


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        if (refusal := misfit(sample, LANGUAGES)) is not None:
            return refusal

        def change(word: str, rng: np.random.Generator) -> str:
            return slipped(word, sample.language, rng)

        def draw(rng: np.random.Generator) -> Sample | None:
            return noised(sample, options.rate, options.protect, change, rng)

        return drawn_variants(sample, seed, "typos", options.variants, draw)

    return perturb


def preserves(options: Options) -> bool:
    """Only while everything that decides is left alone."""
    return set(options.protect) == set(KINDS)


SPEC = PerturbationSpec(
    name="typos",
    summary="Keyboard slips in the stem: neighbouring keys, swaps, drops, doubles and (Spanish) forgotten accents.",
    source="Belinkov & Bisk 2018 (arXiv 1711.02173); Pruthi et al. 2019 (arXiv 1905.11268)",
    family="meaning-preserving",
    preserves_meaning=preserves,
    options=Options,
    build=build,
    languages=LANGUAGES,
)
