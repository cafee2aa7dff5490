"""A promise held against a fixed number: a share of repeats, seconds, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One promise and what was found."""

    case: str
    """Name."""
    ours: float
    """What was found."""
    target: float | None
    """What it must not pass; None: nothing is promised, the number stands beside one that is."""
    at_most: bool
    """True: it holds up to the target; False: from the target on."""
    unit: str
    """Unit of `ours`, `peer` and `target`."""
    detail: str
    """What was measured, in words."""
    peer: float | None = None
    """The value beside it: what the method promises, or what another one does; None: nothing to compare with."""
    error: float | None = None
    """Monte-Carlo standard error of `ours`; None: none."""

    @property
    def holds(self) -> bool | None:
        """Whether it was kept; None where nothing is promised."""
        if self.target is None:
            return None
        return self.ours <= self.target if self.at_most else self.ours >= self.target

    def row(self) -> dict[str, Any]:
        """As it is written; `ratio` is ours over peer."""
        return {
            "case": self.case,
            "ours": round(self.ours, 4),
            "peer": self.peer,
            "ratio": None if self.peer is None else round(self.ours / self.peer, 3),
            "target": self.target,
            "holds": self.holds,
            "unit": self.unit,
            "at_most": self.at_most,
            "error": None if self.error is None else round(self.error, 4),
            "detail": self.detail,
        }
