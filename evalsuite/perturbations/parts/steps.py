"""Perturbations that are named within the options of another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator

from evalsuite import perturbations
from evalsuite.errors import nearest
from evalsuite.perturbations.base import Perturb, PerturbationSpec
from evalsuite.perturbations.found import perturbation_specs
from evalsuite.plugins import load_specs
from evalsuite.types import Need


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A perturbation with checked options."""

    spec: PerturbationSpec
    """What it is."""
    options: BaseModel
    """Its options, checked."""

    @property
    def perturb(self) -> Perturb:
        """Its map."""
        return self.spec.build(self.options)

    @property
    def needs(self) -> frozenset[Need]:
        """What a strategy must offer."""
        return self.spec.needs(self.options)

    @property
    def preserves_meaning(self) -> bool:
        """As `PerturbationSpec.preserves`."""
        return self.spec.preserves(self.options)


def step_of(entry: Mapping[str, Any]) -> Step:
    """The step of an entry.

    Args:
        entry: `name`, and options beside it.

    Raises:
        ValueError: there is no such perturbation, or (ValidationError) its options are not in order.
    """
    name, options = str(entry.get("name")), {key: value for key, value in entry.items() if key != "name"}
    # Found when it is asked for: this module is among those that the registry imports. Installed ones take longer to look through.
    specs = load_specs(perturbations)
    specs = specs if name in specs else perturbation_specs()
    if name not in specs:
        raise ValueError(f"{name!r} is not among the perturbations; {nearest(name, specs)}")
    return Step(spec=specs[name], options=specs[name].options.model_validate(options))


def _filled(entry: object) -> object:
    """A name, or a name with options, as a mapping with every option filled in; faults of options stand under their own keys."""
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, Mapping) or "name" not in entry:
        raise ValueError("the name of a perturbation, or a mapping with `name` and its options")
    step = step_of(entry)
    return {"name": step.spec.name, **step.options.model_dump(mode="json")}


StepEntry = Annotated[dict[str, Any], BeforeValidator(_filled)]
"""A perturbation in the options of another one: its name, or a mapping of `name` and its options; checked against the registry."""
