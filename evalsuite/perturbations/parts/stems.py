"""Which samples an edit of the stem fits, and the sample with another stem."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from evalsuite.perturbations.base import Refusal
from evalsuite.perturbations.parts.unfit import malformed, without_words
from evalsuite.seeds import derive_seed
from evalsuite.types import Sample

N_DRAWS = 8
"""So often another draw is tried for a variant that would be equal to one before it."""


def misfit(sample: Sample, languages: Collection[str] | None) -> Refusal | None:
    """Why no edit of the stem applies to a sample; None where one may.

    Args:
        sample: any. One of choices has a right choice among two or more; one without has a reference or a quantity.
        languages: ISO 639-1 codes of the languages that the edit has a form in; None: all.
    """
    if languages is not None and (refusal := without_words(sample, languages)) is not None:
        return refusal
    if not sample.choices and not sample.references and sample.quantity is None:
        return Refusal(reason="neither choices nor a reference")
    if sample.dialogue is not None and not sample.dialogue.repeats:
        return Refusal(reason="the second turn does not show the stem")
    return malformed(sample)


def drawn_variants(
    sample: Sample, seed: int, name: str, n_variants: int, draw: Callable[[np.random.Generator], Sample | None]
) -> tuple[Sample, ...] | Refusal:
    """Variants that differ from the sample and from each other, numbered from 0; fewer than asked for where draws repeat themselves.

    Args:
        sample: as it stands.
        seed: study seed.
        name: name of the perturbation, which the draws are seeded by, together with sample and variant.
        n_variants: how many, at least 1.
        draw: one draw; None where nothing can be changed.
    """
    found: list[Sample] = []
    seen = [(sample.question, sample.choices)]
    for number in range(n_variants):
        rng = np.random.default_rng(derive_seed(seed, name, sample.id, number))
        for _ in range(N_DRAWS):
            drawn = draw(rng)
            if drawn is None:
                break
            if (drawn.question, drawn.choices) not in seen:
                seen.append((drawn.question, drawn.choices))
                found.append(replace(drawn, variant=len(found)))
                break
    return tuple(found) if found else Refusal(reason="nothing in the stem may be changed")
