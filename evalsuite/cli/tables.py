"""Tables on a terminal. Names come from people's files and models' makers: they are shown as text, never read as markup."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from evalsuite.controls import visible

if TYPE_CHECKING:
    from evalsuite.report.blocks import Table
    from evalsuite.tabular import Tabular

PLAIN_WIDTH = 160
"""Characters of a line where there is no terminal to ask."""

MIN_WORDS = 16
"""Characters that a column of words has at least, if its words are as long."""


def print_table(table: Table | Tabular) -> None:
    """Print a table to standard output, as wide as the terminal is; colours only on a terminal, and only where a reader must look."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for at, column in enumerate(table.columns):
        numeric = column.kind == "number"
        widest = max((len(visible(row[at].text)) for row in table.rows), default=0)
        # Numbers never fold; a long name above them does, so that it leaves the words of other columns their place.
        least = widest if numeric else min(widest, MIN_WORDS)
        drawn.add_column(Text(visible(column.label)), justify="right" if numeric else "left", min_width=least, overflow="fold")
    last: tuple[str, ...] = ()
    for row in table.rows:
        texts = tuple(cell.text for cell in row)
        # A pair stands once, where its rows begin.
        shown = ["" if at == 0 and last and last[0] == text and len(table.columns) > 1 else text for at, text in enumerate(texts)]
        alerts = ["bold red" if cell.alert else "" for cell in row]
        drawn.add_row(*(Text(visible(text), style=style) for text, style in zip(shown, alerts, strict=True)))
        last = texts
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    console.print(drawn)
    if table.note:
        console.print(Text(visible(table.note)))
