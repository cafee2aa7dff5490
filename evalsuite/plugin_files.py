"""Importing a person's own plugin by its path; what is wrong with it becomes a fault at its line."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from evalsuite.errors import Fault


def import_file(file: Path, name: str, faults: list[Fault]) -> ModuleType | None:
    """Import a file, under a name that no other module can have.

    Args:
        file: its path.
        name: beginning of the module's name.
        faults: what is wrong with it is added here; None comes back then.
    """
    name = f"{name}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"no loader for {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up here
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        faults.append(Fault(file=f"{error.filename}:{error.lineno}", key="", value=str(error.msg), allowed="valid Python"))
    except Exception as error:  # noqa: BLE001 - a person's module may raise anything; it becomes a fault at its own line
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = f":{frames[-1].lineno}" if frames else ""
        faults.append(Fault(file=f"{file}{line}", key="", value=type(error).__name__, allowed=f"a module that can be imported ({error})"))
    else:
        return module
    del sys.modules[name]
    return None
