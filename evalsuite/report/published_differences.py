"""What a paper's printed numbers say by themselves: differences between biomedical models and their generalists, drawn without a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from evalsuite.models import ModelEntry
from evalsuite.out_dir import OutDir
from evalsuite.published.differences import LEVEL, differences, unpaired_models, values
from evalsuite.published.records import SHARES, Paper
from evalsuite.report.blocks import Block, Bullets, Cell, Column, DataFile, Notice, Paragraph, Report, Section, Table, data_of_rows
from evalsuite.report.findings import data_of, records
from evalsuite.report.published_figures import POINTS, column_heads, interval_figures, matrix_figures, plain_task, ranked
from evalsuite.report.tables import Row, Shown, table_of
from evalsuite.report.words import Scale, counted, interval, listed, number, share
from evalsuite.report.write import write_report
from evalsuite.types import Tell, untold

PRINTED = Scale(factor=100.0, n_digits=2, unit="%", difference_unit=" points")
"""Papers print two digits."""
READINGS = {"read": "read", "derived": "derived", "second_hand": "second-hand"}
GRIM_WORDS = {"possible": "possible", "impossible": "cannot have arisen", "undecided": "not decidable", "untested": "–"}
MAX_VALUES = 120
"""Most printed numbers that a table shows where there is no difference to show; more stand in the CSV file only."""


def write_published(paper: Paper, registry: Mapping[str, ModelEntry], folder: Path, tell: Tell = untold) -> list[Path]:
    """Write report.html, report.md, figures and tables of a paper's printed differences.

    Args:
        paper: from `published.load_paper`.
        registry: models.yaml, which says who was made from whom.
        folder: where; made if it is not there.
        tell: told of progress.

    Returns:
        The files.

    Raises:
        UserError: the folder holds a study or scores, whose files these would replace.
    """
    OutDir(folder).check_free()
    return write_report(published_report(paper, registry), folder, tell)


def published_report(paper: Paper, registry: Mapping[str, ModelEntry]) -> Report:
    """The report as data; it claims no verdict, since nothing was tested here."""
    frame = differences(paper, registry)
    printed = values(paper)
    lead = lead_rows(frame)
    blocks: list[Block] = [Paragraph(text=text) for text in said(paper, registry, frame)]
    blocks.append(Notice(level="warning", text=cannot_be_known(frame)))
    computed = lead[~lead["printed_as_difference"]]
    for name, rows in (("differences", computed[~computed["overall"]]), ("overall", computed[computed["overall"]])):
        blocks += matrix_figures(paper, rows, name=name)
    glance = glance_table(paper, frame)
    sections = [Section(anchor="answer", title="Printed differences", blocks=(*blocks, *([glance] if glance else [])))]
    sections += [
        section for section in (_intervals(paper, lead), _as_printed(paper, frame), _faults(paper), _numbers(frame, printed)) if section
    ]
    question = f"What do the numbers printed by {paper.reference} say about biomedical models and their generalists?"
    return Report(study=f"published_{paper.id}", question=question, sections=tuple(sections))


def said(paper: Paper, registry: Mapping[str, ModelEntry], frame: pd.DataFrame) -> list[str]:
    """What the paper is, and its differences in a few sentences, computed from the numbers."""
    versions = "; ".join(f"{version.id}: {version.text}" for version in paper.versions)
    texts = [f"{paper.authors} {paper.year}, {paper.title} ({versions}). {counted(len(paper.records), 'printed number')} are held."]
    lead = lead_rows(frame)
    computed = lead[~lead["printed_as_difference"] & ~lead["overall"]]
    if len(computed):
        n_pairs, n_tasks = len(computed[["model_a", "model_b"]].drop_duplicates()), computed["task"].nunique()
        over = f"{counted(n_pairs, 'pair')} on {counted(n_tasks, 'task')}, one number per task or part of it"
        texts.append(f"{_balance(computed)} ({over}). {_bases(computed)}".strip())
    elif not len(frame):
        texts.append(
            "No pair of a biomedical model and its generalist is printed with numbers of its own, so there is no difference to draw."
        )
    as_printed = frame[frame["printed_as_difference"]]
    if len(as_printed):
        texts.append(f"Of those that the paper prints as differences itself, {_balance(as_printed)}.")
    alone = unpaired_models(paper, registry)
    if alone:
        texts.append(f"Not compared, since no generalist of theirs is printed under a known id: {listed(alone)}.")
    if paper.not_read:
        texts.append(paper.not_read)
    return texts


def cannot_be_known(frame: pd.DataFrame) -> str:
    """Why there is no verdict, and what the intervals are, where there are any."""
    if not len(frame):
        return "No verdict: nothing was tested here, and these numbers are of no pair."
    text = (
        "No verdict: nothing was tested here. No answers per question are printed, so that nobody can know how often both models of a "
        "pair were right on the same questions, and hence no paired interval."
    )
    if frame["ci_low"].notna().any():
        text += (
            f" Where the number of items is known, the {share(LEVEL)} interval for unpaired answers is shown (Newcombe 1998). It is wider "
            "than a paired one where the models' answers correlate positively, as they usually do, and it is not corrected for the number "
            "of comparisons."
        )
    return text


def lead_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """One number per task, or part of it, where the paper's data name one; else all."""
    leads = frame["lead"]
    named = {(row["version"], bool(row["printed_as_difference"])) for row in records(frame[leads])}
    unnamed = [(row["version"], bool(row["printed_as_difference"])) not in named for row in records(frame)]
    return frame[leads | pd.Series(unnamed, index=frame.index, dtype=bool)].reset_index(drop=True)


