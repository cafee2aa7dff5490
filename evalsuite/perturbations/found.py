"""Finding perturbations: the modules of this folder, a person's own in `perturbations/` of the working directory, and installed ones."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from evalsuite import perturbations
from evalsuite.errors import Fault, UserError
from evalsuite.perturbations.base import PerturbationSpec
from evalsuite.plugin_files import import_file
from evalsuite.plugins import load_specs

FOLDER = Path("perturbations")
"""Where one's own are looked for, beside the study's models.yaml and tasks: `perturbations/<name>.py` with a `SPEC`."""


def perturbation_specs() -> dict[str, PerturbationSpec]:
    """Every perturbation by name, sorted.

    Raises:
        UserError: a file or entry point (`evalsuite.perturbations`) cannot be imported, defines no `SPEC`, or one whose name is taken.
    """
    faults: list[Fault] = []
    found: dict[str, PerturbationSpec] = dict(load_specs(perturbations))
    for where, spec in (*_own(faults), *_installed(faults)):
        if not isinstance(spec, PerturbationSpec):
            wrong = "missing" if spec is None else type(spec).__name__
            faults.append(Fault(file=where, key="SPEC", value=wrong, allowed="an evalsuite.perturbations.base.PerturbationSpec"))
        elif spec.name in found:
            faults.append(Fault(file=where, key="SPEC.name", value=spec.name, allowed="another name; there is a perturbation of this name"))
        else:
            found[spec.name] = spec
    if faults:
        raise UserError(faults)
    return dict(sorted(found.items()))


def _own(faults: list[Fault]) -> Iterator[tuple[str, Any]]:
    for file in sorted(FOLDER.glob("[!._]*.py")):
        module = import_file(file.resolve(), f"evalsuite_perturbation_{file.stem}", faults)
        if module is not None:
            yield str(file), getattr(module, "SPEC", None)


def _installed(faults: list[Fault]) -> Iterator[tuple[str, Any]]:
    for entry in sorted(importlib.metadata.entry_points(group="evalsuite.perturbations"), key=lambda entry: (entry.name, entry.value)):
        where = f"entry point {entry.name} = {entry.value}"
        try:
            loaded = entry.load()
        except Exception as error:  # noqa: BLE001 - an installed plugin may raise anything; it becomes a fault that names the plugin
            faults.append(Fault(file=where, key="", value=type(error).__name__, allowed="a module that can be imported"))
            continue
        yield where, getattr(loaded, "SPEC", None) if isinstance(loaded, ModuleType) else loaded
