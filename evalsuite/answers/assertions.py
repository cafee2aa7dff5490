"""What an output asserts to be its answer, and which of several assertions stands.

A reader takes the conclusion over what was said on the way to it, and a correction over what it corrects. Anything else
that disagrees is a contradiction, and nothing is read. These three principles are ours; the places where answers are
looked for are those of the sources named in `rules`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from evalsuite.answers import cues, rejection, several, unlisted
from evalsuite.answers.labels import Found, Options, own_end, read_at
from evalsuite.answers.lines import LabelLine, in_list, lines_of

# ranks of an assertion: a higher one is the conclusion of lower ones before it
WEAK, STATED, CONCLUDED, EXPLICIT, FINAL = range(5)

_LINE_REST = re.compile(r"[\s.!)\]}\"'”]*")
_CLAUSE_REST = re.compile(r"[)\]\"'”]*(?:[.,;:!(\n]|\s*$|\s+(?:because|since|as|porque|ya\s+que|pues)\b)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What assertions are looked for in."""

    text: str
    """Plain output."""
    options: Options
    """What the sample offers."""
    label_lines: tuple[LabelLine, ...]
    """Lines that begin with a label."""
    inverted: bool
    """The question asks for what is wrong."""
    unwanted: bool
    """The question asks for what is wrong or to be avoided."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assertion:
    """A place where the output asserts its answer."""

    rule: str
    """Name of the rule that reads it."""
    start: int
    """Start of its cue."""
    begin: int
    """Where the answer begins."""
    found: Found
    """What stands there."""
    rank: int
    """`WEAK` to `FINAL`."""
    strong: bool
    """It speaks of the answer or the option itself; "the best initial test is ..." does not, and contradicts nothing that does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawals:
    """Where an output takes something back, in the order of the text."""

    anything: tuple[int, ...]
    """Offsets of "wait", "that is wrong", "I made a mistake"."""
    of_choice: dict[int, tuple[int, ...]]
    """Offsets where a choice's label is called wrong, by shown position."""

    def between(self, start: int, end: int, indices: Iterable[int]) -> bool:
        """Whether choices asserted before `start` are taken back before `end`."""
        places = (self.anything, *(self.of_choice.get(index, ()) for index in indices))
        return any(number < len(place) and place[number] < end for place in places for number in [bisect_left(place, start)])

    def after(self, start: int, indices: Iterable[int]) -> bool:
        """Whether one of the choices is called wrong after `start`."""
        return any(places and places[-1] >= start for index in indices for places in [self.of_choice.get(index, ())])


def asserted_in(source: Source, cue: str) -> tuple[tuple[Assertion, ...], tuple[int, ...]]:
    """All assertions in the order of the text, and where sentences that announce an answer go on without a label or choice."""
    begins = {line.start: place for place, line in enumerate(source.label_lines)}
    stated, open_ends = _statements(source, begins)
    asserted = [*_contract_lines(source, cue, begins), *_marked(source), *stated, *_called_correct(source), *_refusals(source)]
    return tuple(sorted(asserted, key=lambda one: (one.begin, one.start))), tuple(open_ends)


def withdrawals_in(source: Source) -> Withdrawals:
    """Where an output takes something back; to call a choice wrong takes nothing back if the question asks for that."""
    of_choice: dict[int, list[int]] = {}
    places = {label: index for index, label in enumerate(source.options.labels)}
    if not source.unwanted and source.options.by_length:
        for match in rejection.called_wrong_pattern(source.options.labels).finditer(source.text):
            of_choice.setdefault(places[match.group(1)], []).append(match.start(1))
    return Withdrawals(
        anything=tuple(rejection.taken_back_at(source.text)), of_choice={index: tuple(found) for index, found in of_choice.items()}
    )


def settle(text: str, asserted: Iterable[Assertion], withdrawals: Withdrawals) -> Assertion | None:
    """The assertion that stands; one whose `found` is a conflict if the output contradicts itself; None without any.

    Args:
        text: plain output.
        asserted: in the order of the text.
        withdrawals: where the output takes something back.
    """
    held: Assertion | None = None
    for one in asserted:
        if held is None:
            held = one
        elif one.found.indices == held.found.indices:
            held = one if one.rank >= held.rank else replace(held, found=replace(held.found, end=one.found.end))
        elif _concludes(one, held) or withdrawals.between(held.found.end, one.begin, held.found.indices):
            held = one
        elif one.strong or held.rank == WEAK:
            held = replace(held, found=Found(indices=(), end=one.found.end))
    if held is None or held.found.conflict:
        return held
    gone = rejection.is_withdrawn(text, held.found.end) or withdrawals.after(held.found.end, held.found.indices)
    return replace(held, found=Found(indices=(), end=held.found.end)) if gone else held


def _concludes(one: Assertion, held: Assertion) -> bool:
    """Whether an assertion is the conclusion of another before it."""
    return one.rank > held.rank or (one.strong and not held.strong and one.rank > WEAK)


def _standing(source: Source, found: Found | None) -> Found | None:
    """What was found, up to the end of the choice's own text behind its label; None if its clause takes it away."""
    if found is None or found.conflict:
        return found
    own = own_end(source.text, found.end, found.indices[0], source.options) if len(found.indices) == 1 else None
    refuted = any(rejection.is_refuted(source.text, end, unwanted=source.unwanted) for end in {found.end, own or found.end})
    return None if refuted else replace(found, end=own or found.end)


