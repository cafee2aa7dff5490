"""Whether an out directory still stands: nothing that its files were made from has changed since, so that there is nothing to do again.

A finished run leaves `standing.json` beside its report: a digest of what the files were made from, what the store and the out directory
held, and what was said at the end. Whoever gives the same command again is told the same, without rendering, scoring or reporting anything.
Whatever differs, and were it only a file's time, is taken as changed: to run once too often gives the same files, to run once too seldom
would leave wrong ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from evalsuite.config import PluginEntry
from evalsuite.embedders.neighbours import embedder_folder
from evalsuite.out_dir import OutDir, write_json
from evalsuite.plan import Plan
from evalsuite.tabular import Cell, Column, Tabular

Files = Mapping[str, list[int]]
"""Relative path to size in bytes, and times of change of contents and of status in nanoseconds."""

BESIDE = frozenset((".py", ".json", ".yaml", ".yml", ".txt", ".jinja"))
"""Endings of files that a plugin may read and that lie beside it; its data have fingerprints of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What is said of a finished run whose out directory still stands."""

    notes: tuple[str, ...]
    """Lines to be read before the verdicts."""
    verdicts: Tabular
    """The comparisons of the primary cell."""
    machine: Mapping[str, Any]
    """`results.as_json`, nothing asked."""


def note_standing(out: OutDir, made: str, held: Files, said: Mapping[str, Any]) -> None:
    """Record that the files of an out directory are whole.

    Args:
        out: the directory, finished.
        made: `made_from` of the plan, taken before it was run.
        held: `files_in` the store, taken when the last answer was read.
        said: what `Said` is read from: notes, verdicts, machine.
    """
    write_json(out.standing, {"made_from": made, "store": held, "out": files_in(out.folder, but=out.standing), "said": said})


def standing_of(plan: Plan, out: OutDir, store: Path) -> Said | None:
    """What was said when an out directory was made, if it still stands; else None.

    Args:
        plan: the study as it is now.
        out: its out directory.
        store: the store's folder.
    """
    try:
        noted = json.loads(out.standing.read_text(encoding="utf-8"))
        stands = (
            noted["out"] == files_in(out.folder, but=out.standing)
            and noted["store"] == files_in(store)
            and noted["made_from"] == made_from(plan)
        )
        return _said(noted["said"], out) if stands else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def made_from(plan: Plan) -> str:
    """sha256 over all that decides what a run writes but the answers: the study, what it reads, and the code and libraries that do it.

    Renditions are left out: they follow from samples, options, seed and code.
    """
    whole = hashlib.sha256()
    parts: list[Any] = [
        plan.study.model_dump(mode="json"),
        plan.file.name,
        asdict(plan.selection),
        dict(plan.statement),
        sorted([*cell, *sorted(needs)] for cell, needs in plan.unmet.items()),
        {
            name: [repr(model.entry), repr(model.checkpoint), repr(model.settings)]
            for name, model in {**plan.lenders, **plan.models}.items()
        },
        [_changed_at(Path(model.entry.chat.template)) for model in plan.models.values()],
        list(map(_held, _embedders(plan))),
        list(map(_held, plan.study.include_path)),
        sorted(_installed()),
        [[str(file), _changed_at(file)] for file in sorted(_code())],
    ]
    whole.update(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str))
    for name, task in plan.tasks.items():
        about = [name, task.split, task.metric, repr(task.task.card), dict(task.excluded), sorted(task.sealed), task.data.fingerprint]
        whole.update(orjson.dumps(about, default=str))
        for sample in (*task.samples, *task.pool, *(sample for split in task.validation.values() for sample in split)):
            whole.update(orjson.dumps(sample, default=dict))
    return whole.hexdigest()


def files_in(folder: Path, but: Path | None = None) -> dict[str, list[int]]:
    """All files below a folder; none where there is no folder.

    Args:
        folder: where to look.
        but: a file that is left out.
    """
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            if file != but:
                found[str(file.relative_to(folder))] = _changed_at(file)
    return dict(sorted(found.items()))


def _said(noted: Mapping[str, Any], out: OutDir) -> Said:
    table = noted["verdicts"]
    return Said(
        notes=tuple(noted["notes"]),
        verdicts=Tabular(
            columns=tuple(Column(**column) for column in table["columns"]),
            rows=tuple(tuple(Cell(**cell) for cell in row) for row in table["rows"]),
            note=table["note"],
        ),
        machine={**noted["machine"], "out": str(out.folder), "report": str(out.report)},
    )


def _changed_at(file: Path) -> list[int]:
    """Size and times of a file; empty where there is none."""
    try:
        status = file.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _held(folder: Path) -> list[Any]:
    return [str(folder), files_in(folder)]


def _embedders(plan: Plan) -> Iterator[Path]:
    """Folders of the sentence models that strategies name."""
    for entry in plan.study.strategies:
        yield from _folders_named(entry, plan.file.parent)


def _folders_named(entry: PluginEntry, base: Path) -> Iterator[Path]:
    for key in ("embedder", "utility"):
        name = entry.options.get(key)
        if isinstance(name, str) and (folder := embedder_folder(name, base)).is_dir():
            yield folder


def _installed() -> Iterator[str]:
    """Python, and names and versions of all libraries, as their folders are called."""
    yield sys.version
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        with os.scandir(place) as entries:
            yield from (entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info", ".egg-link", ".pth")))


def _code() -> set[Path]:
    """This package's files, and those of every imported module that is no library's, with what lies beside them: a person's plugins."""
    own = Path(__file__).resolve().parent
    places = [str(own), *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib", "scripts"))]
    known = tuple(os.path.realpath(place) + os.sep for place in places)
    sources = {Path(source) for module in tuple(sys.modules.values()) if (source := getattr(module, "__file__", None)) is not None}
    others = {source.parent for source in sources if source.is_absolute() and not os.path.realpath(source).startswith(known)}
    # A module may outlive its file.
    beside = {file for folder in others if folder.is_dir() for file in folder.iterdir() if file.suffix in BESIDE}
    return beside | {file for file in own.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
