"""The vignette's sentences in another order, where they do not lean on each other.

The first sentence, which says who the patient is, and what asks keep their places. What can move is told in `vignettes.movable_blocks`:
history, habits, signs, examination and tests, with the sentences that lean on them behind them. **Where fewer than two blocks can change
places, the choices are shown before the question instead**, so that every question of choices is transformed; such a rendition differs in
its manner only (`choices_first`), and `of the following` in it means what stands above. Free text and quantities without two such blocks
are refused.

Source: the order of premises matters to models: Chen et al. 2024 (arXiv 2402.08939); choices before the question: ours, after the prompt
variations of Sclar et al. 2023 (arXiv 2310.11324). What counts as independent is ours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evalsuite.choice_references import names_places
from evalsuite.perturbations.base import NoOptions, PerturbationSpec, Refusal, always, needing
from evalsuite.perturbations.parts.sentences import asking_from, sentences
from evalsuite.perturbations.parts.stems import misfit
from evalsuite.perturbations.parts.vignettes import movable_blocks
from evalsuite.seeds import derive_seed
from evalsuite.types import Manner, Sample

LANGUAGES = frozenset({"en", "es"})


def in_another_order(text: str, language: str, rng: np.random.Generator) -> str | None:
    """A stem with its movable blocks in an order drawn uniformly among the others; None where fewer than two can move.

    Args:
        text: the stem.
        language: `en` or `es`.
        rng: of the draw.
    """
    pieces = sentences(text)
    blocks = movable_blocks(pieces, asking_from(pieces), language)
    if not blocks:
        return None
    texts = ["".join(pieces[start:end]) for start, end in blocks]
    stands = list(range(len(texts)))
    order = stands
    while order == stands:
        order = rng.permutation(len(texts)).tolist()
    return "".join([*pieces[: blocks[0][0]], *(texts[at] for at in order), *pieces[blocks[-1][1] :]])


def reordered(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
    """The sample with its sentences in another order, or with its choices first."""
    if (refusal := misfit(sample, LANGUAGES)) is not None:
        return refusal
    rng = np.random.default_rng(derive_seed(seed, "sentence_order", sample.id))
    moved = in_another_order(sample.question, sample.language, rng)
    if moved is not None and moved != sample.question:
        return (replace(sample, question=moved, variant=0),)
    if not sample.choices:
        return Refusal(reason="no two parts of it can change places")
    if any(map(names_places, sample.choices)):
        return Refusal(reason="no two parts of the stem can change places, and a choice speaks of what stands above")
    manner = sample.manner or Manner()
    if manner.choices_first:
        return Refusal(reason="no two parts of the stem can change places, and the choices stand first already")
    return (replace(sample, manner=replace(manner, choices_first=True), variant=0),)


SPEC = PerturbationSpec(
    name="sentence_order",
    summary="Independent sentences of the vignette in another order; where there are none, the choices before the question.",
    source="Chen et al. 2024 (arXiv 2402.08939); what counts as independent, and choices first: ours",
    family="meaning-preserving",
    preserves_meaning=True,
    options=NoOptions,
    build=always(reordered),
    languages=LANGUAGES,
    needs=needing("listed", "own_prompt"),  # where sentences lean on each other the choices go first
)
