"""Getting everything that a study needs onto this machine, for nodes without internet, and seeing offline that it is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalsuite.config import load_study
from evalsuite.data import load_split, locate
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.models import ModelEntry, find_checkpoint, load_registry
from evalsuite.models.files import SMALL_FILES
from evalsuite.models.hub import NEVER, OFFLINE_FLAGS, PATTERNS, PATTERNS_BIN, download, hub_errors, hub_fault, offline_flags
from evalsuite.task_sources import expand
from evalsuite.tasks import Task, find_tasks, pool_split, validation_split
from evalsuite.types import Tell, untold

_SPARE_BYTES = 1 << 30
"""Room that is left on the disk for everything else."""
_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a study needs from elsewhere."""

    file: Path
    """The study file."""
    models: Mapping[str, ModelEntry]
    """Models by name."""
    splits: tuple[tuple[Task, str], ...]
    """Tasks with the splits that are evaluated or hold exemplars."""
    data: Mapping[str, Path]
    """The study's own data."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a download would bring."""

    commit: str
    """Commit of the files."""
    n_files: int
    """Files that are wanted."""
    n_bytes: int
    """Their size."""
    n_missing_bytes: int
    """Size of those that are not here yet."""


def wanted_by(file: str | Path, models: Sequence[str] | None = None, tasks: Sequence[str] | None = None) -> Wanted:
    """What a study needs, narrowed to some of its models and tasks.

    Raises:
        UserError: the study names something that does not exist, or does not hold what it is narrowed to.
    """
    study = load_study(file)
    registry = load_registry()
    expanded = expand(study.tasks, study.include_path)
    known = {**find_tasks(), **expanded.tasks}
    names = [entry.name for entry in expanded.entries]
    faults = [
        *_unknown(str(file), "models", study.models, registry),
        *_unknown(str(file), "tasks", names, known),
        *_unknown("command line", "--models", models or (), study.models),
        *_unknown("command line", "--tasks", tasks or (), names),
    ]
    if faults:
        raise UserError(faults)
    splits: dict[tuple[str, str], tuple[Task, str]] = {}
    for entry in expanded.entries:
        if tasks is not None and entry.name not in tasks:
            continue
        card = known[entry.name].card
        split = entry.split or card.split
        tried = [validation_split(card, split, own.options.get("validation")) for own in study.strategies if own.options.get("selection")]
        for needed in (split, pool_split(card, split, entry.exemplar_split), *tried):
            if needed is not None:
                splits[entry.name, needed] = (known[entry.name], needed)
    lending = [str(entry.options[key]) for entry in study.strategies for key in ("cot_from", "prompt_from") if key in entry.options]
    faults = _unknown(str(file), "strategies", lending, registry)
    if faults:
        raise UserError(faults)
    # Models that prepare for all are needed whichever models run.
    chosen = {name: registry[name] for name in dict.fromkeys((*study.models, *lending)) if models is None or name in (*models, *lending)}
    return Wanted(file=Path(file), models=chosen, splits=tuple(splits.values()), data=study.data)


def _unknown(file: str, key: str, names: Sequence[str], known: Mapping[str, object] | Sequence[str]) -> list[Fault]:
    return [Fault(file=file, key=key, value=name, allowed=f"unknown; {nearest(name, known)}") for name in names if name not in known]


def fetch(wanted: Wanted, say: Callable[[str], None], tell: Tell = untold) -> None:
    """Get what is not here from the hub: data through the code that reads them in a run, then weights and tokenizers.

    What was begun is taken up again. All that can be had is fetched before the faults are raised.

    Args:
        wanted: what is needed.
        say: told a line for everything that was fetched.
        tell: told of progress.

    Raises:
        UserError: the hub is forbidden, does not answer or does not give something; or the disk is too small.
    """
    flags = offline_flags()
    if flags:
        allowed = "is set, which forbids the hub: unset it to fetch, or use --check to see what is here"
        raise UserError([Fault(file="environment", key=f"${flag}", value=os.environ[flag], allowed=allowed) for flag in flags])
    faults: list[Fault] = []
    for number, (task, split) in enumerate(wanted.splits):
        tell("reading data", number, len(wanted.splits))
        try:
            say(_data_line(wanted, task, split))
        except UserError as error:
            faults.extend(error.faults)
    sizes: dict[str, Size] = {}
    for name, entry in wanted.models.items():
        try:
            if entry.repo:
                sizes[name] = size_of(name, entry)
            elif entry.endpoint is None:
                find_checkpoint(name, entry, tell=tell)
        except UserError as error:
            faults.extend(error.faults)
    faults.extend(_no_room(wanted, sizes))
    if not any(fault.key == "disk" for fault in faults):
        faults.extend(_download_all(wanted, sizes, say))
    if faults:
        raise UserError(faults)


