"""What perturbations do to each model's answers: its score, its drop, its flips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Perturbed:
    """What a perturbation of the study is."""

    name: str
    """Plugin name."""
    family: str
    """As `perturbations.base.Family`."""
    preserves_meaning: bool
    """Whether answers can be compared with the unperturbed ones, choice by choice."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """All its options, defaults filled in."""
