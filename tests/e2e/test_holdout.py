"""A sealed part is asked of nobody until it is opened, is opened for one version of a study, and its report says when and after what."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from evalsuite.cli import main
from evalsuite.errors import UserError
from evalsuite.out_dir import OutDir
from evalsuite.plan import Selection
from evalsuite.preview import check_study, preview, preview_lines
from evalsuite.rescoring import report_study
from evalsuite.resolve import resolve
from evalsuite.results import Result
from evalsuite.seals import openings_of, runs_of
from evalsuite.study import run_study
from evalsuite.unsealing import check_seal, holdout_of, journal_run, open_seal
from tests.planted import Project, files_of, make_project

OPEN = Selection(unseal=True)
N_KILLS = 2
RUN = """
import sys
from evalsuite.plan import Selection
from evalsuite.study import run_study
run_study(sys.argv[1], Selection(unseal=True), store=sys.argv[2], out=sys.argv[3])
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    made.models(first="stub:first", other="stub:uniform?seed=3")
    return made


def study(project: Project, **changes: str) -> Path:
    return project.study(**{"models": "[first, other]", "holdout": "0.2", **changes})


def ran(project: Project, file: Path, selection: Selection | None = None) -> Result:
    return run_study(file, selection, store=project.store)


def samples_of(result: Result) -> set[str]:
    assert result.scores is not None
    return set(result.scores["sample_id"])


def text_of(result: Result) -> str:
    return (result.out / "report.md").read_text(encoding="utf-8")


