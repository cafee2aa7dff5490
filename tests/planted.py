"""A small project of planted models: tasks made on the spot, stub engines whose exact scores theory gives."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

N_GROUPS, N_PER_GROUP, N_CHOICES = 40, 5, 4


@dataclass(frozen=True, kw_only=True)
class Project:
    """A folder with models.yaml, a task, and study files; commands run in it."""

    folder: Path
    targets: Mapping[str, int]
    """Sample id to the position of the right choice."""

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def sheet(self) -> Path:
        return self.folder / "sheet.json"

    def models(self, **paths: str) -> None:
        """Write models.yaml: name to stub path; every model after the first is biomedical and made from the first."""
        lines = ["models:"]
        for number, (name, path) in enumerate(paths.items()):
            domain = "generalist" if number == 0 else "biomedical"
            lines += [f"  {name}:", f"    path: '{path}'", f"    domain: {domain}"]
            if number:
                lines.append(f"    base: {next(iter(paths))}")
        (self.folder / "models.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def study(self, name: str = "planted", **changes: str) -> Path:
        """Write a study file; `changes` are YAML texts by key."""
        content = {
            "study": name,
            "question": '"Are the planted scores found?"',
            "tasks": "[planted]",
            "analysis": "{margin: 0.2, n_resamples: 1000}",
            "decoding": "{max_tokens: 256}",
            **changes,
        }
        file = self.folder / f"{name}.yaml"
        file.write_text("\n".join(f"{key}: {value}" for key, value in content.items()) + "\n", encoding="utf-8")
        return file


PLUGIN = '''
"""Planted questions; written by the tests."""

from evalsuite.tasks import choice_task

TASKS = (
    choice_task(
        name="planted", description="Planted questions.", language="en", licence="MIT", citation="-",
        file="planted.jsonl", answer_kind="index0", group="group", id="id", n_rows={n},
        metric="accuracy", metrics=("accuracy", "accuracy_strict", "macro_f1"), restricted=False,
    ),
)
'''


def make_pair(folder: Path) -> Project:
    """A project of a model that answers with the first choice and of one that wraps the right answer in talk, and a study of both."""
    made = make_project(folder)
    made.models(first="stub:first", chatty=f"stub:chatty?sheet={made.sheet}")
    made.study(models="[first, chatty]", strategies="[{name: zero_shot, format: generate}]")
    return made


def files_of(folder: Path, *but: str) -> dict[str, bytes]:
    """All that a run leaves in a folder and that is the same whoever runs it: not what tells of seconds, requests and times of files.

    Args:
        folder: an out directory, or one above several.
        but: further names of files that are left out.
    """
    left_out = ("manifest.json", "timings.json", "standing.json", *but)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in left_out
    }


def make_project(folder: Path, *, seed: int = 0) -> Project:
    """Questions in groups of five, right answers anywhere; every question text is unique."""
    rng = np.random.default_rng(seed)
    task = folder / "tasks" / "planted"
    task.mkdir(parents=True)
    rows, sheet, targets = [], {}, {}
    for group in range(N_GROUPS):
        for member in range(N_PER_GROUP):
            number = group * N_PER_GROUP + member
            question = f"What stands under number {number:04d}?"
            choices = [f"thing {number:04d}-{letter}" for letter in "kmpt"]
            target = int(rng.integers(N_CHOICES))
            row = {"id": f"q{number:04d}", "group": f"planted:{group}", "question": question, "options": choices, "answer": target}
            rows.append(row)
            sheet[question] = choices[target]
            targets[row["id"]] = target
    (task / "planted.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (task / "task.py").write_text(textwrap.dedent(PLUGIN).format(n=len(rows)), encoding="utf-8")
    (folder / "sheet.json").write_text(json.dumps(sheet), encoding="utf-8")
    return Project(folder=folder, targets=targets)
