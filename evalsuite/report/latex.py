"""tables/*.tex: booktabs tables that compile with pdfLaTeX, XeLaTeX and LuaLaTeX whatever the names in them hold."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass

from evalsuite.report.blocks import Figure, Report, SideBySide, Table, blocks_of
from evalsuite.report.facing import Facing, Line

PACKAGES = ("[T1]{fontenc}", "{textcomp}", "{array}", "{booktabs}", "{longtable}", "{lscape}", "{graphicx}")
"""All of a basic TeX installation."""

NEEDS = " ".join(rf"\usepackage{package}" for package in PACKAGES)

SIZES = (
    (False, "small", 70), (False, "footnotesize", 77), (False, "scriptsize", 84),
    (True, "small", 108), (True, "footnotesize", 119), (True, "scriptsize", 130), (True, "tiny", 150),
)  # fmt: skip
"""Whether on its side, size of type, and how many characters fit into a line of the article class (345 and 550 points); the last is for
long tables, which nothing can shrink."""

SMALLEST, SHRUNK = SIZES[2], 1.12
"""The last upright size, and by how much a short table may be wider before it is laid on its side."""

GAP_PT, GAP_CHARACTERS = 4, 1.8
"""Space on either side of a column, and both in characters."""

WRAPPED, WIDEST_WRAPPED, NARROWEST = 28, 45, 14
"""Characters: texts from which on a column wraps; what such a column asks for at most; what it has at least."""

MOST_LINES = {False: 42, True: 24}
"""Lines beyond which a table does not fit a page, upright and on its side."""

STRUCK = r"\providecommand{\struck}[1]{{\setbox0=\hbox{#1}\leavevmode\rlap{\vrule width\wd0 height0.6ex depth-0.5ex}\box0}}"
"""A word with a line through it, without a package."""

_ASCII = {
    "\\": r"\textbackslash{}", "%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    # A row that begins with these would be read as an argument of the line break before it.
    "[": "{[}", "]": "{]}", "*": "{*}",
    # Two hyphens would join to a dash.
    "-": "-{}",
}  # fmt: skip

_UNICODE = {
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "≠": r"$\neq$", "≈": r"$\approx$",
    "␣": r"\textvisiblespace{}", "↵": r"$\hookleftarrow$", "⇥": r"$\mapsto$",
    "→": r"$\rightarrow$", "←": r"$\leftarrow$", "·": r"$\cdot$", "°": r"$^{\circ}$", "–": "--", "—": "---", "…": r"\ldots{}",
    "‘": "`", "’": "'", "“": "``", "”": "''", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "¿": "?`", "¡": "!`", "§": r"\S{}",
    "\u200b": r"\allowbreak{}", "\u00a0": "~", "\u2009": r"\,", "\u202f": r"\,", "\t": " ", "\n": " ", "\r": " ",
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$", "Δ": r"$\Delta$", "κ": r"$\kappa$", "λ": r"$\lambda$",
    "µ": r"$\mu$", "μ": r"$\mu$", "σ": r"$\sigma$", "ω": r"$\omega$",
    "⁰": "$^{0}$", "¹": "$^{1}$", "²": "$^{2}$", "³": "$^{3}$", "⁹": "$^{9}$",
}  # fmt: skip

_ACCENTS = {
    "\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0304": r"\=", "\u0306": r"\u", "\u0307": r"\.",
    "\u0308": r'\"', "\u030a": r"\r", "\u030b": r"\H", "\u030c": r"\v", "\u0327": r"\c", "\u0328": r"\k",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Plain text as LaTeX text of ASCII characters only; what has no command is named by its code point (U+4E2D)."""
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    known = _ASCII.get(character) or _UNICODE.get(character)
    if known is not None:
        return known
    if " " <= character <= "\x7e":
        return character
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        base = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0]) if parts[1] not in ("\u0327", "\u0328") else parts[0]
        return f"{_ACCENTS[parts[1]]}{{{base}}}"
    return rf"\texttt{{U+{ord(character):04X}}}"


