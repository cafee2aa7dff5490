"""Cutting a table of scores into cells is the same as cutting it the plain way, whatever order its rows have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.metrics import METRICS
from evalsuite.outputs import PLAN_SCHEMA, SCORES_SCHEMA, TEXTS, UNREAD, TableWriter, analysed_scores, packed_column, prompts_at
from evalsuite.report.explorer_packing import _shares
from evalsuite.stats.columns import rows_of
from evalsuite.stats.tables import KEPT_COLUMNS, UNIT, Condition, PairedUnits, empty_units, sample_means, split_conditions

NAMES = st.sampled_from(["a", "B", "b", "é", "z1", "z10", "z2"])
KEYS = st.tuples(NAMES, st.sampled_from(["accuracy", "accuracy_strict"]), NAMES, NAMES, NAMES, NAMES, st.integers(0, 2), st.integers(0, 1))


def plain_cells(scores: pd.DataFrame) -> dict[Condition, dict[str, pd.DataFrame]]:
    """One group after the other, each with an index of its own."""
    table = scores.reindex(columns=[*dict.fromkeys(("task", "metric", "strategy", "perturbation", "model", *UNIT, *KEPT_COLUMNS))])
    table = table.assign(value=table["value"].astype(float), label_mass=table["label_mass"].astype(float))
    table = table.assign(**{name: table[name].astype(object) for name in KEPT_COLUMNS if isinstance(table[name].dtype, pd.StringDtype)})
    cells: dict[Condition, dict[str, pd.DataFrame]] = {}
    for key, part in table.groupby(["task", "metric", "strategy", "perturbation", "model"], sort=True):
        task, metric, strategy, perturbation, model = map(str, key)
        condition = Condition(task=task, metric=metric, strategy=strategy, perturbation=perturbation)
        cells.setdefault(condition, {})[model] = part.set_index(UNIT)[list(KEPT_COLUMNS)].sort_index()
    return cells


@settings(deadline=None, max_examples=20)
@given(st.lists(KEYS, min_size=1, max_size=40, unique=True))
def test_cells_are_those_of_the_plain_way(keys: list[tuple[Any, ...]]) -> None:
    names = ["task", "metric", "strategy", "perturbation", "model", *UNIT]
    scores = pd.DataFrame(keys, columns=names)
    scores = scores.assign(group=scores["task"] + ":" + scores["sample_id"], status="scored", value=np.arange(len(keys), dtype=float))
    found, plain = split_conditions(scores, METRICS), plain_cells(scores)
    assert [(condition, list(models)) for condition, models in found.items()] == [
        (condition, list(models)) for condition, models in plain.items()
    ]
    for condition, models in plain.items():
        for model, cell in models.items():
            pd.testing.assert_frame_equal(found[condition][model], cell)


def test_an_empty_table_has_no_cells() -> None:
    columns = ["task", "metric", "strategy", "perturbation", "model", *UNIT, "group", "status", "value"]
    assert split_conditions(pd.DataFrame([], columns=columns), METRICS) == {}


def units(samples: list[str], values: list[float]) -> PairedUnits:
    held = np.array(samples, dtype=str)
    return replace(
        empty_units(len(samples), ""), samples=held, groups=np.char.add("g", held), a=np.array(values), b=-np.array(values), faults=()
    )


@given(st.lists(st.tuples(NAMES, st.integers(-9, 9)), min_size=1, max_size=12))
def test_samples_are_averaged_in_the_order_of_their_names(answers: list[tuple[str, int]]) -> None:
    answers = sorted(answers)
    means = sample_means(units([name for name, _ in answers], [float(value) for _, value in answers]))
    wanted = {name: [value for other, value in answers if other == name] for name, _ in answers}
    assert means.groups.tolist() == [f"g{name}" for name in sorted(wanted)]
    assert means.a.tolist() == pytest.approx([np.mean(wanted[name]) for name in sorted(wanted)])
    assert means.b.tolist() == (-means.a).tolist()


@given(st.lists(st.none() | st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=5), max_size=8))
def test_shares_are_rounded_as_one_by_one(rows: list[list[float] | None]) -> None:
    plain = [None if row is None else [None if np.isnan(p) else int(10_000 * p + 0.5) for p in row] for row in rows]
    assert list(_shares(rows)) == plain


def test_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"model": "m", "value": 1.0, "p_choices": [0.25, 0.75], "tags": ["x"], "request_keys": ["k", "l"]},
        {"model": None, "value": None, "p_choices": None, "tags": [], "request_keys": []},
    ]
    with TableWriter(tmp_path / "scores.parquet", SCORES_SCHEMA) as table:
        for row in rows:
            table.add(dict.fromkeys(SCORES_SCHEMA.names) | row)
    frame = analysed_scores(tmp_path / "scores.parquet")
    assert list(frame.columns) == [name for name in SCORES_SCHEMA.names if name not in UNREAD]
    shares = rows_of(frame["p_choices"])
    assert shares[0].tolist() == [0.25, 0.75]
    assert shares[1] is None
    whole = pd.read_parquet(tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(frame.drop(columns="p_choices"), whole.drop(columns=["p_choices", *UNREAD]))


def test_a_row_that_lacks_a_column_is_refused_and_leaves_no_table(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="model"), TableWriter(tmp_path / "plan.parquet", PLAN_SCHEMA) as table:
        table.add(dict.fromkeys(PLAN_SCHEMA.names[1:]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("entries", [[0.0, -0.0], [1, 1], ["a", "a"], [None, None], [None, "a"], [[], []], [["x"], None], [True, True]])
def test_a_column_is_packed_as_its_entries_are(entries: list[Any]) -> None:
    kind = {float: pa.float64(), int: pa.int32(), list: TEXTS, bool: pa.bool_()}.get(type(entries[0]), pa.string())
    packed = packed_column(tuple(entries), kind)
    assert packed.equals(pa.array(entries, kind))
    assert list(map(repr, packed.to_pylist())) == list(map(repr, entries))


def test_prompts_are_fetched_by_row(tmp_path: Path) -> None:
    prompts = [None if number % 4 == 3 else f"prompt {number // 2}" for number in range(23)]
    with TableWriter(tmp_path / "plan.parquet", PLAN_SCHEMA, n_rows_in_part=5) as table:
        for prompt in prompts:
            table.add(dict.fromkeys(PLAN_SCHEMA.names) | {"prompt": prompt})
    assert pq.ParquetFile(tmp_path / "plan.parquet").num_row_groups == 5
    wanted = np.array([0, 3, 4, 5, 5, 19, 20, 22])
    assert prompts_at(tmp_path / "plan.parquet", wanted) == [prompts[number] for number in wanted]
    assert prompts_at(tmp_path / "plan.parquet", np.zeros(0, dtype=np.int64)) == []
