"""Engine seconds by task and strategy: what a strategy's answers and its preparation cost on this machine.

Times are taken between the outcomes that an engine yields. Engines compute in batches, and a batch's outcomes come one upon the other:
their time is shared evenly among them, whoever's they are. A request that several strategies want is asked once and counts in each of
them with its whole time: what the strategy would have cost alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from evalsuite.plan import Item
from evalsuite.programs import Preparation
from evalsuite.types import Outcome
from evalsuite.waves import Asked

TOGETHER_S = 1e-4
"""Seconds for which an outcome may have been waited for and still belong to the batch of the one before. A batch takes longer to compute,
and the next outcome of one that is there less. Of batches that are faster than that, several are shared out as one."""

NAMES = ("model", "task", "strategy", "stage")
"""What names a row of timings.json."""

Stage = Literal["prepare", "answer"]
Use = tuple[str, str, Stage]
"""What a request is wanted for: task, strategy id, and whether to prepare it or to answer a sample."""


@dataclass(slots=True)
class Timing:
    """What was asked of an engine for one use; grows while a model runs."""

    n_asked: int = 0
    """Requests that the engine has answered."""
    engine_s: float = 0.0
    """Seconds that they took."""


def use_of(name: Item | Preparation) -> Use:
    """The use for which a program of this name asks."""
    if isinstance(name, Preparation):
        return (name.task, name.strategy, "prepare")
    return (name.cell.task, name.cell.strategy, "answer")


def uses_by_key(keys: Sequence[str], wave: Sequence[Asked[Any]], wanted: Collection[str]) -> dict[str, tuple[Use, ...]]:
    """The different uses of each request that is to be asked.

    Args:
        keys: of the wave's requests, in its order.
        wave: the requests with their programs' names.
        wanted: keys of the requests that are to be asked; all others are left out.
    """
    found: dict[str, tuple[Use, ...]] = {}
    name: Item | Preparation | None = None
    alone: tuple[Use, ...] = ()
    for key, asked in zip(keys, wave, strict=True):
        if key not in wanted:
            continue
        if asked.name is not name:
            name = asked.name
            use = use_of(asked.name)
            # One for all neighbours that are wanted for the same.
            alone = alone if alone == (use,) else (use,)
        known = found.get(key)
        if known is None:
            found[key] = alone
        elif alone[0] not in known:
            found[key] = (*known, *alone)
    return found


def timed(
    outcomes: Iterable[tuple[int, Outcome]],
    uses: Sequence[Sequence[Use]],
    timings: dict[Use, Timing],
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[tuple[int, Outcome]]:
    """Pass an engine's outcomes on, and share the time that passes out among their uses.

    All time from the beginning to the end of the run is shared out, that of whoever takes the outcomes included: an engine may compute
    meanwhile.

    Args:
        outcomes: (place of the request, outcome) as the engine yields them.
        uses: of each request, by place.
        timings: grows.
        clock: seconds that only rise.
    """
    since = wanted_at = clock()
    together: list[int] = []
    for place, outcome in outcomes:
        if together and clock() - wanted_at > TOGETHER_S:
            _share(wanted_at - since, together, uses, timings)
            since, together = wanted_at, []
        together.append(place)
        yield place, outcome
        wanted_at = clock()
    _share(clock() - since, together, uses, timings)


def _share(seconds: float, places: Sequence[int], uses: Sequence[Sequence[Use]], timings: dict[Use, Timing]) -> None:
    # Neighbours are mostly wanted for the same, and then hold the same record of it.
    for wanted_for, same in groupby(map(uses.__getitem__, places)):
        n_asked = sum(1 for _ in same)
        for use in wanted_for:
            timing = timings.setdefault(use, Timing())
            timing.n_asked += n_asked
            timing.engine_s += n_asked * seconds / len(places)


def timing_rows(path: Path, plan_hash: str, models: Mapping[str, Mapping[Use, Timing]]) -> list[dict[str, Any]]:
    """Rows of timings.json after a run: what earlier runs of the same plan took, and what this one took in addition.

    Args:
        path: timings.json; rows of another plan, and a file that cannot be read, are left out.
        plan_hash: digest of the plan.
        models: registry name to what this run asked for each use.

    Returns:
        A row per model, task, strategy and stage, sorted by them; nothing for what no engine was ever asked.
    """
    sums = _sums_of(path, plan_hash)
    for model, timings in models.items():
        for use, timing in timings.items():
            total = sums.setdefault((model, *use), Timing())
            total.n_asked += timing.n_asked
            total.engine_s += timing.engine_s
    return [
        {**dict(zip(NAMES, name, strict=True)), "n_asked": total.n_asked, "engine_s": round(total.engine_s, 6), "plan_hash": plan_hash}
        for name, total in sorted(sums.items(), key=lambda entry: entry[0])
    ]


def _sums_of(path: Path, plan_hash: str) -> dict[tuple[str, ...], Timing]:
    """A plan's sums in a file; none where it is missing or damaged, since seconds are for people and decide nothing."""
    try:
        return {
            tuple(str(row[name]) for name in NAMES): Timing(n_asked=int(row["n_asked"]), engine_s=float(row["engine_s"]))
            for row in json.loads(path.read_text(encoding="utf-8"))
            if row["plan_hash"] == plan_hash
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