def render_latex(table: Table) -> str:
    r"""A table that fits the line: a `table` environment or, where it is longer than a page, a `longtable`.

    Long texts wrap, heads break over lines, a long first column whose entries repeat becomes headings, and the type is as small as the
    width asks for; wide tables lie on their side, and what is still too wide is shrunk.
    """
    layout = layout_of(table)
    columns = table.columns[layout.n_headings :]
    head = " & ".join(_head(column.label, width, column.kind) for column, width in zip(columns, layout.widths, strict=True)) + r" \\"
    tag = rf"\label{{tab:{table.name.replace('_', '-')}}}"
    caption = rf"\caption{{{escape_latex(table.title)}}}"
    style = [r"\begingroup", rf"\{layout.size}\setlength{{\tabcolsep}}{{{GAP_PT}pt}}"]
    body = _body(table, layout)
    note = rf"{{\{'footnotesize' if layout.size in ('small', 'footnotesize') else 'scriptsize'} {escape_latex(table.note)}}}"
    if layout.long:
        again = r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endlastfoot"
        first = [rf"\begin{{longtable}}{{{layout.alignment}}}", rf"{caption}{tag} \\", r"\toprule", head, r"\midrule", r"\endfirsthead"]
        lines = [*style, *first, *again, *body, r"\end{longtable}", *([rf"\noindent {note}\par"] if table.note else []), r"\endgroup"]
    else:
        box = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
        lines = [r"\begin{table}", r"\centering", caption, tag, r"\vspace{4pt}", *style, box, rf"\begin{{tabular}}{{{layout.alignment}}}"]
        lines += [r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}}\par", r"\endgroup"]
        lines += [rf"\smallskip\parbox{{\linewidth}}{note}"] if table.note else []
        lines.append(r"\end{table}")
    lines = [r"\begin{landscape}", *lines, r"\end{landscape}"] if layout.aside else lines
    return "\n".join([rf"% needs {NEEDS}", *lines]) + "\n"


def render_facing(block: SideBySide) -> str:
    """Texts side by side, one `longtable` per pair: what is gone struck through, what is new in bold."""
    return "\n".join([f"% needs {NEEDS}", STRUCK, *(line for item in block.items for line in _facing(item))]) + "\n"


def _facing(item: Facing) -> list[str]:
    ragged = r">{\raggedright\arraybackslash}"
    columns = f"{ragged}p{{0.12\\linewidth}}" + 2 * f"{ragged}p{{0.4\\linewidth}}"
    heads = [rf"\textbf{{{_entry(head, wraps=True)}}}" for head in item.heads]
    lines = [r"\begingroup", rf"\scriptsize\setlength{{\tabcolsep}}{{{GAP_PT}pt}}", rf"\begin{{longtable}}{{{columns}}}"]
    lines += [rf"\multicolumn{{3}}{{p{{0.97\linewidth}}}}{{{_entry(item.title, wraps=True)}}} \\"]
    head = [r"\toprule", rf" & {heads[0]} & {heads[1]} \\", r"\midrule"]
    lines += [*head, r"\endfirsthead", *head, r"\endhead"]
    lines += [rf"{escape_latex(row.label)} & {_line(row.left, 'struck')} & {_line(row.right, 'textbf')} \\" for row in item.rows]
    return [*lines, r"\bottomrule", r"\end{longtable}", r"\endgroup"]


def _line(line: Line, mark: str) -> str:
    """Pieces of a cell; marks go around every word, so that lines can break between them."""
    parts = []
    for at, piece in enumerate(line):
        text = f" ({piece.text})" if piece.kind == "remark" and at else piece.text
        command = {"changed": mark, "remark": "textit", "gap": "textit", "named": "texttt"}.get(piece.kind)
        if command is None:
            parts.append(_entry(text, wraps=True))
        else:
            words = re.split(r"(\s+)", text)
            parts.append("".join(" " if word.isspace() else rf"\{command}{{{_entry(word, wraps=True)}}}" for word in words if word))
    return "".join(parts)


