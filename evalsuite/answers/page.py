"""An output made ready for the rules: its lines, the lines that begin with a label, and what it asserts."""

from __future__ import annotations

from dataclasses import dataclass

from evalsuite.answers import assertions, cues
from evalsuite.answers.assertions import Assertion, Withdrawals
from evalsuite.answers.labels import Options
from evalsuite.answers.lines import LabelLine, label_lines_of, lines_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """An output made ready for the rules."""

    raw: str
    """The output without thinking."""
    text: str
    """The same without decoration."""
    options: Options
    """What the sample offers."""
    inverted: bool
    """The question asks for what is wrong."""
    unwanted: bool
    """The question asks for what is wrong or to be avoided, so that to reject a choice may be to give it as the answer."""
    lines: tuple[tuple[int, int], ...]
    """(start, end) of the lines that are not blank."""
    label_lines: tuple[LabelLine, ...]
    """The lines among them that begin with a label."""
    asserted: tuple[Assertion, ...]
    """What the output asserts to be its answer, in the order of the text."""
    open_ends: tuple[int, ...]
    """Where a sentence that announces an answer goes on, if neither a label nor a choice begins there."""
    withdrawals: Withdrawals
    """Where the output takes something back."""


def page_of(raw: str, text: str, options: Options, cue: str, question: str) -> Page:
    """Ready an output: its lines, its label lines and its assertions, each found once."""
    lines = lines_of(text)
    label_lines = label_lines_of(text, lines, options)
    inverted = cues.asks_for_wrong(question)
    unwanted = inverted or cues.asks_for_unwanted(question)
    source = assertions.Source(text=text, options=options, label_lines=label_lines, inverted=inverted, unwanted=unwanted)
    asserted, open_ends = assertions.asserted_in(source, cue)
    return Page(
        raw=raw,
        text=text,
        options=options,
        inverted=inverted,
        unwanted=unwanted,
        lines=lines,
        label_lines=label_lines,
        asserted=asserted,
        open_ends=open_ends,
        withdrawals=assertions.withdrawals_in(source),
    )
