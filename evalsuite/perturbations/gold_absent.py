"""The right choice is taken out, and the contract allows the answer that it is not there.

Sources: that the right answer may be missing is after the "none of the above" of Med-HALT (Pal et al. 2023, arXiv 2307.15343). There the
refusal is one more choice; here it stands in the contract only (`contracts.refuse`), and is the same as under the perturbation `contract`
with `form: refuse`, where it is wrong. A question that asks for the best or the likeliest of the choices still has a best one among those
that are left: what is right here is what the contract says, and a model that takes the next best is counted as wrong.
"""

from __future__ import annotations

from dataclasses import replace

from evalsuite import formats
from evalsuite.choice_orders import refers_to_others
from evalsuite.contracts import CONTRACTS
from evalsuite.contracts.refuse import with_refusal
from evalsuite.perturbations.base import NoOptions, PerturbationSpec, Refusal, always, needing
from evalsuite.perturbations.contract import under_contract, unfit
from evalsuite.types import Sample

CONTRACT = CONTRACTS["refuse"]


def without_right_choice(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
    """The sample without its right choice; what is left has the first labels, and right is the unlisted refusal."""
    del seed
    refusal = _unfit(sample)
    if refusal is not None:
        return refusal
    kept = [position for position in range(len(sample.choices)) if position not in sample.targets]
    left = replace(
        sample,
        choices=tuple(sample.choices[position] for position in kept),
        targets=(len(kept),),
        order=tuple(sample.original_index(position) for position in kept),
        labels=(),
    )
    return (under_contract(with_refusal(left, formats.labels_of(sample)[: len(kept)]), CONTRACT),)


def _unfit(sample: Sample) -> Refusal | None:
    refusal = unfit(sample, CONTRACT)
    if refusal is not None:
        return refusal
    if len(sample.choices) < 3:
        return Refusal(reason="fewer than three choices, so that fewer than two would be left")
    if sample.dialogue is not None:
        return Refusal(reason="the first turn has shown the right choice")
    if refers_to_others(sample):
        return Refusal(reason="a choice, or somebody in the text, refers to choices")
    right = sample.choices[sample.targets[0]]
    if sum(choice.strip().casefold() == right.strip().casefold() for choice in sample.choices) > 1:
        return Refusal(reason="another choice has the same text as the right one")
    return None


SPEC = PerturbationSpec(
    name="gold_absent",
    summary="The right choice is taken out; right is the refusal that the contract allows where the right answer is not among the choices.",
    source="ours, after the missing answers of Pal et al. 2023 (arXiv 2307.15343)",
    family="instruction-guided",
    preserves_meaning=False,
    options=NoOptions,
    build=always(without_right_choice),
    languages=frozenset(CONTRACT.words),
    needs=needing("written", "own_prompt"),
)