def render_overview(report: Report) -> str:
    """all_tables.tex: a document of every table and figure, to look through and to copy from."""
    lines = [
        r"% Compile in this folder: pdflatex all_tables.tex, twice. A paper needs the packages named here and the files that it uses.",
        r"\documentclass{article}",
        *(rf"\usepackage{package}" for package in PACKAGES),
        # Outlines instead of bitmaps where the fonts are installed.
        r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}",
        rf"\title{{{escape_latex(report.question)}}}",
        rf"\author{{Study {escape_latex(report.study)}}}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
    ]
    for block in blocks_of(report):
        if isinstance(block, Table | SideBySide):
            lines += [rf"\input{{{block.name}.tex}}", r"\clearpage"]
        elif isinstance(block, Figure):
            lines += [
                r"\begin{figure}",
                r"\centering",
                rf"\includegraphics[width=\linewidth,height=0.8\textheight,keepaspectratio]{{../figures/{block.name}.pdf}}",
                rf"\caption{{{escape_latex(block.caption)}}}",
                rf"\label{{fig:{block.name.replace('_', '-')}}}",
                r"\end{figure}",
                r"\clearpage",
            ]
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def layout_of(table: Table) -> Layout:
    """How a table is set: columns of long texts wrap and share what the others leave of the line."""
    n_headings = int(_first_is_heading(table))
    columns, rows = table.columns[n_headings:], [row[n_headings:] for row in table.rows]
    cells = [max((len(row[at].text) for row in rows), default=0) for at in range(len(columns))]
    wraps = [column.kind != "number" and cells[at] > WRAPPED for at, column in enumerate(columns)]
    widths = [max(cells[at], _longest_line(column.label, cells[at])) for at, column in enumerate(columns)]
    fixed = GAP_CHARACTERS * len(columns) + sum(width for width, wrap in zip(widths, wraps, strict=True) if not wrap)
    wanted = fixed + sum(min(cells[at], WIDEST_WRAPPED) for at in range(len(columns)) if wraps[at])
    # A short table a little too wide is rather shrunk than laid on its side; a long one cannot be shrunk.
    short = len(rows) <= MOST_LINES[True]
    spare = SHRUNK if short else 1.0
    fitting = (entry for entry in SIZES if wanted <= entry[2] * (spare if entry == SMALLEST else 1.0))
    aside, size, capacity = next(fitting, SIZES[-2] if short else SIZES[-1])
    left = max(capacity - fixed, NARROWEST * sum(wraps))
    text = sum(cells[at] ** 0.5 for at in range(len(columns)) if wraps[at])
    letters = []
    for at, column in enumerate(columns):
        if wraps[at]:
            # The square root: a text of four times the length has twice the width and twice the lines.
            widths[at] = int(max(left * cells[at] ** 0.5 / text, NARROWEST))
            letters.append(rf">{{\raggedright\arraybackslash}}p{{{widths[at] / capacity:.3f}\linewidth}}")
        else:
            letters.append("r" if column.kind == "number" else "l")
    lines = sum(max(1, *(-(-len(cell.text) // max(width, 1)) for cell, width in zip(row, widths, strict=True))) for row in rows)
    return Layout(
        n_headings=n_headings,
        alignment="".join(letters),
        widths=tuple(widths),
        wraps=tuple(wraps),
        size=size,
        aside=aside,
        long=lines + 2 * n_headings * _n_runs(table) > MOST_LINES[aside],
    )


def _first_is_heading(table: Table) -> bool:
    """Whether the first column is better told above the rows that share it: long, and the same in several rows."""
    longest = max((len(row[0].text) for row in table.rows), default=0)
    return len(table.columns) > 2 and longest > NARROWEST and 2 * _n_runs(table) <= len(table.rows)


def _n_runs(table: Table) -> int:
    firsts = [row[0].text for row in table.rows]
    return sum(at == 0 or first != firsts[at - 1] for at, first in enumerate(firsts))


def _longest_line(head: str, width: int) -> int:
    return max(len(line) for line in textwrap.wrap(head, max(width, 9), break_long_words=False) or [""])


def _head(label: str, width: int, kind: str) -> str:
    """A head, broken over lines where it is wider than its column."""
    lines = textwrap.wrap(label, max(width, 9), break_long_words=False) or [""]
    if len(lines) == 1:
        return escape_latex(lines[0])
    inner = r" \\ ".join(escape_latex(line) for line in lines)
    return rf"\begin{{tabular}}[b]{{@{{}}{'r' if kind == 'number' else 'l'}@{{}}}}{inner}\end{{tabular}}"


def _body(table: Table, layout: Layout) -> list[str]:
    lines: list[str] = []
    before = ""
    for at, row in enumerate(table.rows):
        cells = row[layout.n_headings :]
        texts = [_entry(cell.text, wraps=wraps) for cell, wraps in zip(cells, layout.wraps, strict=True)]
        new = at == 0 or row[0].text != before
        before = row[0].text
        lines += [r"\addlinespace"] if at and new else []
        if layout.n_headings and new:
            lines.append(rf"\multicolumn{{{len(texts)}}}{{l}}{{\itshape {escape_latex(row[0].text)}}} \\*")
        elif not new and not layout.n_headings:
            texts[0] = ""
        marked = [rf"\textbf{{{text}}}" if cell.alert and text else text for cell, text in zip(cells, texts, strict=True)]
        lines.append(" & ".join(marked) + r" \\")
    return lines


def _entry(text: str, *, wraps: bool) -> str:
    """A cell; in a column that wraps, long words may break after the marks that join their parts."""
    if not wraps:
        return escape_latex(text)
    words = [word if len(word) <= NARROWEST else re.sub(r"([_/.,:=-]|[0-9a-f]{16})(?=.)", "\\1\u200b", word) for word in text.split(" ")]
    return escape_latex(" ".join(words))


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How a table is set. Widths are in characters of the chosen size."""

    n_headings: int
    """1 where the first column is told in headings above its rows, else 0."""
    alignment: str
    """Argument of the environment."""
    widths: tuple[int, ...]
    """Of each column."""
    wraps: tuple[bool, ...]
    """Whether each column breaks its texts into lines."""
    size: str
    """Name of the size of type."""
    aside: bool
    """Whether it lies on its side."""
    long: bool
    """Whether it may break over pages."""
