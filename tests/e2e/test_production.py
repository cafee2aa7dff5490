"""One study over three pocket models and twelve tasks through vLLM, killed and resumed, to a report."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests import lm_eval_yaml

MISSING = [name for name in ("vllm", "lm_eval") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.xdist_group("vllm"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

MODELS = ("pocket-generalist", "pocket-clinical", "pocket-clinical-es")
OWN = ("pocket_clinical_en", "pocket_clinical_es", "pocket_general_en", "pocket_unseen_en", "pocket_format_en")
HARNESS = ("medqa_4options", "medmcqa", "pubmedqa", "headqa_en", "careqa_en", "pocket_generated", "pocket_last_word")
N_SAMPLES = 8


def answered(store: Path) -> list[str]:
    """Keys in the journals, as often as they stand there; a torn last line is none."""
    keys = []
    for journal in store.glob("journal-*.jsonl"):
        for line in journal.read_bytes().split(b"\n")[:-1]:
            keys.append(json.loads(line)["entry"]["key"])
    return keys


def children_of(pid: int) -> list[int]:
    """Processes that a process started, and theirs."""
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(status.parent.name)
            found += [child, *children_of(child)]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_three_models_twelve_tasks_killed_and_resumed(tmp_path: Path) -> None:
    lm_eval_yaml.write(tmp_path / "yaml")
    tasks = [*OWN, *(f"lm_eval:{name}" for name in HARNESS)]
    assert len(tasks) == 12
    study = {
        "study": "production",
        "question": '"Does further training pay, asked through vLLM?"',
        "models": json.dumps(MODELS),
        "tasks": json.dumps(tasks),
        "engine": "{name: vllm, dtype: float32}",
        "decoding": "{max_tokens: 24}",
        "include_path": "[yaml]",
        "analysis": "{n_resamples: 2000}",
    }
    (tmp_path / "study.yaml").write_text("".join(f"{key}: {value}\n" for key, value in study.items()), encoding="utf-8")
    command = [sys.executable, "-m", "evalsuite", "run", "study.yaml", "--limit", str(N_SAMPLES), "--store", "store", "--out", "out"]
    n_samples = len(MODELS) * len(tasks) * N_SAMPLES

    # Killed without warning while the second model answers.
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 300
    while len(answered(tmp_path / "store")) < n_samples / 2:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < limit, "nothing was answered"
        time.sleep(0.05)
    family = children_of(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = answered(tmp_path / "store")
    assert n_samples / 2 <= len(kept) < n_samples
    limit = time.monotonic() + 30
    while any(map(alive, family)):
        assert time.monotonic() < limit, "the killed run left processes behind"
        time.sleep(0.1)

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    # What was answered before is not asked again; what was under way when the run was killed may be.
    times = Counter(answered(tmp_path / "store"))
    assert set(times.values()) == {1}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["models"][MODELS[0]]["n_asked"] == 0
    assert manifest["models"][MODELS[0]]["load_s"] == 0
    assert sum(counts["n_asked"] for counts in manifest["models"].values()) == len(times) - len(kept)

    scores = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    assert set(scores.model) == set(MODELS)
    assert set(scores.task) == set(tasks)
    primary = scores.drop_duplicates(["model", "task", "sample_id"])
    assert len(primary) == n_samples
    assert set(scores.status) <= {"scored", "unparsed", "truncated"}
    comparisons = pd.read_csv(tmp_path / "out" / "comparisons.csv")
    assert set(comparisons.task) == set(tasks)
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert all(model in report for model in MODELS)
    engines = {entry["name"] for entries in manifest["engines"].values() for entry in entries}
    assert engines == {"vllm"}
