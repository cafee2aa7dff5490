"""Chains of thought from end to end: generated once for all that need them, lent, resumed in the middle, repaired, reported again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalsuite.errors import UserError
from evalsuite.rescoring import report_study
from evalsuite.results import Result
from evalsuite.runner import ModelRun
from evalsuite.study import run_study
from tests.planted import Project, files_of, make_project

N_QUESTIONS, N_POOL, N_KILLS = 20, 40, 4
STRATEGIES = {
    "cot": "{id: cot, name: cot, shots: 2, exemplars: random}",
    "fixed": "{id: fixed, name: cot, shots: 2, exemplars: fixed}",
    "knn": "{id: knn, name: cot, shots: 2, exemplars: knn}",
    "medprompt": "{id: medprompt, name: medprompt, shots: 2, ensemble: 3}",
    "tried": "{id: tried, name: cot, shots: 2, exemplars: random, chain_attempts: 3}",
}
RUN = "import sys; from evalsuite.study import run_study; run_study(sys.argv[1], store=sys.argv[2], out=sys.argv[3])"
TALK = "Sure! I have looked at every choice.\nThe answer is {letter}. Let me know if you have more questions.\nAnswer: {letter}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A few planted questions and a pool of others that resemble them."""
    make_project(tmp_path)
    folder = tmp_path / "tasks" / "planted"
    rows = [json.loads(line) for line in (folder / "planted.jsonl").read_text(encoding="utf-8").splitlines()]
    asked, pool = rows[:N_QUESTIONS], rows[N_QUESTIONS : N_QUESTIONS + N_POOL]
    for name, part in (("planted.jsonl", asked), ("pool.jsonl", pool)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    plugin = (folder / "task.py").read_text(encoding="utf-8")
    plugin = plugin.replace('file="planted.jsonl"', 'file="planted.jsonl", exemplars="pool.jsonl"').replace("n_rows=200", "n_rows=20")
    (folder / "task.py").write_text(plugin, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Project(folder=tmp_path, targets={row["id"]: row["answer"] for row in asked})


def study(project: Project, name: str, *strategies: str, **changes: str) -> Path:
    return project.study(name, strategies=f"[{', '.join(strategies)}]", **changes)


def ran(project: Project, name: str, *strategies: str, store: str = "store", out: str = "", **changes: str) -> Result:
    return run_study(study(project, name, *strategies, **changes), store=project.folder / store, out=project.folder / "out" / (out or name))


def asked_in(log: Path) -> Counter[str]:
    return Counter(log.read_text(encoding="utf-8").split()) if log.exists() else Counter()


def preparations(project: Project, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(model, strategy) to what preparations.json says."""
    rows = json.loads((project.folder / "out" / name / "preparations.json").read_text(encoding="utf-8"))
    return {(row["model"], row["strategy"]): row for row in rows}


def plan_of(project: Project, name: str) -> pd.DataFrame:
    return pd.read_parquet(project.folder / "out" / name / "plan.parquet")


def test_killed_in_the_middle_of_its_chains_and_resumed_gives_the_same_bytes(project: Project) -> None:
    logs = [project.folder / f"{name}.log" for name in ("first", "other")]
    project.models(
        first=f"stub:uniform?seed=1&delay_s=0.002&log={logs[0]}",
        other=f"stub:uniform?seed=2&delay_s=0.002&log={logs[1]}",
    )
    file = study(project, "planted", *STRATEGIES.values(), models="[first, other]")
    undisturbed = run_study(file, store=project.folder / "calm-store", out=project.folder / "calm")
    assert undisturbed.n_failed == 0
    calm = [asked_in(log) for log in logs]
    assert {count for log in calm for count in log.values()} == {1}
    prepared = json.loads((project.folder / "calm" / "preparations.json").read_text(encoding="utf-8"))
    chains = [{key for row in prepared if row["model"] == name for key in row["keys"]} for name in ("first", "other")]
    n_wrong = {row["strategy"]: row["facts"]["chains"]["n_wrong"] for row in prepared}
    assert min(n_wrong.values()) > 0  # a guesser: it takes rounds until enough are kept
    assert n_wrong["cot"] > 10
    for log in logs:
        log.unlink()

    # Half of the kills fall into the first model's chains, which are asked before anything else.
    rng = np.random.default_rng(7)
    n_all = sum(map(len, calm))
    points = sorted({*rng.choice(len(chains[0]), N_KILLS // 2, replace=False), *rng.choice(n_all - 1, N_KILLS // 2, replace=False)})
    n_killed = 0
    for point in points:
        command = [sys.executable, "-c", RUN, str(file), str(project.store), str(project.folder / "out")]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=project.folder) as process:
            while process.poll() is None and sum(sum(asked_in(log).values()) for log in logs) <= point:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
        n_killed += process.returncode == -signal.SIGKILL
    assert n_killed == len(points)

    run_study(file, store=project.store, out=project.folder / "out")
    asked = [asked_in(log) for log in logs]
    assert [log.keys() for log in asked] == [log.keys() for log in calm]
    # Each kill can lose the one answer that was on its way from the engine to the journal, nothing more.
    assert sum(sum(log.values()) for log in asked) - n_all <= n_killed
    assert files_of(project.folder / "out") == files_of(project.folder / "calm")


def test_chains_are_asked_for_once_for_all_strategies_and_a_second_study_asks_none(project: Project) -> None:
    log = project.folder / "asked.log"
    project.models(first=f"stub:uniform?seed=1&log={log}", other="stub:first")
    names = ("cot", "fixed", "knn", "medprompt")
    ran(project, "one", *(STRATEGIES[name] for name in names), models="[first]")
    rows = preparations(project, "one")
    sets = {name: set(rows["first", name]["keys"]) for name in names}
    n_asked = {name: rows["first", name]["facts"]["chains"]["n_asked"] for name in names}
    assert {name: len(keys) for name, keys in sets.items()} == n_asked
    chains = set().union(*sets.values())
    assert sum(n_asked.values()) > len(chains)  # they share some, which is what is tested
    assert sets["knn"] == sets["medprompt"]
    answers = {key for keys in plan_of(project, "one").request_keys for key in keys}
    assert not chains & answers
    assert set(asked_in(log).values()) == {1}
    assert len(asked_in(log)) == len(chains) + len(answers)
    # No question of the pool is reasoned about that no strategy needed, and none twice.
    assert len(chains) <= N_POOL

    second = ran(project, "two", STRATEGIES["medprompt"].replace("id: medprompt", "id: renamed"), models="[first]")
    assert sum(run.n_asked for run in second.runs) == 0
    assert set(preparations(project, "two")["first", "renamed"]["keys"]) == sets["medprompt"]


def test_a_failed_chain_fails_the_questions_that_need_it_and_nothing_is_left_of_it_once_repaired(project: Project) -> None:
    log = project.folder / "asked.log"
    # `fails` with a sheet answers as `key` does, but for one request in seven at its first time.
    project.models(first=f"stub:fails?every=7&recovers=true&sheet={project.sheet}&log={log}", knows=f"stub:key?sheet={project.sheet}")
    chosen = (STRATEGIES["cot"], STRATEGIES["medprompt"])
    broken = ran(project, "planted", *chosen, models="[first]")
    rows = preparations(project, "planted")
    assert rows["first", "cot"]["n_failed"] == rows["first", "cot"]["facts"]["chains"]["n_failed"] > 0
    scores = broken.scores
    assert scores is not None
    cot = scores[(scores.strategy == "cot") & (scores.metric == "accuracy")]
    by_chain = cot[cot.failure.str.contains("chain of thought", na=False)]
    assert 0 < len(by_chain) < len(cot)
    assert set(by_chain.status) == {"failed"}
    assert (by_chain.n_calls == 0).all()
    before = files_of(project.folder / "out" / "planted")
    report_study(project.folder / "out" / "planted", store=project.store)
    after = files_of(project.folder / "out" / "planted")
    assert before["scores.parquet"] == after["scores.parquet"]

    # What was never asked since a chain was missing may fail at its own first time.
    for _ in range(3):
        repaired = ran(project, "planted", *chosen, models="[first]")
    assert repaired.n_failed == 0
    calm = ran(project, "calm", *chosen, models="[knows]", store="other", study="planted")
    assert repaired.scores is not None
    assert calm.scores is not None
    parts = [frame.drop(columns=["model", "request_keys", "study"]) for frame in (repaired.scores, calm.scores)]
    pd.testing.assert_frame_equal(*parts)
    prompts = [plan_of(project, name).sort_values(["strategy", "sample_id"]).prompt.tolist() for name in ("planted", "calm")]
    assert prompts[0] == prompts[1]
    facts = [{strategy: row["facts"] for (_, strategy), row in preparations(project, name).items()} for name in ("planted", "calm")]
    assert facts[0] == facts[1]


LENT = "{id: lent, name: cot, shots: 2, exemplars: knn, cot_from: teacher}"
LENT_TOO = "{id: lent_too, name: medprompt, shots: 2, ensemble: 3, cot_from: teacher}"


@pytest.mark.parametrize("models", ["[student, twin]", "[student, twin, teacher]"])
def test_a_model_that_lends_its_chains_writes_them_once_for_all(project: Project, models: str) -> None:
    log, other = project.folder / "teacher.log", project.folder / "student.log"
    project.models(student=f"stub:first?log={other}", twin="stub:uniform?seed=3", teacher=f"stub:chatty?sheet={project.sheet}&log={log}")
    result = ran(project, "planted", LENT, LENT_TOO, models=models, pairs="[[twin, student]]")
    rows = preparations(project, "planted")
    assert set(rows) == {("teacher", "lent"), ("teacher", "lent_too")}
    facts = rows["teacher", "lent"]["facts"]["chains"]
    assert (facts["source"], facts["n_kept"]) == ("teacher", facts["n_asked"])
    plan = plan_of(project, "planted")
    for name in ("student", "twin"):
        for prompt in plan[plan.model == name].prompt:
            shown = re.findall(r"Answer: ([A-D])$", prompt, re.MULTILINE)
            assert len(shown) == 2
            assert all(TALK.format(letter=letter) in prompt for letter in shown)
    assert plan[plan.model == "student"].prompt.tolist() == plan[plan.model == "twin"].prompt.tolist()
    # The student never reasons about the pool: all that it is asked are its own questions, one for `lent` and three for `lent_too`.
    own = {key for keys in plan[plan.model == "student"].request_keys for key in keys}
    assert len(asked_in(other)) == sum(asked_in(other).values()) == len(own)
    assert (plan[plan.model == "student"].request_keys.str.len().sum(), len(own) > 3 * N_QUESTIONS) == (4 * N_QUESTIONS, True)
    chains = set(rows["teacher", "lent"]["keys"])
    assert chains == set(rows["teacher", "lent_too"]["keys"])
    n_own = len(own) if "teacher" in models else 0
    assert len(asked_in(log)) == sum(asked_in(log).values()) == len(chains) + n_own

    manifest = json.loads((project.folder / "out" / "planted" / "manifest.json").read_text(encoding="utf-8"))
    assert "teacher" in json.dumps(manifest["registry"])
    assert "distilled" in (project.folder / "out" / "planted" / "report.html").read_text(encoding="utf-8")
    assert result.n_failed == 0
    before = files_of(project.folder / "out" / "planted")
    (project.folder / "models.yaml").unlink()
    report_study(project.folder / "out" / "planted", store=project.store)
    after = files_of(project.folder / "out" / "planted")
    assert {name for name in before if before[name] != after.get(name)} == set()


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("{id: lent, name: cot, shots: 2, cot_from: techer}", "no such model; did you mean teacher"),
        ("{id: lent, name: medprompt, embedder: self, cot_from: teacher}", "embedder: self with cot_from"),
        ("{id: lent, name: cot, cot_from: teacher}", "cot_from belongs to exemplars"),
    ],
)
def test_what_cannot_be_lent_is_one_line_before_anything_runs(project: Project, strategy: str, said: str) -> None:
    project.models(student="stub:first", teacher=f"stub:chatty?sheet={project.sheet}")
    with pytest.raises(UserError) as error:
        ran(project, "planted", strategy, models="[student]")
    (fault,) = error.value.faults
    assert said in str(fault)
    assert "\n" not in str(fault)
    assert not project.store.exists()


POCKET = """
study: pocket
question: Do chains of thought survive a stop?
models: [pocket-clinical]
tasks: [{name: pocket_clinical_en, limit: 6}]
strategies:
  - {id: cot, name: cot, shots: 2, exemplars: knn, chain_attempts: 2}
  - {id: medprompt, name: medprompt, shots: 2, ensemble: 2, embedder: self}
decoding: {max_tokens: 8}
engine: {name: transformers}
analysis: {n_resamples: 1000}
"""


class Stopped(Exception):
    """Raised where a run is to end."""


def stopping(n_asked: int) -> Any:
    """A watch that ends the run once so much was asked."""

    def watch(run: ModelRun) -> None:
        if run.n_asked >= n_asked:
            raise Stopped

    return watch


def test_a_real_checkpoint_stopped_in_every_stage_gives_the_same_bytes(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pocket.yaml"
    file.write_text(POCKET, encoding="utf-8")
    monkeypatch.chdir(repository)
    calm = run_study(file, store=tmp_path / "calm-store", out=tmp_path / "calm")
    n_all = sum(run.n_asked for run in calm.runs)
    prepared = json.loads((tmp_path / "calm" / "preparations.json").read_text(encoding="utf-8"))
    n_prepared = len({key for row in prepared for key in row["keys"]})
    assert n_all > n_prepared > 10
    n_known = 0
    for point in (n_prepared // 2, n_prepared + 5):
        with pytest.raises(Stopped):
            run_study(file, store=tmp_path / "store", out=tmp_path / "out", watch=stopping(point - n_known))
        n_known = point
    resumed = run_study(file, store=tmp_path / "store", out=tmp_path / "out")
    assert sum(run.n_asked for run in resumed.runs) == n_all - n_known
    assert files_of(tmp_path / "out") == files_of(tmp_path / "calm")
