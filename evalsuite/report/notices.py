"""What must not be overlooked, above everything else: failures, parts of a study, changes, silence, test instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evalsuite.report.blocks import Notice
from evalsuite.report.eyes_off import seal_notice
from evalsuite.report.findings import Findings, family_size, in_order, main_rows, narrowed, records
from evalsuite.report.sentences import Row, missing_answers, missing_rule
from evalsuite.report.words import counted, listed, share

MAX_NAMED = 4
"""Most tasks or models that a notice names one by one."""


def notices(findings: Findings) -> tuple[Notice, ...]:
    """What must not be overlooked: failures, a changed analysis, models that are test instruments."""
    found: list[Notice] = [*part_notice(findings), *seal_notice(findings), *failure_notice(findings)]
    if findings.manifest.get("analysis_changes"):
        text = (
            "The analysis was changed after it was first stated; what the change touches is exploratory. "
            "The changes stand under “How to reproduce it”."
        )
        found.append(Notice(level="warning", text=text))
    return (*found, *missing_notice(findings), *instrument_notice(findings))


def failure_notice(findings: Findings) -> tuple[Notice, ...]:
    """Where answers failed, and what becomes of the comparisons that need them."""
    failed = in_order(findings, findings.estimates[findings.estimates["n_failed"].fillna(0) > 0])
    if not len(failed):
        return ()
    where = [f"{task} ({', '.join(dict.fromkeys(own['model']))})" for task, own in failed.groupby("task", sort=False)]
    text = (
        f"Answers failed for reasons that are not the models': {listed(where)}. The comparisons that need them are not established "
        "until the study is run again without failures, or the samples are excluded by name for all models."
    )
    return (Notice(level="failure", text=text),)


def instrument_notice(findings: Findings) -> tuple[Notice, ...]:
    """Models that are test instruments by their own note in the registry."""
    notes = [(name, str(info.get("note") or "")) for name, info in findings.models.items() if name in findings.study.models]
    instruments = [(name, note) for name, note in notes if "test instrument" in note.lower()]
    if not instruments:
        return ()
    same = dict.fromkeys(note[:1].lower() + note[1:].rstrip(".") for _, note in instruments)
    text = (
        f"{listed([name for name, _ in instruments])}: {'; '.join(same)}. "
        "These results say nothing about any model that is meant for medical use."
    )
    return (Notice(level="warning", text=text),)


def part_notice(findings: Findings) -> tuple[Notice, ...]:
    """What part of the study was run, where it was not the whole."""
    if not narrowed(findings):
        return ()
    chosen = [(key, findings.selection.get(key)) for key in ("limit", "models", "tasks")]
    options = [f"--{key} {value if key == 'limit' else ','.join(value)}" for key, value in chosen if value]
    n_family = family_size(findings)
    size = "" if n_family is None else f" of {counted(n_family, 'comparison')}"
    stated = (main_rows(findings, findings.comparisons)["role"] == "primary").any()
    corrected = "The correction runs over the whole" if stated and findings.study.analysis.correction != "none" else "It belongs to a"
    text = f"Part of the study only: {', '.join(options)}. {corrected} pre-stated family{size}."
    return (Notice(level="warning", text=text),)


def missing_notice(findings: Findings) -> tuple[Notice, ...]:
    """Models that gave no answer to many of the questions that they are compared on."""
    rows = records(main_rows(findings, findings.comparisons))
    silent: dict[str, dict[str, tuple[int, int]]] = {}
    for row in rows:
        for model, counts in missing_answers(findings, row).items():
            # A model has the same answers in every pair, but for those that its opponent refused.
            of_task = silent.setdefault(model, {})
            of_task[row["task"]] = max(of_task.get(row["task"], counts), counts)
    if not silent:
        return ()
    dropped = findings.study.analysis.missing == "drop"
    rule = "leave the comparison on both sides" if dropped else f"{listed(sorted(_rules(findings, rows)))}"
    warned = (
        "What is left are the questions that both sides answered, which need not be like the others."
        if dropped
        else "Such a difference tells first of all who answered at all."
    )
    where = "; ".join(f"{model} on {_tasks_with_counts(of_task)}" for model, of_task in silent.items())
    text = f"Many answers are missing (unparsed, truncated or too long) and {rule}: {where}. {warned}"
    return (Notice(level="warning", text=text),)


def _rules(findings: Findings, rows: Sequence[Row]) -> set[str]:
    return {missing_rule(findings, row["metric"]) for row in rows if missing_answers(findings, row)}


def _tasks_with_counts(of_task: Mapping[str, tuple[int, int]]) -> str:
    if len(of_task) <= MAX_NAMED:
        return listed([f"{task} ({n:,} of {n_all:,})" for task, (n, n_all) in of_task.items()])
    shares = [round(n / n_all, 2) for n, n_all in of_task.values()]
    ends = list(dict.fromkeys(share(end) for end in (min(shares), max(shares))))
    return f"{len(of_task)} tasks ({' to '.join(ends)} of the answers)"
