"""One sentence or more that has nothing to do with the answer, put into the stem.

It stands at a drawn boundary between two sentences of what is told, never before one that leans on the sentence before it and never inside
a table; where nothing is told, in front of the question. Where a patient is told of it is about the visit's surroundings, else about the
page.

Source: Shi et al. 2023 (arXiv 2302.00093, GSM-IC: irrelevant sentences in arithmetic); for medical questions Vishwanath et al. 2025 (arXiv
2504.01201, MedDistractQA). Sentences and places are ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.clinical_sentences import OF_A_VISIT, OF_THE_PAGE
from evalsuite.perturbations.parts.sentences import asking_from, sentences
from evalsuite.perturbations.parts.stems import drawn_variants, misfit
from evalsuite.perturbations.parts.vignettes import allows_before, tells_of_a_patient
from evalsuite.types import Sample

LANGUAGES = frozenset(OF_A_VISIT)


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    n: Annotated[int, Field(ge=1, le=5)] = 1
    """How many sentences."""
    variants: Annotated[int, Field(ge=1, le=16)] = 1
    """How many renditions per sample."""


def with_irrelevant(text: str, language: str, n: int, rng: np.random.Generator) -> str:
    """A stem with irrelevant sentences, each at a place of its own draw.

    Args:
        text: the stem.
        language: `en` or `es`.
        n: how many, at most as many as there are of the kind; those that the stem holds already are not drawn.
        rng: of the draw.
    """
    pieces = sentences(text.strip())
    asking = asking_from(pieces)
    of_kind = (OF_A_VISIT if tells_of_a_patient(pieces, asking) else OF_THE_PAGE)[language]
    free = [sentence for sentence in of_kind if sentence not in text]
    places = [at for at in range(1, asking + 1) if allows_before(pieces, at, language)] or [0]
    parts = list(pieces)
    drawn = rng.permutation(len(free)).tolist()[:n]
    at_places = sorted((places[int(rng.integers(len(places)))] for _ in drawn), reverse=True)
    for sentence, at in zip([free[number] for number in drawn], at_places, strict=True):
        # Behind a line break the sentence is a line of its own.
        parts.insert(at, f"{sentence}\n" if at and parts[at - 1].endswith("\n") else f"{sentence} ")
    return "".join(parts)


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        def draw(rng: np.random.Generator) -> Sample:
            return replace(sample, question=with_irrelevant(sample.question, sample.language, options.n, rng))

        return misfit(sample, LANGUAGES) or drawn_variants(sample, seed, "irrelevant_sentence", options.variants, draw)

    return perturb


SPEC = PerturbationSpec(
    name="irrelevant_sentence",
    summary="A sentence about parking, paperwork or the page, put where it cannot be taken for a part of the case.",
    source="Shi et al. 2023 (arXiv 2302.00093); Vishwanath et al. 2025 (arXiv 2504.01201); the sentences are ours",
    family="meaning-preserving",
    preserves_meaning=True,
    options=Options,
    build=build,
    languages=LANGUAGES,
)
