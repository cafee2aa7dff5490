"""What a perturbation is: a pure map from one sample to its variants, or to a refusal that says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from evalsuite.types import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """The perturbation does not apply to this sample."""

    reason: str
    """Why, in one sentence without text of the sample."""


Perturb = Callable[[Sample, int], tuple[Sample, ...] | Refusal]
"""(sample, study seed) -> variants, numbered by `variant` from 0, all with the sample's id and group; or a refusal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerturbationSpec:
    """A perturbation as a plugin; each module in `evalsuite/perturbations` that defines `SPEC` is one."""

    name: str
    """Name in study.yaml."""
    summary: str
    """One sentence."""
    source: str
    """Where it is from."""
    preserves_meaning: bool
    """True: the right choice is the same one as before."""
    options: type[BaseModel]
    """pydantic model (`extra="forbid"`) of the options in study.yaml."""
    build: Callable[[Any], Perturb]
    """Makes the map from checked options."""
