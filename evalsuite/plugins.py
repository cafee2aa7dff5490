"""Finding the plugins that are modules of a package of ours: the registry is the folder listing."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

SKIPPED = frozenset({"base"})


def plugin_names(package: ModuleType) -> tuple[str, ...]:
    """Names of the modules of a package that may be plugins, sorted, without importing them."""
    folders = [str(Path(folder)) for folder in package.__path__]
    return tuple(sorted(info.name for info in pkgutil.iter_modules(folders) if info.name not in SKIPPED))


def load_specs(package: ModuleType) -> dict[str, Any]:
    """The `SPEC` of every module of a package that defines one, by its name, sorted."""
    specs = {}
    for name in plugin_names(package):
        spec = getattr(importlib.import_module(f"{package.__name__}.{name}"), "SPEC", None)
        if spec is not None:
            specs[spec.name] = spec
    return dict(sorted(specs.items()))
