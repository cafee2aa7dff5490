"""The sample as it is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from evalsuite.perturbations.base import Perturb, PerturbationSpec
from evalsuite.types import Sample


class Options(BaseModel):
    """There are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def unchanged(sample: Sample, seed: int) -> tuple[Sample, ...]:
    """One variant: the sample itself."""
    return (sample,)


def build(options: Options) -> Perturb:
    """The identity."""
    return unchanged


SPEC = PerturbationSpec(
    name="none",
    summary="The sample as the data set holds it.",
    source="-",
    family="meaning-preserving",
    preserves_meaning=True,
    options=Options,
    build=build,
)