def _contract_lines(source: Source, cue: str, begins: dict[int, int]) -> Iterator[Assertion]:
    """Lines "Answer: X", or "Answer: not X but Y"."""
    text = source.text
    for match in cues.contract_pattern(cue).finditer(text):
        found = _read_at(source, match.end(), begins)
        if found is not None and _heads_list(source, match.end(), found, begins):
            continue
        standing = _standing(source, found)
        if standing is None:
            standing = _consequence(source, match.end())
        if standing is not None:
            rank = FINAL if cues.is_called_final(text, match.start(), match.end()) else EXPLICIT
            yield Assertion(rule="contract_line", start=match.start(), begin=match.end(), found=standing, rank=rank, strong=True)


def _consequence(source: Source, start: int) -> Found | None:
    """What the answer line ends with after "so" or "but", where what it begins with is rejected or no choice."""
    text = source.text
    stop = text.find("\n", start, start + 300)
    line_end = min(len(text), start + 300) if stop < 0 else stop
    last = None
    for word, end in cues.consequence_ends(text, start, line_end):
        contrasts = word.lower() in {"but", "sino", "mais", "rather"}
        found = _standing(source, read_at(text, end, source.options))
        if found is None or (contrasts and not rejection.has_negation(text[start:end])):
            continue
        rest = _LINE_REST.match(text, found.end)
        last = found if rest is not None and rest.end() >= line_end else last
    return last


def _read_at(source: Source, position: int, begins: dict[int, int]) -> Found | None:
    """What stands behind a cue; where several are asked, with the choices that go on below it."""
    found = read_at(source.text, position, source.options)
    if not source.options.several:
        return found
    listing = several.Listing(lines=source.label_lines, places=begins)
    return several.completed(source.text, position, found, listing, source.options)


def _heads_list(source: Source, position: int, found: Found, begins: dict[int, int]) -> bool:
    """Whether what was read is the head of a list of choices on the lines below it, of which not several were read."""
    if source.options.several and len(found.indices) > 1:
        return False
    return in_list(source.text, position, found, begins, source.label_lines)


def _marked(source: Source) -> Iterator[Assertion]:
    """Boxes and fields."""
    for rule, ends in (("boxed", cues.box_ends(source.text)), ("answer_field", cues.field_ends(source.text))):
        for end in ends:
            found = _standing(source, read_at(source.text, end, source.options))
            if found is not None:
                yield Assertion(rule=rule, start=end, begin=end, found=found, rank=EXPLICIT, strong=True)


def _statements(source: Source, begins: dict[int, int]) -> tuple[list[Assertion], list[int]]:
    """Sentences that announce an answer, and where those go on that name neither a label nor a choice there."""
    text, stated, open_ends = source.text, [], []
    for start, end in sorted(set(cues.statement_ends(text))):
        instead = _instead(source, start, end)
        if instead is not None:
            stated.append(instead)
            continue
        if rejection.is_doubted(text, start, end, inverted=source.inverted, unwanted=source.unwanted):
            continue
        found = _read_at(source, end, begins)
        if found is None or _heads_list(source, end, found, begins):
            open_ends.append(end)
            continue
        standing = _standing(source, found)
        if standing is None:
            continue
        final, strong = cues.is_final(text, start, end), cues.names_answer(text, start, end)
        rank = CONCLUDED if final else STATED if strong else WEAK
        if final and strong and cues.is_called_final(text, start, end):
            rank = FINAL
        rule = "final_statement" if final else "statement"
        stated.append(Assertion(rule=rule, start=start, begin=end, found=standing, rank=rank, strong=strong))
    return stated, open_ends


def _instead(source: Source, start: int, end: int) -> Assertion | None:
    """What a statement names behind "but", if it ends with that and negates what stands before: "the answer is not B but C"."""
    text = source.text
    begin = cues.contrast_end(text, start, end)
    found = None if begin is None or rejection.is_disbelieved(text, start) else _standing(source, read_at(text, begin, source.options))
    if begin is None or found is None or _CLAUSE_REST.match(text, found.end) is None:
        return None
    return Assertion(rule="statement", start=start, begin=begin, found=found, rank=STATED, strong=True)


def _called_correct(source: Source) -> Iterator[Assertion]:
    """Labels that are the subject of "is correct", unless the question asks for what is wrong."""
    if source.inverted or not source.options.by_length:
        return
    if source.options.several:
        yield from _called_correct_together(source)
        return
    places = {label: index for index, label in enumerate(source.options.labels)}
    for match in cues.correct_pattern(source.options.labels).finditer(source.text):
        if not rejection.is_disbelieved(source.text, match.start(1)):
            found = Found(indices=(places[match.group(1)],), end=match.end())
            yield Assertion(rule="statement", start=match.start(), begin=match.start(1), found=found, rank=STATED, strong=True)


def _refusals(source: Source) -> Iterator[Assertion]:
    """Sentences and lines that say that no choice is right, where that is an answer."""
    if source.options.unlisted is None:
        return
    for one in unlisted.refusals_in(source.text, lines_of(source.text), source.options.labels, inverted=source.inverted):
        rank = CONCLUDED if one.opens or one.concludes else WEAK if one.loose else STATED
        found = Found(indices=(source.options.unlisted,), end=one.end)
        yield Assertion(rule="refusal", start=one.start, begin=one.start, found=found, rank=rank, strong=not one.loose)


def _called_correct_together(source: Source) -> Iterator[Assertion]:
    """Lists of labels that are called correct, where several are asked: one assertion of them all, unless something is taken back."""
    text = source.text
    called = [match for match in several.called_correct(text, source.options) if not rejection.is_disbelieved(text, match.start(1))]
    if not called:
        return
    back = any(called[0].start() <= place <= called[-1].end() for place in rejection.taken_back_at(text))
    for group in [[match] for match in called] if back else [called]:
        indices = sorted({index for match in group for index in several.labels_in(match.group(1), source.options)})
        found = Found(indices=tuple(indices), end=group[-1].end())
        yield Assertion(rule="statement", start=group[0].start(), begin=group[0].start(1), found=found, rank=STATED, strong=True)