def glance_table(paper: Paper, frame: pd.DataFrame) -> Table | None:
    """Pairs by tasks, differences in points; None where no pair is printed."""
    rows = lead_rows(frame)
    rows = rows[rows["unit"].isin(SHARES)]
    # What a mean over tasks repeats stands in a figure of its own.
    computed = rows[~rows["printed_as_difference"]]
    single = computed[~computed["overall"]]
    rows = single if len(single) else computed if len(computed) else rows
    if not len(rows):
        return None
    rows = rows.assign(head=column_heads(paper, rows))
    heads = list(dict.fromkeys(rows["head"]))
    cells = {(row["model_b"], row["model_a"], row["head"]): row for row in records(rows)}
    shown = []
    for base in dict.fromkeys(rows["model_b"]):
        shown.append((Cell(text=f"minus {base}"), *(Cell(text="") for _ in heads)))
        names = ranked(rows[rows["model_b"] == base])
        shown += [(Cell(text=f"\u2003{name}"), *(_difference_cell(cells.get((base, name, head))) for head in heads)) for name in names]
    columns = (
        Column(label="Biomedical model"),
        # Heads stand on several lines, so that many columns fit on a terminal.
        *(Column(label="\n".join(head.replace("_", "_ ").split()), kind="number") for head in heads),
    )
    note = "Biomedical model minus generalist in points, computed from printed numbers. –: not printed."
    if any(_doubtful(row) for row in records(rows)):
        note += " !: a number behind it cannot have arisen from its number of items (GRIM)."
    return Table(
        name="at_a_glance",
        title="Differences at a glance",
        columns=columns,
        rows=tuple(shown),
        data=data_of(rows.drop(columns="head")),
        note=note,
    )


def listing(papers: Sequence[Paper], registry: Mapping[str, ModelEntry]) -> Table:
    """All papers that the package holds."""
    rows = []
    for paper in papers:
        frame = differences(paper, registry)
        readings = [READINGS[name] for name in READINGS if any(record.reading == name for record in paper.records)]
        names = ", ".join(version.id for version in paper.versions)
        rows.append((paper.id, f"{paper.authors} {paper.year}: {paper.title}", names, len(paper.records), len(frame), ", ".join(readings)))
    heads = ("Paper", "What it is", "Versions", "Numbers", "Differences", "Known by")
    numeric = ("Numbers", "Differences")
    return Table(
        name="papers",
        title="Papers",
        columns=tuple(Column(label=head, kind="number" if head in numeric else "text") for head in heads),
        rows=tuple(tuple(Cell(text=f"{value:,}" if isinstance(value, int) else value or "–") for value in row) for row in rows),
        data=data_of_rows(heads, rows),
        note="`evalsuite compare --published PAPER` draws the differences; PAPER may name a version, as in 2404.04067v3.",
    )


