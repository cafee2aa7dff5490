"""Reading the papers' numbers from the package: one YAML file per paper, tables as grids of printed numbers.

A table has `columns` and `rows`; a number's facts are those of the table (`all`), then of its column, then of its row, later ones
winning. A dash (null) in a row is a number that the paper does not print.
"""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evalsuite.config import faults_of, read_yaml
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.published.entries import PaperEntry, TableEntry, TaskNameEntry
from evalsuite.published.records import Asking, DeclaredPair, Defect, Paper, PrintedModel, PrintedTask, Record, Version

FOLDER = "papers"


def paper_ids() -> tuple[str, ...]:
    """Ids of all papers that the package holds, sorted."""
    return tuple(
        sorted(path.name.removesuffix(".yaml") for path in files(__package__).joinpath(FOLDER).iterdir() if path.name.endswith(".yaml"))
    )


def read_papers() -> tuple[Paper, ...]:
    """All papers with every version, by id.

    Raises:
        UserError: a file is not in order.
    """
    return tuple(_read(name) for name in paper_ids())


def load_paper(name: str, *, where: str = "command line", key: str = "--published") -> Paper:
    """One paper, by id (`2404.04067`) or by id and version (`2404.04067v3`).

    Args:
        name: without a version each number is that of the newest version that prints it; with one, only that version's are held.
        where: file that names it, for the fault.
        key: where in it.

    Raises:
        UserError: there is no such paper or version, named in one line, or its file is not in order.
    """
    known = paper_ids()
    paper_id, version = (name, None) if name in known else _split(name, known)
    paper_id = paper_id or _by_number(name, known)
    if paper_id is None:
        raise UserError(Fault(file=where, key=key, value=name, allowed=f"no such paper; {nearest(name, known)}"))
    paper = _read(paper_id)
    if version is None:
        return _with_records(paper, newest(paper.records, paper.versions))
    if version not in {known_version.id for known_version in paper.versions}:
        held = ", ".join(f"{paper_id}{known_version.id}" for known_version in paper.versions)
        raise UserError(Fault(file=where, key=key, value=name, allowed=f"no such version; held: {held}"))
    return _with_records(paper, tuple(record for record in paper.records if record.version == version))


def newest(records: tuple[Record, ...], versions: tuple[Version, ...]) -> tuple[Record, ...]:
    """The records without those that a later version prints anew (same model, task, metric and setting).

    Args:
        records: of one paper.
        versions: oldest first.
    """
    order = {version.id: at for at, version in enumerate(versions)}
    last: dict[tuple[str, ...], int] = {}
    for record in records:
        key = (record.model.name, *record.cell)
        last[key] = max(last.get(key, 0), order[record.version])
    return tuple(record for record in records if order[record.version] == last[record.model.name, *record.cell])


def read_paper(path: Path) -> Paper:
    """A paper's file.

    Raises:
        UserError: one fault per mistake, each in one line.
    """
    content = read_yaml(path)
    try:
        entry = PaperEntry.model_validate(content)
    except ValidationError as error:
        raise UserError(faults_of(error, path)) from None
    faults: list[Fault] = []
    records = [record for table in entry.tables for record in _records_of(entry, table, path, faults)]
    if faults:
        raise UserError(faults)
    return Paper(
        id=entry.id,
        title=entry.title,
        authors=entry.authors,
        year=entry.year,
        url=entry.url,
        versions=tuple(Version(id=name, text=text) for name, text in entry.versions.items()),
        not_read=entry.not_read,
        records=tuple(records),
        pairs=tuple(DeclaredPair(**pair.model_dump()) for pair in entry.pairs),
        defects=tuple(Defect(text=defect.text, tasks=defect.tasks) for defect in entry.defects),
        models={name: PrintedModel(name=name, hf_id=model.hf_id, hf_id_seen=model.seen) for name, model in entry.models.items()},
    )


def _read(paper_id: str) -> Paper:
    with as_file(files(__package__).joinpath(FOLDER).joinpath(f"{paper_id}.yaml")) as path:
        return read_paper(path)