def _download_all(wanted: Wanted, sizes: Mapping[str, Size], say: Callable[[str], None]) -> list[Fault]:
    faults: list[Fault] = []
    for name, size in sizes.items():
        what = f"model {name}: {wanted.models[name].repo} at {size.commit[:12]}, {size.n_files} files, {_gib(size.n_bytes)}"
        if not size.n_missing_bytes:
            say(f"{what}: here already")
            continue
        say(f"{what}, {_gib(size.n_missing_bytes)} of them not here: fetching")
        try:
            download(name, wanted.models[name])
        except UserError as error:
            faults.extend(error.faults)
    return faults


def look(wanted: Wanted, say: Callable[[str], None], tell: Tell = untold) -> None:
    """See whether all of it is on this machine. Nobody is asked where both offline variables were set when Python started.

    Args:
        wanted: what is needed.
        say: told a line for everything that is here.
        tell: told of progress in hashing weights.

    Raises:
        UserError: all that is not here, each with the command that gets it.
    """
    faults: list[Fault] = []
    for task, split in wanted.splits:
        try:
            say(_data_line(wanted, task, split))
        except UserError as error:
            faults.extend(error.faults)
    for name, entry in wanted.models.items():
        try:
            checkpoint = find_checkpoint(name, entry, offline=True, tell=tell)
        except UserError as error:
            faults.extend(error.faults)
            continue
        where = f"at {checkpoint.revision[:12]}" if checkpoint.revision else checkpoint.served or "a folder"
        say(f"model {name}: here, {where}, fingerprint {checkpoint.fingerprint[:12]}")
    if faults:
        raise UserError(faults)


def look_offline(arguments: Sequence[str]) -> tuple[int, str]:
    """`evalsuite fetch … --check` in a process that may not ask the hub, as on a node without internet.

    The variables have to be there when Python starts, hence the process.

    Args:
        arguments: of the command line behind `fetch`.

    Returns:
        (exit code, standard output); faults go to standard error as they are.
    """
    command = [sys.executable, "-m", "evalsuite", "fetch", *arguments, "--check"]
    environment = os.environ | dict.fromkeys(OFFLINE_FLAGS, "1")
    # Our own program, with the arguments that it was started with.
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    return done.returncode, done.stdout


def size_of(name: str, entry: ModelEntry) -> Size:
    """What downloading a model would bring; asks the hub for the list of its files.

    Raises:
        UserError: the hub does not give it.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils._paths import filter_repo_objects

    try:
        info = HfApi().model_info(str(entry.repo), revision=entry.revision, files_metadata=True, timeout=_TIMEOUT_S)
    except hub_errors() as error:
        raise UserError(hub_fault(name, entry, error)) from None
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}

    def chosen(patterns: Sequence[str]) -> list[str]:
        return list(filter_repo_objects(sizes, allow_patterns=list(patterns), ignore_patterns=list(NEVER)))

    files = chosen(SMALL_FILES if entry.endpoint is not None else PATTERNS)
    if entry.endpoint is None and not any(file.endswith(".safetensors") for file in files):
        files = chosen(PATTERNS_BIN)
        if not any(file.endswith(".bin") for file in files):
            allowed = "holds neither *.safetensors nor pytorch_model*.bin: no checkpoint that can be loaded here"
            raise UserError(Fault(file=entry.file, key=f"models.{name}.repo", value=str(entry.repo), allowed=allowed))
    commit = str(info.sha)
    snapshot = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=str(entry.repo), repo_type="model") / "snapshots" / commit
    missing = [file for file in files if not (snapshot / file).exists()]
    return Size(
        commit=commit, n_files=len(files), n_bytes=sum(sizes[file] for file in files), n_missing_bytes=sum(sizes[file] for file in missing)
    )


def _no_room(wanted: Wanted, sizes: Mapping[str, Size]) -> list[Fault]:
    """A fault if the hub cache's disk cannot take what is missing; one repository counts once."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    needed = sum({(wanted.models[name].repo, size.commit): size.n_missing_bytes for name, size in sizes.items()}.values())
    free = shutil.disk_usage(existing).free
    if not needed or needed + _SPARE_BYTES <= free:
        return []
    allowed = f"{_gib(needed)} are to be fetched and {_gib(free)} are free: make room, or set HF_HOME to a folder on a larger disk"
    return [Fault(file=str(folder), key="disk", value="", allowed=allowed)]


def _data_line(wanted: Wanted, task: Task, split: str) -> str:
    """Reads a split, from the hub if it is nowhere here, and says what was read."""
    place = locate(task, split, wanted.data)
    data = load_split(task, split, wanted.data)
    left_out = f", {len(data.excluded)} left out" if data.excluded else ""
    return f"task {task.card.name}/{split}: {len(data.samples)} samples{left_out} ({place.how if place.path else place.hub})"


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 1 << 29 else f"{n_bytes / 2**20:.1f} MiB"
