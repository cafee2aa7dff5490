"""Columns of lists and of texts, as Arrow holds them or as objects, and of texts that are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from evalsuite.stats.arrays import IntArray


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


def taken(column: pd.Series[Any], order: IntArray) -> pd.Series[Any]:
    """Entries of a column in another order; texts become objects, of which there is one for each different text.

    Every analysis looks at texts as objects, and to make one for each answer every time would take most of its time.
    """
    if not isinstance(column.dtype, pd.StringDtype):
        return column.take(order).reset_index(drop=True)
    codes, different = pd.factorize(column)
    # A missing text has the code -1.
    return pd.Series(np.append(different.to_numpy(dtype=object), np.nan)[codes[order]], dtype=object)


def objects_in(column: pd.Series[Any]) -> npt.NDArray[np.object_]:
    """A column as objects, NaN where one is missing; not to be written to."""
    return column.to_numpy() if column.dtype == object else column.to_numpy(dtype=object, na_value=np.nan)


def names_in(index: pd.Index[Any], level: str) -> npt.NDArray[np.str_]:
    """The names in one level of a cell's index, which lacks none, in its order; each of them is read once."""
    if not isinstance(index, pd.MultiIndex):
        raise TypeError("a cell is indexed by its units")
    at = index.names.index(level)
    return np.asarray(index.levels[at], dtype=str)[np.asarray(index.codes[at])]
