"""report.md: the same blocks for repositories and mail; figures and tables are files beside it."""

from __future__ import annotations

import re

from evalsuite.controls import visible
from evalsuite.report.blocks import (
    Answer,
    Block,
    Bullets,
    DataFile,
    Definitions,
    Explorer,
    Figure,
    Listing,
    Notice,
    Paragraph,
    Report,
    SideBySide,
    Table,
)
from evalsuite.report.facing import Facing, Line

_SPECIAL = re.compile(r"([\\`*_\[\]~|#$])")
_BULLET = re.compile(r"^([-+]|=+|-{2,})(?=\s|$)")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


def render_markdown(report: Report) -> str:
    """The whole report as GitHub-flavoured Markdown; every text is escaped, HTML in it included."""
    chunks = [f"# {escape_markdown(report.question)}", f"Study {escape_markdown(report.study)}"]
    for at, section in enumerate(report.sections):
        if at:
            chunks.append(f"## {escape_markdown(section.title)}")
        chunks.extend(_block(block) for block in section.blocks)
    return "\n\n".join(chunks) + "\n"


def escape_markdown(text: str) -> str:
    """Plain text as one line of Markdown that shows just that text."""
    line = " ".join(visible(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Only punctuation can be escaped by a backslash: of a list's "1." that is the point.
    return _NUMBERED.sub(r"\1\\\2", _BULLET.sub(r"\\\1", _SPECIAL.sub(r"\\\1", line)))


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return escape_markdown(block.text)
        case Notice():
            lead = {"failure": "Failures.", "warning": "Please note.", "note": "Note."}[block.level]
            return f"> **{lead}** {escape_markdown(block.text)}"
        case Bullets():
            return "\n".join(f"- {escape_markdown(item)}" for item in block.items)
        case Answer():
            lead = f"**{escape_markdown(block.sentence)}**"
            details = [
                line for detail in (*block.details, *([block.tally] if block.tally else [])) for line in ("", escape_markdown(detail))
            ]
            return "\n".join([lead, *details, "", *(f"- {escape_markdown(finding.text)}" for finding in block.findings)]).rstrip()
        case Definitions():
            return "\n".join(f"- **{escape_markdown(term)}**: {escape_markdown(meaning)}" for term, meaning in block.items)
        case Listing():
            return f"**{escape_markdown(block.title)}**\n\n{_fenced(visible(block.text))}"
        case SideBySide():
            return "\n\n".join(render_facing(item) for item in block.items)
        case Figure():
            return f"![{escape_markdown(block.alt)}](figures/{block.name}.svg)\n\n*{escape_markdown(block.caption)}*"
        case Explorer():
            return "The explorer is part of [report.html](report.html)."
        case DataFile():
            return f"{escape_markdown(block.text)}: [tables/{block.name}.csv](tables/{block.name}.csv)"
        case Table():
            return f"**{escape_markdown(block.title)}** ([CSV](tables/{block.name}.csv))\n\n{render_table(block)}"


def render_table(block: Table) -> str:
    """A table alone, with its note, without title and link; every text is escaped."""
    heads = "| " + " | ".join(escape_markdown(column.label) for column in block.columns) + " |"
    rule = "| " + " | ".join("---:" if column.kind == "number" else "---" for column in block.columns) + " |"
    rows = [
        "| "
        + " | ".join(f"**{escape_markdown(entry.text)}**" if entry.alert and entry.text else escape_markdown(entry.text) for entry in row)
        + " |"
        for row in block.rows
    ]
    table = "\n".join([heads, rule, *rows])
    return f"{table}\n\n{escape_markdown(block.note)}" if block.note else table


def render_facing(item: Facing) -> str:
    """Two texts as a table of two columns: what is gone struck through, what is new in bold."""
    heads = f"|  | {escape_markdown(item.heads[0])} | {escape_markdown(item.heads[1])} |\n| --- | --- | --- |"
    rows = [f"| {escape_markdown(row.label)} | {_line(row.left, 'del')} | {_line(row.right, 'b')} |" for row in item.rows]
    return "\n".join([f"**{escape_markdown(item.title)}**\n", heads, *rows])


def _line(line: Line, tag: str) -> str:
    """Pieces of a cell. Marks are elements, since asterisks within a word or beside punctuation would stand for themselves."""
    tags = {"changed": tag, "remark": "i", "gap": "i", "named": "code"}
    parts = []
    for at, piece in enumerate(line):
        text = escape_markdown(f"({piece.text})" if piece.kind == "remark" and at else piece.text)
        # Escaping strips the blanks at the ends, which part words here.
        before, after = (" " if end.isspace() else "" for end in (piece.text[:1], piece.text[-1:]))
        around = tags.get(piece.kind)
        parts.append(before or (" " if piece.kind == "remark" and at else ""))
        parts.append(f"<{around}>{text}</{around}>" if around and text else text)
        parts.append(after if text else "")
    return "".join(parts)


def _fenced(text: str) -> str:
    """A code block whose fence is longer than any run of backticks in the text."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
