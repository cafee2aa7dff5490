"""A long irrelevant record before the question.

Source: irrelevant context lowers accuracy (Shi et al. 2023, arXiv 2302.00093, GSM-IC), and so does length alone (Levy et al. 2024, arXiv
2402.14848, FLenQA). A record of another person's stay, which says so, is ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.parts.records import LINES, record
from evalsuite.perturbations.parts.unfit import asked_twice, malformed, without_words
from evalsuite.seeds import derive_seed
from evalsuite.types import Sample


class Options(BaseModel):
    """Options in study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    words: Annotated[int, Field(ge=50, le=20_000)] = 600
    """Words of the record; its last entry is not cut."""


def build(options: Options) -> Perturb:
    """The map for these options."""

    def perturb(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
        refusal = malformed(sample) or without_words(sample, LINES) or asked_twice(sample)
        if refusal is not None:
            return refusal
        text = record(sample.language, options.words, derive_seed(seed, "long_record", sample.id))
        if sample.context:
            # The passage keeps its own heading, which is not the record's.
            return (replace(sample, variant=0, question=f"{text}\n\n{sample.question}"),)
        return (replace(sample, variant=0, context=text),)

    return perturb


SPEC = PerturbationSpec(
    name="long_record",
    summary="Before the question, a long administrative record of another person's stay.",
    source="Shi et al. 2023 (arXiv 2302.00093); Levy et al. 2024 (arXiv 2402.14848); the record is ours",
    family="adversarial",
    preserves_meaning=True,
    options=Options,
    build=build,
    languages=frozenset(LINES),
)
