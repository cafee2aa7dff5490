"""The same command again where nothing has changed does nothing, and says the same; whatever has changed, it is done again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from evalsuite import standing, study
from evalsuite.cli import main
from tests.planted import Project, make_pair


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return make_pair(tmp_path)


def run(*words: str, code: int = 0) -> tuple[str, bool]:
    """What `evalsuite run` says, and whether it ran the study."""
    with patch.object(study, "run_resolved", wraps=study.run_resolved) as ran:
        done = CliRunner().invoke(main, ["run", "planted.yaml", "--store", "store", "--out", "out", *words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.stdout, ran.called


def test_nothing_is_done_again_and_the_same_is_said(project: Project) -> None:
    said, _ = run()
    machine = run("--again", "--json")[0]
    before = standing.files_in(Path("out"))
    again, ran = run()
    assert not ran
    assert standing.files_in(Path("out")) == before
    # All lines are the same but the one that says what was asked.
    assert said.splitlines()[0] == "400 requests asked, 0 answered from the store"
    assert again.splitlines()[0] == "nothing has changed since this report was made: 0 requests asked, 400 answered from the store"
    assert again.splitlines()[1:] == said.splitlines()[1:]
    told, ran = run("--json")
    assert not ran
    first, second = json.loads(machine), json.loads(told)
    assert {key for key in first if first[key] != second[key]} == {"notes"}


def test_all_is_done_again_if_asked_for(project: Project) -> None:
    run()
    assert run("--again")[1]
    assert not run()[1]


def changed_sample() -> None:
    file = Path("tasks/planted/planted.jsonl")
    file.write_text(file.read_text(encoding="utf-8").replace("number 0007?", "number 0007 now?"), encoding="utf-8")


def changed_key() -> None:
    """What is asked stays; only what is right changes."""
    file = Path("tasks/planted/planted.jsonl")
    lines = file.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[0])
    lines[0] = json.dumps({**row, "answer": (row["answer"] + 1) % 4})
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def changed_card() -> None:
    file = Path("tasks/planted/task.py")
    file.write_text(file.read_text(encoding="utf-8").replace("Planted questions.", "Questions, planted."), encoding="utf-8")


def changed_plugin() -> None:
    """Code that no card shows."""
    file = Path("tasks/planted/task.py")
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def changed_study() -> None:
    file = Path("planted.yaml")
    file.write_text(file.read_text(encoding="utf-8").replace("Are the planted scores found?", "Are they found?"), encoding="utf-8")


def changed_margin() -> None:
    file = Path("planted.yaml")
    file.write_text(file.read_text(encoding="utf-8").replace("margin: 0.2", "margin: 0.1"), encoding="utf-8")


def changed_model() -> None:
    file = Path("models.yaml")
    file.write_text(file.read_text(encoding="utf-8") + "    parameters_b: 8\n", encoding="utf-8")


def edited_report() -> None:
    file = Path("out/report.html")
    file.write_text(file.read_text(encoding="utf-8").replace("planted", "planned"), encoding="utf-8")


def touched_scores() -> None:
    os.utime("out/scores.parquet")


def lost_table() -> None:
    next(Path("out/tables").glob("*.csv")).unlink()


def further_file() -> None:
    Path("out/tables/mine.csv").write_text("1\n", encoding="utf-8")


def lost_journal() -> None:
    next(Path("store").glob("journal-*.jsonl")).unlink()


def grown_journal() -> None:
    with next(Path("store").glob("journal-*.jsonl")).open("a", encoding="utf-8") as file:
        file.write("\n")


def another_journal() -> None:
    Path("store/journal-elsewhere-1-aa.jsonl").write_text("", encoding="utf-8")


def damaged_note() -> None:
    Path("out/standing.json").write_text("{", encoding="utf-8")


CHANGES: tuple[Callable[[], None], ...] = (
    changed_sample, changed_key, changed_card, changed_plugin, changed_study, changed_margin, changed_model, edited_report, touched_scores,
    lost_table, further_file, lost_journal, grown_journal, another_journal, damaged_note,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_has_changed_it_is_done_again(project: Project, change: Callable[[], None]) -> None:
    run()
    assert not run()[1]
    change()
    assert run()[1]


@pytest.mark.parametrize("words", [("--limit", "50"), ("--models", "first"), ("--engine", "stub")])
def test_a_narrower_or_other_study_is_run(project: Project, words: tuple[str, ...]) -> None:
    run()
    assert run(*words)[1]


def test_another_library_or_another_file_of_the_package_is_a_change(project: Project, tmp_path: Path) -> None:
    run()
    with patch.object(standing, "_installed", lambda: iter(["pandas-9.dist-info"])):
        assert run()[1]
        assert not run()[1]
    assert run()[1]
    file = tmp_path / "module.py"
    file.write_text("", encoding="utf-8")
    code = standing._code()
    with patch.object(standing, "_code", lambda: {*code, file}):
        assert run()[1]


def test_the_code_that_is_watched_is_the_package_and_plugins_and_no_library(project: Project) -> None:
    run()
    watched = {str(file) for file in standing._code()}
    package = Path(standing.__file__).parent
    assert {str(package / "stats" / "bootstrap.py"), str(package / "report" / "explorer.js")} <= watched
    assert str(project.folder / "tasks" / "planted" / "task.py") in watched
    # Other tests leave modules of their own "site-packages" behind.
    libraries = str(Path(sysconfig.get_path("purelib")).resolve())
    assert not any(name.startswith(libraries) for name in watched)


def test_a_module_whose_folder_is_gone_is_no_hindrance(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = ModuleType("gone")
    gone.__file__ = str(project.folder / "gone" / "task.py")
    monkeypatch.setitem(sys.modules, "gone", gone)
    run()
    assert not run()[1]


def test_where_requests_failed_they_are_asked_again(project: Project) -> None:
    project.models(first="stub:first", chatty="stub:fails?every=20")
    run(code=3)
    assert not Path("out/standing.json").exists()
    assert run(code=3)[1]


def test_a_sealed_part_is_journalled_with_every_run(project: Project) -> None:
    project.study(models="[first, chatty]", strategies="[{name: zero_shot, format: generate}]", holdout="0.3")
    run()
    assert run()[1]


def test_scores_again_from_the_store_replace_what_stood(project: Project) -> None:
    run()
    done = CliRunner().invoke(main, ["report", "out", "--store", "store"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert run()[1]


def test_the_note_is_equal_in_another_process(project: Project) -> None:
    """Nothing in it depends on the order of a set, or on where an object lies."""
    code = "from evalsuite.resolve import resolve; from evalsuite.standing import made_from; print(made_from(resolve('planted.yaml')))"
    seeds = ("0", "1", "2")
    found = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in seeds
    }
    assert len(found) == 1


def test_nothing_heavy_is_imported_to_see_it(project: Project) -> None:
    command = [sys.executable, "-c", "from evalsuite.cli import main; main()", "run", "planted.yaml", "--store", "store", "--out", "out"]
    subprocess.run(command, check=True, capture_output=True)
    command[2] = (
        "import sys; from evalsuite.cli import main; main(standalone_mode=False);"
        " print(sorted({'torch', 'transformers', 'pandas', 'pyarrow', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("nothing has changed")
    assert done.stdout.splitlines()[-1] == "[]"
