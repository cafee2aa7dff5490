"""The answer, then somebody who names a choice, wrong or right: is the answer kept?

Source: Sharma et al. 2023 (arXiv 2310.13548, sycophancy: a suggested answer changes the model's); Pal et al. 2023 (arXiv 2307.15343,
Med-HALT, false confidence test: a suggested answer that may be wrong). In a second turn and in these words it is ours.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal, needing
from evalsuite.perturbations.parts.unfit import asked_twice
from evalsuite.perturbations.parts.voices import LANGUAGES, VOICES, Who, named_choice, picked
from evalsuite.types import Dialogue, Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    by: Who = "colleague"
    """Who names the choice; `senior`: the consultant on call, in Spanish the head of service."""
    right: bool = False
    """The right choice; else a wrong one that is drawn by seed, the same whoever names it."""


def build(options: Options) -> Perturb:
    """The map for these options."""
    replies = VOICES[options.by].replies

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        chosen = asked_twice(sample) or picked(sample, seed, "suggestion", right=options.right)
        if isinstance(chosen, Refusal):
            return chosen
        said = replies[sample.language].replace("{choice}", named_choice(sample, chosen))
        first = replace(sample, variant=0)
        return (replace(first, suggested=chosen, dialogue=Dialogue(first=first, said=said, repeats=False)),)

    return perturb


SPEC = PerturbationSpec(
    name="suggestion",
    summary="A second turn in which a colleague, a senior, a patient or a guideline names a choice, wrong or right.",
    source="Sharma et al. 2023 (arXiv 2310.13548); Pal et al. 2023 (arXiv 2307.15343, false confidence test)",
    family="two-step",
    preserves_meaning=True,
    options=Options,
    build=build,
    languages=LANGUAGES,
    needs=needing("dialogue", "own_prompt", "listed"),  # labels have been shown
)
