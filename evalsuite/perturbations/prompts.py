"""The same question under several prompts: system prompts x templates x draws of exemplars, each combination one variant.

Source: multi-prompt testing is one of the four parts that Marmoka announces (Domingo-Aldama et al. 2026, arXiv 2604.06854), whose own
prompts could not be read. Templates are drawn from the grammar of Jeong et al. 2024 (arXiv 2411.04118), after Sclar et al. 2023 (arXiv
2310.11324); the system prompts are ours.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.system_prompts import N_SYSTEM_PROMPTS, SYSTEM_PROMPTS
from evalsuite.perturbations.parts.unfit import asked_twice, malformed, without_words
from evalsuite.prompt_templates import candidate_templates
from evalsuite.types import Manner, Need, Sample

MOST_COMBINATIONS = 200
FIRST_EXEMPLAR_SEED = 1001
"""Further exemplar seeds count from here, far from those that people write, so that none repeats the strategy's own draw."""


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    systems: Annotated[int, Field(ge=0, le=N_SYSTEM_PROMPTS)] = 3
    """System prompts of ours beside the study's own, which comes first."""
    templates: Annotated[int, Field(ge=0, le=MOST_COMBINATIONS - 1)] = 3
    """Drawn templates beside the default one, which comes first."""
    exemplar_seeds: Annotated[int, Field(ge=1, le=MOST_COMBINATIONS)] = 1
    """Draws of exemplars, the strategy's own first; more than one needs a strategy that draws them by a seed."""

    @property
    def n_combinations(self) -> int:
        """How many prompts there are."""
        return (1 + self.systems) * (1 + self.templates) * self.exemplar_seeds

    @model_validator(mode="after")
    def _several_but_not_too_many(self) -> Options:
        if not 2 <= self.n_combinations <= MOST_COMBINATIONS:
            factors = f"(1 + {self.systems} systems) x (1 + {self.templates} templates) x {self.exemplar_seeds} exemplar_seeds"
            raise ValueError(f"{factors} = {self.n_combinations} prompts; from 2 to {MOST_COMBINATIONS}")
        return self


def combinations(options: Options, language: str = "en") -> tuple[Manner, ...]:
    """Every prompt, in the order of its variants: the exemplars' draw changes fastest, then the template, then the system prompt.

    Args:
        options: checked options.
        language: of the system prompts, ISO 639-1.

    Returns:
        The first is the prompt as study and task have it; a field that is None leaves its part to them.

    Raises:
        KeyError: there are no system prompts in this language.
    """
    systems = (None, *SYSTEM_PROMPTS[language][: options.systems])
    numbers = (None, *(int(template.name.removeprefix("t")) for template in candidate_templates(options.templates)[1:]))
    seeds = (None, *(FIRST_EXEMPLAR_SEED + more for more in range(options.exemplar_seeds - 1)))
    return tuple(Manner(system=system, template=number, exemplar_seed=seed) for system, number, seed in product(systems, numbers, seeds))


def build(options: Options) -> Perturb:
    """The map for these options."""
    by_language = {language: combinations(options, language) for language in SYSTEM_PROMPTS}

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        del seed
        refusal = malformed(sample) or without_words(sample, by_language) or asked_twice(sample)
        if refusal is not None:
            return refusal
        manners = by_language[sample.language]
        return tuple(replace(sample, variant=variant, manner=_under(sample, manner)) for variant, manner in enumerate(manners))

    return perturb


def _under(sample: Sample, manner: Manner) -> Manner | None:
    """A combination, with what an earlier perturbation decided beside it; None where nothing is decided."""
    if sample.manner is None:
        return None if manner == Manner() else manner
    given = {name: value for name in ("system", "template", "exemplar_seed") if (value := getattr(manner, name)) is not None}
    return replace(sample.manner, **given)


def needs(options: Options) -> frozenset[Need]:
    """One prompt of ours, and exemplars that are drawn by a seed where several draws are wanted."""
    return frozenset({"own_prompt", "drawn_exemplars"} if options.exemplar_seeds > 1 else {"own_prompt"})


SPEC = PerturbationSpec(
    name="prompts",
    summary="The question under every combination of system prompts, templates and draws of exemplars.",
    source="Jeong et al. 2024 (arXiv 2411.04118) and Sclar et al. 2023 (arXiv 2310.11324) for templates; system prompts ours",
    family="multi-prompt",
    preserves_meaning=True,
    options=Options,
    build=build,
    languages=frozenset(SYSTEM_PROMPTS),
    needs=needs,
)
