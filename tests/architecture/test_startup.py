"""The command line answers at once: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "datasets", "pandas", "matplotlib", "scipy", "pyarrow", "statsmodels")
START_UP_S = 0.5

pytestmark = pytest.mark.skipif(
    not (REPOSITORY / "evalsuite" / "cli.py").exists() and not (REPOSITORY / "evalsuite" / "cli").exists(),
    reason="there is no command line yet",
)


def seconds(arguments: list[str]) -> float:
    """Wall time of one start of this interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def test_help_is_quick() -> None:
    """Over a bare start of Python, so that a slow machine is no fault; the best of five, since other work only lengthens."""
    show_help = ["-c", "import sys; sys.argv = ['evalsuite', '--help']; from evalsuite.cli import main; main()"]
    seconds(show_help)  # writes the byte code
    pairs = [(seconds(show_help), seconds(["-c", "pass"])) for _ in range(5)]
    over_bare_s = min(helped for helped, _ in pairs) - min(bare for _, bare in pairs)
    assert over_bare_s < START_UP_S


def test_help_names_the_commands() -> None:
    done = subprocess.run([Path(sys.executable).parent / "evalsuite", "--help"], check=True, capture_output=True, text=True)
    assert {"run", "plan", "check", "report", "models", "tasks"} <= set(done.stdout.split())


def test_nothing_heavy_is_imported() -> None:
    code = f"import sys, evalsuite.cli; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
