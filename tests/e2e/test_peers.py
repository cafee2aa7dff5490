"""What peers get wrong (field notes P1, P8; "what a newcomer meets"), tried on ours, through the real command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.planted import Project, make_project
from tests.tiny_checkpoint import save_checkpoint, tiny_config

REGISTRY = """
models:
  general: {{path: general, domain: generalist, chat: {{template: plain, answer_prefix: "It is "}}}}
  special: {{path: {special}, domain: biomedical, base: general, chat: {{template: plain, answer_prefix: "It is "}}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def evalsuite(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evalsuite", *arguments]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=300, check=False)


def run(project: Project, study: Path, out: str) -> subprocess.CompletedProcess[str]:
    return evalsuite(project, "run", str(study), "--store", str(project.store), "--out", out)


def test_weights_swapped_at_one_path_are_asked_anew(project: Project) -> None:
    save_checkpoint(project.folder / "general", tiny_config(max_position_embeddings=512), seed=1)
    save_checkpoint(project.folder / "special", tiny_config(max_position_embeddings=512), seed=2)
    (project.folder / "models.yaml").write_text(REGISTRY.format(special="special"))
    study = project.study(models="[general, special]", tasks="[{name: planted, limit: 40}]")
    assert run(project, study, "before").returncode == 0
    before = pd.read_parquet(project.folder / "before/scores.parquet")
    save_checkpoint(project.folder / "special", tiny_config(max_position_embeddings=512), seed=3)
    assert run(project, study, "after").returncode == 0
    after = pd.read_parquet(project.folder / "after/scores.parquet")

    fresh = evalsuite(project, "run", str(study), "--store", "new_store", "--out", "fresh")
    assert fresh.returncode == 0
    truth = pd.read_parquet(project.folder / "fresh/scores.parquet")
    columns = ["model", "sample_id", "metric", "answer_index", "p_choices"]
    assert after[columns].astype(str).equals(truth[columns].astype(str))
    swapped = (after.model == "special") & (after.metric == "accuracy")
    assert not after[swapped].p_choices.astype(str).equals(before[swapped].p_choices.astype(str))
    manifest = json.loads((project.folder / "after/manifest.json").read_text())
    assert manifest["models"]["general"]["n_asked"] == 0
    assert manifest["models"]["special"]["n_asked"] == 40


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "x", "group": "g", "question": "?", "options": ["a", "b"], "answer": 7}', "planted.jsonl:3"),
        ('{"id": "x", "group": "g", "question": "?", "options": ["a", "b"]', "planted.jsonl:3"),
        ('{"id": "q0000", "group": "g", "question": "?", "options": ["a", "b"], "answer": 1}', "planted.jsonl:3"),
        ('{"id": "x", "group": "g", "options": ["a", "b"], "answer": 1}', "planted.jsonl:3"),
    ],
    ids=["key out of range", "malformed", "duplicate id", "no question"],
)
def test_a_bad_row_is_one_line_with_file_and_number_before_any_model_loads(project: Project, line: str, told: str) -> None:
    data = project.folder / "tasks/planted/planted.jsonl"
    lines = data.read_text().splitlines()
    lines[2] = line
    data.write_text("\n".join(lines) + "\n")
    log = project.folder / "asked.log"
    project.models(one=f"stub:first?log={log}", two=f"stub:first?log={log}")
    done = run(project, project.study(models="[one, two]"), "out")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not log.exists()
    assert not (project.folder / "out").exists()


