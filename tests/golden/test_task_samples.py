"""The first sample of each task, as text. EVALSUITE_GOLDEN=write writes the files anew; read the difference before taking it.

Only tasks whose licence allows it stand here, one sample each, with licence and source.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evalsuite.data import load_split, locate
from evalsuite.errors import UserError
from evalsuite.formats import default_wording, lay_out, right_answer
from evalsuite.tasks import Task, find_tasks
from evalsuite.types import Sample

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared" / "data"
GOLDEN = Path(__file__).resolve().parent / "tasks"
OPEN = ("MIT", "CC BY 4.0", "CC0", "Apache-2.0")
TASKS = {name: task for name, task in find_tasks(REPOSITORY / "tasks").items() if task.card.licence.startswith(OPEN)}
# Of most MMLU subjects we have no data; one after the other they would be half a hundred skips.
TASKS = {name: task for name, task in TASKS.items() if task.card.aliases != ("mmlu",)}


def as_text(task: Task, split: str, sample: Sample) -> str:
    """Everything that decides what a model is asked and how the answer is judged."""
    wording = task.card.wording or default_wording(task.card.language)
    lines = [
        f"task: {task.card.name}, split {split}",
        f"licence: {task.card.licence}; {task.card.citation}",
        f"id: {sample.id}",
        f"group: {sample.group}",
        f"targets: {sample.targets}",
        f"tags: {sample.tags}",
        f"instruction: {wording.instruction}",
    ]
    for form in ("letters", "cloze", "generate"):
        layout = lay_out(sample, form, wording)
        lines += [f"--- {form}: user", layout.user, f"--- {form}: right answer", right_answer(sample, form, wording)]
    return "\n".join(lines) + "\n"


def first_local_split(task: Task) -> str | None:
    for split in (task.card.split, *task.card.splits):
        try:
            if locate(task, split, {}).path:
                return split
        except UserError:
            continue
    return None


@pytest.mark.parametrize("name", TASKS)
def test_first_sample(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if DATA.is_dir():
        monkeypatch.setenv("EVALSUITE_DATA", str(DATA))
    task, file = TASKS[name], GOLDEN / f"{name}.txt"
    split = first_local_split(task)
    if split is None:
        pytest.skip(f"no local data for {name} (no folder shared/data beside the repository)")
    text = as_text(task, split, load_split(task, split, {}).samples[0])
    if os.environ.get("EVALSUITE_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"no golden file {file.name}; EVALSUITE_GOLDEN=write writes it"
    assert text == file.read_text(encoding="utf-8")
