"""The tables of an out directory: their columns, rows of them, and reading them again (DESIGN 5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evalsuite.data import content_hash
from evalsuite.errors import Fault, UserError
from evalsuite.out_dir import OutDir, partial_path
from evalsuite.plan import Item, Plan, Refused
from evalsuite.programs import Preparation
from evalsuite.scoring import Recorded, target_text
from evalsuite.strategies.base import Prepared
from evalsuite.waves import Finished

TEXTS = pa.list_(pa.string())

PLAN_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("task", pa.string()),
        ("strategy", pa.string()),
        ("perturbation", pa.string()),
        ("replicate", pa.int32()),
        ("sample_id", pa.string()),
        ("group", pa.string()),
        ("variant", pa.int32()),
        ("content_hash", pa.string()),
        ("choices", TEXTS),
        ("target", pa.string()),
        ("prompt", pa.string()),
        ("request_keys", TEXTS),
        ("refused", pa.string()),
        ("exemplars", TEXTS),
    ]
)
"""Columns of plan.parquet; `refused` is the reason where a perturbation does not apply, `exemplars` are ids in the order shown."""

SCORES_SCHEMA = pa.schema(
    [
        ("study", pa.string()),
        ("model", pa.string()),
        ("task", pa.string()),
        ("language", pa.string()),
        ("strategy", pa.string()),
        ("perturbation", pa.string()),
        ("variant", pa.int32()),
        ("replicate", pa.int32()),
        ("sample_id", pa.string()),
        ("group", pa.string()),
        ("content_hash", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("status", pa.string()),
        ("answer", pa.string()),
        ("answer_index", pa.int32()),
        ("shown_position", pa.int32()),
        ("p_choices", pa.list_(pa.float64())),
        ("target", pa.string()),
        ("finish_reason", pa.string()),
        ("n_calls", pa.int32()),
        ("n_votes_missing", pa.int32()),
        ("n_prompt_tokens", pa.int64()),
        ("n_output_tokens", pa.int64()),
        ("request_keys", TEXTS),
        ("label_mass", pa.float64()),
        ("answer_indices", pa.string()),
        ("failure", pa.string()),
        ("output", pa.string()),
        ("tags", TEXTS),
        ("item", pa.string()),
        ("shown_targets", pa.string()),
        ("votes", pa.string()),
        ("first_index", pa.int32()),
        ("suggested_index", pa.int32()),
        ("strict_kept", pa.bool_()),
        ("first_target", pa.string()),
        ("n_choices", pa.int32()),
    ]
)
"""Columns of scores.parquet: those of DESIGN 5 in its order, then ours. `item`: what a foreign task's own aggregation takes, as JSON.

`first_index`: dialogues, the original index of the first turn's answer, null if none was read. `first_target`: likewise `target` of the
first turn, null where there is one turn. `suggested_index`: original index of the choice that somebody in the text calls right.
`strict_kept`: whether generated text kept its exact contract, null where there is none.
`n_choices`: how many choices are shown, without a refusal that is only allowed; null where there are none.
`p_choices` stand in shown order, as `shown_position` and `shown_targets` count; `target` and `answer_index` in original order."""

UNREAD = frozenset(("study", "request_keys", "tags", "n_votes_missing"))
"""Columns of scores.parquet that no estimate and no part of the report reads: a sixth of what all of them take in memory."""

VARIED = frozenset(("sample_id", "content_hash", "prompt", "request_keys", "p_choices", "label_mass"))
"""Columns of both tables of which hardly an entry is like another."""


@dataclass(slots=True)
class TableWriter:
    """Writes rows to a Parquet file in parts, and puts the file in place only when it is whole."""

    path: Path
    schema: pa.Schema
    n_rows_in_part: int = 20_000
    n_rows_held: int = 1_000
    """Rows that are held as Python's objects, which take many times the room of Arrow's."""
    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _batches: list[pa.RecordBatch] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None
    _entries: Callable[[Mapping[str, Any]], tuple[Any, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.n_rows_held = min(self.n_rows_held, self.n_rows_in_part)
        # All at once while the row is at hand: a table's rows together are more than a processor keeps near.
        self._entries = itemgetter(*self.schema.names)

    def __enter__(self) -> TableWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A dictionary of texts that all differ costs time and room.
        repeated = [
            f"{entry.name}.list.element" if entry.type == TEXTS else entry.name for entry in self.schema if entry.name not in VARIED
        ]
        self._writer = pq.ParquetWriter(self._partial, self.schema, compression="zstd", use_dictionary=repeated)
        return self

    @property
    def _partial(self) -> Path:
        return partial_path(self.path)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row, None where there is nothing; KeyError where a column is left out."""
        self._rows.append(self._entries(row))
        if len(self._rows) >= self.n_rows_held:
            self._pack()

    def _pack(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [packed_column(column, kind) for column, kind in zip(columns, self.schema.types, strict=True)]
            self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
        self._rows = []
        if sum(batch.num_rows for batch in self._batches) >= self.n_rows_in_part:
            self._flush()

    def _flush(self) -> None:
        if self._writer is not None and self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches, schema=self.schema))
        self._batches = []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._pack()
            self._flush()
        if self._writer is not None:
            self._writer.close()
        if kind is None:
            self._partial.replace(self.path)
        else:
            self._partial.unlink(missing_ok=True)


