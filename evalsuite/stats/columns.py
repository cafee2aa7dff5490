"""Columns of lists, as Arrow holds them or as objects, and of texts that are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
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


def numbers_in(texts: pd.Series[Any]) -> pd.Series[float]:
    """What is written in each of many texts of which few are different; NaN where it is no number."""
    codes, different = pd.factorize(texts)
    # A missing text has the code -1.
    values = np.append(pd.to_numeric(pd.Series(different, dtype=object), errors="coerce").to_numpy(dtype=float), np.nan)
    return pd.Series(values[codes], index=texts.index)
