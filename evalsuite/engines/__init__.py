"""Engines by name. Each module of this package is one, but for `base` and those whose name starts with `_`.

An engine module defines `load(path, settings) -> Engine` and is imported only when it is opened. What can be asked of it
before that is defined by `_<engine>_light`, or by the engine module itself where there is no such module:
`check(path, settings) -> tuple[Fault, ...]` and `kinds_of(path) -> frozenset[Kind]`, which import nothing heavy; where kinds
depend on the settings too, also `kinds_with(path, settings)`. An engine that answers in the interpreter itself says `INTERPRETED = True`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from evalsuite.engines._cuda import has_cuda as has_cuda
from evalsuite.engines._cuda import n_cuda_devices as n_cuda_devices
from evalsuite.engines.base import Engine, EngineSettings
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.types import Kind

_MODULES: frozenset[str] = frozenset(m.name for m in pkgutil.iter_modules(__path__))

ENGINES: tuple[str, ...] = tuple(sorted(name for name in _MODULES if name != "base" and name[0] != "_"))
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
    _check_name(settings.name)
    engine: Engine = _module(settings.name).load(path, settings)
    try:
        yield engine
    finally:
        engine.close()


def check_settings(path: str, settings: EngineSettings) -> tuple[Fault, ...]:
    """What can be seen to be wrong before anything is loaded, one fault each; imports nothing heavy.

    Options and settings that the engine does not know or cannot obey, a library or GPU that this machine lacks, and a path that
    cannot be loaded. None found is no promise: weights and configuration are read only by `open_engine`.

    Args:
        path: as for `open_engine`.
        settings: as for `open_engine`.
    """
    try:
        _check_name(settings.name)
    except UserError as error:
        return error.faults
    faults: tuple[Fault, ...] = _light_module(settings.name).check(path, settings)
    return faults


def kinds_of(name: str, path: str, settings: EngineSettings | None = None) -> frozenset[Kind]:
    """Request kinds that an engine will support for a path once it is open; imports nothing heavy.

    Args:
        name: engine name.
        path: as for `open_engine`.
        settings: as for `open_engine`; None: what the engine supports whatever they are.

    Raises:
        UserError: unknown engine, or a path or settings that state kinds and cannot be read.
    """
    _check_name(name)
    light = _light_module(name)
    kinds: frozenset[Kind] = light.kinds_with(path, settings) if settings and hasattr(light, "kinds_with") else light.kinds_of(path)
    return kinds


def interpreted(name: str) -> bool:
    """Whether an engine answers in the interpreter itself: then nothing else can be done while it does."""
    return bool(getattr(_light_module(name), "INTERPRETED", False))


def _check_name(name: str) -> None:
    if name not in ENGINES:
        raise UserError(Fault(file="engine", key="name", value=name, allowed=nearest(name, ENGINES)))


def _light_module(name: str) -> ModuleType:
    light = f"_{name}_light"
    return _module(light if light in _MODULES else name)


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
