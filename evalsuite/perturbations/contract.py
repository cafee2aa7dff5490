"""The same question under an exact output contract: how much of a score is knowing the answer, how much is writing it as told.

Source: instruction-guided assessment is one of the four parts that Marmoka announces (Domingo-Aldama et al. 2026, arXiv 2604.06854), whose
own contracts could not be read; these are ours. The pair of a strict and a lenient score is that of IFEval (Zhou et al. 2023, arXiv
2311.07911).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.contracts import CONTRACTS
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.types import Manner, Need, Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    form: Literal["letter"]
    """Which contract."""


def build(options: Options) -> Perturb:
    """The map for these options."""
    contract = CONTRACTS[options.form]

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        del seed
        if len(sample.choices) < 2 or len(sample.targets) != 1:
            return Refusal(reason="not a question with one right choice among several")
        if sample.language not in contract.words:
            return Refusal(reason=f"the contract has no words in this language ({sample.language})")
        return (replace(sample, variant=0, manner=replace(sample.manner or Manner(), contract=contract.name)),)

    return perturb


def needs(options: Options) -> frozenset[Need]:
    """What is judged is the whole of what a model writes."""
    del options
    return frozenset({"written", "own_prompt"})


SPEC = PerturbationSpec(
    name="contract",
    summary="The question under an exact output contract, scored strictly (contract kept and answer right) and leniently.",
    source="ours, after the instruction-guided part of Domingo-Aldama et al. 2026 (arXiv 2604.06854)",
    family="instruction-guided",
    preserves_meaning=True,
    options=Options,
    build=build,
    languages=frozenset({"en", "es"}),
    needs=needs,
)
