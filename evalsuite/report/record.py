"""Sections about what was done and how to do it again. Each builder returns its section, or None where its data are absent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from evalsuite.report.blocks import Block, Bullets, Cell, Column, Listing, Paragraph, Raw, Section, Table, data_of_rows
from evalsuite.report.findings import Findings, primary_strategy
from evalsuite.report.words import counted, listed

NOT_SHOWN = "not shown: restricted data"


def tasks_section(findings: Findings) -> Section | None:
    """What each task asks, where it comes from, and what is known to be wrong with it."""
    names = [entry.name for entry in findings.study.tasks if entry.name in findings.cards]
    if not names:
        return None
    rows: list[tuple[Raw, ...]] = []
    for entry in findings.study.tasks:
        card = findings.cards.get(entry.name)
        if card is not None:
            limit = counted(entry.limit, "sample") if entry.limit else "all"
            rows.append(
                (card.name, card.description, card.language, entry.split or card.split, limit, card.licence, card.revision, card.citation)
            )
    heads = ("Task", "What is asked", "Language", "Split", "Limit", "Licence", "Data revision", "Source")
    blocks: list[Block] = [_table("tasks", "Tasks", heads, rows, code=("Data revision",), missing={"Data revision": "not pinned"})]
    issues = [(name, issue, text) for name in names for issue, text in sorted(findings.cards[name].known_issues.items())]
    if issues:
        blocks.append(_table("known_issues", "Known issues of the tasks", ("Task", "Issue", "What it is"), issues, code=("Issue",)))
    else:
        blocks.append(Paragraph(text="The cards of these tasks name no known issue.", small=True))
    return Section(anchor="tasks", title="Tasks and their known issues", blocks=tuple(blocks))


def run_section(findings: Findings) -> Section | None:
    """Models, conditions, machine, cost."""
    heads = ("Model", "Domain", "Base", "Source", "Revision", "Fingerprint", "Parameters, 10⁹", "Licence")
    rows: list[tuple[Raw, ...]] = []
    notes = []
    for name in findings.study.models:
        info = findings.models.get(name, {})
        source = info.get("repo") or info.get("path")
        fingerprint = str(info.get("fingerprint") or "")[:12] or None
        rows.append((name, *(_text(value) for value in (info.get("domain"), info.get("base"), source)), _revision(info.get("revision")), fingerprint,
                     info.get("parameters_b"), _text(info.get("licence"))))  # fmt: skip
        if info.get("note"):
            notes.append(f"{name}: {info['note']}")
    missing = {"Revision": "not pinned", "Fingerprint": "not known"}
    models = _table(
        "models", "Models", heads, rows, code=("Source", "Revision", "Fingerprint"), numeric=("Parameters, 10⁹",), missing=missing
    )
    blocks: list[Block] = [models, *([Bullets(items=tuple(notes))] if notes else [])]
    blocks.append(_table("conditions", "Conditions, the same for every model", ("Setting", "Value"), conditions(findings), code=("Value",)))
    machine = machine_rows(findings.manifest)
    if machine:
        blocks.append(_table("machine", "Engine, machine and software", ("What", "Value"), machine, code=("Value",)))
    cost = cost_rows(findings)
    if cost:
        heads = ("Model", "Answers", "Calls", "Prompt tokens", "Output tokens")
        blocks.append(_table("cost", "What the answers took", heads, cost, numeric=heads[1:]))
    return Section(anchor="run", title="What was run", blocks=tuple(blocks))


def conditions(findings: Findings) -> list[tuple[Raw, ...]]:
    """(setting, value) of everything in the study that decides what is sent and how it is analysed."""
    study = findings.study
    rows: list[tuple[Raw, ...]] = []
    for what, entries in (("strategy", study.strategies), ("perturbation", study.perturbations)):
        for entry in entries:
            options = ", ".join(f"{key} {_text(value)}" for key, value in sorted(entry.options.items()))
            named = entry.name if entry.label == entry.name else f"{entry.label}: {entry.name}"
            rows.append((what, f"{named} ({options})" if options else named))
    for what, value in (
        ("decoding", study.decoding),
        ("prompting", study.prompting),
        ("engine", study.engine),
        ("analysis", study.analysis),
    ):
        rows.extend(flat(what, value.model_dump(mode="json")))
    rows.extend([("seed", study.seed), ("replicates", study.replicates)])
    # The primary strategy is stated even where the study leaves it to the default.
    return [(name, primary_strategy(study) if name == "analysis primary strategy" else value) for name, value in rows]


def machine_rows(manifest: Mapping[str, Any]) -> list[tuple[Raw, ...]]:
    """(what, value) of the parts of the manifest that describe engine, machine, software and cost; nothing else is shown."""
    rows: list[tuple[Raw, ...]] = []
    for key in ("engine", "hardware", "versions", "weights", "data", "seeds", "seconds", "tokens", "counts", "requests", "store"):
        if manifest.get(key) not in (None, "", {}, []):
            rows.extend(flat({"requests": "requests to engine", "counts": "answers"}.get(key, key), manifest[key]))
    return rows


def flat(name: str, value: Any) -> Iterable[tuple[Raw, ...]]:
    """(name, value) pairs of a nested mapping, names joined by spaces."""
    if isinstance(value, Mapping):
        for key in value:
            yield from flat(f"{name} {str(key).replace('_', ' ')}", value[key])
    else:
        yield (name, _text(value) if isinstance(value, list | tuple) or value is None else value)


def cost_rows(findings: Findings) -> list[tuple[Raw, ...]]:
    """(model, answers, calls, prompt tokens, output tokens) over all cells, each answer once however many metrics score it."""
    needed = [
        "model",
        "task",
        "strategy",
        "perturbation",
        "variant",
        "replicate",
        "sample_id",
        "n_calls",
        "n_prompt_tokens",
        "n_output_tokens",
    ]
    if not len(findings.scores) or not set(needed) <= set(findings.scores.columns):
        return []
    once = findings.scores.drop_duplicates(needed[:7])
    rows: list[tuple[Raw, ...]] = []
    for name in findings.study.models:
        own = once[once["model"] == name]
        rows.append((name, len(own), *(int(own[column].fillna(0).sum()) for column in needed[7:])))
    return rows


def prompts_section(findings: Findings) -> Section | None:
    """One full prompt per task and strategy as sent, and what differs between the prompts of a pair."""
    blocks: list[Block] = []
    tasks = [entry.name for entry in findings.study.tasks]
    strategies = [entry.label for entry in findings.study.strategies]
    for task, strategy in sorted(findings.prompts, key=lambda key: (_place(key[0], tasks), _place(key[1], strategies), key)):
        by_text: dict[str | None, list[str]] = {}
        for model, text in sorted(
            findings.prompts[task, strategy].items(), key=lambda item: (_place(item[0], findings.study.models), item[0])
        ):
            by_text.setdefault(None if _restricted(findings, task) else text, []).append(model)
        for text, models in by_text.items():
            title = f"{task}, {strategy}, as sent to {listed(models)}"
            blocks.append(Paragraph(text=f"{title}: {NOT_SHOWN}.") if text is None else Listing(title=title, text=text))
    same = []
    for (pair, task), text in sorted(findings.prompt_differences.items(), key=lambda item: (_place(item[0][1], tasks), item[0])):
        title = f"{task}: difference between the prompts of {pair[1]} and {pair[0]}"
        if not text:
            same.append(f"{task}: {pair[0]} and {pair[1]} receive the same text.")
        else:
            blocks.append(Paragraph(text=f"{title}: {NOT_SHOWN}.") if _restricted(findings, task) else Listing(title=title, text=text))
    if same:
        blocks.append(Bullets(items=tuple(same)))
    if not blocks:
        return None
    lead = Paragraph(text="One sample per task, whole, with every template mark, as the engine received it.")
    return Section(anchor="prompts", title="Prompts", blocks=(lead, *blocks))


def excluded_section(findings: Findings) -> Section | None:
    """Samples left out by the study, by name, and rows left out by the tasks, by reason."""
    blocks: list[Block] = []
    if findings.study.exclude:
        rows = [(item.task, item.sample_id, item.reason) for item in findings.study.exclude]
        blocks.append(
            _table(
                "excluded_samples", "Samples left out by this study, for all models", ("Task", "Sample", "Reason"), rows, code=("Sample",)
            )
        )
    counts: list[tuple[Raw, ...]] = []
    for entry in findings.study.tasks:
        card = findings.cards.get(entry.name)
        split = card.splits.get(entry.split or card.split) if card else None
        if split is not None:
            counts.extend(
                (entry.name, entry.split or (card.split if card else ""), reason.replace("_", " "), n)
                for reason, n in sorted(split.excluded.items())
            )
    if counts:
        heads = ("Task", "Split", "Reason", "Rows")
        blocks.append(_table("excluded_rows", "Rows of the data that the tasks leave out", heads, counts, numeric=("Rows",)))
    return Section(anchor="excluded", title="What was left out", blocks=tuple(blocks)) if blocks else None


def reproduce_section(findings: Findings) -> Section | None:
    """The command, the hashes that pin plan and analysis, and every later change of the analysis."""
    blocks: list[Block] = []
    if findings.command:
        blocks.append(Listing(title="From the study to this report", text=findings.command, folded=False))
        blocks.append(
            Paragraph(
                text="study.yaml beside this report is the study as run, with every default filled in. Statistics and report can be made again from "
                "the out directory and the store, without a model, by `evalsuite report` and the name of the out directory.",
            )
        )
    names = {"plan_hash": "plan", "analysis_hash": "analysis, fixed before the first answer"}
    hashes: list[tuple[Raw, ...]] = [(label, str(findings.manifest[key])) for key, label in names.items() if findings.manifest.get(key)]
    if hashes:
        blocks.append(_table("hashes", "Fingerprints", ("Of", "SHA-256"), hashes, code=("SHA-256",)))
    changes = findings.manifest.get("analysis_changes") or []
    if changes:
        rows = [tuple(_text(change.get(key)) for key in ("key", "old", "new", "date")) for change in changes]
        blocks.append(
            _table("analysis_changes", "Changes of the analysis after the first answer", ("Key", "Old", "New", "Date"), rows, code=("Key",))
        )
    elif hashes:
        blocks.append(Paragraph(text="The analysis was not changed after the first answer.", small=True))
    return Section(anchor="reproduce", title="How to reproduce it", blocks=tuple(blocks)) if blocks else None


def _table(
    name: str,
    title: str,
    heads: tuple[str, ...],
    rows: Iterable[tuple[Raw, ...]],
    *,
    code: tuple[str, ...] = (),
    numeric: tuple[str, ...] = (),
    missing: Mapping[str, str] | None = None,
) -> Table:
    """A table of plain values; `missing` gives per column the words for None, which then alert the reader."""
    data = data_of_rows((re.sub(r"\W+", "_", head.lower()).strip("_") for head in heads), rows)
    columns = tuple(Column(label=head, kind="code" if head in code else "number" if head in numeric else "text") for head in heads)
    words = missing or {}
    shown = tuple(
        tuple(
            Cell(text=words.get(head, "–") if value is None else shown_value(value), alert=value is None and head in words)
            for head, value in zip(heads, row, strict=True)
        )
        for row in data.rows
    )
    return Table(name=name, title=title, columns=columns, rows=shown, data=data)


def shown_value(value: Raw) -> str:
    """A plain value for people: whole numbers with thousands separators, others to four significant digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return "–" if value is None else value


def _revision(value: Any) -> str | None:
    """A commit by its first twelve digits, any other name whole, None for none."""
    return None if not value else str(value)[:12] if re.fullmatch(r"[0-9a-f]{40}", str(value)) else str(value)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return (", ".join(str(item) for item in value) or "none") if isinstance(value, list | tuple) else str(value)


def _place(name: str, order: Iterable[str]) -> int:
    names = list(order)
    return names.index(name) if name in names else len(names)


def _restricted(findings: Findings, task: str) -> bool:
    card = findings.cards.get(task)
    return card is not None and card.restricted
