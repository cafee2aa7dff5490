"""A stem in pieces: its sentences and lines, and where it begins to ask.

Source: ours. The rules are those that examination stems in English and Spanish need (abbreviations, initials, decimals, tables by lines).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ABBREVIATIONS = frozenset(
    "dr dra drs sr sra srta sres mr mrs ms prof st sta sto d dña fig figs tab vs al approx aprox cf eg ie ej ud uds vd vds núm nº no art "
    "pág págs vol ed max máx min mín dept dpto sp spp var subsp ssp inc co ca resp ref refs fdo avda hto hb ht temp leuc plaq".split()
)
"""Tokens after whose dot a sentence goes on; without dots, in small letters."""

# Those of them that also stand at the end of sentences or of quantities: a dot behind them goes on only before a figure.
_BEFORE_FIGURES = frozenset({"no", "nº", "núm", "min", "mín", "max", "máx", "d", "ca", "co", "hto", "hb", "ht", "temp", "leuc", "plaq"})
_INSIDE = frozenset({"p.ej", "e.g", "i.e", "p.e"})
_NAMED_BY_LETTER = re.compile(
    r"\b(?:vitamin|vitamina|hepatitis|types?|tipos?|grados?|grades?|groups?|grupos?|factor|stages?|estadios?|class|clase|child|child-pugh|"
    r"protein|proteína|virus|complejo|complex|figure|figura|column|columna|drug|fármaco|patient|paciente|influenza|gripe|opción|option)\s*$",
    re.IGNORECASE,
)
# A mark that may end a sentence, with what closes behind it, and white space; a line break; or a blank before an opened question.
_BREAK = re.compile(r"(?P<mark>[.!?…]+[\"”’»)\]]*)(?P<space>\s+)|\n\s*|(?<=[^\s,;:(¿¡]) +(?=¿[A-ZÁÉÍÓÚÑ])")
_OPENS = re.compile(r"[\"“‘«'(\[]*[¿¡]*[\"“‘«'(\[]*[A-ZÁÉÍÓÚÜÑ0-9ΔΑ-Ω+]|[-–•*] ")
_TERMINAL = re.compile(r"[.!?…:][\"”’»)\]]*\s*\Z")
_LIST_LINE = re.compile(r"\s*(?:[-–•*]|\d{1,2}[.)]|[a-e]\))\s")
_ASKS = re.compile(
    r"[?:][\"”»)\]\s:.]*\Z|\b(?:señal[ea]|indi(?:que|ca|car)|marque|elija|seleccion[ea]|identifi(?:que|ca)|diga|cite|"
    r"point out|indicate|select|choose|mark|identify|which (?:of|one)|what is)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"\?[\"”»)\]\s:.]*\Z")
MAX_JOINED = 4
"""An open bracket or quotation joins at most so many pieces; one that is never closed is a slip of the text."""


def sentences(text: str) -> tuple[str, ...]:
    """The text in sentences, each with the white space behind it; joined they are the text, character by character.

    A line break ends a piece whatever stands before it. A dot does not end one inside a number, behind an abbreviation, an initial or a
    list's number, before a small letter, or inside brackets and quotations.

    Args:
        text: any; English or Spanish is what the rules know.

    Returns:
        At least one piece; none of them empty but that of an empty text.
    """
    pieces: list[str] = []
    start = 0
    for found in _BREAK.finditer(text):
        if found["mark"] and "\n" not in found["space"] and not _ends(text, start, found):
            continue
        pieces.append(text[start : found.end()])
        start = found.end()
    if start < len(text) or not pieces:
        pieces.append(text[start:])
    return _joined(pieces)


def is_terminal(piece: str) -> bool:
    """Whether a piece ends with a mark that ends sentences (a colon too): the next one is not the rest of it."""
    return bool(_TERMINAL.search(piece))


def asking_from(pieces: Sequence[str]) -> int:
    """Position of the piece from which a stem asks; what stands from there on keeps its place.

    The last piece that ends with a question mark or a colon, or says to mark or choose something, with the questions directly before it;
    lines of a list (choices that a stem holds) are looked over. Where nothing asks in so many words, the last piece.

    Args:
        pieces: of `sentences`; at least one.
    """
    last = len(pieces) - 1
    at = last
    while at > 0 and _LIST_LINE.match(pieces[at]):
        at -= 1
    while at > 0 and not _ASKS.search(pieces[at]):
        at -= 1
    if not _ASKS.search(pieces[at]):
        return last
    while at > 0 and _QUESTION.search(pieces[at - 1]):
        at -= 1
    return at


def _ends(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether a dot (or another mark) with white space on its line ends a sentence."""
    if not _OPENS.match(text, found.end()):
        return False
    if found["mark"][0] != ".":
        return True
    before = text[start : found.start()]
    token = before.rsplit(None, 1)[-1].lstrip("(\"“«'¿[") if before.strip() else ""
    name = token.lower()
    figure = text[found.end()].isdigit()
    if name in _INSIDE or (name in _ABBREVIATIONS and (figure or name not in _BEFORE_FIGURES)):
        return False
    if before.strip() == token and (token.isdigit() or len(token) == 1):
        return False
    if len(token) == 1 and token.isupper():
        return bool(_NAMED_BY_LETTER.search(before[: -len(token)]))
    # U.S., J.H. go on; i.v., a.m. end where a capital follows.
    return not (re.fullmatch(r"(?:[A-ZÁÉÍÓÚÑ]\.)+[A-ZÁÉÍÓÚÑ]", token) is not None)


def _joined(pieces: list[str]) -> tuple[str, ...]:
    """Pieces with those joined between which a bracket or a quotation is open that a near one closes."""
    joined: list[str] = []
    at = 0
    while at < len(pieces):
        end = at + 1
        if (closing := _left_open(pieces[at])) and not pieces[at].endswith("\n"):
            reach = next((n for n in range(at + 1, min(at + MAX_JOINED, len(pieces))) if closing in pieces[n]), None)
            end = at + 1 if reach is None else reach + 1
        joined.append("".join(pieces[at:end]))
        at = end
    return tuple(joined)


def _left_open(piece: str) -> str:
    """The mark that would close what a piece leaves open; empty if it leaves nothing open."""
    for opening, closing in (("(", ")"), ("[", "]"), ("“", "”"), ("«", "»")):
        if piece.count(opening) > piece.count(closing):
            return closing
    return '"' if piece.count('"') % 2 else ""
