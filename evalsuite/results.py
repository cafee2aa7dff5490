"""What a run or re-scoring leaves behind, for a terminal, for machines and for Python."""

from __future__ import annotations

import io
import math
import mmap
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from evalsuite.conclude import Concluded
from evalsuite.out_dir import OutDir
from evalsuite.plan import Plan, statement_changes
from evalsuite.report import Table
from evalsuite.runner import ModelRun
from evalsuite.seals import sealed_line
from evalsuite.store import Store, analysis_statements
from evalsuite.tabular import Tabular

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run or re-scoring left behind."""

    study: str
    """Name of the study."""
    out: Path
    """The out directory."""
    report: Path | None = None
    """report.html; None for a shard, which fills the store only."""
    comparisons: pd.DataFrame | None = None
    """comparisons.csv; None likewise."""
    pooled: pd.DataFrame | None = None
    """Mean differences over tasks (`stats.pooling`); None likewise."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Answers by status."""
    n_failed: int = 0
    """Scores whose status is `failed`."""
    changes: tuple[Mapping[str, Any], ...] = ()
    """What was changed in the analysis since it was stated; any makes every result exploratory."""
    verdicts: Table | None = None
    """The comparisons of the primary cell as a terminal shows them; None for a shard."""
    rescored: Table | None = None
    """Old and new numbers of the same comparisons, where a re-scoring changed any; else None."""
    notes: tuple[str, ...] = ()
    """Lines for a terminal, to be read before the verdicts."""
    runs: tuple[ModelRun, ...] = ()
    """What was asked, per model; empty for a re-scoring."""
    table: mmap.mmap | None = field(default=None, repr=False)
    """scores.parquet as this run wrote it, whatever becomes of the file since; None for a shard."""

    @cached_property
    def scores(self) -> pd.DataFrame | None:
        """The scores, read when they are first asked for, since they may take much memory; None for a shard."""
        if self.table is None:
            return None
        import pandas as pd

        return pd.read_parquet(io.BytesIO(self.table))


def mapped(file: Path) -> mmap.mmap:
    """A file that is only ever replaced and never written into: what is mapped stays what it was."""
    with file.open("rb") as opened:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)


def result_of(plan: Plan, out: OutDir, concluded: Concluded, runs: list[ModelRun], damage: list[str]) -> Result:
    """What a terminal, a machine and Python are given of a finished study.

    Args:
        plan: the study.
        out: its out directory.
        concluded: what was found.
        runs: what was asked; empty for a re-scoring.
        damage: lines on damaged journals.
    """
    found = concluded.found
    head = asked_lines(runs) if runs else []
    sealed = sealed_line(plan.sealed, unsealed=plan.selection.unseal)
    head += [sealed] if sealed else []
    missing = {status: n for status, n in found.counts.items() if status != "scored"}
    if missing:
        named = ", ".join(f"{n} {status}" for status, n in missing.items())
        head.append(f"{sum(missing.values())} of {sum(found.counts.values())} answers have no score ({named})")
    return Result(
        study=plan.study.study,
        out=out.folder,
        report=out.report,
        table=mapped(out.scores),
        comparisons=found.comparisons,
        pooled=found.analyses.pooled,
        counts=found.counts,
        n_failed=found.counts.get("failed", 0),
        changes=tuple(found.changes),
        verdicts=concluded.verdicts,
        notes=(*damage, *head, *concluded.remarks),
        runs=tuple(runs),
    )


def as_json(result: Result) -> dict[str, Any]:
    """A result for machines: the numbers of comparisons.csv and of the mean over tasks, unrounded; what does not exist is null."""
    return {
        "study": result.study,
        "out": str(result.out),
        "report": result.report and str(result.report),
        "counts_by_status": dict(result.counts),
        "n_failed": result.n_failed,
        "analysis_changes": [dict(change) for change in result.changes],
        "requests": {run.model: {"asked": run.n_asked, "from_store": run.n_known, "failed": run.n_failed} for run in result.runs},
        "notes": list(result.notes),
        "comparisons": _json_rows(result.comparisons),
        "pooled": _json_rows(result.pooled),
        "rescored": None
        if result.rescored is None
        else [dict(zip(result.rescored.data.columns, row, strict=True)) for row in result.rescored.data.rows],
    }


def _json_rows(frame: pd.DataFrame | None) -> list[dict[str, Any]]:
    return [] if frame is None else [{str(key): _json_value(value) for key, value in row.items()} for row in frame.to_dict("records")]


def _json_value(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    missing = value is None or (isinstance(value, float) and not math.isfinite(value)) or type(value).__name__ == "NAType"
    return None if missing else value


def asked_lines(runs: Sequence[ModelRun]) -> list[str]:
    """How much was asked, and what that cost."""
    asked, known = sum(run.n_asked for run in runs), sum(run.n_known for run in runs)
    return [f"{asked} requests asked, {known} answered from the store", *spent_lines(runs)]


def said_again(result: Result) -> dict[str, Any] | None:
    """What is said where the same is asked for again and nothing has changed (`standing.Said`); None where something is to be repaired."""
    runs, told = result.runs, asked_lines(result.runs)
    if result.n_failed or result.verdicts is None or any(run.n_failed for run in runs):
        return None
    known = {run.model: run.n_known + run.n_asked for run in runs}
    head = f"nothing has changed since this report was made: 0 requests asked, {sum(known.values())} answered from the store"
    notes = [head, *(line for line in result.notes if line not in told)]
    requests = {name: {"asked": 0, "from_store": n_known, "failed": 0} for name, n_known in known.items()}
    table = result.verdicts
    return {
        "notes": notes,
        "verdicts": asdict(Tabular(columns=table.columns, rows=table.rows, note=table.note)),
        # Where it lies is said by whoever says it again.
        "machine": {**as_json(result), "out": None, "report": None, "notes": notes, "requests": requests},
    }


def spent_lines(runs: Iterable[ModelRun]) -> list[str]:
    """A line per model that a server answered for: calls, tokens, and what they cost where a price is stated."""
    return [
        f"{run.model}: {spent.n_calls} calls ({spent.n_repeats} repeated), {spent.n_prompt_tokens} + {spent.n_output_tokens} tokens, "
        + ("no price stated" if spent.cost_usd is None else f"USD {spent.cost_usd:.2f}")
        for run in runs
        if (spent := run.spent) is not None
    ]


def changes_of(plan: Plan, store: Path) -> list[dict[str, Any]]:
    """What was changed in the analysis since it was first stated in this store; empty if nothing was."""
    statements = analysis_statements(store, plan.study.study)
    now = orjson.loads(orjson.dumps(dict(plan.statement)))
    made = next((statement.at for statement in statements if statement.analysis == now), time.time())
    return statement_changes(statements[0].analysis, now, made) if statements else []


def damage_of(store: Store) -> list[str]:
    """A line per journal line that could not be read; what it held is asked again."""
    return [f"warning: {store.folder}/{place}: damaged line, its answer was asked again" for place in store.stats().damaged]
