"""Labels in front of choices, by style."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Literal

Style = Literal["numbers", "lower", "greek", "roman", "none"]
"""1, 2, 3; a, b, c; α, β, γ; i, ii, iii; no label at all."""

MOST = 26
"""Most choices that letters can label."""

_LETTERED: Mapping[str, tuple[str, ...]] = {
    "upper": tuple(string.ascii_uppercase),
    "numbers": tuple(str(number + 1) for number in range(MOST)),
    "lower": tuple(string.ascii_lowercase),
    "greek": tuple("αβγδεζηθικλμνξοπρστυφχψω"),
    "roman": ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"),
    "none": ("",) * MOST,
}


def labels_in(style: Style, n_choices: int) -> tuple[str, ...] | None:
    """The first so many labels of a style; None where it has not as many."""
    found = _LETTERED[style][:n_choices]
    return found if len(found) == n_choices else None


def next_label(labels: Sequence[str]) -> str | None:
    """The label that goes on with others; None where they are not the first of any style, or its last.

    Args:
        labels: at least one; A, B, C, ... are a style too.
    """
    n = len(labels)
    return next((known[n] for known in _LETTERED.values() if n < len(known) and known[:n] == tuple(labels)), None)
