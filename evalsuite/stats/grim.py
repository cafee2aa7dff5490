"""GRIM: can a printed share arise from so many samples? Exact arithmetic, no estimate.

Source: Brown and Heathers 2017 (Soc. Psychol. Personal. Sci. 8:363), there for means of integers, here for shares of right answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil, floor
from typing import Literal

import numpy as np

Unit = Literal["share", "percent"]
Rounding = Literal["rounded", "truncated"]
ROUNDINGS: tuple[Rounding, ...] = ("rounded", "truncated")
"""Ways of shortening a number that are allowed for; ties may have gone up, to the even digit, or either way by floating point."""
FLOAT_DIGITS = 10
"""Decimals of a share from which on it is taken for a floating-point number that nobody rounded."""
FLOAT_ERROR = Fraction(1, 10**12)
"""How far such a number may lie from its fraction, unless its last digit is coarser: far more than divisions and means can add."""


def grim(printed: str | float, n_samples: int, *, unit: Unit) -> Grim:
    """Whether a printed share can be k / n_samples for a whole k, by any of `ROUNDINGS`.

    A printed number with D decimals (counted for the share: a percentage has two more) stands for all numbers that are shortened
    to it. If none of 0/n, 1/n, ..., n/n is among them, it did not arise from n samples that are right or wrong.

    Source: Brown and Heathers 2017 (Soc. Psychol. Personal. Sci. 8:363). Truncation, and floating-point numbers, are ours: a number
    with `FLOAT_DIGITS` decimals or more must equal k / n to `FLOAT_ERROR` or to its last digit, or be k / n in single precision.

    Limits: "impossible" says that value and n do not go together, not why. The value may be a mean of partial credit (pass n times
    the number of steps), of several runs (pass n times the runs), of unequal weights or of per-class values (not testable); n may
    miss dropped, duplicated or unanswered samples, or be another split's. "Possible" is no sign of correctness.

    Args:
        printed: as printed, such as `66.40`; a percent sign may follow. Numbers are read by their shortest form, so that final zeros
            are lost and the test is weaker; pass text where there is any.
        n_samples: samples that the share is over, at least 1.
        unit: `share` in [0, 1] or `percent` in [0, 100].

    Returns:
        `possible` is None where the test cannot decide: n_samples >= 10^D, so that every printed value is possible. A value
        outside the unit's range is impossible.

    Raises:
        ValueError: no number was printed, or n_samples is below 1.
    """
    if n_samples < 1:
        raise ValueError(f"n_samples = {n_samples}: must be at least 1")
    value, decimals = read_printed(printed, unit)
    counts = {rounding: counts_of(value, decimals, n_samples, rounding) for rounding in ROUNDINGS}
    every = sorted(set().union(*counts.values()))
    decidable = n_samples < 10**decimals or not 0 <= value <= 1
    count = min(max(floor(value * n_samples + Fraction(1, 2)), 0), n_samples)
    return Grim(
        possible=bool(every) if decidable else None,
        nearest=count / n_samples,
        n_possible=len(every),
        lowest=every[0] if every else None,
        highest=every[-1] if every else None,
        roundings=tuple(rounding for rounding in ROUNDINGS if counts[rounding]),
        decimals=decimals,
    )


def fitting_denominators(printed: Iterable[str | float], denominators: Iterable[int], *, unit: Unit) -> tuple[int, ...]:
    """Which denominators can give all of several printed shares, all shortened in the same way.

    For values over the same unknown number of samples, such as one task's column in a table: `grim` for each, joined. Values that
    cannot decide for a denominator do not speak against it.

    Source: Brown and Heathers 2017 for each value; joining them over a column is ours.

    Args:
        printed: as for `grim`, at least one.
        denominators: numbers of samples that are considered, each at least 1.
        unit: of all values.

    Returns:
        Those that fit, in the order given.

    Raises:
        ValueError: as `grim`, or there is no value.
    """
    values = [read_printed(entry, unit) for entry in printed]
    if not values:
        raise ValueError("no printed value")
    return tuple(n for n in denominators if any(all_fit(values, n, rounding) for rounding in ROUNDINGS))


def all_fit(values: Sequence[tuple[Fraction, int]], n_samples: int, rounding: Rounding) -> bool:
    """Whether every (share, decimals) can be some k / n_samples that is shortened in one way."""
    return all(counts_of(value, decimals, n_samples, rounding) for value, decimals in values)


def read_printed(printed: str | float, unit: Unit) -> tuple[Fraction, int]:
    """A printed number as an exact share, and the number of decimals that the share was printed with.

    Args:
        printed: text or number, see `grim`.
        unit: of the number.

    Raises:
        ValueError: it is no finite number.
    """
    text = printed.strip().removesuffix("%").strip() if isinstance(printed, str) else repr(float(printed)).removesuffix(".0")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("not a printed number") from None
    if not number.is_finite():
        raise ValueError("not a finite number")
    exponent = number.as_tuple().exponent
    decimals = max(0, -int(exponent)) + (2 if unit == "percent" else 0)
    return Fraction(number) / (100 if unit == "percent" else 1), decimals


def counts_of(value: Fraction, decimals: int, n_samples: int, rounding: Rounding) -> range:
    """The whole numbers k for which k / n_samples is printed as `value`.

    Args:
        value: printed share, exact.
        decimals: of the share.
        n_samples: at least 1.
        rounding: how it was shortened.
    """
    if not 0 <= value <= 1:
        return range(0)
    if decimals >= FLOAT_DIGITS:
        return float_counts(value, decimals, n_samples)
    step = Fraction(1, 10**decimals)
    if rounding == "truncated":
        # What is shortened to the value lies in [value, value + step).
        first, after = ceil(value * n_samples), ceil((value + step) * n_samples)
    else:
        first, after = ceil((value - step / 2) * n_samples), floor((value + step / 2) * n_samples) + 1
    return range(max(first, 0), min(after, n_samples + 1))


def float_counts(value: Fraction, decimals: int, n_samples: int) -> range:
    """The k for which a floating-point number that nobody rounded is k / n_samples; at most one."""
    count = floor(value * n_samples + Fraction(1, 2))
    near = abs(Fraction(count, n_samples) - value) <= max(FLOAT_ERROR, Fraction(1, 10**decimals))
    # Means that were computed in single precision differ in the eighth digit, and are single-precision numbers themselves.
    single = any(float(np.float32(scale * count / n_samples)) == float(scale * value) for scale in (1, 100))
    return range(count, count + 1) if near or single else range(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grim:
    """What a printed share and a number of samples say about each other."""

    possible: bool | None
    """Whether the share can arise; None: so many samples that every printed value can."""
    nearest: float
    """The share k / n that is nearest to the printed one, in [0, 1]; halves go up."""
    n_possible: int
    """How many k are printed as the value; 0 where it is impossible, 1 where the number of right answers is certain."""
    lowest: int | None
    """The least such k; None if there is none."""
    highest: int | None
    """The greatest such k; None if there is none."""
    roundings: tuple[Rounding, ...]
    """Ways of shortening under which there is one."""
    decimals: int
    """Decimals of the share that were printed."""
