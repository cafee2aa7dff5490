"""How the answers were prepared: chains of thought kept and lost, neighbours looked up, prompts chosen, and how ensembles voted."""

from __future__ import annotations

from collections.abc import Sequence

from evalsuite.report.blocks import Block, Cell, Column, Paragraph, Section, Table, data_of_rows
from evalsuite.report.findings import Findings
from evalsuite.report.prepared import Made, count_of, parts_made, whole
from evalsuite.report.prompts_chosen import selection_blocks
from evalsuite.report.votes_cast import vote_blocks
from evalsuite.report.words import SHARES, counted, listed, number

ALWAYS = {"n_wrong": "Wrong label", "n_unread": "No answer read"}
"""Counts of chains of thought that always stand in the table, with their heads."""

WHERE_ANY = {
    "n_truncated": "of these, cut off",
    "n_failed": "Failed",
    "n_bare": "Kept without reasoning",
    "n_doubtful": "Key in doubt, not tried",
    "n_regenerated": "Tried again",
}
"""Counts that stand there where any is above 0."""

CHAIN_COUNTS = ("n_asked", "n_kept", *ALWAYS, *WHERE_ANY, "n_attempts", "n_short", "n_questions")
"""Everything that is counted."""


def preparations_section(findings: Findings) -> Section | None:
    """What was made before the answers, and how several answers became one; absent where neither is."""
    chains, chosen, neighbours = (list(parts_made(findings, name)) for name in ("chains", "selection", "neighbours"))
    blocks: list[Block] = []
    if chains:
        blocks += [Paragraph(text=_chains_said(findings, chains)), _chains_table(chains)]
    if neighbours:
        blocks.append(_neighbours_table(findings, neighbours))
    if chosen:
        blocks += selection_blocks(findings, chosen)
    blocks += vote_blocks(findings)
    return Section(anchor="preparations", title="How the answers were prepared", blocks=tuple(blocks)) if blocks else None


def _distilled(made: Made) -> str | None:
    """The model whose chains all models are shown; None where each wrote its own."""
    source = str(made.facts.get("source", "self"))
    return None if source == "self" else source


def _chains_said(findings: Findings, chains: Sequence[Made]) -> str:
    """How many chains were kept, by whom fewest, and who wrote them for others."""
    text = "Exemplars show reasoning that a model wrote, kept only where it arrived at the label."
    known = [
        (kept / asked, made) for made in chains if (asked := count_of(made, "n_asked")) and (kept := count_of(made, "n_kept")) is not None
    ]
    if known:
        (low, least), (high, most) = (pick(known, key=lambda item: item[0]) for pick in (min, max))
        ends = [
            f"{number(part, SHARES)}% ({made.model} on {made.task} under {made.strategy})" for part, made in ((low, least), (high, most))
        ]
        text += f" Kept: {ends[0] if len(known) == 1 or low == high else f'from {ends[0]} to {ends[1]}'} of the questions tried."
    bare = [(n / kept, made) for made in chains if (n := count_of(made, "n_bare")) and (kept := count_of(made, "n_kept"))]
    if bare:
        part, made = max(bare, key=lambda item: item[0])
        text += f" Of what was kept, up to {number(part, SHARES)}% is an answer without any reasoning ({made.model}, {made.strategy})."
    lent: dict[str, list[str]] = {}
    for made in chains:
        source = _distilled(made)
        if source is not None and made.strategy not in lent.setdefault(source, []):
            lent[source].append(made.strategy)
    for source, strategies in lent.items():
        others = [model for model in findings.study.models if model != source]
        text += (
            f" Under {listed(strategies)} the reasoning is distilled from {source}: {listed(others)} {'is' if len(others) == 1 else 'are'}"
        )
        text += " shown what another model wrote."
    short = sum(count_of(made, "n_short") or 0 for made in chains)
    if short:
        text += f" {counted(short, 'time')} a question had fewer exemplars than wanted, since the pool was exhausted."
    return text


def _chains_table(chains: Sequence[Made]) -> Table:
    heads = {**ALWAYS, **{key: head for key, head in WHERE_ANY.items() if any(count_of(made, key) for made in chains)}}
    rows, values = [], []
    for made in chains:
        counts = {key: count_of(made, key) for key in CHAIN_COUNTS}
        asked, kept, source = counts["n_asked"], counts["n_kept"], _distilled(made)
        by = "its own" if source is None else f"distilled from {source}"
        texts = [made.task, made.strategy, made.model if source is None else "all models", by, whole(asked), whole(kept)]
        texts += [number(kept / asked if asked and kept is not None else None, SHARES), *(whole(counts[key]) for key in heads)]
        short, n = counts["n_short"], counts["n_questions"]
        texts.append("–" if short is None else f"{short:,}" + ("" if n is None else f" of {n:,}"))
        rows.append(tuple(Cell(text=text) for text in texts))
        values.append([made.task, made.strategy, made.model, source or "self", *counts.values()])
    note = (
        "Questions of the exemplar pool that some evaluated question wanted, nearest or drawn first; where one was lost, the next was "
        "tried. What was kept arrived at the label: that does not make the reasoning right."
    )
    note += " Tried again: with the choices in another order." if "n_regenerated" in heads else ""
    data = data_of_rows(["task", "strategy", "model", "source", *CHAIN_COUNTS], values)
    numbers = ("Questions tried", "Kept", "Kept %", *heads.values(), "Questions with too few")
    columns = _columns(("Task", "Strategy", "Model", "Reasoning by"), numbers)
    return Table(name="chains", title="Chains of thought", columns=columns, rows=tuple(rows), data=data, note=note)


def _columns(texts: Sequence[str], numbers: Sequence[str]) -> tuple[Column, ...]:
    return (*(Column(label=label) for label in texts), *(Column(label=label, kind="number") for label in numbers))


def _neighbours_table(findings: Findings, neighbours: Sequence[Made]) -> Table:
    """One row per task and strategy where it was the same for all models, else one per model."""
    found = [
        (made.task, made.strategy, str(made.facts.get("embedder", "–")), count_of(made, "n_pool"), count_of(made, "n_questions"))
        for made in neighbours
    ]
    lent = {entry.label for entry in findings.study.strategies if {"cot_from", "prompt_from"} & entry.options.keys()}
    rows = []
    for row in dict.fromkeys(found):
        models = [made.model for made, own in zip(neighbours, found, strict=True) if own == row]
        who = f"{listed(models)}, for all models" if row[1] in lent else listed(models)
        who = "all models" if set(models) >= set(findings.study.models) else who
        rows.append(tuple(Cell(text=entry if isinstance(entry, str) else whole(entry)) for entry in (*row[:2], who, *row[2:])))
    return Table(
        name="neighbours",
        title="Nearest exemplars",
        columns=_columns(("Task", "Strategy", "Model", "Alike by"), ("Questions in the pool", "Questions looked up")),
        rows=tuple(rows),
        data=data_of_rows(
            ["task", "strategy", "model", "embedder", "n_pool", "n_questions"],
            [(*row[:2], made.model, *row[2:]) for made, row in zip(neighbours, found, strict=True)],
        ),
        note="Groups that are evaluated, and questions (nearly) identical to an evaluated one, are not in the pool.",
    )
