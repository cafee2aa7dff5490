"""The same stem with other white space and punctuation.

Doubled blanks, a blank before the question mark or colon, a missing final mark, trailing blanks, a line break between sentences, the other
kind of quotation marks and apostrophes, and the other hyphen between words. Letters and figures stay as they are and in their order;
numbers with their units, names of medicines and words that stand side by side in a choice are not parted.

Source: ours; that models are sensitive to spacing and punctuation is shown by Sclar et al. 2023 (arXiv 2310.11324).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.protected import QUANTITY, folded, is_free, kind_of, words_of
from evalsuite.perturbations.parts.sentences import is_terminal, sentences
from evalsuite.perturbations.parts.stems import drawn_variants, misfit
from evalsuite.types import Sample

Edit = tuple[str, int, int, str]
"""(its kind, start, end, what stands there instead)."""

_WORD = re.compile(r"(?<![\w])[^\W\d_]+(?![\w])")
_LETTERS_BEFORE = re.compile(r"[^\W\d_]+\Z")
_LETTERS_AFTER = re.compile(r"[^\W\d_]+")
_HYPHEN = re.compile(r"(?<=[a-zñáéíóú]{3})-(?=[a-zñáéíóú]{3})")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’](?=[^\W\d_])")
_QUOTED = re.compile(r"[\"“](?P<said>[^\"“”\n]{1,200})[\"”]")
_FINAL = re.compile(r"(?P<blank> ?)(?P<mark>[.:?])(?P<rest>\s*:?)\s*\Z")
N_AROUND = 24
"""Letters looked at on either side of a blank."""


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    edits: Annotated[int, Field(ge=1, le=40)] = 4
    """Most places that are changed; fewer where a stem has fewer."""
    variants: Annotated[int, Field(ge=1, le=16)] = 1
    """How many renditions per sample."""


def possible_edits(text: str, choices: tuple[str, ...]) -> Iterator[Edit]:
    """Every place of a text where an edit is allowed, by kind and from left to right.

    Args:
        text: the stem.
        choices: the choices' texts.
    """
    quantities = [(found.start(), found.end()) for found in QUANTITY.finditer(text)]
    in_choices = words_of(choices)
    for left, right in itertools.pairwise(_WORD.finditer(text)):
        at = left.end()
        if right.start() - at != 1 or text[at] != " " or _are_bound(left[0], right[0], in_choices):
            continue
        if not any(start <= at < end for start, end in quantities):
            yield "blanks", at, at + 1, "  "
    at = 0
    for piece in sentences(text)[:-1]:
        at += len(piece)
        body = piece.rstrip()
        if is_terminal(piece) and piece[len(body) :] == " ":
            yield "line break", at - 1, at, "\n"
    for found in _HYPHEN.finditer(text):
        parts = [part.lower() for part in _beside(text, found.start(), found.end())]
        if all(folded(part) not in in_choices and is_free(part) for part in parts):
            yield "hyphen", found.start(), found.end(), "\u2010"
    for found in _APOSTROPHE.finditer(text):
        yield "apostrophe", found.start(), found.end(), "’" if found[0] == "'" else "'"
    for found in _QUOTED.finditer(text):
        curled = "“" in found[0] or "”" in found[0]
        yield "quotation", found.start(), found.end(), f'"{found["said"]}"' if curled else f"“{found['said']}”"
    yield from _at_the_end(text)


def edited(text: str, choices: tuple[str, ...], n_edits: int, rng: np.random.Generator) -> str:
    """The text with some edits, kind after kind in a drawn order so that many kinds are seen, none of them over another.

    Args:
        text: the stem.
        choices: the choices' texts.
        n_edits: most edits.
        rng: of the draw.
    """
    by_kind: dict[str, list[Edit]] = {}
    for edit in possible_edits(text, choices):
        by_kind.setdefault(edit[0], []).append(edit)
    lists = [by_kind[kind] for kind in by_kind]
    lists = [lists[at] for at in rng.permutation(len(lists)).tolist()]
    taken: list[Edit] = []
    while lists and len(taken) < n_edits:
        for edits in tuple(lists):
            edit = edits.pop(int(rng.integers(len(edits))))
            if not edits:
                lists.remove(edits)
            if len(taken) < n_edits and not any(edit[1] <= end and start <= edit[2] for _, start, end, _ in taken):
                taken.append(edit)
    parts, at = [], 0
    for _, start, end, instead in sorted(taken, key=lambda edit: edit[1:]):
        parts += [text[at:start], instead]
        at = end
    return "".join([*parts, text[at:]])


def _at_the_end(text: str) -> Iterator[Edit]:
    """A blank before the last mark, or none; no last mark; blanks behind it."""
    end = len(text.rstrip())
    found = _FINAL.search(text)
    if found:
        start, mark = found.start(), found.start("mark")
        if not found["blank"]:
            yield "blank before", mark, mark, " "
        else:
            yield "blank before", start, mark, ""
        if text[:start].strip():
            yield "no last mark", start, end, "?" if found["mark"] == "?" and found["rest"].strip() else ""
    yield "trailing", end, len(text), "  " if end == len(text) else ""


def _are_bound(before: str, after: str, in_choices: frozenset[str]) -> bool:
    """Whether two words belong together: a medicine's name, or words of a choice."""
    if kind_of(before.lower()) == "drugs" or kind_of(after.lower()) == "drugs":
        return True
    return folded(before) in in_choices and folded(after) in in_choices


def _beside(text: str, start: int, end: int) -> tuple[str, str]:
    """The words that end and begin at two places."""
    before = _LETTERS_BEFORE.search(text[max(0, start - N_AROUND) : start])
    after = _LETTERS_AFTER.match(text, end)
    return before[0] if before else "", after[0] if after else ""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        def draw(rng: np.random.Generator) -> Sample:
            return replace(sample, question=edited(sample.question, sample.choices, options.edits, rng))

        return misfit(sample, None) or drawn_variants(sample, seed, "whitespace", options.variants, draw)

    return perturb


SPEC = PerturbationSpec(
    name="whitespace",
    summary="The stem with other white space, quotation marks, hyphens and final mark; no letter or figure changes.",
    source="ours; after the sensitivity shown by Sclar et al. 2023 (arXiv 2310.11324)",
    family="meaning-preserving",
    preserves_meaning=True,
    options=Options,
    build=build,
)
