"""tables/*.tex: booktabs tables that compile with pdfLaTeX, XeLaTeX and LuaLaTeX whatever the names in them hold."""

from __future__ import annotations

import unicodedata

from evalsuite.report.blocks import Table

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
    "→": r"$\rightarrow$", "←": r"$\leftarrow$", "·": r"$\cdot$", "°": r"$^{\circ}$", "–": "--", "—": "---", "…": r"\ldots{}",
    "‘": "`", "’": "'", "“": "``", "”": "''", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "¿": "?`", "¡": "!`", "§": r"\S{}",
    "\u00a0": "~", "\u2009": r"\,", "\u202f": r"\,", "\t": " ", "\n": " ", "\r": " ",
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
    r"""A table as a `table` environment; needs `\usepackage{booktabs}` and `\usepackage{textcomp}` and T1 fonts, as its first lines say."""
    alignment = "".join("r" if column.kind == "number" else "l" for column in table.columns)
    lines = [
        r"% needs \usepackage[T1]{fontenc}, \usepackage{textcomp}, \usepackage{booktabs} and, for `\resizebox`, \usepackage{graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.title)}}}",
        rf"\label{{tab:{table.name.replace('_', '-')}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(escape_latex(column.label) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    before = ""
    for at, row in enumerate(table.rows):
        texts = [escape_latex(cell.text) for cell in row]
        if at and row[0].text == before:
            texts[0] = ""
        elif at:
            lines.append(r"\addlinespace")
        before = row[0].text
        marked = [rf"\textbf{{{text}}}" if cell.alert and text else text for cell, text in zip(row, texts, strict=True)]
        lines.append(" & ".join(marked) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if table.note:
        lines += [r"\par\smallskip", rf"\parbox{{\linewidth}}{{\footnotesize {escape_latex(table.note)}}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"
