"""Characters that a reader does not notice: look-alike letters of other alphabets, and characters without width inside words.

Source: Boucher et al. 2022 (arXiv 2106.09898, "Bad Characters"), homoglyphs and invisible characters; what looks alike is told by Unicode
Technical Standard 39 (confusables.txt). Numbers, units and choices stay as they are, which is ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.protected import NUMBER_WORDS, QUANTITY, UNIT_WORDS, folded
from evalsuite.perturbations.parts.unfit import asked_twice, malformed, without_words
from evalsuite.seeds import derive_seed
from evalsuite.types import Sample

CONFUSABLES: Mapping[str, str] = {
    # Cyrillic, but v, N and Z, which are Greek.
    **dict(
        zip("acdehijopqsvwxy", "\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u043e\u0440\u051b\u0455\u03bd\u051d\u0445\u0443", strict=True)
    ),
    **dict(
        zip(
            "ABCEHIJKMNOPSTXZ",
            "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u039d\u041e\u0420\u0405\u0422\u0425\u0396",
            strict=True,
        )
    ),
}
"""Latin letter -> a letter of another alphabet that looks the same."""

ZERO_WIDTH = ("\u200b", "\u200c", "\u200d")
"""Zero-width space, non-joiner and joiner."""

LANGUAGES = frozenset({"en", "es"})
"""Those whose words for units and numbers are known."""

_LETTERS = re.compile(r"(?<![\w'’])[^\W\d_]+(?!\w)")
_ROMAN = re.compile(r"[IVXLCDM]+")


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    kind: Literal["confusables", "zero_width", "both"] = "confusables"
    """Look-alike letters, characters without width between letters, or both, each at the rate."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the letters that have a look-alike, or of the places between two letters of a word; at least one of them."""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        refusal = malformed(sample) or without_words(sample, LANGUAGES) or asked_twice(sample)
        if refusal is not None:
            return refusal
        places, gaps = touchable(sample.question)
        changes: dict[int, str] = {}
        if options.kind != "zero_width":
            changes = {place: CONFUSABLES[sample.question[place]] for place in _drawn(places, options.rate, sample, seed, "confusables")}
        between: dict[int, str] = {}
        if options.kind != "confusables":
            between = {gap: ZERO_WIDTH[gap % len(ZERO_WIDTH)] for gap in _drawn(gaps, options.rate, sample, seed, "zero_width")}
        if not changes and not between:
            return Refusal(reason="no letter of the stem can be touched")
        question = "".join(between.get(at, "") + changes.get(at, sign) for at, sign in enumerate(sample.question))
        return (replace(sample, variant=0, question=question),)

    return perturb


def touchable(text: str) -> tuple[list[int], list[int]]:
    """Where letters of a text may be replaced, and before which letters something may be put in.

    Words with figures in them (HbA1c), units behind numbers, words for numbers and units, Roman numerals and single letters, which may be
    labels, are left alone.
    """
    measured = [found.span() for found in QUANTITY.finditer(text)]
    places: list[int] = []
    gaps: list[int] = []
    for word in _LETTERS.finditer(text):
        bare, start = word[0], word.start()
        small = folded(bare)
        if len(bare) == 1 or small in UNIT_WORDS or small in NUMBER_WORDS or _ROMAN.fullmatch(bare):
            continue
        if any(first <= start < last for first, last in measured):
            continue
        places += [start + at for at, letter in enumerate(bare) if letter in CONFUSABLES]
        gaps += range(start + 1, word.end())
    return places, gaps


def _drawn(places: list[int], rate: float, sample: Sample, seed: int, kind: str) -> list[int]:
    """A share of the places, at least one where there are any."""
    if not places:
        return []
    rng = np.random.default_rng(derive_seed(seed, "unicode", sample.id, kind))
    n = max(1, round(rate * len(places)))
    return [places[at] for at in rng.permutation(len(places))[:n].tolist()]


SPEC = PerturbationSpec(
    name="unicode",
    summary="Look-alike letters of other alphabets, or characters without width, in the stem's words.",
    source="Boucher et al. 2022 (arXiv 2106.09898); Unicode Technical Standard 39",
    family="adversarial",
    preserves_meaning=True,
    options=Options,
    build=build,
    languages=LANGUAGES,
)
