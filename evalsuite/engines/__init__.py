"""Engines by name. Each module of this package is one, but for `base` and those whose name starts with `_`.

An engine module defines `load(path, settings) -> Engine` and is imported only when it is opened.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from evalsuite.engines.base import Engine, EngineSettings
from evalsuite.errors import Fault, UserError, nearest

ENGINES: tuple[str, ...] = tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base" and m.name[0] != "_"))
"""Names of the engines, from the folder listing."""


@contextmanager
def open_engine(path: str, settings: EngineSettings) -> Iterator[Engine]:
    """Load a checkpoint into the engine that the settings name; its memory is given back on the way out.

    Args:
        path: local folder of the checkpoint, or what the engine takes instead (`stub:<behaviour>?...`).
        settings: where and how to load; `settings.name` is one of `ENGINES`.

    Raises:
        UserError: unknown engine, a library that it needs is missing, or a checkpoint that cannot be used.
    """
    if settings.name not in ENGINES:
        raise UserError(Fault(file="engine", key="name", value=settings.name, allowed=nearest(settings.name, ENGINES)))
    _keep_quiet()
    engine: Engine = _module(settings.name).load(path, settings)
    try:
        yield engine
    finally:
        engine.close()


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"evalsuite.engines.{name}")
    except ModuleNotFoundError as error:
        # A missing module of our own is a defect and keeps its traceback; a missing library is the user's to install.
        if error.name is None or error.name.split(".")[0] == "evalsuite":
            raise
        raise UserError(
            Fault(file="engine", key="name", value=name, allowed=f"needs the library `{error.name}`, which is not installed")
        ) from error


def _keep_quiet() -> None:
    """Nothing calls home. The libraries read these variables when they are first imported, hence before the engine's module."""
    for variable in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "DISABLE_SAFETENSORS_CONVERSION", "VLLM_NO_USAGE_STATS"):
        os.environ[variable] = "1"
