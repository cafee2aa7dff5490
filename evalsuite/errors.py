"""Faults of the user's and what they look like: one line each, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One mistake: where it stands, what was found, what is allowed."""

    file: str
    """File (with `:line` where a row is meant) or command that holds the mistake."""
    key: str
    """Key inside the file, dotted; empty if the file as a whole is meant."""
    value: str
    """What was found, as text; empty if something is missing. Never text of a sample."""
    allowed: str
    """What is allowed, or the command that mends it."""

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        found = f" = {self.value}" if self.value else ""
        return f"{where}{found}: {self.allowed}".replace("\n", " ")


class UserError(Exception):
    """One or more faults of the user's; the command line prints them and exits with 2."""

    def __init__(self, faults: Fault | Sequence[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def nearest(name: str, names: Iterable[str]) -> str:
    """Sentence that names the closest known names, then all of them if they are few.

    Args:
        name: what the user wrote.
        names: what exists.
    """
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    listed = ", ".join(known) if len(known) <= 20 else ", ".join(known[:20]) + f" and {len(known) - 20} more"
    return f"{hint}known: {listed}" if known else "none are known"
