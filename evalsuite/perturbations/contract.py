"""The same question under an exact output contract: how much of a score is knowing the answer, how much is writing it as told.

Source: instruction-guided assessment is one of the four parts that Marmoka announces (Domingo-Aldama et al. 2026, arXiv 2604.06854), whose
own contracts could not be read; these are ours. The pair of a strict and a lenient score is that of IFEval (Zhou et al. 2023, arXiv
2311.07911).
"""

from __future__ import annotations

import re
import string
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite import formats
from evalsuite.choice_references import says_none, says_not_known, speaks_of_all
from evalsuite.contracts import CONTRACTS, Contract
from evalsuite.contracts.refuse import with_refusal
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal, needing
from evalsuite.perturbations.parts.unfit import without_one_right_choice, without_words
from evalsuite.types import Manner, Sample

# What such a choice begins with is the word for a refusal, whatever it goes on with.
_NONE = re.compile(r"\W*(?:none|ningun[ao])\b", re.IGNORECASE)

Form = Literal["letter", "json", "sentence", "other_language", "tag", "words", "text", "refuse"]


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    form: Form
    """Which contract: the label alone; a JSON object; a fixed sentence, also in the other language; a tag; a short explanation and a last
    line; the choice's text alone; the label, or a fixed word where the right answer is not among the choices."""


def build(options: Options) -> Perturb:
    """The map for these options."""
    contract = CONTRACTS[options.form]

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        del seed
        refusal = unfit(sample, contract)
        if refusal is not None:
            return refusal
        shown = with_refusal(sample, formats.labels_of(sample)) if contract.allows_refusal else sample
        return (under_contract(shown, contract),)

    return perturb


def under_contract(sample: Sample, contract: Contract) -> Sample:
    """The sample as variant 0, asked under a contract."""
    return replace(sample, variant=0, manner=replace(sample.manner or Manner(), contract=contract.name))


def unfit(sample: Sample, contract: Contract) -> Refusal | None:
    """Why a sample cannot be asked under a contract; None if it can."""
    refusal = without_one_right_choice(sample) or without_words(sample, contract.words)
    if refusal is not None:
        return refusal
    if sample.n_unlisted:
        return Refusal(reason="an answer that is not listed is allowed already")
    if not sample.labels and len(sample.choices) > len(string.ascii_uppercase):
        return Refusal(reason="more choices than letters")
    if not contract.by_text and not all(formats.labels_of(sample)):
        return Refusal(reason="the contract asks for a label, and the choices have none")
    if contract.by_text and len({choice.strip() for choice in sample.choices}) < len(sample.choices):
        return Refusal(reason="two choices have the same text")
    if contract.allows_refusal and any(_refuses(choice) for choice in sample.choices):
        return Refusal(reason="a choice speaks of all others, or is none or not known itself")
    return None


def _refuses(choice: str) -> bool:
    """Whether a choice may say what a refusal says."""
    return says_none(choice) or says_not_known(choice) or speaks_of_all(choice) or _NONE.match(choice) is not None


SPEC = PerturbationSpec(
    name="contract",
    summary="The question under an exact output contract, scored strictly (contract kept and answer right) and leniently.",
    source="ours, after the instruction-guided part of Domingo-Aldama et al. 2026 (arXiv 2604.06854)",
    family="instruction-guided",
    preserves_meaning=True,
    options=Options,
    build=build,
    languages=frozenset({"en", "es"}),
    needs=needing("written", "own_prompt"),  # judged is the whole of what is written
)