def test_six_hundred_empty_answers_are_told(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.models(silent="stub:silent", first="stub:first")
    study = project.study(models="[silent, first]", strategies="[{name: zero_shot, format: generate}]")
    done = run(project, study, "out")
    assert done.returncode == 0
    markdown = (project.folder / "out/report.md").read_text()
    assert "200" in markdown
    assert "unparsed" in markdown.lower()
    counts = json.loads((project.folder / "out/manifest.json").read_text())["counts_by_status"]
    assert counts["unparsed"] >= 200


@pytest.mark.parametrize("broken", ["missing", "no weights", "corrupt"])
def test_a_model_that_is_not_there_is_told_without_blaming_a_hub(project: Project, broken: str) -> None:
    save_checkpoint(project.folder / "general", tiny_config(max_position_embeddings=512), seed=1)
    shutil.copytree(project.folder / "general", project.folder / "special")
    if broken == "missing":
        shutil.rmtree(project.folder / "special")
    if broken == "no weights":
        (project.folder / "special/model.safetensors").unlink()
    if broken == "corrupt":
        weights = project.folder / "special/model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
    (project.folder / "models.yaml").write_text(REGISTRY.format(special="special"))
    done = run(project, project.study(models="[special, general]"), "out")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "special" in done.stderr
    assert "hub" not in done.stderr.lower().replace("github", "")
    assert not (project.folder / "out/scores.parquet").exists()


def test_every_fault_of_names_is_told_with_the_nearest_one(project: Project) -> None:
    project.models(one="stub:first", two="stub:first")
    study = project.study(
        models="[one, tow]",
        tasks="[plantde]",
        strategies="[zero_shoot]",
        perturbations="[none, shufle_choices]",
        engine="{name: transformer}",
    )
    done = evalsuite(project, "check", str(study))
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    for known in (
        "did you mean two",
        "did you mean planted",
        "did you mean zero_shot",
        "did you mean shuffle_choices",
        "did you mean transformers",
    ):
        assert sum(known in line for line in lines) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"strategies": "[{name: few_shot, shots: 5}]"}, "no exemplar split"),
        ({"tasks": "[{name: planted, metric: rougeL}]"}, "tasks.planted.metric"),
        ({"tasks": "[{name: planted, split: train}]"}, "tasks.planted.split"),
        ({"analysis": "{primary: {strategy: cot}}"}, "analysis.primary.strategy"),
        ({"exclude": "[{task: planted, sample_id: nobody, reason: why not}]"}, "nobody"),
        ({"data": "{planted: nowhere}"}, "nowhere"),
        ({"strategies": "[{name: zero_shot, format: leters}]"}, "strategies.0.format"),
        ({"strategies": "[{name: zero_shot, normalisation: raw}]"}, "normalisation"),
    ],
)
def test_what_does_not_fit_is_one_line(project: Project, changes: dict[str, str], told: str) -> None:
    project.models(one="stub:first", two="stub:first")
    done = evalsuite(project, "check", str(project.study(models="[one, two]", **changes)))
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_some_failures_end_with_code_three_and_say_what_to_do(project: Project) -> None:
    project.models(one="stub:first", two="stub:fails?every=10")
    done = run(project, project.study(models="[one, two]"), "out")
    assert done.returncode == 3
    assert "run the same command again" in done.stderr
    assert "not established: 19 failed answers" in done.stdout


def test_a_changed_margin_is_printed_and_makes_the_results_exploratory(project: Project) -> None:
    project.models(one="stub:uniform?seed=1", two="stub:uniform?seed=2")
    study = project.study(models="[one, two]", analysis="{n_resamples: 1000}")
    assert run(project, study, "out").returncode == 0
    as_run = project.folder / "out/study.yaml"
    as_run.write_text(as_run.read_text().replace("margin: 0.03", "margin: 0.3"))
    done = evalsuite(project, "report", "out", "--store", str(project.store))
    assert done.returncode == 0, done.stderr
    assert "margin: 0.03 -> 0.3" in done.stdout
    comparisons = pd.read_csv(project.folder / "out/comparisons.csv")
    assert set(comparisons.role) == {"exploratory"}
    assert comparisons.margin.tolist() == [0.3] * len(comparisons)
    assert "0.3" in (project.folder / "out/report.md").read_text()
    as_run.write_text(as_run.read_text().replace("margin: 0.3", "margin: 0.03"))
    assert evalsuite(project, "report", "out", "--store", str(project.store)).returncode == 0
    assert "primary" in set(pd.read_csv(project.folder / "out/comparisons.csv").role)


def test_report_needs_no_model_no_tokenizer_and_gives_the_same_bytes(project: Project) -> None:
    save_checkpoint(project.folder / "general", tiny_config(max_position_embeddings=512), seed=1)
    save_checkpoint(project.folder / "special", tiny_config(max_position_embeddings=512), seed=2)
    (project.folder / "models.yaml").write_text(REGISTRY.format(special="special"))
    study = project.study(models="[general, special]", tasks="[{name: planted, limit: 40}]", perturbations="[none, shuffle_choices]")
    assert run(project, study, "out").returncode == 0
    names = ("scores.parquet", "comparisons.csv", "report.html", "report.md")
    before = {name: (project.folder / "out" / name).read_bytes() for name in names}
    for model in ("general", "special"):
        shutil.rmtree(project.folder / model)
    done = evalsuite(project, "report", "out", "--store", str(project.store))
    assert done.returncode == 0, done.stderr
    assert {name: (project.folder / "out" / name).read_bytes() for name in names} == before


