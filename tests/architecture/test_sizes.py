"""Modules and functions stay small, and names stay within the project's vocabulary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("evalsuite", "tasks", "scripts")
MODULES = sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))
N_MODULE_LINES = 400
N_FUNCTION_LINES = 60
CATCH_ALLS = {"common", "helper", "misc", "shared", "tool", "util"}
NOT_OUR_WORDS = {"doc", "instance", "scenario", "epoch", "experiment", "pipeline", "manager", "handler", "processor", "helper", "util"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def n_lines_without_docstring(function: Function) -> int:
    """Lines of a function, decorators and docstring left out, nested functions included."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def words_of(name: str) -> set[str]:
    """The words of an identifier in any case style, in lower case and the singular."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return {word.lower().removesuffix("s") for word in spaced.split("_") if word}


def public_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names that readers meet: classes, functions, arguments, fields and constants that do not begin with an underscore."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | Function):
            yield node.name, node.lineno
        if isinstance(node, ast.arg):
            yield node.arg, node.lineno
        if isinstance(node, ast.Module | ast.ClassDef):
            for statement in node.body:
                targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
                yield from ((target.id, target.lineno) for target in targets if isinstance(target, ast.Name))


def oversized(source: str) -> list[str]:
    """What is too long in a module, one line each."""
    n_lines = source.count("\n")
    found = [f"module has {n_lines} lines, at most {N_MODULE_LINES - 1}"] if n_lines >= N_MODULE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function) and n_lines_without_docstring(node) >= N_FUNCTION_LINES:
            found.append(f"line {node.lineno}: {node.name} has {n_lines_without_docstring(node)} lines, at most {N_FUNCTION_LINES - 1}")
    return found


def misnamed(source: str) -> list[str]:
    """Public names that hold a word which the project does not use, one line each."""
    names = public_names(ast.parse(source))
    return [f"line {line}: {name}" for name, line in names if not name.startswith("_") and words_of(name) & NOT_OUR_WORDS]


def test_there_are_modules() -> None:
    assert len(MODULES) > 5


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_module_is_small_and_well_named(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert oversized(source) == []
    assert misnamed(source) == []
    folders = set(path.relative_to(REPOSITORY).parts[1:-1])
    names = {path.stem} | folders
    assert not {name for name in names if words_of(name) & (CATCH_ALLS | NOT_OUR_WORDS)}


def test_the_rules_bite() -> None:
    long_function = "def long():\n" + "    x = 1\n" * N_FUNCTION_LINES
    assert oversized(long_function)
    assert oversized('def short():\n    """' + "text\n" * N_FUNCTION_LINES + '    """\n') == []
    assert oversized("x = 1\n" * N_MODULE_LINES)
    assert oversized("x = 1\n" * (N_MODULE_LINES - 1)) == []
    for source in ("class RunManager: ...", "def f(docs): ...", "class A:\n    epoch: int", "experiment = 1", "def to_instance(): ..."):
        assert misnamed(source), source
    for source in ("def _doc(): ...", "def isinstance_like(): ...", "class Doctor: ...", "handle = 1"):
        assert misnamed(source) == [], source
