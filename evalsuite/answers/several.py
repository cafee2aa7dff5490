"""What only outputs of tasks with several right choices hold: lists of letters, verdicts choice by choice, "all of them".

Nothing here is asked where one choice is wanted. A list that cannot be told from an echo of the choices, a list with a choice left
undecided, and a range ("A-D") are not read. The forms are ours, from French examinations and outputs of instruct models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from evalsuite.answers.labels import Found, Options, own_end
from evalsuite.answers.lines import LabelLine

_RIGHT_WORD = (
    r"vraie?s?|correct[aeo]?s?|exact[aeo]?s?|justes?|bonnes?|true|right|verdader[ao]s?|ciert[ao]s?|oui|yes|s[ií]|✓|✔|✅|"
    r"(?:à|a)\s+cocher|retenues?"
)
_WRONG_WORD = (
    r"faux|fausses?|incorrect[aeo]?s?|inexact[aeo]?s?|erronée?s?|err[oó]ne[ao]s?|false|wrong|fals[ao]s?|non|no|mauvaises?|✗|✘|❌|"
    r"(?:à|a)\s+rejeter"
)
_VERDICT = re.compile(
    r"(?P<not>\b(?:n['’]est\s+pas|ne\s+sont\s+pas|pas|not|isn['’]t|no\s+es)\s+(?:\w{1,8}\s+)?)?"
    r"(?:(?P<right>(?<!\w)(?:" + _RIGHT_WORD + r")(?!\w))|(?P<wrong>(?<!\w)(?:" + _WRONG_WORD + r")(?!\w)))",
    re.IGNORECASE,
)
_ALL = re.compile(
    r"^[ \t]*+(?:\w{1,12}\s*:\s*)?(?:donc,?\s+|therefore,?\s+|por tanto,?\s+)?"
    r"(?:toutes\s+(?:les|ces)\s+(?:réponses|propositions|affirmations|options)(?:\s+proposées)?\s+sont\s+(?:exactes|vraies|correctes|justes)"
    r"|all\s+(?:of\s+)?(?:the\s+|these\s+)?(?:options|choices|answers|statements)\s+are\s+(?:correct|true|right)"
    r"|todas\s+(?:las\s+)?(?:respuestas|opciones|afirmaciones)\s+son\s+(?:correctas|verdaderas|ciertas))"
    r"(?:\s*[,:(]\s*[A-Z](?:\s*(?:,|et|and|y)\s*[A-Z])*\)?)?\s*[.!]?[ \t]*+$",
    re.IGNORECASE | re.MULTILINE,
)
N_LABELS = 100
_BLANKS = re.compile(r"\s*+")
_ALL_WORDS = frozenset("toutes tous all todas todos aucune aucun none ninguna ninguno".split())


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The lines of an output that begin with a label."""

    lines: tuple[LabelLine, ...]
    """In the order of the text."""
    places: dict[int, int]
    """Start of each to its place among them."""


def completed(text: str, position: int, found: Found | None, listing: Listing, options: Options) -> Found | None:
    """What was read at a cue, with the choices that go on below it; a conflict if its own line holds a further one that was not read.

    Args:
        text: plain output.
        position: where the answer was looked for.
        found: what was read there.
        listing: lines that begin with a label.
        options: what the sample offers.
    """
    blanks = _BLANKS.match(text, position)
    begin = blanks.end() if blanks is not None else position
    place = listing.places.get(text.rfind("\n", 0, begin) + 1)
    if place is not None:
        listed = _run_of(listing, place, ())
        return Found(indices=tuple(line.index for line in listed), end=listed[-1].end) if 1 < len(listed) < len(options.labels) else found
    if found is None or len(found.indices) != 1:
        return found
    if _undecided_rest(text, found, options):
        return Found(indices=(), end=found.end)
    stop = text.find("\n", found.end)
    place = listing.places.get(stop + 1) if stop >= 0 and not any(map(str.isalnum, text[found.end : stop])) else None
    below = [] if place is None else _run_of(listing, place, found.indices)
    if not below or not all(_says_no_more(text, line, options) for line in below) or len(below) + 1 == len(options.labels):
        return found
    return Found(indices=(*found.indices, *(line.index for line in below)), end=below[-1].end)


