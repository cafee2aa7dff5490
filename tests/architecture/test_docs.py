"""What the documentation tells people to type is typed here.

Directly before every fenced `bash` block of README.md and docs/*.md stands an HTML comment:
`<!-- run -->` (a minute at most), `<!-- run: slow -->` (ten minutes at most) or `<!-- not run: reason -->`.
The blocks of one file run in order, in one copy of the repository, with the tools of this environment first on PATH; `make`
leaves the set-up out, since this environment is already set up.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("**/*.md"))]
MARK = re.compile(r"<!--\s*(?P<mark>run|run: slow|not run: \S.*?)\s*-->")
FENCE = re.compile(r"(?P<indent> *)```(?P<language>\S*)")
LIMITS_S = {"run": 60, "run: slow": 600}


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced bash block of a page."""

    line: int
    """1-based line of its opening fence."""
    mark: str | None
    """What the comment before it says; None if there is none."""
    code: str
    """Its lines."""


def bash_blocks(page: str) -> list[Block]:
    """The bash blocks of a page, in order."""
    blocks = []
    lines = page.splitlines()
    number = 0
    while number < len(lines):
        opening = FENCE.fullmatch(lines[number].rstrip())
        if not opening:
            number += 1
            continue
        end = next((n for n in range(number + 1, len(lines)) if lines[n].strip() == "```"), None)
        if end is None:
            raise ValueError(f"line {number + 1}: the fence is never closed")
        if opening["language"] in ("bash", "sh", "shell", "console"):
            mark = MARK.fullmatch(lines[number - 1].strip()) if number else None
            code = "\n".join(line.removeprefix(opening["indent"]) for line in lines[number + 1 : end])
            blocks.append(Block(line=number + 1, mark=mark["mark"] if mark else None, code=code))
        number = end + 1
    return blocks


def copy_of_repository(folder: Path) -> Path:
    """A copy without environments, caches, generated reports and history."""
    left_out = shutil.ignore_patterns(".git", ".venv*", ".evalsuite", ".*_cache", ".hypothesis", "__pycache__", "dist", "build")
    copy = folder / "evalsuite"
    shutil.copytree(REPOSITORY, copy, ignore=left_out)
    for report in (copy / "reports").glob("*"):
        if report.is_dir() and report.name != "example":
            shutil.rmtree(report)
    return copy


def run_blocks(blocks: list[Block], folder: Path) -> list[str]:
    """Run marked blocks in order up to the first that fails; what failed, one text each."""
    tools = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "VENV": str(tools.parent),
        "SETUP": "true",
        "EVALSUITE_STORE": str(folder / ".evalsuite" / "store"),
    }
    for block in blocks:
        if block.mark not in LIMITS_S:
            continue
        try:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.code],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=LIMITS_S[block.mark],
            )
        except subprocess.TimeoutExpired:
            return [f"line {block.line}: took more than {LIMITS_S[block.mark]} s"]
        if done.returncode:
            return [f"line {block.line}: exit {done.returncode}\n{done.stdout[-4000:]}"]
    return []


def test_there_is_a_readme() -> None:
    assert PAGES[0].exists()
    assert any(block.mark in LIMITS_S for block in bash_blocks(PAGES[0].read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_whether_it_is_run(page: Path) -> None:
    unmarked = [block.line for block in bash_blocks(page.read_text(encoding="utf-8")) if block.mark is None]
    assert unmarked == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_marked_blocks_run(page: Path, tmp_path: Path) -> None:
    blocks = [block for block in bash_blocks(page.read_text(encoding="utf-8")) if block.mark in LIMITS_S]
    if blocks:
        assert run_blocks(blocks, copy_of_repository(tmp_path)) == []


def test_the_rules_bite(tmp_path: Path) -> None:
    page = "# T\n<!-- run -->\n```bash\necho one >a\n```\n<!-- run -->\n```bash\ngrep two a\n```\n```bash\nfalse\n```\n```text\nx\n```\n"
    page += "<!-- not run: needs a GPU -->\n```bash\nfalse\n```\n<!-- not run: -->\n```bash\nfalse\n```\n"
    blocks = bash_blocks(page)
    assert [block.mark for block in blocks] == ["run", "run", None, "not run: needs a GPU", None]
    failed = run_blocks(blocks, tmp_path)
    assert len(failed) == 1
    assert failed[0].startswith("line 7: exit 1")
    (tmp_path / "a").write_text("two\n", encoding="utf-8")
    assert run_blocks(blocks[1:], tmp_path) == []
