"""The verdicts as one table: at the end of a run, and as the table that people paste into model cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evalsuite.report.blocks import Cell, Column, Table, data_of_rows
from evalsuite.report.eyes_off import seal_notice
from evalsuite.report.findings import Findings, data_of, main_rows, pairs_of, pooled_name, primary_strategy, records
from evalsuite.report.markdown import escape_markdown, render_table
from evalsuite.report.notices import failure_notice, instrument_notice, part_notice
from evalsuite.report.sentences import Row, why_not_established
from evalsuite.report.words import CORRECTIONS, SHARES, VERDICT_NAMES, Scale, counted, interval, number, p_number, scale_of, share


def verdict_table(findings: Findings) -> Table:
    """Every comparison of the primary cell, and below each pair's the mean over its tasks; verdicts are read from the first model's side.

    Args:
        findings: comparisons, and the pooled frame where there is one.
    """
    rows = main_rows(findings, findings.comparisons)
    pairs = pairs_of(rows)
    pooled = records(findings.analyses.pooled)
    compared = records(rows)
    several = len({row["metric"] for row in compared}) > 1
    heads = (pairs[0][0], pairs[0][1]) if len(pairs) == 1 else ("First", "Second")
    shown = []
    for pair in pairs:
        own = [row for row in compared if (row["model_a"], row["model_b"]) == pair]
        lead = (Cell(text=f"{pair[0]} − {pair[1]}"),) if len(pairs) > 1 else ()
        shown += [(*lead, *_cells(findings, row, several=several)) for row in own]
        over = [row for row in pooled if (row["model_a"], row["model_b"], row["scope"]) == (*pair, "all")]
        shown += [(*lead, *_pooled_cells(findings, row, several=several)) for row in over if len(own) > 1]
    columns = (
        *((Column(label="Pair"),) if len(pairs) > 1 else ()),
        Column(label="Task"),
        *((Column(label="Metric"),) if several else ()),
        *(
            Column(label=label, kind="number")
            for label in (*heads, "Difference", f"{share(1 - findings.study.analysis.alpha)} interval", _p_head(findings), "n")
        ),
        Column(label="Verdict"),
    )
    return Table(name="verdicts", title="Verdicts", columns=columns, rows=tuple(shown), data=data_of(rows), note=_note(compared))


def model_card(findings: Findings) -> str:
    """The verdict table with what a reader of a model card must know, as GitHub-flavoured Markdown; names are escaped.

    The table leaves its report: what the report warns of (a part of the study, failures, test instruments) goes with it.

    Args:
        findings: as for `verdict_table`.
    """
    study, analysis = findings.study, findings.study.analysis
    entry = next(entry for entry in study.strategies if entry.label == primary_strategy(study))
    options = ", ".join(f"{key} {value}" for key, value in sorted(entry.options.items()))
    decoding = "greedy" if study.decoding.temperature == 0 else f"temperature {study.decoding.temperature:g}"
    verdicts = verdict_table(findings)
    corrected = f"corrected after {_correction(findings)}" if _correction(findings) else "not corrected"
    unread = "counts as wrong" if analysis.missing == "incorrect" else "is left out"
    asked = f"Strategy {entry.label}{f' ({options})' if options else ''}, perturbation {analysis.primary.perturbation}, {decoding}"
    warnings = (*part_notice(findings), *seal_notice(findings), *failure_notice(findings), *instrument_notice(findings))
    said = [
        f"Paired comparison by evalsuite, study {study.study}: {study.question}",
        *(f"Please note: {notice.text}" for notice in warnings),
        f"{asked}, {counted(study.replicates, 'answer')} per question; an answer that cannot be read {unread}.",
    ]
    if verdicts.rows:
        said.append(f"Differences are {_sides(findings)} on the same questions, in points where the metric is a share.")
        margin = f"Margin ±{number(analysis.margin, SHARES)} points."
        said.append(f"p by sign flips over groups of linked questions, {corrected}. {margin}")
    else:
        said.append("No pair of models was compared.")
    if findings.manifest.get("analysis_changes"):
        said.append("The analysis was changed after it was first stated: exploratory.")
    lines = [escape_markdown(line) for line in said]
    models = [f"- {escape_markdown(name)}: {escape_markdown(_source(info))}" for name, info in findings.models.items()]
    digest = str(findings.manifest.get("analysis_hash") or "")[:12]
    table = [render_table(verdicts)] if verdicts.rows else []
    return "\n\n".join([lines[0], *table, *lines[1:], "\n".join(models), f"Analysis `{digest}`."]) + "\n"


def _sides(findings: Findings) -> str:
    """`first minus second`, or the names of the only pair, which then head the columns."""
    pairs = pairs_of(main_rows(findings, findings.comparisons))
    return f"{pairs[0][0]} minus {pairs[0][1]}" if len(pairs) == 1 else "first minus second"


def _source(info: Mapping[str, Any]) -> str:
    where = info.get("repo") or info.get("path") or "unnamed"
    return f"{where}, revision {info.get('revision') or 'not pinned'}, weights {str(info.get('fingerprint') or '')[:12]}"


def _cells(findings: Findings, row: Row, *, several: bool) -> tuple[Cell, ...]:
    scale = scale_of(findings, row["metric"])
    metric = (Cell(text=row["metric"]),) if several else ()
    return (Cell(text=row["task"]), *metric, *_numbers(row, scale, row["n_samples"]), _verdict(row, why_not_established(findings, row)))


def _pooled_cells(findings: Findings, row: Row, *, several: bool) -> tuple[Cell, ...]:
    n = None if row["n_questions"] is None else round(row["n_questions"])
    metric = (Cell(text="right answers"),) if several else ()
    return (Cell(text=pooled_name(findings)), *metric, *_numbers(row, SHARES, n), _verdict(row, str(row["status_note"] or "")))


def _numbers(row: Row, scale: Scale, n: int | None) -> tuple[Cell, ...]:
    p = row["p_adjusted"] if row["p_adjusted"] is not None else row["p_value"]
    texts = (
        number(row["mean_a"], scale),
        number(row["mean_b"], scale),
        number(row["difference"], scale, signed=True),
        interval(row["ci_low"], row["ci_high"], scale),
        p_number(p),
        "–" if n is None else f"{n:,}",
    )
    return tuple(Cell(text=text) for text in texts)


def _verdict(row: Row, reason: str) -> Cell:
    if row["verdict"] == "not_established":
        return Cell(text=f"not established: {reason}" if reason else "not established", alert=True)
    within = row["within_margin"] and row["verdict"] in ("a_better", "b_better")
    exploratory = "" if row["role"] == "primary" else " (exploratory)"
    return Cell(text=VERDICT_NAMES[row["verdict"]] + (", within margin" if within else "") + exploratory)


def _p_head(findings: Findings) -> str:
    name = _correction(findings)
    return f"p ({name})" if name else "p, not corrected"


def _correction(findings: Findings) -> str:
    """Whose correction the p-values shown have; empty where they have none, as all exploratory ones."""
    stated = (main_rows(findings, findings.comparisons)["role"] == "primary").any()
    return CORRECTIONS[findings.study.analysis.correction] if stated else ""


def _note(rows: Sequence[Row]) -> str:
    missing = {}
    for row in rows:
        for side in "ab":
            if row[f"n_{side}_missing"]:
                missing[row[f"model_{side}"], row["task"]] = int(row[f"n_{side}_missing"])
    return "" if not missing else "Missing answers: " + "; ".join(f"{model} on {task} {n:,}" for (model, task), n in missing.items()) + "."


def rescored_table(findings: Findings, before: pd.DataFrame, pooled_before: pd.DataFrame) -> Table | None:
    """What a re-scoring changed in the comparisons of the primary cell and in the means over tasks; None if nothing reads otherwise.

    Args:
        findings: what is found now.
        before: rows of the primary cell as it was stated then, columns of comparisons.csv.
        pooled_before: the means over tasks of then, columns of pooled.csv; empty: not known.

    Returns:
        A row per number that reads otherwise now; what changed alike everywhere stands once, above the others. The data have all of them.
    """
    then = _said_of_all(findings, before, pooled_before)
    now = _said_of_all(findings, main_rows(findings, findings.comparisons), findings.analyses.pooled)
    both = [key for key in now if key in then]
    changes = [(key, what, then[key][what], new) for key in both for what, new in now[key].items() if then[key][what] != new]
    if not changes:
        return None
    alike = [(what, old, new) for _, what, old, new in changes]
    everywhere = [change for change in dict.fromkeys(alike) if len(both) > 1 and alike.count(change) == len(both)]
    rows: list[tuple[str, ...]] = [("all pairs", "all", *change) for change in everywhere]
    rows += [(f"{a} − {b}", task, *change) for (a, b, task), *change in changes if tuple(change) not in everywhere]
    heads = ("Pair", "Task", "What", "Before", "Now")
    columns = ("model_a", "model_b", "task", "what", "before", "now")
    return Table(
        name="rescored",
        title="What changed",
        columns=tuple(Column(label=head) for head in heads),
        rows=tuple(tuple(Cell(text=text) for text in row) for row in rows),
        data=data_of_rows(columns, [(*key, *change) for key, *change in changes]),
    )


def _said_of_all(findings: Findings, compared: pd.DataFrame, pooled: pd.DataFrame) -> dict[tuple[str, str, str], dict[str, str]]:
    """(first model, second model, task or the name of the mean over tasks) to what is said of it, in the order of the verdict table."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    rows = records(compared)
    over = [row for row in records(pooled) if row["scope"] == "all"]
    for pair in dict.fromkeys((row["model_a"], row["model_b"]) for row in rows):
        own = [row for row in rows if (row["model_a"], row["model_b"]) == pair]
        found |= {(*pair, row["task"]): _said(row, scale_of(findings, row["metric"]), row["metric"], row["n_samples"]) for row in own}
        for row in over if len(own) > 1 else []:
            if (row["model_a"], row["model_b"]) == pair:
                n = None if row["n_questions"] is None else round(row["n_questions"])
                found[*pair, pooled_name(findings)] = _said(row, SHARES, "right answers", n) | {"tasks": row["tasks"] or ""}
    return found


def _said(row: Row, scale: Scale, metric: str, n: int | None) -> dict[str, str]:
    """A comparison as it is shown, by what it says."""
    mean_a, mean_b, difference, between, p, size = (cell.text for cell in _numbers(row, scale, n))
    return {
        "metric": metric,
        "first": mean_a,
        "second": mean_b,
        "difference": difference,
        "level": share(row["ci_level"]),
        "interval": between,
        "p": p,
        "n": size,
        "margin": number(row["margin"], scale),
        "role": row["role"],
        "verdict": _verdict(row, "").text.removesuffix(" (exploratory)"),
    }
