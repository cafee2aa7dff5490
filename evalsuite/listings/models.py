"""Models: lines for `models list`, `show` and `check`."""

from __future__ import annotations

from evalsuite.errors import Fault, UserError, nearest
from evalsuite.listings.gpus import Gpus
from evalsuite.listings.model_checks import check_model
from evalsuite.models import ModelEntry, load_registry
from evalsuite.models.pins import pin
from evalsuite.types import Tell, untold


def model_lines() -> list[str]:
    """One line per model: name, domain, base, size, languages, where it comes from and whether that is pinned."""
    registry = load_registry()
    width = max(len(name) for name in registry)
    lines = []
    for name, entry in sorted(registry.items()):
        can_be_pinned = entry.repo is not None and entry.endpoint is None
        pinned = "" if not can_be_pinned else f" @ {entry.revision[:12]}" if entry.revision else " (not pinned)"
        size = f"{entry.parameters_b:g}B" if entry.parameters_b else "?"
        base = f"from {entry.base}" if entry.base else ""
        lines.append(
            f"{name:{width}}  {entry.domain:10}  {size:>8}  {','.join(entry.languages):8}  {_source_of(entry)}{pinned}  {base}".rstrip()
        )
    return lines


def model_card_lines(name: str) -> list[str]:
    """Everything models.yaml says of a model; null is shown as `unknown`."""
    entry = entry_of(name)
    lines = [f"{name}   ({entry.file})"]
    for key, value in entry.model_dump(mode="json").items():
        shown = ", ".join(f"{k}: {v}" for k, v in value.items() if v not in (None, [], "")) if isinstance(value, dict) else value
        lines.append(f"  {key:18} {'unknown' if shown is None else shown}")
    return lines


def model_check_lines(names: tuple[str, ...], gpus: Gpus, tell: Tell = untold) -> tuple[list[str], bool]:
    """A block per model: whether it can be used here, and on given GPUs (`evalsuite.listings.model_checks`).

    Args:
        names: the models; none: all, those that are not here with one line each.
        gpus: those that they would run on.
        tell: told of progress.

    Returns:
        The lines, and False if one of the named models cannot be used.

    Raises:
        UserError: a name that the registry does not hold.
    """
    lines: list[str] = []
    complete = True
    for name in names or tuple(load_registry()):
        checked = check_model(name, entry_of(name), gpus, tell)
        complete = complete and (checked.usable or not names)
        if names or checked.is_here:
            lines.extend(checked.lines)
        else:
            lines.append(f"{name}: not here (evalsuite models check {name})")
    return lines, complete


def _source_of(entry: ModelEntry) -> str:
    if entry.endpoint is not None:
        return f"{entry.endpoint.model} at {entry.endpoint.host} (not pinned)"
    return entry.repo or entry.path or "nothing: supply a path"


def model_pin_lines(names: tuple[str, ...], update: bool, from_cache: bool) -> tuple[list[str], list[Fault]]:
    """Pin models (`evalsuite.models.pins.pin`); a line per model, and what could not be done."""
    done, faults = pin(load_registry(), names, update=update, from_cache=from_cache)
    return [str(made) for made in done], faults


def entry_of(name: str) -> ModelEntry:
    """The registry's entry of a model; UserError if there is none, with the nearest name."""
    registry = load_registry()
    if name not in registry:
        raise UserError(Fault(file="models.yaml", key="models", value=name, allowed=f"no such model; {nearest(name, registry)}"))
    return registry[name]
