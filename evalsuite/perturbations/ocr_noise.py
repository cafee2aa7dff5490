"""Misread letters in the stem, as when a printed page was scanned.

Each chosen word has one misreading (rn as m, cl as d, e as c, a lost accent, ...), or, where it is long, is broken at the end of a line.
The first letter stands. What is left alone is what `typos` leaves alone. No figure is written by default, since one in the text would be
read as a value.

Source: the kind of noise is that of Namysl, Behnke & Köhler 2020 (arXiv 2005.07162), who draw characters from a confusion matrix, and of
nlpaug's OcrAug, which has pairs of look-alikes; our pairs are look-alikes of letters, each as likely as another. Line breaks are ours.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.noise import noised
from evalsuite.perturbations.parts.protected import KINDS, Kind
from evalsuite.perturbations.parts.stems import drawn_variants, misfit
from evalsuite.types import Sample

LANGUAGES = frozenset({"en", "es"})
LOOK_ALIKES = tuple(
    tuple(pair.split(">"))
    for pair in (
        "rn>m m>rn cl>d d>cl e>c c>e h>b b>h li>h h>li ri>n n>ri vv>w w>vv nn>m u>ii ii>u in>m i>l l>i f>t t>f y>v v>y g>q q>g "
        "n>u u>n á>a é>e í>i ó>o ú>u ñ>n"
    ).split()
)
"""(printed, read); letters only."""
FIGURES = (("o", "0"), ("l", "1"), ("i", "1"), ("s", "5"), ("b", "6"), ("g", "9"))
"""Likewise, read as figures."""
N_LETTERS_BROKEN = 8
"""A word of so many letters may be broken, three letters or more on either line."""
P_BROKEN = 0.2
"""How often it is."""


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the words that may be touched which are; at least one word."""
    figures: bool = False
    """Whether letters within a word may be read as figures (o as 0, l as 1)."""
    protect: tuple[Kind, ...] = KINDS
    """What is left alone. Left out: numbers (figures stay, number words do not), units, names of medicines; choices: their words in the
    stem, and the choices themselves."""
    variants: Annotated[int, Field(ge=1, le=16)] = 1
    """How many renditions per sample."""


def misread(word: str, pairs: tuple[tuple[str, ...], ...], rng: np.random.Generator) -> str:
    """The word after one misreading, or broken between a vowel and a consonant; the word itself where nothing looks like another.

    Args:
        word: two letters or more.
        pairs: (printed, read).
        rng: of the draw.
    """
    if len(word) >= N_LETTERS_BROKEN and rng.random() < P_BROKEN:
        breaks = [at for at in range(3, len(word) - 2) if word[at - 1] in "aeiouáéíóú" and word[at] not in "aeiouáéíóúüy"]
        if breaks:
            at = breaks[int(rng.integers(len(breaks)))]
            return f"{word[:at]}-\n{word[at:]}"
    found = [(at, printed, read) for printed, read in pairs for at in range(1, len(word)) if word.startswith(printed, at)]
    if not found:
        return word
    at, printed, read = found[int(rng.integers(len(found)))]
    return f"{word[:at]}{read}{word[at + len(printed) :]}"


def build(options: Options) -> Perturb:
    """The map for these options."""
    pairs = LOOK_ALIKES + FIGURES if options.figures else LOOK_ALIKES

    def change(word: str, rng: np.random.Generator) -> str:
        return word if word.isdigit() else misread(word, pairs, rng)

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        def draw(rng: np.random.Generator) -> Sample | None:
            return noised(sample, options.rate, options.protect, change, rng)

        return misfit(sample, LANGUAGES) or drawn_variants(sample, seed, "ocr_noise", options.variants, draw)

    return perturb


def preserves(options: Options) -> bool:
    """Only while everything that decides is left alone."""
    return set(options.protect) == set(KINDS)


SPEC = PerturbationSpec(
    name="ocr_noise",
    summary="Misread letters in the stem, as of a scanned page (rn as m, cl as d, lost accents, words broken at a line's end).",
    source="after Namysl et al. 2020 (arXiv 2005.07162) and nlpaug's OcrAug; pairs and line breaks ours",
    family="meaning-preserving",
    preserves_meaning=preserves,
    options=Options,
    build=build,
    languages=LANGUAGES,
)
