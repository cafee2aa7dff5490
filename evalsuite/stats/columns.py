"""Columns of lists, as Arrow holds them or as objects."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa


def rows_of(column: pd.Series[Any]) -> list[Any]:
    """The lists of a column, as NumPy arrays where Arrow holds them: one Python object for each number would take most of the time.

    Args:
        column: lists of numbers; a missing one is None or NaN and stays missing (None).
    """
    if isinstance(column.dtype, pd.ArrowDtype):
        return list(pa.chunked_array(pa.array(column.array)).to_pandas())
    return list(column)
