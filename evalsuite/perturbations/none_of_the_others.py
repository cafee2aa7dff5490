"""The right choice is replaced by "none of the other choices is right", which is then right.

Source: the test "none of the above" of Med-HALT (Pal et al. 2023, arXiv 2307.15343). Who always takes that choice is always right here, by
design: `none_added`, where the same choice is wrong, is its counterpart. A question for the best or likeliest of its choices still has a
best one among those that are left; what is right is told by the original choices.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.choice_orders import reordered
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal, needing
from evalsuite.perturbations.parts.choice_samples import with_text
from evalsuite.perturbations.parts.negations import asks_negatively
from evalsuite.perturbations.parts.none_right import LANGUAGES, NONE_RIGHT, unfit_for_none
from evalsuite.types import Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    place: Literal["same", "last"] = "same"
    """Where it stands: where the right choice stood, or behind all others, as in examinations."""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        del seed
        refusal = unfit_for_none(sample)
        if refusal is not None:
            return refusal
        if asks_negatively(sample.question):
            return Refusal(reason="the question asks for what is not so, and what is right would be open to doubt")
        target, n = sample.targets[0], len(sample.choices)
        replaced = with_text(sample, target, NONE_RIGHT[sample.language])
        others = tuple(position for position in range(n) if position != target)
        return (reordered(replaced, tuple(range(n)) if options.place == "same" else (*others, target), 0),)

    return perturb


SPEC = PerturbationSpec(
    name="none_of_the_others",
    summary="The right choice is replaced by one that says that no other one is right.",
    source="Pal et al. 2023 (arXiv 2307.15343, none of the above)",
    family="target-changing",
    preserves_meaning=False,
    options=Options,
    build=build,
    languages=LANGUAGES,
    needs=needing("listed"),
)