def test_report_refuses_conditions_data_and_stores_that_were_not_asked(project: Project) -> None:
    project.models(one="stub:first", two=f"stub:key?sheet={project.sheet}")
    study = project.study(models="[one, two]", perturbations="[none, shuffle_choices]")
    assert run(project, study, "out").returncode == 0
    before = (project.folder / "out/scores.parquet").read_bytes()
    as_run = project.folder / "out/study.yaml"
    written = as_run.read_text()
    for old, new, key in (("seed: 0", "seed: 5", "seed"), ("- name: zero_shot", "- name: zero_shot\n  format: generate", "strategies")):
        as_run.write_text(written.replace(old, new, 1))
        done = evalsuite(project, "report", "out", "--store", str(project.store))
        assert done.returncode == 2
        assert key in done.stderr
        assert len(done.stderr.splitlines()) == 1
    as_run.write_text(written)
    done = evalsuite(project, "report", "out", "--store", str(project.folder / "elsewhere"))
    assert done.returncode == 2
    assert "holds none of the answers" in done.stderr
    data = project.folder / "tasks/planted/planted.jsonl"
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    for row in rows:
        row["options"], row["answer"] = row["options"][::-1], 3 - row["answer"]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = evalsuite(project, "report", "out", "--store", str(project.store))
    assert done.returncode == 2
    assert "200 of 200 samples are not those that were asked" in done.stderr
    assert (project.folder / "out/scores.parquet").read_bytes() == before


def test_a_primary_cell_that_means_something_else_is_a_changed_analysis(project: Project) -> None:
    project.models(one="stub:first", two="stub:uniform")
    study = project.study(models="[one, two]", strategies="[{id: s, name: zero_shot, format: generate}]")
    assert run(project, study, "out").returncode == 0
    project.study(models="[one, two]", strategies="[{id: s, name: zero_shot, format: letters}]")
    done = run(project, study, "out")
    assert "primary_strategy" in done.stdout
    assert set(pd.read_csv(project.folder / "out/comparisons.csv").role) == {"exploratory"}


def test_a_mistake_before_anything_was_asked_states_nothing(project: Project) -> None:
    project.models(one="stub:first", two="stub:kye")
    study = project.study(models="[one, two]", analysis="{margin: 0.3, n_resamples: 1000}")
    done = run(project, study, "out")
    assert done.returncode == 2
    assert "key" in done.stderr
    project.models(one="stub:first", two="stub:uniform")
    project.study(models="[one, two]")
    assert run(project, study, "out").returncode == 0
    assert "primary" in set(pd.read_csv(project.folder / "out/comparisons.csv").role)


def test_running_a_part_does_not_shrink_the_family(project: Project) -> None:
    project.models(one="stub:first", two="stub:uniform?seed=1", three="stub:uniform?seed=2")
    study = project.study(models="[one, two, three]")
    assert run(project, study, "whole").returncode == 0
    narrowed = evalsuite(project, "run", str(study), "--models", "one,two", "--store", str(project.store), "--out", "part")
    assert narrowed.returncode == 0, narrowed.stderr
    columns = ["model_a", "p_value", "p_adjusted"]
    whole, part = (pd.read_csv(project.folder / name / "comparisons.csv").query("role == 'primary'")[columns] for name in ("whole", "part"))
    assert part.iloc[0].p_adjusted >= part.iloc[0].p_value
    assert part.iloc[0].p_adjusted == pytest.approx(min(1.0, 2 * part.iloc[0].p_value))
    assert len(whole) == 2


def test_a_raised_context_takes_effect(project: Project) -> None:
    save_checkpoint(project.folder / "general", tiny_config(max_position_embeddings=512), seed=1)
    save_checkpoint(project.folder / "special", tiny_config(max_position_embeddings=512), seed=2)
    registry = REGISTRY.format(special="special")
    (project.folder / "models.yaml").write_text(registry.replace("base: general", "base: general, serving: {max_model_len: 40}"))
    study = project.study(models="[general, special]", tasks="[{name: planted, limit: 20}]")
    assert run(project, study, "short").returncode == 0
    short = pd.read_parquet(project.folder / "short/scores.parquet").query("model == 'special'")
    assert set(short.status) == {"too_long"}
    again = run(project, study, "short")
    assert "0 requests asked" in again.stdout
    (project.folder / "models.yaml").write_text(registry)
    assert run(project, study, "long").returncode == 0
    long = pd.read_parquet(project.folder / "long/scores.parquet").query("model == 'special'")
    assert set(long.status) == {"scored"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--models", ","), "--models"),
        (("--models", "nobody"), "nobody"),
        (("--shard", "3/2"), "--shard"),
        (("--engine", "vlm"), "vlm"),
        (("--out", "models.yaml"), "is a file"),
        (("--store", "models.yaml"), "is a file"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(project: Project, arguments: tuple[str, ...], told: str) -> None:
    project.models(one="stub:first", two="stub:first")
    done = evalsuite(project, "run", str(project.study(models="[one, two]")), *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_two_runs_into_one_out_directory_do_not_harm_each_other(project: Project) -> None:
    project.models(one="stub:first?delay_s=0.002", two="stub:uniform?delay_s=0.002")
    study = project.study(models="[one, two]")
    command = [sys.executable, "-m", "evalsuite", "run", str(study), "--store", str(project.store), "--out", "out"]
    both = [subprocess.Popen(command, cwd=project.folder, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len(pd.read_parquet(project.folder / "out/scores.parquet")) == 2 * 200 * 3
    assert not list((project.folder / "out").glob("*.partial"))
