"""One choice alone, to be called true or false.

Source: ours, after the false confidence test of Med-HALT (Pal et al. 2023, arXiv 2307.15343), which proposes an answer and asks whether it
is right. By guessing half are right. Whether the right choice or a wrong one is proposed is a coin that knows neither key nor texts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.choice_orders import refers_to_others
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.choice_samples import drawn_wrong, unfit_one_of_several
from evalsuite.perturbations.parts.unfit import without_words
from evalsuite.seeds import derive_seed
from evalsuite.types import Sample

PROPOSED = {"en": "Proposed answer:", "es": "Respuesta propuesta:"}
ASKED = {"en": "Is the proposed answer right?", "es": "¿Es correcta la respuesta propuesta?"}
VERDICTS = {"en": ("True", "False"), "es": ("Verdadero", "Falso")}
LANGUAGES = frozenset(PROPOSED)


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    shown: Literal["either", "right", "wrong"] = "either"
    """Which choice is proposed: by a seeded coin the right one or one of the wrong ones, always the right one, or always a wrong one."""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        refusal = unfit_one_of_several(sample) or without_words(sample, LANGUAGES)
        if refusal is not None:
            return refusal
        if refers_to_others(sample):
            return Refusal(reason="a choice refers to others")
        right = derive_seed(seed, "true_false", "coin", sample.id) % 2 == 0 if options.shown == "either" else options.shown == "right"
        proposed = sample.targets[0] if right else drawn_wrong(sample, seed, "true_false")[0]
        lines = sample.question.rstrip(), f"{PROPOSED[sample.language]} {sample.choices[proposed]}", ASKED[sample.language]
        return (
            replace(
                sample,
                question="\n".join(lines),
                choices=VERDICTS[sample.language],
                targets=(0 if right else 1,),
                order=(-1, -1),
                labels=sample.labels[:2],
                variant=0,
            ),
        )

    return perturb


SPEC = PerturbationSpec(
    name="true_false",
    summary="One choice, the right one or a wrong one, is proposed and called true or false.",
    source="ours, after Pal et al. 2023 (arXiv 2307.15343, false confidence test)",
    family="target-changing",
    preserves_meaning=False,
    options=Options,
    build=build,
    languages=LANGUAGES,
)
