"""Can a printed number have arisen from its number of items? GRIM for every number that has one."""

from __future__ import annotations

from typing import Literal

from evalsuite.published.records import Record
from evalsuite.stats.grim import grim

Plausible = Literal["possible", "impossible", "undecided", "untested"]
"""`impossible`: no whole number of right answers prints so; `undecided`: so many items that every number is possible; `untested`: the
number of items is unknown, or the number is no share of right answers."""

GRIM_UNITS: dict[str, Literal["share", "percent"]] = {"percent": "percent", "fraction": "share"}


def plausible(record: Record) -> Plausible:
    """What GRIM says of a printed number.

    Source: Brown and Heathers 2017 (`stats.grim`).
    """
    if record.kind != "accuracy" or record.n_items is None or record.unit not in GRIM_UNITS:
        return "untested"
    found = grim(record.printed, record.n_items, unit=GRIM_UNITS[record.unit]).possible
    if found is None:
        return "undecided"
    return "possible" if found else "impossible"
