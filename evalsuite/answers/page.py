"""An output made ready for the rules: its lines, the lines that begin with a label, the sentences that announce an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evalsuite.answers import cues
from evalsuite.answers.labels import Found, Options, label_at, read_at

_LINE_START = re.compile(r"[ \t]*+(?:[-•>][ \t]++)?+[(\[<\"']?")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelLine:
    """A line that begins with a label, as in a list of choices."""

    index: int
    """Choice of the label."""
    start: int
    """Offset of the line."""
    after: int
    """Offset after the label."""
    end: int
    """Offset of the line's end."""
    number: int
    """Number of the line among the lines that are not blank."""
    blank_after: bool
    """True if a blank line, or nothing, follows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A sentence that announces an answer."""

    end: int
    """Where its answer begins."""
    found: Found | None
    """What stands there; None if neither a label nor a choice begins there."""
    final: bool
    """True if it concludes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """An output made ready for the rules."""

    raw: str
    """The output without thinking."""
    text: str
    """The same without decoration."""
    options: Options
    """What the sample offers."""
    cue: str
    """The wording's answer cue."""
    inverted: bool
    """The question asks for what is wrong."""
    lines: tuple[tuple[int, int], ...]
    """(start, end) of the lines that are not blank."""
    label_lines: tuple[LabelLine, ...]
    """The lines among them that begin with a label."""
    statements: tuple[Statement, ...]
    """In the order of the text."""


def page_of(raw: str, text: str, options: Options, cue: str, question: str) -> Page:
    """Ready an output: its lines, its label lines and its statements, each found once."""
    lines = _lines(text)
    label_lines = tuple(line for number in range(len(lines)) if (line := _label_line(text, lines, number, options)) is not None)
    inverted = cues.asks_for_wrong(question)
    begins = {line.start: place for place, line in enumerate(label_lines)}
    statements = []
    for start, end in sorted(set(cues.statement_ends(text))):
        if cues.is_doubted(text, start, end, inverted=inverted):
            continue
        found = read_at(text, end, options)
        if found is not None and in_list(text, end, found, begins, label_lines):
            found = None
        statements.append(Statement(end=end, found=found, final=cues.is_final(text, start, end)))
    return Page(
        raw=raw,
        text=text,
        options=options,
        cue=cue,
        inverted=inverted,
        lines=lines,
        label_lines=label_lines,
        statements=tuple(statements),
    )


def in_list(text: str, position: int, found: Found, begins: dict[int, int], label_lines: tuple[LabelLine, ...]) -> bool:
    """Whether what was read after a cue is the head of a list of choices on the lines below it."""
    start = text.rfind("\n", max(0, position - 200), max(position, found.end)) + 1
    place = begins.get(start)
    if place is None or place + 1 == len(label_lines):
        return False
    line, following = label_lines[place], label_lines[place + 1]
    if following.number != line.number + 1 or following.index == line.index:
        return False
    return not line.blank_after or (line.index == 0 and following.index == 1)


def _lines(text: str) -> tuple[tuple[int, int], ...]:
    """(start, end) of the lines that are not blank."""
    spans, start = [], 0
    for line in text.split("\n"):
        if line.strip():
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return tuple(spans)


def _label_line(text: str, lines: tuple[tuple[int, int], ...], number: int, options: Options) -> LabelLine | None:
    """The label that a line begins with, if a sign or the line's end follows it."""
    start, end = lines[number]
    opened = _LINE_START.match(text, start)
    label = label_at(text, opened.end() if opened else start, options)
    if label is None:
        return None
    index, after = label
    rest = text[after : min(end, after + 4)]
    if not (rest.strip() == "" or rest[0] in ".):]-–—,>\"'" or rest.lstrip()[0] in "-–—:("):
        return None
    follows = lines[number + 1][0] if number + 1 < len(lines) else None
    return LabelLine(index=index, start=start, after=after, end=end, number=number, blank_after=follows is None or follows > end + 1)
