"""Blocks to files: complete, self-contained, escaped, the same bytes every time."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from evalsuite.report import build, write_report
from evalsuite.report.blocks import Cell, Column, Data, Listing, Report, Section, Table, figures_of, tables_of
from evalsuite.report.figures import draw
from evalsuite.report.figures.canvas import model_style
from evalsuite.report.html import LONG_TABLE, render_html, visible_controls
from evalsuite.report.markdown import escape_markdown, render_markdown
from evalsuite.report.plots.means import DotPanel, DotPlot, DotRow
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, card, comparisons, findings, models, prompts, study

HOSTILE = '<script>alert("x")</script> | $a_b$ `c` & é'
VOID = {"meta", "br", "hr", "img", "input", "link", "use", "path"}


class Page(HTMLParser):
    """Collects tags, ids, links, attributes and text, and checks that elements are closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value or "" for key, value in self.attributes if key == name]


def page_of(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


def html_of(report: Report) -> str:
    return render_html(report, {figure.name: draw(figure.plot).svg for figure in figures_of(report)})


@pytest.fixture(scope="module")
def report() -> Report:
    return build(findings())


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return html_of(report)


def test_every_file_is_written(report: Report, tmp_path: Path) -> None:
    written = write_report(report, tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    assert {"report.html", "report.md", "tables/comparisons.csv", "tables/scores.tex", "figures/scores.svg", "figures/scores.png"} <= names
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(written)
    for figure in figures_of(report):
        assert {f"figures/{figure.name}.{kind}" for kind in ("svg", "png", "pdf", "csv")} <= names
    for table in tables_of(report):
        assert {f"tables/{table.name}.{kind}" for kind in ("csv", "tex")} <= names


def test_two_builds_are_byte_identical(tmp_path: Path) -> None:
    first = write_report(build(findings()), tmp_path / "a")
    write_report(build(findings()), tmp_path / "b")
    for path in first:
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes(), path.name


def test_tables_that_share_a_name_are_refused(report: Report, tmp_path: Path) -> None:
    twice = Report(study="s", question="q", sections=(*report.sections, report.sections[2]))
    with pytest.raises(ValueError, match="two tables share a name"):
        write_report(twice, tmp_path)


def test_page_is_well_formed_and_self_contained(html: str) -> None:
    page = page_of(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "http:" not in html
    assert "https:" not in html
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html
    assert all(href.startswith("#") for href in page.values("href"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.values("href")} <= set(ids)


def test_page_suits_phones_paper_and_both_colour_schemes(html: str) -> None:
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert html.count("<svg ") == len(figures_of(build(findings())))
    assert "var(--model-0)" in html
    assert not re.search(r"(fill|stroke): #(1c1e21|ffffff|62676e)", html)


def test_page_says_what_the_blocks_say(report: Report, html: str) -> None:
    text = "".join(page_of(html).text)
    assert report.question in text
    assert "answers 31.2 points more questions right than" in text
    assert all(section.title in text for section in report.sections[1:])
    assert html.count("<figcaption>") == len(figures_of(report))
    for figure in figures_of(report):
        assert figure.alt in page_of(html).values("aria-label")


def test_many_findings_are_folded_so_that_the_figure_stays_near(html: str) -> None:
    assert "Task by task" not in html
    twelve = pd.concat([comparisons(), comparisons().assign(model_a="a-third", model_b=CLINICAL)])
    both = study(models=[CLINICAL, GENERALIST, "a-third"], pairs=[[CLINICAL, GENERALIST], ["a-third", CLINICAL]])
    assert html_of(build(findings(comparisons=twelve, study=both))).count("Task by task") == 2


def test_long_names_of_a_series_stay_apart_in_figures() -> None:
    names = [f"mmlu_clinical_knowledge_subject_{at:02d}" for at in range(2)]
    rows = (DotRow(model="m", color="#0072B2", marker=0, mean=None, low=None, high=None),)
    panels = tuple(DotPanel(label=name, chance=None, rows=rows) for name in names)
    svg = draw(DotPlot(axis="accuracy, percent", limits=(0.0, 100.0), panels=panels)).svg.decode()
    assert "subject_00</text>" in svg
    assert "subject_01</text>" in svg
    assert ">no value</text>" in svg


def test_prompts_keep_every_space_and_line(html: str) -> None:
    # A parser drops the line feed right after <pre>; one is written there so that the prompt's own first one stays.
    assert "<pre>\n\n&lt;s&gt;Question: A 61-year-old man has chest pain.   Which test is first?\nA. ECG\nB. MRI &lt;b&gt;\nC. Café" in html


def hostile() -> Report:
    task = HOSTILE
    registry = models()
    registry[CLINICAL] |= {"licence": HOSTILE, "note": HOSTILE + " test instrument", "repo": HOSTILE}
    return build(
        findings(
            tasks=TASKS[:1],
            study=study(TASKS[:1], question=HOSTILE, exclude=[{"task": TASKS[0], "sample_id": HOSTILE, "reason": HOSTILE}]),
            models=registry,
            cards={TASKS[0]: card(TASKS[0], description=HOSTILE, citation=HOSTILE, known_issues={HOSTILE: HOSTILE})},
            prompts={(TASKS[0], "zero_shot"): {HOSTILE: HOSTILE + "</pre>```"}, (task, "zero_shot"): prompts(TASKS[0])},
            command=HOSTILE,
        )
    )


def test_hostile_text_changes_no_markup() -> None:
    html = html_of(hostile())
    page = page_of(html)
    assert "script" not in page.tags
    assert "<script" not in html.lower()
    assert HOSTILE in "".join(page.text)


def test_hostile_names_of_models_reach_figures_as_text(tmp_path: Path) -> None:
    name = "<script>$\\frac{a}{</script>&_b"
    rows = (DotRow(model=name, color="#0072B2", marker=0, mean=50.0, low=40.0, high=60.0),)
    svg = draw(DotPlot(axis="accuracy, percent", limits=(0.0, 100.0), panels=(DotPanel(label=name, chance=25.0, rows=rows),))).svg
    assert b"<script" not in svg
    assert b"&lt;script&gt;$" in svg


def test_markdown_escapes_text_and_outruns_fences() -> None:
    text = render_markdown(hostile())
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "````text\n" in text
    assert escape_markdown("a|b\n*c* [d](e) # $x$") == r"a\|b \*c\* \[d\](e) \# \$x\$"
    assert [escape_markdown(text) for text in ("1. no list", "27.1 to 35.3", "- x", "+31.2", "--- ")] == [
        r"1\. no list", "27.1 to 35.3", r"\- x", "+31.2", r"\---",
    ]  # fmt: skip


def test_markdown_tables_are_rectangular(report: Report) -> None:
    text = render_markdown(report)
    for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}
        assert len(widths) == 1
    assert "![Forest plot" in text
    assert "](figures/scores.svg)" in text


def test_control_characters_are_shown_not_obeyed() -> None:
    shown = visible_controls("a\x1b[31m\u202eb\n\tc<")
    assert shown == ('a<span class="control">U+001B</span>[31m<span class="control">U+202E</span>b\n\tc&lt;')
    block = Listing(title="t", text="x\x00\ud800")
    bare = Report(study="s", question="q?", sections=(Section(anchor="a", title="A", blocks=(block,)),))
    assert "U+0000" in render_html(bare, {})
    assert "U+D800" in render_markdown(bare)


def test_figures_hold_without_colour(report: Report) -> None:
    """Marks of different verdicts and models differ in shape, so that a greyscale print can be read."""
    styles = model_style(["a", "b", "c", "d", "e", "f", "g"])
    assert len({marker for _, marker in styles.values()}) == 7
    svg = draw(figures_of(report)[0].plot).svg.decode()
    for verdict in ("better", "worse", "same within margin", "cannot tell", "margin ±3"):
        assert f">{verdict}</text>" in svg


def test_svg_has_no_date_and_keeps_text(report: Report) -> None:
    for figure in figures_of(report):
        drawing = draw(figure.plot)
        svg, png = drawing.svg, drawing.png
        assert b"<dc:date>" not in svg
        assert f">{GENERALIST}".encode() in svg or f"← {GENERALIST}".encode() in svg
        assert png.startswith(b"\x89PNG")


def test_a_long_table_is_shown_on_demand_on_a_screen_and_whole_in_markdown() -> None:
    def page(n_rows: int) -> tuple[str, str]:
        columns, cells = (Column(label="Task"),), tuple((Cell(text=f"t{at}"),) for at in range(n_rows))
        data = Data(columns=("task",), rows=tuple((f"t{at}",) for at in range(n_rows)))
        table = Table(name="long", title="Many", columns=columns, rows=cells, data=data)
        report = Report(study="s", question="q", sections=(Section(anchor="a", title="A", blocks=(table,)),))
        return render_html(report, {}), render_markdown(report)

    html, text = page(LONG_TABLE + 1)
    assert f"<summary>Many: {LONG_TABLE + 1} rows</summary>" in html
    assert f"t{LONG_TABLE}" in html
    assert f"| t{LONG_TABLE} |" in text
    assert "<details>" not in page(LONG_TABLE)[0]
