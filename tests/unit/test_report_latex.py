"""LaTeX tables: escaped, laid out to fit, and compiled where pdfLaTeX is installed; figures as PDF for papers."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evalsuite.report import build, write_report
from evalsuite.report.blocks import Cell, Column, Data, Report, Section, Table, figures_of, tables_of
from evalsuite.report.figures import draw
from evalsuite.report.latex import PACKAGES, escape_latex, layout_of, render_latex, render_overview
from tests.unit.report_answer_frames import analyses, labels
from tests.unit.report_findings import findings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50% of a_b & #1 $x$", r"50\% of a\_b \& \#1 \$x\$"),
        ("{~^\\}", r"\{\textasciitilde{}\textasciicircum{}\textbackslash{}\}"),
        ("é ñ ï ç Å", r"\'{e} \~{n} " + r"\"{\i}" + r" \c{c} \r{A}"),
        ("≥ ±3 −5 – …", r"$\geq$ $\pm$3 $-$5 -- \ldots{}"),
        ("[x] *", r"{[}x{]} {*}"),
        ("--limit", r"-{}-{}limit"),
        ("中", r"\texttt{U+4E2D}"),
        ("a\nb", "a b"),
        ("a\u200bb", r"a\allowbreak{}b"),
    ],
)
def test_latex_escapes(text: str, expected: str) -> None:
    assert escape_latex(text) == expected


def table_of_texts(texts: Sequence[tuple[str, ...]], *, kinds: str = "", heads: tuple[str, ...] = (), name: str = "made") -> Table:
    """A table of texts; `kinds` holds n for number and t for text per column."""
    n = len(texts[0])
    kinds = kinds or "t" * n
    columns = tuple(
        Column(label=head, kind="number" if kind == "n" else "text")
        for head, kind in zip(heads or [f"c{at}" for at in range(n)], kinds, strict=True)
    )
    rows = tuple(tuple(Cell(text=text) for text in row) for row in texts)
    return Table(name=name, title="A & B", columns=columns, rows=rows, data=Data(columns=("a",), rows=()), note="100% #1")


def nasty_table() -> Table:
    return table_of_texts(
        [("[a] % _ & # $ { } ~ ^ \\", "é ≥ 中 <b> \"q\" 'r' `s`")] * 2, kinds="tn", heads=("50% _", "n"), name="nasty_table"
    )


def wide_table(n_rows: int) -> Table:
    """Wide on the page: a pair, a name, ten numbers, and a sentence."""
    row = (
        "clinical-model-with-a-name − its-own-generalist",
        "some_task_of_a_benchmark",
        *["−12.3 to 45.6"] * 8,
        "a sentence of words " * 4,
    )
    return table_of_texts(
        [row] * n_rows, kinds=f"tt{'n' * 8}t", heads=("Pair", "Task", *["95% interval of it"] * 8, "Note"), name="wide_table"
    )


def long_table() -> Table:
    return table_of_texts([(f"sample-{at}", "1.0", "a short remark") for at in range(120)], kinds="tnt", name="long_table")


def code_table() -> Table:
    return table_of_texts(
        [("a" * 3, "0123456789abcdef" * 4, "organisation/some-very-long-name_of-a-model-that-goes-on")], name="code_table"
    )


def tables() -> list[Table]:
    report = build(findings(analyses=analyses(), labels=labels()))
    return [nasty_table(), wide_table(3), replace(wide_table(60), name="wide_and_long"), long_table(), code_table(), *tables_of(report)]


def test_latex_tables_are_structurally_sound() -> None:
    for table in tables():
        text = render_latex(table)
        assert text.isascii()
        layout = layout_of(table)
        body = text.rpartition("\\endlastfoot\n" if layout.long else "\\midrule\n")[2].split(
            "\\end{longtable}" if layout.long else "\\bottomrule"
        )[0]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(lines) == len(table.rows)
        for line in lines:
            assert len(re.findall(r"(?<!\\)&", line)) == len(table.columns) - layout.n_headings - 1
        bare = re.sub(r"\\[{}\\]", "", text)
        assert bare.count("{") == bare.count("}")
        # Every special character of a cell is escaped; the only bare % are those of the layout.
        assert not re.search(r"(?<!\\)[%#~^]|(?<!\\)_(?!\w*})", body.replace(r"\~{", "").replace(r"\^{", "").replace("$^{", "$"))


def test_a_long_first_column_that_repeats_becomes_headings() -> None:
    pairs = [("clinical − generalist", f"t{at}", "1.0") for at in range(3)] + [("other − generalist", f"t{at}", "2.0") for at in range(3)]
    text = render_latex(table_of_texts(pairs, kinds="ttn", heads=("Pair", "Task", "Value")))
    assert text.count(r"\multicolumn{2}{l}{\itshape clinical $-$ generalist}") == 1
    assert text.count(r"\multicolumn{2}{l}{\itshape other $-$ generalist}") == 1
    assert "Pair" not in text
    # Each pair once: the column stays.
    assert "Pair" in render_latex(table_of_texts(pairs[2:4], kinds="ttn", heads=("Pair", "Task", "Value")))


def test_layout_follows_the_width() -> None:
    narrow, wide, long = layout_of(nasty_table()), layout_of(wide_table(3)), layout_of(long_table())
    assert (narrow.aside, narrow.long, narrow.size) == (False, False, "small")
    assert wide.aside
    assert wide.wraps[-1]
    assert (long.aside, long.long) == (False, True)
    assert "longtable" in render_latex(long_table())
    assert r"\begin{landscape}" in render_latex(wide_table(3))


def test_every_needed_package_is_named_in_every_file() -> None:
    for table in (nasty_table(), wide_table(60), long_table()):
        first = render_latex(table).splitlines()[0]
        assert first.startswith("% needs")
        assert all(package in first for package in PACKAGES)


def test_overview_holds_every_table_and_figure() -> None:
    report = build(findings(analyses=analyses(), labels=labels()))
    text = render_overview(report)
    assert re.findall(r"\\input\{(.*)\.tex\}", text) == [table.name for table in tables_of(report)]
    assert re.findall(r"figures/(.*)\.pdf", text) == [figure.name for figure in figures_of(report)]


def compiled(folder: Path, file: str) -> str:
    """The log of pdfLaTeX."""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / file).with_suffix(".log").read_text(encoding="latin-1")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed; the structural check ran")
def test_latex_tables_compile_and_fit(tmp_path: Path) -> None:
    made = [nasty_table(), wide_table(3), replace(wide_table(60), name="wide_and_long"), long_table(), code_table()]
    section = Section(anchor="made", title="Made", blocks=tuple(made))
    report = build(findings(analyses=analyses(), labels=labels()))
    write_report(Report(study="a_b", question="50% or {more}?", sections=(*report.sections, section)), tmp_path)
    log = compiled(tmp_path / "tables", "all_tables.tex")
    too_wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([0-9.]+)pt too wide\)", log)]
    assert all(points < 10 for points in too_wide), too_wide
    assert "Float too large" not in log


def test_figures_for_papers_embed_truetype_and_no_date() -> None:
    report = build(findings(analyses=analyses(), labels=labels()))
    plots = {type(figure.plot): figure.plot for figure in figures_of(report)}
    assert len(plots) > 4
    for plot in plots.values():
        pdf = draw(plot).pdf
        assert pdf == draw(plot).pdf
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        assert b"CreationDate" not in pdf
        assert b"Matplotlib" not in pdf