def _balance(frame: pd.DataFrame) -> str:
    n, gains, losses = len(frame), int((frame["difference"] > 0).sum()), int((frame["difference"] < 0).sum())
    text = f"{gains:,} of {counted(n, 'difference')} favour the biomedical model and {losses:,} the generalist"
    n_zero = n - gains - losses
    return text if not n_zero else f"{text}; {n_zero:,} {'is' if n_zero == 1 else 'are'} zero"


def _bases(frame: pd.DataFrame) -> str:
    """How often the choice of the generalist decides the sign; empty where no model has two."""
    signs = frame.assign(sign=(frame["difference"] > 0).astype(int) - (frame["difference"] < 0).astype(int))
    cells = signs.groupby(["model_a", "version", "task", "metric", "setting"])["sign"].agg(["count", "min", "max"])
    several = cells[cells["count"] > 1]
    if not len(several):
        return ""
    flips = int((several["min"] * several["max"] < 0).sum())
    return f"Where a model has two generalists, the choice between them turns the sign of {flips:,} of {len(several):,} differences."


def _difference_cell(row: Row | None) -> Cell:
    if row is None:
        return Cell(text="–")
    doubtful = _doubtful(row)
    return Cell(text=number(row["difference"], POINTS, signed=True) + (" !" if doubtful else ""), alert=doubtful)


def _doubtful(row: Row) -> bool:
    return "impossible" in (row["grim_a"], row["grim_b"])


def _intervals(paper: Paper, lead: pd.DataFrame) -> Section | None:
    rows = lead[lead["ci_low"].notna()]
    if not len(rows):
        return None
    heads = dict(zip(zip(rows["task"], rows["metric"], rows["setting"], strict=True), column_heads(paper, rows), strict=True))
    shown: list[Shown] = [
        (Column(label="Task"), lambda row: Cell(text=heads[row["task"], row["metric"], row["setting"]].replace("\n", " "))),
        (Column(label="Biomedical model"), lambda row: Cell(text=row["model_a"])),
        (Column(label="Generalist"), lambda row: Cell(text=row["model_b"])),
        _number("First", lambda row: number(row["value_a"], PRINTED), lambda row: row["grim_a"] == "impossible"),
        _number("Second", lambda row: number(row["value_b"], PRINTED), lambda row: row["grim_b"] == "impossible"),
        _number("Difference", lambda row: number(row["difference"], PRINTED, signed=True), _doubtful),
        _number(f"{share(LEVEL)} interval, unpaired", lambda row: interval(row["ci_low"], row["ci_high"], PRINTED)),
        _number("Items", lambda row: f"{row['n_items_a']:,.0f}"),
        _number("Independent", lambda row: f"{row['n_independent']:,.0f}"),
        (Column(label="Items are"), lambda row: Cell(text=row["n_status"])),
        (Column(label="Known by"), lambda row: Cell(text=READINGS[row["reading"]])),
        (Column(label="GRIM"), lambda row: _grim_cell(row["grim_a"], row["grim_b"])),
    ]
    note = (
        "Percent and points. Items are stated by the paper, derived from what it prints, or assumed (the usual size of the data set). "
        "GRIM: whether the printed values can arise from that many items."
    )
    table = table_of(rows, shown, name="intervals", title="Differences with an interval for unpaired answers", note=note)
    return Section(anchor="intervals", title="Where the number of items is known", blocks=(*interval_figures(paper, rows), table))


