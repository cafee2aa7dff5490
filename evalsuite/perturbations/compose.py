"""Several perturbations, one after the other.

Source: two-step question transformations are one of the four parts that Marmoka announces (Domingo-Aldama et al. 2026, arXiv 2604.06854),
whose own could not be read; that any of ours can be composed is ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.steps import Step, StepEntry, step_of
from evalsuite.seeds import derive_seed
from evalsuite.types import Need, Sample

NO_STEPS = frozenset({"none", "compose"})
"""Perturbations that are no step of a composition."""
WITHHOLDS = "choices_only"
TURNS_ROUND = frozenset({"negated", "true_false"})
"""Perturbations whose right answer is told by what they add to the question: without it another one is right, or none."""


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    steps: Annotated[tuple[StepEntry, ...], Field(min_length=2, max_length=4)]
    """Perturbations in the order in which they are applied, each a name or a mapping with `name` and its options; one that asks a second
    turn can only be the last."""
    variants: Annotated[int, Field(ge=1, le=200)] = 24
    """Most variants of a sample: the first so many of the product of the steps' variants, the last step's changing fastest."""

    @model_validator(mode="after")
    def _steps_go_together(self) -> Options:
        names = [entry["name"] for entry in self.steps]
        unfit = sorted(NO_STEPS & set(names))
        if unfit:
            raise ValueError(f"steps: {unfit[0]} is no step of a composition")
        early = [step.spec.name for step in steps_of(self)[:-1] if "dialogue" in step.needs]
        if early:
            raise ValueError(f"steps: {early[0]} asks a second turn, so it must be the last step")
        unmade = sorted(set(names) & TURNS_ROUND)
        if WITHHOLDS in names and unmade:
            raise ValueError(f"steps: {WITHHOLDS} takes the question away, and with it what {unmade[0]} asks")
        return self


def steps_of(options: Options) -> tuple[Step, ...]:
    """The steps of checked options."""
    return tuple(step_of(entry) for entry in options.steps)


def build(options: Options) -> Perturb:
    """The map for these options."""
    named = [(step.spec.name, step.perturb) for step in steps_of(options)]

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        made = list(islice(_renditions(sample, named, _seeds(named, seed)), options.variants))
        refusal = next((one for one in made if isinstance(one, Refusal)), None)
        if refusal is not None:
            return refusal
        shown = [one for one in made if isinstance(one, Sample)]
        return tuple(replace(one, variant=variant) for variant, one in enumerate(shown))

    return perturb


def _seeds(named: Sequence[tuple[str, Perturb]], seed: int) -> list[int]:
    """Seed of each step: the study's, so that a step draws what it draws alone; another one where a step stands again."""
    before: Counter[str] = Counter()
    seeds = []
    for name, _ in named:
        seeds.append(derive_seed(seed, "compose", name, before[name]) if before[name] else seed)
        before[name] += 1
    return seeds


def _renditions(sample: Sample, named: Sequence[tuple[str, Perturb]], seeds: Sequence[int]) -> Iterator[Sample | Refusal]:
    """What the steps make of a sample, lazily; a refusal, with the step's name, where one of them does not apply."""
    if not named:
        yield sample
        return
    name, perturb = named[0]
    made = perturb(sample, seeds[0])
    if isinstance(made, Refusal):
        yield Refusal(reason=f"{name}: {made.reason}")
        return
    for variant in made:
        yield from _renditions(variant, named[1:], seeds[1:])


def preserves_meaning(options: Options) -> bool:
    """Where all steps do."""
    return all(step.preserves_meaning for step in steps_of(options))


def needs(options: Options) -> frozenset[Need]:
    """What any step needs."""
    return frozenset[Need]().union(*(step.needs for step in steps_of(options)))


SPEC = PerturbationSpec(
    name="compose",
    summary="Two to four other perturbations, applied one after the other.",
    source="ours, after the two-step part of Domingo-Aldama et al. 2026 (arXiv 2604.06854)",
    family="two-step",
    preserves_meaning=preserves_meaning,
    options=Options,
    build=build,
    needs=needs,
)
