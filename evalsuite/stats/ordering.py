"""Answers in the order of their cells, found once for a whole table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.stats.arrays import IntArray


def sorted_cells(scores: pd.DataFrame, cell: Sequence[str], unit: Sequence[str]) -> SortedCells:
    """How to sort answers by what names their cell, then by what names them in it, and where each cell begins then.

    Sorted once as whole numbers, to be sliced afterwards: a study has millions of answers, and names are slow to sort.

    Args:
        scores: answers; the columns that are sorted by lack no entry.
        cell: columns that name a cell.
        unit: columns that name an answer within its cell and metric.
    """
    codes, names = zip(*(pd.factorize(scores[name], sort=True) for name in (*cell, *unit)), strict=True)
    order = np.lexsort(codes[::-1])
    own = np.stack([code[order] for code in codes]).astype(np.int64)
    begins = np.flatnonzero((own[: len(cell), 1:] != own[: len(cell), :-1]).any(axis=0)) + 1
    bounds = (0, *begins.tolist(), len(order)) if len(order) else ()
    return SortedCells(order=order, codes=own, names=names, bounds=bounds, n_names=len(cell))


@dataclass(frozen=True, kw_only=True, slots=True)
class SortedCells:
    """Answers in the order of their cells, and of their units within each."""

    order: IntArray
    """Row numbers in that order."""
    codes: IntArray
    """(columns, n): of each answer in that order the numbers of its cell's names and of its unit's, in `names`."""
    names: Sequence[pd.Index[Any]]
    """Sorted entries of each column."""
    bounds: Sequence[int]
    """Where each cell begins, and the end of the last one; empty without answers."""
    n_names: int
    """How many columns name a cell."""

    def cell_at(self, place: int) -> tuple[str, ...]:
        """Names of the cell of the answer at a place in that order."""
        return tuple(str(known[own]) for known, own in zip(self.names[: self.n_names], self.codes[: self.n_names, place], strict=True))