def _split(name: str, known: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Id and version of a name such as `2404.04067v3`; (None, None) if it begins with no known id."""
    for paper_id in known:
        rest = name.removeprefix(paper_id)
        if rest != name and re.fullmatch(r"[a-z][a-z0-9]*", rest):
            return paper_id, rest
    return None, None


def _by_number(name: str, known: tuple[str, ...]) -> str | None:
    """The id that YAML reads as this number: 2411.00640 loses its last zero."""
    same = [paper_id for paper_id in known if re.fullmatch(r"\d+\.\d+", paper_id) and paper_id.rstrip("0") == name]
    return same[0] if same else None


def _with_records(paper: Paper, records: tuple[Record, ...]) -> Paper:
    kept = {record.version for record in records}
    versions = tuple(version for version in paper.versions if version.id in kept) or paper.versions
    pairs = tuple(pair for pair in paper.pairs if pair.version is None or pair.version in {version.id for version in versions})
    return replace(paper, records=records, versions=versions, pairs=pairs)


def _records_of(paper: PaperEntry, table: TableEntry, path: Path, faults: list[Fault]) -> list[Record]:
    key = f"tables.{table.name}"
    if table.version not in paper.versions:
        faults.append(Fault(file=str(path), key=f"{key}.version", value=table.version, allowed=f"one of {', '.join(paper.versions)}"))
    records = []
    for row in table.rows:
        if len(row.values) != len(table.columns):
            allowed = f"{len(table.columns)} values, one per column (null: not printed)"
            faults.append(Fault(file=str(path), key=f"{key}.{row.model}", value=str(len(row.values)), allowed=allowed))
            continue
        for column, value in zip(table.columns, row.values, strict=True):
            if value is None:
                continue
            facts: dict[str, Any] = {}
            for part in (table.all, column, row.facts):
                facts |= part.model_dump(exclude_unset=True)
            missing = [name for name in ("task", "metric", "unit", "source", "reading") if facts.get(name) is None]
            if facts.get("metric") is not None and facts["metric"] not in paper.metrics:
                missing.append(f"metrics.{facts['metric']}")
            if facts.get("n_items") is not None and facts.get("n_status") is None:
                missing.append("n_status")
            if missing:
                faults.append(Fault(file=str(path), key=f"{key}.{row.model}", value="", allowed=f"needs {', '.join(missing)}"))
                continue
            records.append(_record(paper, table, row.model, value, facts))
    return records


def _record(paper: PaperEntry, table: TableEntry, model: str, value: float, facts: dict[str, Any]) -> Record:
    named, task, metric = paper.models.get(model), paper.tasks.get(facts["task"], TaskNameEntry()), paper.metrics[facts["metric"]]
    decimals, n_items = facts.get("decimals"), facts.get("n_items")
    asking = {name: facts[name] for name in ("shots", "method", "form", "scorer", "prompts", "precision") if name in facts}
    return Record(
        paper=paper.id,
        version=table.version,
        table=table.name,
        model=PrintedModel(name=model) if named is None else PrintedModel(name=model, hf_id=named.hf_id, hf_id_seen=named.seen),
        task=PrintedTask(name=facts["task"], language=task.language, ours=task.ours, split=task.split),
        metric=facts["metric"],
        kind=metric.kind,
        metrics_here=metric.ours,
        setting=facts.get("setting") or "",
        printed=f"{value:.{decimals}f}" if decimals is not None else repr(value).removesuffix(".0"),
        value=value,
        unit=facts["unit"],
        n_items=n_items,
        n_status=facts.get("n_status") if n_items else None,
        n_independent=facts.get("n_independent") or n_items,
        ci_low=facts.get("ci_low"),
        ci_high=facts.get("ci_high"),
        asking=Asking(**asking),
        reading=facts["reading"],
        source=facts["source"],
        note=facts.get("note") or "",
        base=facts.get("base"),
        lead=bool(facts.get("lead")),
        overall=bool(facts.get("overall")),
    )
