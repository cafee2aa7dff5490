"""Two texts that face each other, and what differs between them: by words, and by characters within words that are nearly the same.

Source: `difflib.SequenceMatcher` of the standard library (Ratcliff and Metzener 1988, "Pattern Matching: The Gestalt Approach"); what to
show of a long text is ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal

Kind = Literal["same", "changed", "named", "gap", "remark"]
"""`changed`: on the left what is gone, on the right what is new; `named`: a character that is not seen, or not told from another one, by
its code point; `gap`: how much is left out here; `remark`: our words about the text."""

UNSEEN = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u3164\ufe00-\ufe0f\U000e0000-\U000e0fff]"
)
"""Characters without width that `controls.CONTROLS` does not hold: zero-width spaces and joiners, soft hyphens, selectors, tags."""

WORDS = re.compile(r"\s+|\S+")
ALIKE = 0.6
"""Similarity (`SequenceMatcher.ratio`) from which on the characters that differ are marked instead of the words."""

MAX_COMPARED = 1_000_000
"""Most pairs of words that are compared; longer texts count as changed from where they part to where they meet again."""

LONG, AROUND, TAIL = 600, 140, 240
"""Characters above which a text is cut; that are kept beside a change and of the start; and of the end, where the question is."""

LONG_CHANGE = 320
"""Characters above which something new, or gone, is itself cut."""

MOST = 2_400
"""Characters of a text after which nothing more is shown, however much has changed in it."""

BLANKS = {" ": "␣", "\n": "↵\n", "\t": "⇥"}
"""How white space is shown where it is what changed."""


def changes(left: str, right: str) -> tuple[Line, Line]:
    """The two texts in pieces, with what differs marked on both sides.

    Args:
        left: the text before.
        right: the text after.

    Returns:
        (left, right). The `same` pieces of both hold the same text in the same order; pieces that are not `remark` or `named` spell
        the texts, but for marks in place of white space that changed.
    """
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    for equal, before, after in _segments(left, right):
        if equal:
            for side in sides:
                side.extend(_seen(before))
            continue
        for side, text in zip(sides, (before, after), strict=True):
            side.extend(_marked(text))
    return tuple(sides[0]), tuple(sides[1])


def unchanged(text: str) -> Line:
    """A text in which nothing is marked."""
    return tuple(_seen(text))


def marked(text: str) -> Line:
    """A text that is new, or gone, as a whole."""
    return tuple(_marked(text))


def remark(text: str) -> Line:
    """Our own words, beside what was asked or answered; nothing for an empty text."""
    return (Piece(text=text, kind="remark"),) if text else ()


def shortened(*lines: Line) -> tuple[Line, ...]:
    """Lines with what is far from every change left out, and long changes cut in their middle; gaps say how many characters are missing.

    Start and end of what is the same stay. Lines of at most `LONG` characters stay as they are, where all of them are so short: lines that
    face each other are cut alike.
    """
    if all(sum(len(piece.text) for piece in line) <= LONG for line in lines):
        return lines
    return tuple(_cut_line(line) for line in lines)


def _cut_line(line: Line) -> Line:
    last = max((at for at, piece in enumerate(line) if piece.kind == "same"), default=0)
    kept: list[Piece] = []
    for at, piece in enumerate(line):
        if piece.kind == "changed":
            kept += _cut(piece, LONG_CHANGE // 2, LONG_CHANGE // 2)
        elif piece.kind == "same":
            kept += _cut(piece, AROUND, TAIL if at == last else AROUND)
        else:
            kept.append(piece)
    return _first(kept, MOST)


def _segments(left: str, right: str) -> Iterator[tuple[bool, str, str]]:
    """(equal, before, after) from start to end, by words, then by characters where two runs of words are nearly the same; none is empty."""
    words = [WORDS.findall(text) for text in (left, right)]
    for equal, before, after in _joined(list(_word_segments(*words))):
        if equal or not _nearly_same(before, after):
            yield equal, before, after
            continue
        for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            yield tag == "equal", before[i:j], after[k:m]


def _word_segments(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[bool, str, str]]:
    n = min(len(left), len(right))
    start = next((at for at in range(n) if left[at] != right[at]), n)
    end = next((at for at in range(n - start) if left[-1 - at] != right[-1 - at]), n - start)
    yield True, "".join(left[:start]), "".join(left[:start])
    middle = left[start : len(left) - end], right[start : len(right) - end]
    if len(middle[0]) * len(middle[1]) > MAX_COMPARED:
        yield False, "".join(middle[0]), "".join(middle[1])
    else:
        for tag, i, j, k, m in SequenceMatcher(None, *middle, autojunk=False).get_opcodes():
            yield tag == "equal", "".join(middle[0][i:j]), "".join(middle[1][k:m])
    tail = "".join(left[len(left) - end :])
    yield True, tail, tail


def _joined(segments: list[tuple[bool, str, str]]) -> list[tuple[bool, str, str]]:
    """Blanks between two runs of other words belong to the change: marks over whole phrases are read, marks over each word are not."""
    found: list[tuple[bool, str, str]] = []
    kept = [segment for segment in segments if segment[1] or segment[2]]
    for at, segment in enumerate(kept):
        around = (kept[at - 1], kept[at + 1]) if 0 < at < len(kept) - 1 else ()
        if segment[0] and segment[1].isspace() and around and not any(near[0] or _nearly_same(*near[1:]) for near in around):
            segment = (False, *segment[1:])
        if found and not found[-1][0] and not segment[0] and at and not _nearly_same(*found[-1][1:]):
            found[-1] = (False, found[-1][1] + segment[1], found[-1][2] + segment[2])
        else:
            found.append(segment)
    return found


def _nearly_same(before: str, after: str) -> bool:
    if not before or not after:
        return False
    if before.isspace() and after.isspace():
        return True
    return len(before) + len(after) < LONG and SequenceMatcher(None, before, after, autojunk=False).ratio() >= ALIKE


def _seen(text: str) -> Iterator[Piece]:
    """A text that did not change, its unseen characters named."""
    yield from _named(text, "same")


def _marked(text: str) -> Iterator[Piece]:
    """A text that changed: white space alone as marks, and what only looks like another character named after it."""
    if text.isspace():
        yield Piece(text="".join(BLANKS.get(blank, _code(blank)) for blank in text), kind="changed")
        return
    yield from _named(text, "changed")
    foreign = [character for character in dict.fromkeys(text) if _looks_like_another(character)]
    if foreign and len(text) <= len(foreign) + 2:
        yield Piece(text=" ".join(_code(character) for character in foreign), kind="named")


def _named(text: str, kind: Literal["same", "changed"]) -> Iterator[Piece]:
    at = 0
    for found in UNSEEN.finditer(text):
        if found.start() > at:
            yield Piece(text=text[at : found.start()], kind=kind)
        # What changed keeps its mark: a name alone would not say which side it is missing on.
        code = _code(found[0])
        yield Piece(text=code, kind="named" if kind == "same" else "changed")
        at = found.end()
    if at < len(text):
        yield Piece(text=text[at:], kind=kind)


def _looks_like_another(character: str) -> bool:
    """Whether a character that changed alone could be taken for a Latin letter, or stands on one."""
    if character.isascii() or UNSEEN.match(character):
        return False
    plain = unicodedata.name(character, "").startswith(("LATIN SMALL LETTER", "LATIN CAPITAL LETTER"))
    return unicodedata.category(character) == "Mn" or (character.isalnum() and not plain)


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _cut(piece: Piece, n_head: int, n_tail: int) -> list[Piece]:
    """The start and the end of a piece, cut between words where there are any near; the whole where a gap would save nothing."""
    text = piece.text
    if len(text) <= n_head + n_tail + 40:
        return [piece]
    head = text[:n_head].rpartition(" ")[0] or text[:n_head]
    tail = text[len(text) - n_tail :].partition(" ")[2] or text[len(text) - n_tail :]
    return [replace(piece, text=head), _gap(len(text) - len(head) - len(tail)), replace(piece, text=tail)]


def _gap(n: int) -> Piece:
    return Piece(text=f" [… {n:,} characters …] ", kind="gap")


def _first(pieces: Sequence[Piece], n_most: int) -> Line:
    """Pieces up to a number of characters, and a gap for the rest."""
    n_seen = 0
    kept: list[Piece] = []
    for at, piece in enumerate(pieces):
        n_seen += len(piece.text)
        if n_seen > n_most and at:
            return (*kept, _gap(sum(len(each.text) for each in pieces[at:])))
        kept.append(piece)
    return tuple(kept)


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A run of text of one kind."""

    text: str
    """Plain text; renderers escape it and make control characters visible."""
    kind: Kind
    """What it is."""


Line = tuple[Piece, ...]
"""What one cell holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FacingRow:
    """One part of what was asked, on either side."""

    label: str
    """What it is, e.g. `Question`; empty where it continues the row above."""
    left: Line
    """Before."""
    right: Line
    """After."""
    narrow: bool = False
    """True for lines so short that they stay beside each other where there is little room; others then stand below each other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facing:
    """Two renditions of one sample."""

    title: str
    """Which sample and what was done to it; plain text."""
    heads: tuple[str, str]
    """What either side is, and what was answered there."""
    rows: tuple[FacingRow, ...]
    """From top to bottom."""
    open: bool = False
    """Whether a screen shows it at once; paper shows every one."""
