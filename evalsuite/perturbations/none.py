"""The sample as it is."""

from __future__ import annotations

from evalsuite.perturbations.base import NoOptions, PerturbationSpec, always
from evalsuite.types import Sample


def unchanged(sample: Sample, seed: int) -> tuple[Sample, ...]:
    """One variant: the sample itself."""
    return (sample,)


SPEC = PerturbationSpec(
    name="none",
    summary="The sample as the data set holds it.",
    source="-",
    family="meaning-preserving",
    preserves_meaning=True,
    options=NoOptions,
    build=always(unchanged),
)
