"""A sample as a perturbation makes it, for showing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evalsuite.config import PluginEntry, Study, faults_of
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.formats import Format, Wording, lay_out_again
from evalsuite.perturbations.base import PerturbationSpec, Refusal
from evalsuite.perturbations.found import perturbation_specs
from evalsuite.types import Sample

RULE = "-" * 40


def chosen_perturbation(name: str, study: Study) -> tuple[PerturbationSpec, Any]:
    """A perturbation and its options: of the study if it has one of that id, else the plugin of that name with its defaults.

    Raises:
        UserError: there is no such perturbation, or its options are not in order.
    """
    entry = next((entry for entry in study.perturbations if entry.label == name), PluginEntry(name=name))
    specs = perturbation_specs()
    if entry.name not in specs:
        known = {*specs, *(own.label for own in study.perturbations)}
        raise UserError(Fault(file="command line", key="--perturbation", value=name, allowed=nearest(name, known)))
    spec = specs[entry.name]
    try:
        return spec, spec.options.model_validate(entry.options)
    except ValidationError as error:
        raise UserError(faults_of(error, Path(f"perturbation {entry.name}"))) from None


def renditions(sample: Sample, name: str | None, study: Study) -> tuple[Sample, ...] | Refusal:
    """What a perturbation makes of a sample: its variants, or why there are none; the sample itself without a perturbation.

    Args:
        sample: as the data set holds it.
        name: id of a perturbation of the study, else the name of a plugin, with its default options; None: none.
        study: its seed counts.

    Raises:
        UserError: there is no such perturbation, or its options are not in order.
    """
    if name is None:
        return (sample,)
    spec, options = chosen_perturbation(name, study)
    made: tuple[Sample, ...] | Refusal = spec.build(options)(sample, study.seed)
    return made


def rendition_of(sample: Sample, perturbation: str | None) -> str:
    """Which rendition it is, as it stands at the end of a line; empty without a perturbation."""
    return "" if perturbation is None else f", {perturbation}, rendition {sample.variant}"


def second_turn(sample: Sample, form: Format, wording: Wording) -> list[str]:
    """What follows the first answer; nothing where there is one turn."""
    if sample.dialogue is None:
        return []
    layout = lay_out_again(sample, form, wording, sample.dialogue.said, repeats=sample.dialogue.repeats)
    return ["then, after the answer:", RULE, layout.user, RULE]
