"""The lines of an output, and those that begin with a label, as in a list of choices."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evalsuite.answers.labels import Found, Options, label_at

_LINE_START = re.compile(r"[ \t]*+(?:[-•>][ \t]++)?+[(\[<\"'«“]?")


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


def label_lines_of(text: str, lines: tuple[tuple[int, int], ...], options: Options) -> tuple[LabelLine, ...]:
    """The lines that begin with a label."""
    return tuple(line for number in range(len(lines)) if (line := _label_line(text, lines, number, options)) is not None)


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


def lines_of(text: str) -> tuple[tuple[int, int], ...]:
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
    if not (rest.strip() == "" or rest[0] in ".):]-–—,>\"'»”" or rest.lstrip()[0] in "-–—:("):
        return None
    follows = lines[number + 1][0] if number + 1 < len(lines) else None
    return LabelLine(index=index, start=start, after=after, end=end, number=number, blank_after=follows is None or follows > end + 1)
