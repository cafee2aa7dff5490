"""A study that names a paper: real (tiny) checkpoints under the hub ids of the paper, from the study file to the table in the report."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml

from evalsuite.errors import UserError
from evalsuite.plan import Selection
from evalsuite.preview import check_study
from evalsuite.rescoring import report_study
from evalsuite.study import run_study

CHECKPOINTS = Path(__file__).resolve().parents[2] / "evalsuite" / "pocket" / "checkpoints"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOS = {"bio": ("aaditya/Llama3-OpenBioLLM-8B", "pocket-clinical"), "gen": ("meta-llama/Meta-Llama-3-8B-Instruct", "pocket-generalist")}
N_ROWS = 24

PLUGIN = '''
"""Stands in for MedQA; written by the tests."""

from evalsuite.tasks import choice_task

TASKS = (
    choice_task(
        name="medqa", description="Questions.", language="en", licence="MIT", citation="-", file="rows.jsonl", answer_kind="index0",
        group="group", id="id", n_rows={n}, metric="accuracy", metrics=("accuracy",), restricted=False,
    ),
)
'''

STUDY = """
study: beside
question: Do the printed numbers come back?
models: [bio, gen]
pairs: [[bio, gen]]
tasks: [medqa]
engine: {{name: transformers, dtype: float32}}
analysis: {{n_resamples: 1000}}
published: [{papers}]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with models.yaml, a task named medqa, and a hub cache that holds pocket checkpoints under other ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    lines = ["models:"]
    for name, (repo, checkpoint) in REPOS.items():
        folder = tmp_path / "hub" / f"models--{repo.replace('/', '--')}"
        shutil.copytree(CHECKPOINTS / checkpoint, folder / "snapshots" / COMMIT)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(COMMIT, encoding="utf-8")
        lines += [f"  {name}:", f"    repo: {repo}", f"    domain: {'biomedical' if name == 'bio' else 'generalist'}"]
    (tmp_path / "models.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    task = tmp_path / "tasks" / "medqa"
    task.mkdir(parents=True)
    rows = [
        {
            "id": f"q{at}",
            "group": f"g{at}",
            "question": f"Which is number {at}?",
            "options": ["one", "two", "three", "four"],
            "answer": at % 4,
        }
        for at in range(N_ROWS)
    ]
    (task / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (task / "task.py").write_text(PLUGIN.format(n=N_ROWS), encoding="utf-8")
    return tmp_path


def written(place: Path, papers: str) -> Path:
    file = place / "study.yaml"
    file.write_text(STUDY.format(papers=papers), encoding="utf-8")
    return file


def rows_of(place: Path, name: str) -> list[dict[str, str]]:
    with (place / "out" / "tables" / f"{name}.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_printed_numbers_stand_beside_measured_ones(place: Path) -> None:
    result = run_study(written(place, "open_medical_llm_leaderboard, 2411.04118"), store=place / "store", out=place / "out")
    assert result.comparisons is not None
    measured = result.comparisons.query("metric == 'accuracy' and subset == 'all'").iloc[0]
    pair = rows_of(place, "published_pairs")
    assert [(row["model_a"], row["model_b"], row["task"]) for row in pair] == [("bio", "gen", "medqa")]
    assert float(pair[0]["published"]) == pytest.approx(0.5781618224666143 - 0.6072270227808326, abs=1e-12)
    assert float(pair[0]["reproduced"]) == pytest.approx(measured.difference, abs=1e-12)
    assert float(pair[0]["difference"]) == pytest.approx(measured.difference - float(pair[0]["published"]), abs=1e-12)
    assert pair[0]["inside"] == str(measured.ci_low <= float(pair[0]["published"]) <= measured.ci_high)
    assert f"other items: 1273 there, {N_ROWS} here" in pair[0]["differs"]
    assert {row["model"] for row in rows_of(place, "published_values")} == {"bio", "gen"}
    report = (place / "out" / "report.html").read_text(encoding="utf-8")
    assert "Published beside reproduced" in report
    assert (place / "out" / "figures" / "published_pairs.svg").exists()
    # The same from files, without the papers: they decide nothing that was asked.
    study = place / "out" / "study.yaml"
    content = yaml.safe_load(study.read_text(encoding="utf-8"))
    assert content.pop("published") == ["open_medical_llm_leaderboard", "2411.04118"]
    study.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    report_study(place / "out", store=place / "store")
    assert "Published beside reproduced" not in (place / "out" / "report.html").read_text(encoding="utf-8")


def test_unknown_papers_are_found_before_anything_is_asked(place: Path) -> None:
    file = written(place, "2404.04067, 9999.00001, 2404.04067v8")
    with pytest.raises(UserError) as caught:
        check_study(file, Selection())
    assert [fault.value for fault in caught.value.faults] == ["9999.00001", "2404.04067v8"]
    assert {fault.key for fault in caught.value.faults} == {"published"}
    with pytest.raises(UserError, match="no such paper"):
        run_study(file, store=place / "store", out=place / "out")
    assert not (place / "out").exists()
