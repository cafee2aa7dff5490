"""Before the question, somebody is convinced of a choice, wrong or right.

Source: Sharma et al. 2023 (arXiv 2310.13548, sycophancy: a suggested answer in the prompt changes the model's); Pal et al. 2023 (arXiv
2307.15343, Med-HALT, false confidence test). The people and the words are ours. The claim stands before the question, since many stems are
finished by their choices.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal, needing
from evalsuite.perturbations.parts.unfit import asked_twice
from evalsuite.perturbations.parts.voices import LANGUAGES, VOICES, Who, named_choice, picked
from evalsuite.types import Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    by: Who = "senior"
    """Who is convinced; `senior`: the consultant on call, in Spanish the head of service."""
    right: bool = False
    """Of the right choice; else of a wrong one that is drawn by seed, the same whoever is convinced of it."""


def build(options: Options) -> Perturb:
    """The map for these options."""
    claims = VOICES[options.by].claims

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        chosen = asked_twice(sample) or picked(sample, seed, "authority_claim", right=options.right)
        if isinstance(chosen, Refusal):
            return chosen
        claim = claims[sample.language].replace("{choice}", named_choice(sample, chosen))
        return (replace(sample, variant=0, question=f"{claim}\n{sample.question}", suggested=chosen),)

    return perturb


SPEC = PerturbationSpec(
    name="authority_claim",
    summary="Before the question, a colleague, a senior, a patient or a guideline is convinced of a choice, wrong or right.",
    source="Sharma et al. 2023 (arXiv 2310.13548); Pal et al. 2023 (arXiv 2307.15343, false confidence test)",
    family="adversarial",
    preserves_meaning=True,
    options=Options,
    build=build,
    languages=LANGUAGES,
    needs=needing("listed"),  # one is named by its label
)
