"""The out directory: what its files are called, and how one is written in one step (DESIGN 5)."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.errors import Fault, UserError
from evalsuite.plan import Plan

UNSEALED = "-unsealed"
"""Ends the name of the out directory of a sealed part."""


@dataclass(frozen=True, slots=True)
class OutDir:
    """File names of an out directory."""

    folder: Path
    """The directory."""

    def make(self) -> None:
        """Make the directory.

        Raises:
            UserError: there is a file of that name.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UserError(Fault(file=str(self.folder), key="--out", value="", allowed="is a file; a folder is needed")) from None
        sweep(self.folder)

    def check_free(self) -> None:
        """Refuse a directory in which something else than a study's outputs would replace some.

        Raises:
            UserError: it holds a study or scores.
        """
        if self.scores.exists() or self.study.exists():
            allowed = "holds scores of its own; name another folder"
            raise UserError(Fault(file=str(self.folder), key="--out", value="", allowed=allowed))

    @property
    def plan(self) -> Path:
        """Every cell and sample."""
        return self.folder / "plan.parquet"

    @property
    def scores(self) -> Path:
        """Every score."""
        return self.folder / "scores.parquet"

    @property
    def comparisons(self) -> Path:
        """Every comparison."""
        return self.folder / "comparisons.csv"

    @property
    def pooled(self) -> Path:
        """Differences over several tasks."""
        return self.folder / "pooled.csv"

    @property
    def own_aggregates(self) -> Path:
        """What the frameworks of foreign tasks would print."""
        return self.folder / "tables" / "own_aggregates.csv"

    @property
    def manifest(self) -> Path:
        """What ran where."""
        return self.folder / "manifest.json"

    @property
    def study(self) -> Path:
        """The study as run."""
        return self.folder / "study.yaml"

    @property
    def preparations(self) -> Path:
        """Request keys of what spans samples."""
        return self.folder / "preparations.json"

    @property
    def timings(self) -> Path:
        """Engine seconds by model, task, strategy and stage, over all runs of this plan into this directory."""
        return self.folder / "timings.json"

    @property
    def model_card(self) -> Path:
        """The verdicts as Markdown, in the form that model cards take."""
        return self.folder / "model_card.md"

    @property
    def standing(self) -> Path:
        """From what all other files were made, so that they need not be made again."""
        return self.folder / "standing.json"

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.folder / "report.html"


def default_folder(plan: Plan) -> Path:
    """The out directory where none is named."""
    return Path("reports") / (plan.study.study + (UNSEALED if plan.selection.unseal else ""))


def partial_path(path: Path) -> Path:
    """Where this process writes a file before it takes its place; no other process writes there."""
    return path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.partial")


def sweep(folder: Path) -> None:
    """Remove what killed processes of this machine left unfinished; what lives, or runs elsewhere, is left alone."""
    for partial in folder.glob(f"*.{socket.gethostname()}.*.partial"):
        pid = partial.name.split(".")[-2]
        if pid.isdigit() and int(pid) != os.getpid() and not _alive(int(pid)):
            partial.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one step: the file is either the old one or the whole new one."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text in one step, whoever else writes the same file: it is either the old one or a whole new one."""
    partial = partial_path(path)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
