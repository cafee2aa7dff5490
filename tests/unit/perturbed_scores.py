"""Scores of multiple-choice questions shown in several orders, for the tests of what perturbations do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

Engine = Callable[[Sequence[int], int], int | None]
"""(original index of each shown choice, original index of the right one) -> position answered; None: nothing can be read."""
AS_WRITTEN = (0, 1, 2, 3)
SHIFTS = ((1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2))
"""The three cyclic shifts of four choices."""


def always_first(order: Sequence[int], target: int) -> int:
    """Takes what stands first, whatever it says."""
    return 0


def perfect(order: Sequence[int], target: int) -> int:
    """Takes the right choice wherever it stands."""
    return list(order).index(target)


def by_text(order: Sequence[int], target: int) -> int:
    """Takes the choice that the data set has second, wherever it stands."""
    return list(order).index(1)


def silent(order: Sequence[int], target: int) -> None:
    """Says nothing that can be read."""
    return


def row(
    name: str, shown: int | None = None, *, target: int = 0, order: Sequence[int] = AS_WRITTEN, status: str | None = None, **changes: Any
) -> dict[str, Any]:
    """One answer: the position `shown`, of choices in this order; without one it could not be read."""
    status = status or ("unparsed" if shown is None else "scored")
    scored = status == "scored" and shown is not None
    taken = order[shown] if scored and shown is not None else None
    return {
        "study": "s", "model": "m", "task": "t", "strategy": "zero", "perturbation": "none", "variant": 0, "replicate": 0,
        "sample_id": name, "group": name, "content_hash": f"{name} {list(order)}", "metric": "accuracy", "status": status,
        "value": float(taken == target) if scored else None, "answer_index": taken,
        "answer_indices": None if taken is None else str(taken), "target": str(target), "shown_position": shown if scored else None,
        "shown_targets": str(list(order).index(target)), "n_choices": len(order),
    } | changes  # fmt: skip


def asked(engine: Engine, targets: Sequence[int], orders: Sequence[Sequence[int]] = (AS_WRITTEN,), **changes: Any) -> list[dict[str, Any]]:
    """A model's answers to questions with these right choices, each in all these orders."""
    return [
        row(f"q{at:03d}", engine(order, target), target=target, order=order, variant=variant, **changes)
        for at, target in enumerate(targets)
        for variant, order in enumerate(orders)
    ]


def table(*parts: list[dict[str, Any]]) -> pd.DataFrame:
    """All rows as scores."""
    return pd.DataFrame([entry for part in parts for entry in part])