def groups(project: Project) -> dict[str, str]:
    rows = (project.folder / "tasks/planted/planted.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: f"planted:{row['group']}" for row in map(json.loads, rows)}


def test_the_two_parts_are_disjoint_whole_groups_and_together_everything(project: Project) -> None:
    file = study(project)
    rest, sealed = ran(project, file), ran(project, file, OPEN)
    assert (rest.out, sealed.out) == (Path("reports/planted"), Path("reports/planted-unsealed"))
    assert samples_of(rest).isdisjoint(samples_of(sealed))
    assert samples_of(rest) | samples_of(sealed) == set(project.targets)
    group = groups(project)
    names = {part: {group[sample] for sample in samples_of(result)} for part, result in (("rest", rest), ("sealed", sealed))}
    assert {part: len(own) for part, own in names.items()} == {"rest": 32, "sealed": 8}
    assert names["rest"].isdisjoint(names["sealed"])
    for result in (rest, sealed):
        planned = pq.read_table(result.out / "plan.parquet", columns=["sample_id"]).column("sample_id").to_pylist()
        assert set(planned) == samples_of(result)
    for selection, folder in ((OPEN, rest.out), (None, sealed.out)):
        with pytest.raises(UserError, match="name another folder"):
            run_study(file, selection, store=project.store, out=folder)


def test_what_is_sealed_does_not_change_with_a_limit_and_limits_leave_it_out(project: Project) -> None:
    file = study(project)
    whole, part = resolve(file), resolve(file, Selection(limit=30))
    assert whole.tasks["planted"].sealed == part.tasks["planted"].sealed
    assert {sample.id for sample in part.tasks["planted"].samples} < {sample.id for sample in whole.tasks["planted"].samples}
    limited = resolve(study(project, tasks="[{name: planted, limit: 20}]"), OPEN)
    assert limited.tasks["planted"].sealed == whole.tasks["planted"].sealed
    assert {sample.group for sample in limited.tasks["planted"].samples} <= whole.tasks["planted"].sealed


def test_one_that_knows_only_what_is_open_is_perfect_there_and_guesses_on_the_rest(project: Project) -> None:
    file = study(project)
    sealed = resolve(file).tasks["planted"].sealed
    sheet, group = json.loads(project.sheet.read_text(encoding="utf-8")), groups(project)
    known = {
        question: right for (question, right), sample in zip(sheet.items(), project.targets, strict=True) if group[sample] not in sealed
    }
    assert len(known) == 160
    (project.folder / "open.json").write_text(json.dumps(known), encoding="utf-8")
    # Without a line on its sheet it answers as the one that always guesses, seed by seed.
    project.models(first="stub:first", knows=f"stub:key?seed=5&sheet={project.folder / 'open.json'}", guesses="stub:uniform?seed=5")
    file = study(project, models="[first, knows, guesses]", pairs="[[knows, guesses]]")
    rest, opened = ran(project, file), ran(project, file, OPEN)
    assert rest.scores is not None
    assert opened.scores is not None
    own = rest.scores[(rest.scores["model"] == "knows") & (rest.scores["metric"] == "accuracy")]
    assert (own["value"] == 1).all()
    assert len(own) == 160
    right = {
        model: opened.scores[(opened.scores["model"] == model) & (opened.scores["metric"] == "accuracy")].set_index("sample_id")["value"]
        for model in ("knows", "guesses")
    }
    pd.testing.assert_series_equal(right["knows"], right["guesses"])
    table = pd.read_csv(opened.out / "tables" / "eyes_off_models.csv").set_index("model")
    assert table.loc["knows", "on"] == 1
    assert table.loc["knows", "off"] == table.loc["guesses", "off"] == right["guesses"].mean() < 0.6
    assert table.loc["knows", "gap_high"] < 0 < table.loc["guesses", "gap_high"]
    pair = pd.read_csv(opened.out / "tables" / "eyes_off_pairs.csv").iloc[0]
    assert pair["off"] == 0
    assert pair["gap_high"] < 0
    assert "more than chance alone explains" in text_of(opened)


def test_the_report_says_when_and_after_how_many_runs(project: Project) -> None:
    file = study(project)
    before = ran(project, file)
    assert "## Eyes-off" in text_of(before)
    assert "--unseal" in text_of(before)
    assert "was opened" not in text_of(before)
    for selection in (Selection(limit=50), Selection()):
        journal_run(resolve(file, selection), project.store)
    opened = ran(project, file, OPEN)
    (opening,) = openings_of(project.store, "planted")
    assert f"The seal was opened on {opening.date}, after 3 runs of the study on this store of 2 different plans." in text_of(opened)
    assert "These results are about the sealed part of the study alone" in (opened.out / "model_card.md").read_text(encoding="utf-8")
    after = ran(project, file)
    assert f"The sealed part of this study was opened on {opening.date}; these results are about the rest." in text_of(after)
    assert [each.unsealed for each in runs_of(project.store, "planted")] == [False, False, False, True, False]
    assert any("sealed, left out until" in note and "40 samples in 8 groups" in note for note in after.notes)


def test_the_same_again_shows_the_first_record_unchanged_and_asks_nothing(project: Project) -> None:
    file = study(project)
    ran(project, file)
    first = files_of(ran(project, file, OPEN).out)
    journal_run(resolve(file), project.store)
    again = ran(project, file, OPEN)
    assert sum(run.n_asked for run in again.runs) == 0
    assert files_of(again.out) == first
    assert len(openings_of(project.store, "planted")) == 1
    check_seal(resolve(file, Selection(unseal=True, models=("first",))), OutDir(Path("reports/one")), project.store)
    assert openings_of(project.store, "planted")[0].n_runs == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"analysis": "{margin: 0.1, n_resamples: 1000}"}, "margin"),
        ({"seed": "1"}, "seed, data of planted"),
        ({"holdout": "0.3"}, "holdout, data of planted"),
        ({"strategies": "[{name: zero_shot, format: cloze}]"}, "primary_strategy, strategies"),
        ({"decoding": "{max_tokens: 32}"}, "decoding"),
    ],
)
def test_a_changed_study_is_refused_in_one_line(project: Project, changes: dict[str, str], named: str) -> None:
    open_seal(resolve(study(project), OPEN), project.store)
    (opening,) = openings_of(project.store, "planted")
    changed = study(project, **changes)
    done = CliRunner().invoke(main, ["run", str(changed), "--unseal", "--store", str(project.store)])
    assert done.exit_code == 2
    assert len(done.output.strip().splitlines()) == 1
    assert f"opened on {opening.date} for another version of the study, so it is no longer unseen" in done.output
    assert all(key in done.output for key in named.split(", "))
    assert openings_of(project.store, "planted") == [opening]
    # The rest may still be run, and its report marks the change.
    rest = holdout_of(resolve(changed), OutDir(Path("reports/planted")), project.store)
    assert rest is not None
    assert ", ".join(rest.changed) == named


def test_a_report_on_the_rest_marks_what_was_changed_since(project: Project) -> None:
    open_seal(resolve(study(project), OPEN), project.store)
    result = ran(project, study(project, analysis="{margin: 0.1, n_resamples: 1000}"))
    said = "was chosen with the sealed part known, and nothing of it is left unseen."
    for text in (text_of(result), (result.out / "model_card.md").read_text(encoding="utf-8")):
        assert "The study was changed after its seal was opened" in text
        assert "(margin)" in text
        assert said in text


def test_other_weights_and_other_data_are_another_version(project: Project) -> None:
    file = study(project)
    open_seal(resolve(file, OPEN), project.store)
    project.models(first="stub:first", other="stub:uniform?seed=4")
    with pytest.raises(UserError, match="weights of other"):
        ran(project, file, OPEN)


