"""A run that is told to stop ends by itself, says so, and keeps every answer."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evalsuite.store import Store
from tests.planted import make_project

N_BEFORE = 30


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_cleanly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int) -> None:
    project = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "asked.log"
    project.models(first=f"stub:uniform?seed=1&delay_s=0.02&log={log}", other="stub:first")
    command = [sys.executable, "-m", "evalsuite", "run", str(project.study(models="[first, other]")), "--store", str(project.store)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < N_BEFORE):
            time.sleep(0.005)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == code
    assert said.splitlines()[-1] == "stopped; everything answered so far is in the store: run the same command again"
    assert "Traceback" not in said
    n_asked = log.read_bytes().count(b"\n")
    with Store(project.store) as store:
        stats = store.stats()
    assert stats.n_answers >= N_BEFORE - 1
    assert n_asked - stats.n_answers <= 1  # the one that was being answered
    assert stats.damaged == ()