def _as_printed(paper: Paper, frame: pd.DataFrame) -> Section | None:
    rows = frame[frame["printed_as_difference"]]
    if not len(rows):
        return None
    shown: list[Shown] = [
        (Column(label="Task"), lambda row: Cell(text=plain_task(paper, row["task"]))),
        (Column(label="Biomedical model"), lambda row: Cell(text=row["model_a"])),
        (Column(label="Base that the paper names"), lambda row: Cell(text=row["model_b"])),
        _number("Difference", lambda row: number(row["difference"], PRINTED, signed=True)),
        (Column(label="Version"), lambda row: Cell(text=row["version"])),
        (Column(label="Remark"), lambda row: Cell(text=row["note"] or "", alert="follow" in (row["note"] or ""))),
    ]
    table = table_of(rows, shown, name="printed_as_differences", title="Printed as differences", note="Points.")
    figures = matrix_figures(paper, rows, name="printed_as_differences")
    return Section(anchor="printed", title="Differences that the paper prints itself", blocks=(*figures, table))


def _faults(paper: Paper) -> Section | None:
    if not paper.defects:
        return None
    return Section(anchor="faults", title="Known faults of these numbers", blocks=(Bullets(items=fault_lines(paper)),))


def fault_lines(paper: Paper) -> tuple[str, ...]:
    """Known faults, each with the tasks that it touches."""
    return tuple(
        f"{listed([plain_task(paper, task) for task in defect.tasks])}: {defect.text}" if defect.tasks else defect.text
        for defect in paper.defects
    )


def _numbers(frame: pd.DataFrame, printed: pd.DataFrame) -> Section:
    """All numbers: those that cannot have arisen as a table, all others as files, or as a table where there are few and no pairs."""
    blocks: list[Block] = []
    impossible = printed[printed["grim"] == "impossible"]
    if len(impossible):
        note = "GRIM (Brown and Heathers 2017): no whole number of right answers among so many items gives the printed value."
        blocks.append(_values_table(impossible, name="cannot_have_arisen", title="Values that cannot have arisen", note=note))
    tested = printed[printed["grim"].isin(["possible", "impossible"])]
    text = f"GRIM can be applied to {len(tested):,} of {counted(len(printed), 'printed number')}; {len(impossible):,} cannot have arisen."
    blocks.append(Paragraph(text=text, small=True))
    if not len(frame) and 0 < len(printed) <= MAX_VALUES:
        blocks.append(printed_table(printed))
    blocks.append(DataFile(name="values", text="Every printed number with its source and how it is known", data=data_of(printed)))
    blocks.append(DataFile(name="differences", text="Every difference, unrounded, shares in [0, 1]", data=data_of(frame)))
    return Section(anchor="numbers", title="The numbers", blocks=tuple(blocks))


def printed_table(printed: pd.DataFrame) -> Table:
    """Printed numbers as they are, for a paper without pairs."""
    return _values_table(printed, name="printed", title="Printed numbers", note="As printed, in the unit beside it.")


def _values_table(rows: pd.DataFrame, *, name: str, title: str, note: str) -> Table:
    shown: list[Shown] = [
        (Column(label="Model"), lambda row: Cell(text=row["model"])),
        (Column(label="Task"), lambda row: Cell(text=row["task"])),
        (Column(label="Metric"), lambda row: Cell(text=row["metric"])),
        (Column(label="Setting"), lambda row: Cell(text=row["setting"] or "–")),
        _number("Printed", lambda row: row["printed"], lambda row: row["grim"] == "impossible"),
        (Column(label="Unit"), lambda row: Cell(text=row["unit"].replace("_", " "))),
        _number("Items", lambda row: "–" if row["n_items"] is None else f"{row['n_items']:,.0f} ({row['n_status']})"),
        (Column(label="Version"), lambda row: Cell(text=row["version"])),
        (Column(label="Known by"), lambda row: Cell(text=READINGS[row["reading"]])),
        (Column(label="GRIM"), lambda row: _grim_cell(row["grim"])),
        (Column(label="Source"), lambda row: Cell(text=row["source"])),
    ]
    return table_of(rows, shown, name=name, title=title, note=note)


def _grim_cell(*found: str) -> Cell:
    worst = next(name for name in ("impossible", "untested", "undecided", "possible") if name in found)
    return Cell(text=GRIM_WORDS[worst], alert=worst == "impossible")


def _number(label: str, text: Callable[[Row], str], alert: Callable[[Row], bool] = lambda _: False) -> Shown:
    return Column(label=label, kind="number"), lambda row: Cell(text=text(row), alert=alert(row))
