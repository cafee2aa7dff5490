"""A report as files; the same bytes for the same report."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from evalsuite.report.blocks import Data, Raw, Report, data_files_of, facing_of, figures_of, tables_of
from evalsuite.report.figures import draw
from evalsuite.report.html import render_html
from evalsuite.report.latex import render_facing, render_latex, render_overview
from evalsuite.report.markdown import render_markdown
from evalsuite.types import Tell, untold

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a text for a formula."""


def write_report(report: Report, out_dir: Path, tell: Tell = untold) -> list[Path]:
    """Write report.html, report.md, tables/*.csv and *.tex, figures/*.svg, *.png, *.pdf and *.csv; other files there stay as they are.

    Args:
        report: what to write.
        out_dir: the folder; made if it is not there.
        tell: told of progress, in figures.

    Returns:
        The files written, sorted.

    Raises:
        ValueError: two tables or two figures share a name.
        OSError: the folder cannot be written.
    """
    tables, figures, data_files = tables_of(report), figures_of(report), data_files_of(report)
    for kind, names in (
        ("tables", [*(table.name for table in tables), *(file.name for file in data_files), *(block.name for block in facing_of(report))]),
        ("figures", [figure.name for figure in figures]),
    ):
        if len(set(names)) != len(names):
            raise ValueError(f"two {kind} share a name: {', '.join(sorted({name for name in names if names.count(name) > 1}))}")
    drawn = {}
    for figure in figures:
        drawn[figure.name] = draw(figure.plot)
        tell("drawing the report", len(drawn), len(figures))
    contents: dict[str, bytes] = {
        "report.html": _bytes(render_html(report, {name: drawing.svg for name, drawing in drawn.items()})),
        "report.md": _bytes(render_markdown(report)),
    }
    for table in tables:
        contents[f"tables/{table.name}.csv"] = _bytes(csv_text(table.data))
        contents[f"tables/{table.name}.tex"] = _bytes(render_latex(table))
    contents |= {f"tables/{block.name}.tex": _bytes(render_facing(block)) for block in facing_of(report)}
    contents["tables/all_tables.tex"] = _bytes(render_overview(report))
    contents |= {f"tables/{file.name}.csv": _bytes(csv_text(file.data)) for file in data_files}
    for figure in figures:
        contents |= {f"figures/{figure.name}.{kind}": content for kind, content in asdict(drawn[figure.name]).items()}
        contents[f"figures/{figure.name}.csv"] = _bytes(csv_text(figure.data))
    for name, content in sorted(contents.items()):
        path = out_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(out_dir / name for name in contents)


def csv_text(data: Data) -> str:
    """Data as CSV: comma, line feed, floats so that they read back equal, None and NaN empty.

    A text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV injection); numbers never do.
    """
    return "".join(_line(row) for row in (data.columns, *([_field(value) for value in row] for row in data.rows)))


def _line(fields: Sequence[str]) -> str:
    out = io.StringIO()
    # Only characters of the line end are quoted: with a bare line feed, a carriage return in a text would end its row.
    csv.writer(out, lineterminator="\r\n").writerow(fields)
    return out.getvalue()[:-2] + "\n"


def _field(value: Raw) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return repr(value) if isinstance(value, float) else str(value)


def _bytes(text: str) -> bytes:
    # A lone surrogate in a model's name or a prompt must not lose the report.
    return text.encode("utf-8", "backslashreplace")
