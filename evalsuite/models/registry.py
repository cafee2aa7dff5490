"""Finding and merging models.yaml files.

Look-up order, first wins by model name: a file that the caller names, `models.yaml` of the working directory, the file
$EVALSUITE_MODELS, the bundled one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from evalsuite.config import faults_of, read_yaml
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.models.entries import ModelEntry

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def registry_files(extra: Path | None = None) -> tuple[Path, ...]:
    """The models.yaml files that count here, strongest first.

    Args:
        extra: a file before all others.

    Raises:
        UserError: `extra` or $EVALSUITE_MODELS names a file that does not exist.
    """
    files: list[Path] = []
    if extra is not None:
        files.append(extra)
    if Path("models.yaml").is_file():
        files.append(Path("models.yaml"))
    named = os.environ.get("EVALSUITE_MODELS")
    if named:
        if not Path(named).is_file():
            raise UserError(Fault(file="$EVALSUITE_MODELS", key="", value=named, allowed="no such file; a models.yaml is needed"))
        files.append(Path(named))
    package = Path(__file__).resolve().parents[1]
    # a wheel carries the file inside the package; a checkout holds it beside the package
    bundled = [file for file in (package / "bundled" / "models.yaml", package.parent / "models.yaml") if file.is_file()]
    files.extend(bundled[:1])
    unique = {file.resolve(): file for file in reversed(files)}
    return tuple(file for file in files if unique.get(file.resolve()) is file)


def load_registry(extra: Path | None = None) -> dict[str, ModelEntry]:
    """All models by name, from every models.yaml that counts here.

    Args:
        extra: a file before all others.

    Raises:
        UserError: one fault per mistake in any of the files; `base` and `comparators` must name known models.
    """
    registry: dict[str, ModelEntry] = {}
    faults: list[Fault] = []
    for file in registry_files(extra):
        entries, found = _read(file)
        faults.extend(found)
        for name, entry in entries.items():
            registry.setdefault(name, entry)
    faults.extend(_unknown_relatives(registry))
    if faults:
        raise UserError(faults)
    return registry


def default_pairs(registry: Mapping[str, ModelEntry], models: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(specialist, generalist) for every declared base or comparator that is among `models`; a missing one is no fault.

    Args:
        registry: all models.
        models: the study's models; their order gives the order of the pairs.
    """
    pairs: dict[tuple[str, str], None] = {}
    for name in models:
        for other in _relatives(registry[name]):
            if other in models and other != name:
                pairs[(name, other)] = None
    return tuple(pairs)


def _relatives(entry: ModelEntry) -> tuple[str, ...]:
    return ((entry.base,) if entry.base else ()) + entry.comparators


def _read(file: Path) -> tuple[dict[str, ModelEntry], list[Fault]]:
    """Entries and faults of one file."""
    content = read_yaml(file)
    strays = [str(key) for key in content if key != "models"]
    faults = [Fault(file=str(file), key=key, value="", allowed="unknown key; the file holds `models:` only") for key in strays]
    models = content.get("models")
    if not isinstance(models, dict):
        faults.append(Fault(file=str(file), key="models", value=type(models).__name__, allowed="must be a mapping of names to models"))
        return {}, faults
    entries: dict[str, ModelEntry] = {}
    for name, raw in models.items():
        key = f"models.{name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            faults.append(Fault(file=str(file), key=key, value=repr(name), allowed="a name of letters, digits, `.`, `_` and `-`"))
            continue
        try:
            entry = ModelEntry.model_validate(raw).at(file)
        except ValidationError as error:
            faults.extend(faults_of(error, file, prefix=key))
            continue
        entries[name] = entry
        if entry.chat.template not in ("own", "plain") and not Path(entry.chat.template).is_file():
            allowed = "no such file; one of own, plain, or a Jinja file"
            faults.append(Fault(file=str(file), key=f"{key}.chat.template", value=entry.chat.template, allowed=allowed))
    return entries, faults


def _unknown_relatives(registry: Mapping[str, ModelEntry]) -> Iterable[Fault]:
    for name, entry in registry.items():
        for key, others in (("base", (entry.base,) if entry.base else ()), ("comparators", entry.comparators)):
            for other in others:
                if other not in registry:
                    where = f"models.{name}.{key}"
                    yield Fault(file=entry.file, key=where, value=other, allowed=f"no such model; {nearest(other, registry)}")
                elif other == name:
                    yield Fault(file=entry.file, key=f"models.{name}.{key}", value=other, allowed="another model than itself")
