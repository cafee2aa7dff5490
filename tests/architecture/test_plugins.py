"""A task plugin is data access: of the package it sees the contract only, and it needs no third-party library."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGINS = sorted((REPOSITORY / "tasks").rglob("*.py"))
ALLOWED = {"evalsuite.tasks", "evalsuite.types", "evalsuite.formats", "evalsuite.answers"}


def imported(source: str) -> set[str]:
    """Full names of the modules that a source imports anywhere; `from evalsuite import types` counts as `evalsuite.types`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            names.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.ImportFrom) and node.module == "evalsuite":
            names |= {f"evalsuite.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def forbidden(source: str) -> set[str]:
    """Imports of a plugin that it must not make."""
    return {name for name in imported(source) if name not in ALLOWED and name.split(".")[0] not in sys.stdlib_module_names}


def test_there_are_plugins() -> None:
    assert PLUGINS


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_plugin_imports_the_contract_only(path: Path) -> None:
    assert forbidden(path.read_text(encoding="utf-8")) == set()


def test_the_rule_bites() -> None:
    assert forbidden("import json\nfrom evalsuite.types import Sample\nfrom evalsuite import formats") == set()
    assert forbidden("from evalsuite.data import x") == {"evalsuite.data"}
    assert forbidden("def f():\n    from evalsuite import data") == {"evalsuite.data"}
    assert forbidden("from . import other") == {"."}
    assert forbidden("import evalsuite") == {"evalsuite"}
    assert forbidden("import pandas as pd") == {"pandas"}
