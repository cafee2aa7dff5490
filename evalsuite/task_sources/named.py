"""Which tasks of a study come from lm-evaluation-harness: names, groups, and where their YAML files lie. Imports nothing heavy."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from evalsuite.config import TaskEntry
from evalsuite.errors import Fault, UserError
from evalsuite.tasks import Task

PREFIX = "lm_eval:"
"""What stands before the name of a task, group, tag or glob pattern of lm-evaluation-harness."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expanded:
    """The study's tasks with groups replaced by what they hold."""

    entries: tuple[TaskEntry, ...]
    """In the study's order; members of a group take its options."""
    tasks: Mapping[str, Task]
    """The lm-evaluation-harness tasks among them, by name."""


def expand(entries: Sequence[TaskEntry], include_path: Sequence[Path]) -> Expanded:
    """Load the tasks of a study that are named `lm_eval:...`.

    Args:
        entries: tasks as the study names them.
        include_path: folders of YAML tasks, looked at before those that lm-evaluation-harness ships.

    Raises:
        UserError: the library is missing, a name that nobody knows, a YAML file that cannot be read, data that cannot be had, or a task
            that cannot be run here.
    """
    wanted = [entry.name.removeprefix(PREFIX) for entry in entries if entry.name.startswith(PREFIX)]
    if not wanted:
        return Expanded(entries=tuple(entries), tasks={})
    if importlib.util.find_spec("lm_eval") is None:
        allowed = "needs the library `lm_eval`, which is not installed: pip install 'evalsuite[lm-eval]'"
        raise UserError(Fault(file="study", key="tasks", value=f"{PREFIX}{wanted[0]}", allowed=allowed))
    for folder in include_path:
        if not folder.is_dir():
            raise UserError(Fault(file="study", key="include_path", value=str(folder), allowed="an existing folder of lm-eval YAML tasks"))
    faults = [fault for folder in include_path for fault in _yaml_faults(folder)]
    if faults:
        raise UserError(faults)
    from evalsuite.task_sources.lm_eval import load

    members = load(wanted, include_path)
    _check_twice(members)
    spread: list[TaskEntry] = []
    for entry in entries:
        if not entry.name.startswith(PREFIX):
            spread.append(entry)
            continue
        for task in members[entry.name.removeprefix(PREFIX)]:
            if task.card.name not in [known.name for known in spread]:
                spread.append(entry.model_copy(update={"name": task.card.name}))
    # A task that is named alone and through a group belongs to the group.
    named = sorted((task for found in members.values() for task in found), key=lambda task: len(task.foreign.groups) if task.foreign else 0)
    tasks = {task.card.name: task for task in named}
    return Expanded(entries=tuple(spread), tasks=tasks)


def _check_twice(members: Mapping[str, Sequence[Task]]) -> None:
    """One task under two configurations (a group may override its members) is two tasks of one name. Raises UserError."""
    seen: dict[str, tuple[str, str]] = {}
    for name, tasks in members.items():
        for task in tasks:
            configuration = task.foreign.configuration if task.foreign else ""
            first, known = seen.setdefault(task.card.name, (name, configuration))
            if known != configuration:
                allowed = f"{PREFIX}{first} configures {task.card.name} in another way; name one of the two"
                raise UserError(Fault(file="study", key="tasks", value=f"{PREFIX}{name}", allowed=allowed))


def _yaml_faults(folder: Path) -> Iterator[Fault]:
    """YAML files that cannot be read, with their lines: lm-eval skips them in silence, and the task seems not to exist."""
    for path in sorted(folder.rglob("*.yaml")):
        try:
            yaml.compose(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            allowed = f"valid YAML ({getattr(error, 'problem', None) or 'it cannot be read'})"
            yield Fault(file=f"{path}{line}", key="", value="", allowed=allowed)
        except (OSError, UnicodeDecodeError) as error:
            yield Fault(file=str(path), key="", value=type(error).__name__, allowed="a readable UTF-8 file")