def called_correct(text: str, options: Options) -> Iterator[re.Match[str]]:
    """Sentences in which one label or a list of labels is the subject: "A, C et D sont exactes"; group 1 is the list."""
    return _called_pattern(options.labels).finditer(text)


def labels_in(listed: str, options: Options) -> tuple[int, ...]:
    """Positions of the labels of a list that `called_correct` found."""
    places = {label: index for index, label in enumerate(options.labels)}
    return tuple(sorted({places[part] for part in re.findall(r"\w+", listed) if part in places}))


def verdicts_of(text: str, label_lines: tuple[LabelLine, ...], options: Options) -> Found | None:
    """The choices called right line by line, if every line that begins with a label has one verdict and two choices at least have one."""
    decided: dict[int, bool] = {}
    for line in label_lines:
        verdict = _verdict(text, line, options)
        if verdict is None or decided.get(line.index, verdict) != verdict:
            return None
        decided[line.index] = verdict
    right = tuple(sorted(index for index, verdict in decided.items() if verdict))
    return Found(indices=right, end=label_lines[-1].end) if len(decided) > 1 and right else None


def all_of(text: str, options: Options) -> Found | None:
    """All choices where a line says so, unless a choice itself speaks of all or none."""
    if len(_ALL.findall(text)) != 1 or any(word in _ALL_WORDS for key in options.texts.own for word in key):
        return None
    return Found(indices=tuple(range(len(options.labels))), end=len(text))


def _verdict(text: str, line: LabelLine, options: Options) -> bool | None:
    """What a line says of its choice: right, wrong, or None if nothing or both."""
    begin = own_end(text, line.after, line.index, options) or line.after
    found = _VERDICT.search(text, begin, min(line.end, begin + 300))
    if found is None or any(character.isalnum() for character in text[begin : found.start()].strip()[40:]):
        return None
    return (found.group("right") is not None) != (found.group("not") is not None)


@cache
def _called_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    label = "(?:" + "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True)) + r")(?!\w)"
    joined = r"[)\]\"]?\s{0,2}(?:[,;/+&]\s{0,2}(?:(?:et|and|y|e)\s)?|(?:et|and|y|e)\s)\s?(?:(?:la|l['’]|the)\s?)?[(\[\"]?"
    verb = r"[)\]\"]?\s(?:is|are|es|son|est|sont)\s(?:(?:all|both|also|donc|également|aussi|toutes|tous|the|les?|las?|una|une|des)\s){0,3}"
    praise = (
        r"(?i:correct[ae]?s?|exact[ae]?s?|vraie?s?|justes?|bonnes?|right|true|ciert[ao]s?|verdader[ao]s?|"
        r"réponses?\s(?:exact|correct|just)es?|respuestas?\scorrectas?)(?!\w)"
    )
    return re.compile(r"(?<![\w'’-])[(\[\"]?(" + label + "(?:" + joined + label + "){0,25}+)" + verb + praise)


@cache
def _further_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    label = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    return re.compile(r"(?:[,;]|\b(?:et|and|y)\b)\s*[(\[]?(" + label + r")\s?[.):](?=\s|$)")


def _run_of(listing: Listing, place: int, after: tuple[int, ...]) -> list[LabelLine]:
    """The lines from a place on that follow each other directly with labels in ascending order, all behind the labels of `after`."""
    listed: list[LabelLine] = []
    # labels ascend, so that no run is longer than there are labels
    for line in listing.lines[place : place + N_LABELS]:
        if listed and line.number != listed[-1].number + 1:
            break
        if line.index <= max((*after, *(one.index for one in listed)), default=-1):
            break
        listed.append(line)
    return listed


def _says_no_more(text: str, line: LabelLine, options: Options) -> bool:
    """Whether a line holds a label, its choice, and nothing else."""
    rest = text[line.after : min(line.end, line.after + 2000)]
    return not any(map(str.isalnum, rest)) or options.texts.exactly(rest) == line.index


def _undecided_rest(text: str, found: Found, options: Options) -> bool:
    """Whether the line goes on with a further lettered choice behind the one that was read, so that one alone would be a part only."""
    stop = text.find("\n", found.end, found.end + 2000)
    rest = text[found.end : stop if stop >= 0 else found.end + 2000]
    others = {options.labels[index] for index in range(len(options.labels)) if index not in found.indices}
    return any(match.group(1) in others for match in _further_pattern(options.labels).finditer(rest))
