"""Stores: lines for `store stats` and `store verify`."""

from __future__ import annotations

from pathlib import Path

from evalsuite.store import Store


def store_lines(folder: Path) -> tuple[list[str], bool]:
    """What a store holds; the second value is False if a line is damaged or two answers to one key differ."""
    with Store(folder) as store:
        stats = store.stats()
    lines = [
        f"{folder}: {stats.n_answers} answers in {stats.n_files} files",
        f"  {stats.n_transient} keys with nothing but transient failures",
        f"  {stats.n_repeated} repeated, {stats.n_conflicts} of them with another outcome than the one that counts",
        *(f"  damaged line: {place}" for place in stats.damaged),
    ]
    return lines, not stats.damaged and not stats.n_conflicts
