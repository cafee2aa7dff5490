"""The sealed part of a study (its `holdout`): which groups it holds, and the journal of who looked when.

A part that nobody has scored can tell once whether what was chosen on the rest holds elsewhere. So every run is journalled, and the
first opening of the seal with all that the study was then; the store keeps both, append-only, one small file per entry.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from evalsuite.seeds import derive_seed
from evalsuite.store import analysis_statements, json_lines, own_path

if TYPE_CHECKING:
    import pandas as pd

RUNS, OPENINGS = "runs", "seal"
"""Journals of runs that made a report, and of openings; first word of their file names."""


def sealed_groups(groups: Mapping[str, Collection[str]], share: float, seed: int) -> frozenset[str]:
    """The groups that are sealed, in whatever task they stand.

    Groups are ranked by a seeded hash of their names, and the first `share` of them is sealed: the nearest whole number, halves up, but at
    least one and never all of two or more. Tasks that have groups in common, directly or through others, are ranked together, so that a
    question is never sealed in one task and open in another; the share is then exact over all of them, and over each of them where their
    groups are the same.

    Args:
        groups: task to the groups of its evaluated split.
        share: in (0, 1).
        seed: study seed.
    """
    sealed: set[str] = set()
    for linked in _linked(groups.values()):
        ranked = sorted(linked, key=lambda name: (derive_seed(seed, "holdout", name), name))
        sealed.update(ranked[: max(1, min(len(ranked) - 1, math.floor(share * len(ranked) + 0.5)))])
    return frozenset(sealed)


def _linked(tasks: Collection[Collection[str]]) -> list[set[str]]:
    """Groups of tasks that hang together by groups in common."""
    found: list[set[str]] = []
    for own in tasks:
        names = set(own)
        joined = names.union(*(other for other in found if not other.isdisjoint(names)))
        found = [other for other in found if other.isdisjoint(names)] + ([joined] if joined else [])
    return found


def date_of(at: float) -> str:
    """The day of a Unix time in UTC, as YYYY-MM-DD."""
    return datetime.datetime.fromtimestamp(at, tz=datetime.UTC).date().isoformat()


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """What a study is, as far as opening its sealed part binds it; JSON-ready."""

    study: str
    """Study name."""
    stated: Mapping[str, Any]
    """Conditions and pre-stated analysis, by key; the same whatever part of the study is run."""
    models: Mapping[str, Any]
    """Model that is run to who answers: fingerprint, engine, dtype, quantisation."""
    tasks: Mapping[str, str]
    """Task that is run to a digest of its sealed samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A run that made a report."""

    study: str
    """Study name."""
    at: float
    """Unix time."""
    plan: str
    """`Plan.digest`."""
    unsealed: bool
    """Whether it scored the sealed part."""
    seals: Mapping[str, str]
    """Task to a digest of its sealed groups."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """An opening of the sealed part."""

    at: float
    """Unix time."""
    n_runs: int
    """Runs of the study that had made a report by then on this store."""
    n_plans: int
    """Different plans among them."""
    version: Version
    """The study as it was opened for."""

    @property
    def date(self) -> str:
        """The day, in UTC."""
        return date_of(self.at)


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """The sealed part as one report sees it."""

    share: float
    """Share of the groups that is sealed, in (0, 1)."""
    unsealed: bool
    """True: the report is about the sealed part; False: about the rest."""
    sealed: Mapping[str, tuple[int, int]]
    """Task to its sealed samples and groups."""
    opening: Opening | None
    """The first opening; None: the part is still sealed."""
    changed: tuple[str, ...] = ()
    """What has changed in the study since then, by key."""
    seen: tuple[str, ...] = ()
    """Days on which versions of the study that sealed nothing or other groups were stated or run here, before any opening."""
    eyes_on: pd.DataFrame | None = None
    """Scores of the part that was never sealed, of a report on the sealed part; None where there are none."""
    absent: str = ""
    """Why there are none."""


def note_run(folder: Path, ran: Ran) -> None:
    """Journal a run that makes a report."""
    _append(folder, RUNS, asdict(ran))


def runs_of(folder: Path, study: str) -> list[Ran]:
    """The journalled runs of a study, earliest first; unreadable lines are passed over."""
    found = [Ran(**entry) for entry in json_lines(folder, RUNS) if entry.get("study") == study]
    return sorted(found, key=lambda ran: (ran.at, ran.plan))


def note_opening(folder: Path, version: Version) -> Opening:
    """Journal that the sealed part is opened, unless that very version is journalled already; returns the first opening."""
    known = openings_of(folder, version.study)
    if not any(opening.version == version for opening in known):
        ran = runs_of(folder, version.study)
        opening = Opening(at=time.time(), n_runs=len(ran), n_plans=len({each.plan for each in ran}), version=version)
        _append(folder, OPENINGS, asdict(opening))
        known = [*known, opening]
    return known[0]


def openings_of(folder: Path, study: str) -> list[Opening]:
    """The journalled openings of a study's sealed part, earliest first."""
    found = [opening_of(entry) for entry in json_lines(folder, OPENINGS) if entry["version"]["study"] == study]
    return sorted(found, key=lambda opening: opening.at)


def opening_of(entry: Mapping[str, Any]) -> Opening:
    """An opening from its JSON form, that of `dataclasses.asdict`."""
    return Opening(**{**entry, "version": Version(**entry["version"])})


def changes_since(openings: Sequence[Opening], version: Version) -> tuple[str, ...]:
    """What makes a version another one than was opened: keys of the study, models that are others, tasks with other samples.

    A run that is narrowed to some models or tasks is no change; what later openings added counts for later ones.

    Args:
        openings: earliest first.
        version: the present one.
    """
    if not openings:
        return ()
    then = openings[0].version.stated
    changed = [key for key in sorted(then.keys() | version.stated.keys()) if then.get(key) != version.stated.get(key)]
    for what in ("models", "tasks"):
        known: dict[str, Any] = {}
        for opening in openings:
            known = {**getattr(opening.version, what), **known}
        now = getattr(version, what)
        changed += [f"{'weights' if what == 'models' else 'data'} of {name}" for name in now if known.get(name, now[name]) != now[name]]
    return tuple(changed)


def seen_before(folder: Path, study: str, seals: Mapping[str, str], before: float) -> tuple[str, ...]:
    """Days on which what is sealed now may have been seen: the study was stated without a sealed part, or run with another one.

    Args:
        folder: the store's folder.
        study: study name.
        seals: task to a digest of its sealed groups, as they are now.
        before: Unix time; later ones do not count.
    """
    stated = [
        statement.at
        for statement in analysis_statements(folder, study)
        if "holdout" not in statement.analysis and not seals.keys().isdisjoint(statement.analysis.get("tasks", {}))
    ]
    ran = [each.at for each in runs_of(folder, study) if any(each.seals.get(task, seal) != seal for task, seal in seals.items())]
    return tuple(sorted({date_of(at) for at in (*stated, *ran) if at < before}))


def sealed_line(sealed: Mapping[str, tuple[int, int]], *, unsealed: bool) -> str:
    """How much is sealed, in one line for a terminal; empty without a sealed part."""
    if not any(n_samples for n_samples, _ in sealed.values()):
        return ""
    counts = ", ".join(f"{task} {n_samples} samples in {n_groups} groups" for task, (n_samples, n_groups) in sealed.items())
    return f"unsealed, nothing else is asked: {counts}" if unsealed else f"sealed, left out until `evalsuite run --unseal`: {counts}"


def _append(folder: Path, what: str, entry: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    own_path(folder, what).write_bytes(orjson.dumps(entry) + b"\n")