@pytest.mark.parametrize("option", [["--limit", "20"], ["--shard", "1/2"], []])
def test_what_cannot_be_unsealed_is_one_line(project: Project, option: list[str]) -> None:
    file = study(project) if option else project.study(models="[first, other]")
    done = CliRunner().invoke(main, ["run", str(file), "--unseal", *option, "--store", str(project.store)])
    assert done.exit_code == 2
    assert len(done.output.strip().splitlines()) == 1
    assert "--unseal" in done.output
    assert not project.store.exists()


def test_one_group_cannot_be_divided(project: Project) -> None:
    file = project.folder / "tasks/planted/planted.jsonl"
    rows = [json.loads(line) | {"group": "one"} for line in file.read_text(encoding="utf-8").splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(UserError, match="there must be some on either side"):
        resolve(study(project))


def test_check_and_plan_say_how_much_is_sealed(project: Project) -> None:
    file = study(project)
    for lines in (check_study(file, Selection()), preview_lines(preview(file, Selection(), project.store))):
        assert sum("planted 40 samples in 8 groups" in line for line in lines) == 1
    assert preview(file, Selection(), project.store).reach[0].n_samples == 160


@pytest.mark.parametrize("how", ["none", "part", "changed"])
def test_without_a_matching_run_of_the_rest_nothing_stands_beside(project: Project, how: str) -> None:
    if how == "part":
        ran(project, study(project), Selection(limit=50))
    if how == "changed":
        ran(project, study(project, analysis="{margin: 0.1, n_resamples: 1000}"))
    opened = ran(project, study(project), OPEN)
    said = {"none": "no ordinary run of the study is in planted", "part": "(--limit)", "changed": "(margin)"}[how]
    assert f"Nothing stands beside the sealed part: {'' if how == 'none' else 'the ordinary run in planted '}" in text_of(opened)
    assert said in text_of(opened)
    assert not (opened.out / "tables" / "eyes_off_models.csv").exists()


def test_a_seal_that_came_after_runs_without_one_is_told(project: Project) -> None:
    ran(project, project.study(models="[first, other]"))
    text = text_of(ran(project, study(project), OPEN))
    assert "sealed nothing or other groups" in text
    fresh, out = project.folder / "fresh", OutDir(Path("reports/planted"))
    for seed, n_days in (("3", 0), ("0", 1)):
        plan = resolve(study(project, seed=seed))
        journal_run(plan, fresh)
        rest = holdout_of(plan, out, fresh)
        assert rest is not None
        assert len(rest.seen) == n_days


def test_a_report_is_made_again_from_files_with_the_record_of_store_or_manifest(project: Project) -> None:
    file = study(project)
    ran(project, file)
    opened = ran(project, file, OPEN)
    before = files_of(opened.out)
    report_study(opened.out, store=project.store)
    assert files_of(opened.out) == before
    for journal in project.store.glob("seal-*.jsonl"):
        journal.unlink()
    report_study(opened.out, store=project.store)
    assert files_of(opened.out) == before
    report_study(Path("reports/planted"), store=project.store)


def test_killed_while_unsealing_and_resumed_gives_the_same_bytes(project: Project) -> None:
    logs = [project.folder / f"{name}.log" for name in ("first", "other")]
    project.models(first=f"stub:uniform?seed=1&delay_s=0.004&log={logs[0]}", other=f"stub:uniform?seed=2&delay_s=0.004&log={logs[1]}")
    file = study(project)
    rest = run_study(file, store=project.folder / "calm", out="calm")
    calm = run_study(file, OPEN, store=project.folder / "calm", out="calm-unsealed")
    assert samples_of(rest).isdisjoint(samples_of(calm))
    run_study(file, store=project.store, out="out")
    for log in logs:
        log.unlink()

    def n_asked() -> int:
        return sum(log.read_bytes().count(b"\n") for log in logs if log.exists())

    n_killed = 0
    for point in np.sort(np.random.default_rng(2).choice(np.arange(1, 75), size=N_KILLS, replace=False)):
        command = [sys.executable, "-c", RUN, str(file), str(project.store), str(project.folder / "out-unsealed")]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=project.folder) as process:
            while process.poll() is None and n_asked() < point:
                time.sleep(0.0005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        n_killed += process.returncode == -signal.SIGKILL
    assert n_killed == N_KILLS
    assert len(openings_of(project.store, "planted")) == 1
    resumed = run_study(file, OPEN, store=project.store, out="out-unsealed")
    assert sum(run.n_known for run in resumed.runs) > 0
    assert 80 <= n_asked() <= 80 + N_KILLS
    assert openings_of(project.store, "planted")[0].n_runs == 1
    ours, undisturbed = files_of(resumed.out), files_of(calm.out)
    # Only the names of the folders differ, and no file holds them.
    assert ours.keys() == undisturbed.keys()
    assert [name for name in ours if ours[name] != undisturbed[name]] == []


LINKED = """
from dataclasses import replace

from evalsuite.tasks import choice_task


def linked(name):
    # Groups bear the names that they have in the data, so that another task can hold them too.
    files = {"file": f"{name}.jsonl", "exemplars": "train.jsonl"}
    task = choice_task(name=name, **files, answer_kind="index0", group="group", id="id", restricted=False)
    return replace(task, to_sample=lambda row, number: replace(task.to_sample(row, number), group=row["group"]))


TASKS = (linked("planted"), linked("part"))
"""


def test_linked_tasks_seal_the_same_groups_whatever_is_run_and_no_pool_holds_them(project: Project) -> None:
    folder = project.folder / "tasks" / "planted"
    rows = (folder / "planted.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "task.py").write_text(LINKED, encoding="utf-8")
    # The second half of the groups again. Its exemplars come from the first half, of which some are sealed in the other task.
    (folder / "part.jsonl").write_text("\n".join(rows[100:]) + "\n", encoding="utf-8")
    unasked = [
        json.dumps(json.loads(row) | {"id": f"x{at}", "group": f"x{at}", "question": f"And at {at}?"}) for at, row in enumerate(rows[:20])
    ]
    (folder / "train.jsonl").write_text("\n".join(rows[:100] + unasked) + "\n", encoding="utf-8")
    file = study(project, tasks="[planted, part]", strategies="[{name: few_shot, shots: 2}]")
    whole = resolve(file)
    sealed = whole.tasks["planted"].sealed
    assert len(sealed) == 8
    assert whole.tasks["planted"].n_sealed == (40, 8)
    second_half = {f"planted:{number}" for number in range(20, 40)}
    assert whole.tasks["part"].n_sealed[1] == len(sealed & second_half) > 0
    for task in whole.tasks.values():
        assert sealed.isdisjoint(sample.group for sample in (*task.samples, *task.pool))
    lost = sealed - second_half
    assert lost
    assert {sample.group for sample in whole.tasks["part"].pool} >= {f"planted:{number}" for number in range(20)} - lost
    alone = resolve(file, Selection(tasks=("part",)))
    assert alone.tasks["part"].sealed == sealed
    assert alone.tasks["part"].samples == whole.tasks["part"].samples


def test_excluded_samples_count_on_their_own_side_only(project: Project) -> None:
    sealed = sorted(sample.id for sample in resolve(study(project), OPEN).tasks["planted"].samples)
    opened = sorted(sample.id for sample in resolve(study(project)).tasks["planted"].samples)
    exclude = json.dumps([{"task": "planted", "sample_id": name, "reason": "not a question"} for name in (sealed[0], sealed[1], opened[0])])
    file = study(project, exclude=exclude)
    for selection, n in ((None, 1), (OPEN, 2)):
        result = ran(project, file, selection)
        assert result.comparisons is not None
        assert set(result.comparisons["n_excluded"]) == {n}
    assert sealed[0] not in (project.folder / "reports/planted/report.md").read_text(encoding="utf-8")


def test_restricted_texts_stand_nowhere(project: Project) -> None:
    plugin = project.folder / "tasks/planted/task.py"
    plugin.write_text(plugin.read_text(encoding="utf-8").replace("restricted=False", "restricted=True"), encoding="utf-8")
    file = study(project, strategies="[{name: zero_shot, format: generate}]")
    ran(project, file)
    opened = ran(project, file, OPEN)
    kept = [path for path in (*opened.out.rglob("*"), *project.store.rglob("*")) if path.is_file()]
    assert any(path.name.startswith("seal-") for path in kept)
    for path in kept:
        content = path.read_bytes() if path.suffix != ".parquet" else pq.read_table(path).to_pandas().to_csv().encode()
        assert b"What stands under" not in content, path
        assert b"thing 0" not in content, path
        if path.name.startswith(("seal-", "runs-")):
            assert b"q0" not in content, "not even ids"


def test_a_study_without_a_sealed_part_is_what_it_was(project: Project) -> None:
    result = ran(project, project.study(models="[first, other]"))
    manifest = json.loads((result.out / "manifest.json").read_text(encoding="utf-8"))
    assert "holdout" not in manifest
    assert "holdout" not in manifest["conditions"]
    assert "holdout" not in manifest["analysis"]
    assert manifest["selection"].keys() == {"models", "tasks", "limit", "engine", "shard"}
    assert "holdout" not in (result.out / "study.yaml").read_text(encoding="utf-8")
    assert "Eyes-off" not in text_of(result)
    assert "seal" not in text_of(result)
    assert not [*project.store.glob("runs-*"), *project.store.glob("seal-*")]