def packed_column(entries: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    """Entries of a column as Arrow holds them. Rows come cell by cell, so that most columns say one thing all along."""
    first = entries[0]
    if (first is None or isinstance(first, str | int)) and entries.count(first) == len(entries):
        return pa.repeat(pa.scalar(first, kind), len(entries))
    return pa.array(entries, kind)


def plan_row(plan: Plan, item: Item, prompt: str | None, keys: Sequence[str], exemplars: Sequence[str] = ()) -> dict[str, Any]:
    """Row of plan.parquet of an item; texts are null where the task is restricted."""
    cell, sample = item.cell, item.sample
    restricted = plan.tasks[cell.task].task.card.restricted
    return {
        "model": cell.model,
        "task": cell.task,
        "strategy": cell.strategy,
        "perturbation": cell.perturbation,
        "replicate": cell.replicate,
        "sample_id": sample.id,
        "group": sample.group,
        "variant": sample.variant,
        "content_hash": content_hash(sample),
        "choices": None if restricted else list(sample.choices),
        "target": target_text(sample, restricted),
        "prompt": None if restricted else prompt,
        "exemplars": None if restricted else list(exemplars),
        "request_keys": list(keys),
        "refused": None,
    }


def refused_plan_rows(plan: Plan, model: str) -> list[dict[str, Any]]:
    """Rows of plan.parquet of the samples of a model's cells to which the perturbation does not apply."""
    return [
        {**plan_row(plan, Item(cell=cell, sample=shown.sample), None, ()), "refused": shown.reason}
        for cell in plan.cells(model)
        for shown in plan.shown(cell)
        if isinstance(shown, Refused)
    ]


def analysed_scores(file: Path) -> pd.DataFrame:
    """A table of scores, without `UNREAD`. Lists stay in Arrow's memory: as an object of Python's each would take ten times as much."""
    names = [name for name in pq.read_schema(file).names if name not in UNREAD]
    table = pq.read_table(file, columns=names)
    # A column at a time, each given back before the next is made, so that nothing stands twice.
    frame: pd.DataFrame = table.to_pandas(
        types_mapper=lambda kind: pd.ArrowDtype(kind) if pa.types.is_list(kind) else None, self_destruct=True, split_blocks=True
    )
    del table
    # What decoding took is given back now, since statistics take as much again.
    pa.default_memory_pool().release_unused()
    return frame


def prompts_at(plan: Path, rows: npt.NDArray[np.int64]) -> list[str | None]:
    """Prompts in these rows of plan.parquet, None where there is none; every text is held once, and no others beside those of one part.

    Args:
        plan: plan.parquet.
        rows: ascending row numbers.
    """
    prompts: list[str | None] = []
    known: dict[str, str] = {}
    with pq.ParquetFile(plan) as file:
        begin = 0
        for part in range(file.num_row_groups):
            end = begin + file.metadata.row_group(part).num_rows
            own = rows[np.searchsorted(rows, begin) : np.searchsorted(rows, end)] - begin
            if len(own):
                texts = file.read_row_group(part, columns=["prompt"]).column("prompt").take(pa.array(own)).to_pylist()
                prompts += [None if text is None else known.setdefault(text, text) for text in texts]
            begin = end
    return prompts


def recorded_keys(out: OutDir) -> dict[Recorded, tuple[str, ...]]:
    """Request keys by recorded name, from plan.parquet.

    Raises:
        UserError: the directory does not hold a finished run.
    """
    for path in (out.plan, out.study, out.preparations):
        if not path.exists():
            fault = Fault(file=str(path), key="", value="", allowed="missing: give the out directory of a finished run")
            raise UserError(fault)
    names = ["model", "task", "strategy", "perturbation", "replicate", "sample_id", "variant"]
    table = pq.read_table(out.plan, columns=[*names, "request_keys"])
    columns = [table.column(name).to_pylist() for name in names]
    keys = table.column("request_keys").to_pylist()
    recorded = {tuple(str(part) for part in name): tuple(own) for name, own in zip(zip(*columns, strict=True), keys, strict=True)}
    return recorded


def preparation_rows(runs: Iterable[Mapping[Preparation, Finished[Preparation, Prepared]]]) -> list[dict[str, Any]]:
    """Content of preparations.json: what was prepared for all samples, what it took, and what was found; nothing where nothing was done."""
    return [
        {
            **asdict(name),
            "keys": list(finished.keys),
            "facts": dict(finished.result.facts),
            "n_calls": len(finished.keys),
            "n_prompt_tokens": finished.n_prompt_tokens,
            "n_output_tokens": finished.n_output_tokens,
            "n_failed": finished.n_failed,
        }
        for run in runs
        for name, finished in run.items()
        if finished.keys or finished.result.facts
    ]


def recorded_facts(out: OutDir) -> dict[Recorded, Mapping[str, Any]]:
    """(model, task, strategy) to the facts of its preparation."""
    rows = json.loads(out.preparations.read_text(encoding="utf-8"))
    return {(row["model"], row["task"], row["strategy"]): row.get("facts", {}) for row in rows}


def recorded_contents(out: OutDir) -> dict[tuple[str, str, str, int], str]:
    """(task, perturbation, sample id, variant) to the content hash of what was shown."""
    names = ["task", "perturbation", "sample_id", "variant", "content_hash"]
    table = pq.read_table(out.plan, columns=[*names, "refused"])
    columns = [table.column(name).to_pylist() for name in (*names, "refused")]
    return {
        (task, p, sample, variant): digest for task, p, sample, variant, digest, refused in zip(*columns, strict=True) if refused is None
    }
