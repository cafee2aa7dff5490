"""Sections about what was done and how to do it again. Each builder returns its section, or None where its data are absent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from evalsuite.report.blocks import Block, Bullets, Cell, Column, Listing, Paragraph, Raw, Section, Table, data_of_rows
from evalsuite.report.findings import Findings, exclusions, primary_strategy
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
            limits = [limit for limit in (entry.limit, findings.selection.get("limit")) if limit]
            limit = counted(min(limits), "sample") if limits else "all"
            asked = asked_samples(findings, entry.name)
            about = (card.licence, card.revision, card.citation)
            rows.append((card.name, card.description, card.language, entry.split or card.split, limit, asked, *about))
    heads = ("Task", "What is asked", "Language", "Split", "Limit", "Samples asked", "Licence", "Data revision", "Source")
    pinned = {"Data revision": "not pinned"}
    blocks: list[Block] = [_table("tasks", "Tasks", heads, rows, code=("Data revision",), numeric=("Samples asked",), missing=pinned)]
    issues = [(name, issue, text) for name in names for issue, text in sorted(findings.cards[name].known_issues.items())]
    if issues:
        blocks.append(_table("known_issues", "Known issues of the tasks", ("Task", "Issue", "What it is"), issues, code=("Issue",)))
    else:
        blocks.append(Paragraph(text="The cards of these tasks name no known issue.", small=True))
    return Section(anchor="tasks", title="Tasks and their known issues", blocks=tuple(blocks))


def asked_samples(findings: Findings, task: str) -> int | None:
    """Samples of a task that were really asked; None where the scores do not tell."""
    scores = findings.scores
    if not len(scores) or not {"task", "sample_id"} <= set(scores.columns):
        return None
    return int(scores.loc[scores["task"] == task, "sample_id"].nunique())


def models_run(findings: Findings) -> list[str]:
    """The models that were run, in the order of the study."""
    return [name for name in findings.study.models if name in findings.models]


def run_section(findings: Findings) -> Section | None:
    """Models, conditions, machine, cost."""
    heads = ("Model", "Domain", "Base", "Source", "Revision", "Fingerprint", "Parameters, 10⁹", "Licence")
    rows: list[tuple[Raw, ...]] = []
    notes: dict[str, list[str]] = {}
    for name in models_run(findings):
        info = findings.models[name]
        named = [_text(info.get(key)) for key in ("domain", "base")]
        pinned = [_text(info.get(key) or None) for key in ("revision", "fingerprint")]
        rows.append(
            (name, *named, _text(info.get("repo") or info.get("path")), *pinned, info.get("parameters_b"), _text(info.get("licence")))
        )
        if info.get("note"):
            notes.setdefault(str(info["note"]), []).append(name)
    missing = {"Revision": "not pinned", "Fingerprint": "not known"}
    models = _table(
        "models", "Models", heads, rows, code=("Source", "Revision", "Fingerprint"), numeric=("Parameters, 10⁹",), missing=missing
    )
    blocks: list[Block] = [models, *([Bullets(items=tuple(f"{listed(names)}: {note}" for note, names in notes.items()))] if notes else [])]
    blocks.append(
        _table("conditions", "Conditions, the same for every model", ("Of", "Setting", "Value"), conditions(findings), code=("Value",))
    )
    machine = machine_rows(findings.manifest)
    if machine:
        blocks.append(_table("machine", "Engine, machine and software", ("Of", "What", "Value"), machine, code=("Value",)))
    cost = cost_rows(findings)
    if cost:
        counts = ("Answers", "Calls", "Prompt tokens", "Output tokens")
        blocks.append(_table("cost", "What the answers took", ("Model", *counts), cost, numeric=counts))
    return Section(anchor="run", title="What was run", blocks=tuple(blocks))


def conditions(findings: Findings) -> list[tuple[Raw, ...]]:
    """(part, setting, value) of everything in the study that decides what is sent and how it is analysed."""
    study = findings.study
    rows: list[tuple[Raw, ...]] = []
    for what, entries in (("strategies", study.strategies), ("perturbations", study.perturbations)):
        for entry in entries:
            options = ", ".join(f"{key} {_text(value)}" for key, value in sorted(entry.options.items()))
            rows.append((what, entry.label, f"{entry.name} ({options})" if options else entry.name))
    for what, value in (("decoding", study.decoding), ("prompting", study.prompting), ("engine", study.engine)):
        rows.extend(flat(what, value.model_dump(mode="json")))
    # The primary strategy is stated even where the study leaves it to the default.
    analysis = study.analysis.model_dump(mode="json")
    rows.extend(flat("analysis", analysis | {"primary": analysis["primary"] | {"strategy": primary_strategy(study)}}))
    holdout: list[tuple[Raw, ...]] = [("draws", "holdout", study.holdout)] if study.holdout is not None else []
    return [*rows, ("draws", "seed", str(study.seed)), ("draws", "replicates", study.replicates), *holdout]


def machine_rows(manifest: Mapping[str, Any]) -> list[tuple[Raw, ...]]:
    """(part, what, value) of the parts of the manifest that describe engine, machine, software and cost; nothing else is shown."""
    rows: list[tuple[Raw, ...]] = []
    for key in ("engine", "hardware", "versions", "weights", "data", "seeds", "seconds", "tokens", "counts", "requests", "store"):
        if manifest.get(key) not in (None, "", {}, []):
            # Seeds are names rather than amounts: no thousands separators.
            value = (
                {name: str(seed) for name, seed in manifest[key].items()}
                if key == "seeds" and isinstance(manifest[key], Mapping)
                else manifest[key]
            )
            rows.extend(flat({"requests": "requests to the engine", "counts": "answers"}.get(key, key), value))
    return rows


def flat(part: str, value: Any, name: str = "") -> Iterable[tuple[Raw, ...]]:
    """(part, name, value) rows of a nested mapping, inner names joined by spaces."""
    if isinstance(value, Mapping):
        for key in value:
            yield from flat(part, value[key], f"{name} {str(key).replace('_', ' ')}".strip())
    else:
        yield (part, name, value if isinstance(value, bool | int | float) else _text(value))


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
    once = findings.scores[needed].drop_duplicates(needed[:7])
    rows: list[tuple[Raw, ...]] = []
    for name in models_run(findings):
        own = once[once["model"] == name]
        rows.append((name, len(own), *(int(own[column].fillna(0).sum()) for column in needed[7:])))
    return rows


def prompts_section(findings: Findings) -> Section | None:
    """One full prompt per task and strategy as sent, and what differs between the prompts of a pair."""
    order = [entry.name for entry in findings.study.tasks]
    named = {task for task, _ in findings.prompts} | {task for _, task in findings.prompt_differences}
    blocks: list[Block] = []
    for task in sorted(named, key=lambda name: (_place(name, order), name)):
        card = findings.cards.get(task)
        if card is not None and card.restricted:
            blocks.append(Paragraph(text=f"{task}: {NOT_SHOWN}."))
        else:
            blocks += [*prompt_blocks(findings, task), *difference_blocks(findings, task)]
    if not blocks:
        return None
    lead = Paragraph(text="One sample per task, whole, with every template mark, as the engine received it.")
    return Section(anchor="prompts", title="Prompts", blocks=(lead, *blocks))


def prompt_blocks(findings: Findings, task: str) -> list[Block]:
    """The prompts of a task, each text once with the models that received it."""
    strategies = [entry.label for entry in findings.study.strategies]
    blocks: list[Block] = []
    for strategy in sorted((s for t, s in findings.prompts if t == task), key=lambda name: (_place(name, strategies), name)):
        by_text: dict[str | None, list[str]] = {}
        sent = findings.prompts[task, strategy]
        for model in sorted(sent, key=lambda name: (_place(name, findings.study.models), name)):
            by_text.setdefault(sent[model], []).append(model)
        for text, models in by_text.items():
            title = f"{task}, {strategy}, as sent to {listed(models)}"
            # Prompts of restricted tasks never come here (`prompts_section`).
            nothing = Paragraph(text=f"{task}, {strategy}, {listed(models)}: nothing was sent.")
            blocks.append(nothing if text is None else Listing(title=title, text=text))
    return blocks


def difference_blocks(findings: Findings, task: str) -> list[Block]:
    """What differs between the prompts of each pair on a task."""
    blocks: list[Block] = []
    for pair, text in sorted((pair, text) for (pair, name), text in findings.prompt_differences.items() if name == task):
        title = f"{task}, difference from the prompt of {pair[1]} to that of {pair[0]}"
        same = Paragraph(text=f"{task}: {pair[0]} and {pair[1]} receive the same text.", small=True)
        blocks.append(Listing(title=title, text=text) if text else same)
    return blocks


def excluded_section(findings: Findings) -> Section | None:
    """Samples left out by the study, by name, and rows left out by the tasks, by reason."""
    blocks: list[Block] = []
    rows = [(task, sample, reason) for task, samples in exclusions(findings).items() for sample, reason in samples.items()]
    if rows:
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
                text="study.yaml beside this report is the study as run, with every default filled in. Statistics and report can be made "
                "again from the out directory and the store, without a model, by “evalsuite report” and the name of the out directory.",
            )
        )
    names = {"plan_hash": "plan", "analysis_hash": "analysis"}
    hashes: list[tuple[Raw, ...]] = [(label, str(findings.manifest[key])) for key, label in names.items() if findings.manifest.get(key)]
    if hashes:
        blocks.append(_table("hashes", "Fingerprints", ("Of", "SHA-256"), hashes))
    changes = findings.manifest.get("analysis_changes") or []
    if changes:
        rows = [tuple(_text(change.get(key)) for key in ("key", "old", "new", "date")) for change in changes]
        blocks.append(
            _table(
                "analysis_changes", "Changes of the analysis after it was first stated", ("Key", "Old", "New", "Date"), rows, code=("Key",)
            )
        )
    elif "analysis_changes" in findings.manifest:
        blocks.append(Paragraph(text="The analysis was not changed after it was first stated.", small=True))
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
            Cell(
                text=words.get(head, "–") if value is None else shown_value(value, short=head in code),
                alert=value is None and head in words,
            )
            for head, value in zip(heads, row, strict=True)
        )
        for row in data.rows
    )
    return Table(name=name, title=title, columns=columns, rows=shown, data=data)


def shown_value(value: Raw, *, short: bool) -> str:
    """A plain value for people: whole numbers with thousands separators, others to four significant digits.

    With `short`, commits and hashes by their first twelve digits; they are whole in the data.
    """
    if short and isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40,}", value):
        return value[:12]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return "–" if value is None else value


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return (", ".join(str(item) for item in value) or "none") if isinstance(value, list | tuple) else str(value)


def _place(name: str, order: Iterable[str]) -> int:
    names = list(order)
    return names.index(name) if name in names else len(names)
