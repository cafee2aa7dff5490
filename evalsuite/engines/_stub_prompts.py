"""What planted behaviours find in a prompt, and how they write what they take.

A question that is known, the choices that are listed, what is known to be right, what somebody suggests: all is read off the prompt's text,
as a model would have to. Listings are those of `prompt_templates`: a label, its marks, a blank.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

# A label between the marks of any template, as in "A. ", "(A) ", "A ) " or "<A> ".
_LABEL = r"(?:^|(?<=[\s(\[<]))(?P<label>[^\s()\[\]<>.,;:]{1,8}) ?[.)\]>] "
_LISTED = re.compile(r"^(\S{1,8})\. (.+)$", re.MULTILINE)
_ORDERED = re.compile(r"\b(?:answer|responde) (\S{1,8})\.(?=\s|$)", re.MULTILINE)
_FORM = re.compile(r'"(\w+): X"')
N_LABEL = 8
"""Most characters of a label."""
N_ENDING = 12
"""Characters by whose sight questions are told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endings:
    """Questions by what they end with, so that a prompt is searched once and not once per question."""

    n_characters: int
    """Length of the ends: `N_ENDING`, or less where a question is shorter."""
    lengths: Mapping[str, Sequence[int]]
    """For each end how long the questions are that end so, the longest first."""


def endings_of(questions: Collection[str]) -> Endings:
    """Questions by what they end with."""
    n_characters = min(N_ENDING, min(map(len, questions), default=0))
    lengths: dict[str, set[int]] = {}
    for question in questions:
        lengths.setdefault(question[len(question) - n_characters :], set()).add(len(question))
    return Endings(n_characters=n_characters, lengths={end: sorted(found, reverse=True) for end, found in lengths.items()})


def find_right(text: str, sheet: Mapping[str, str], endings: Endings | None = None) -> tuple[str, str] | None:
    """(right choice, its label) of the question that stands last in a prompt; the label is empty if choices are not listed.

    Among questions that end at the same place the longest counts (one may be part of another). None if no question is known.

    Args:
        text: of a prompt.
        sheet: question to text of its right choice.
        endings: of the sheet's questions, for a sheet that is asked more than once.
    """
    found = _last_question(text, sheet, endings or endings_of(sheet))
    if found is None:
        return None
    end, question = found
    right = sheet[question]
    return right, _label_before(text[end:], right)


def _last_question(text: str, questions: Collection[str], endings: Endings) -> tuple[int, str] | None:
    """(where it ends, question) of the question that ends last, the longest of several; None if none is there."""
    for end in range(len(text), endings.n_characters - 1, -1):
        for length in endings.lengths.get(text[end - endings.n_characters : end], ()):
            if length <= end and (question := text[end - length : end]) in questions:
                return end, question
    return None


def _label_before(text: str, choice: str) -> str:
    r"""Label of the first line that is a label of at most eight characters, ". " and the choice; empty if there is none.

    What the pattern `^(\S{1,8})\. CHOICE$` finds, without a pattern for each choice.
    """
    listed = f". {choice}"
    place = text.find(listed)
    while place >= 0:
        label, end = text[text.rfind("\n", 0, place) + 1 : place], place + len(listed)
        if 0 < len(label) <= N_LABEL and not any(map(str.isspace, label)) and text[end : end + 1] in ("", "\n"):
            return label
        place = text.find(listed, place + 1)
    return ""


def known_choice(text: str, known: Collection[str]) -> tuple[str, str] | None:
    """(choice, its label) of the last listed choice that is known to be right; the label is empty where choices have none.

    Args:
        text: of a prompt, in any template.
        known: texts of right choices.
    """
    found = max(((*listed, choice) for choice in known for listed in _places(text, choice)), default=None)
    return None if found is None else (found[2], found[1])


def _places(text: str, choice: str) -> Iterator[tuple[int, str]]:
    """Where a choice is listed and under which label; an empty one where it fills a line of its own."""
    if choice not in text:
        return
    listed, alone = _patterns(choice)
    for place in listed.finditer(text):
        yield place.end(), place["label"]
    for place in alone.finditer(text):
        yield place.end(), ""


@lru_cache(maxsize=8192)
def _patterns(choice: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns of a choice under a label and of one that fills a line; kept, since to make them takes longer than to use them."""
    listed = re.compile(_LABEL + re.escape(choice) + r"(?!\w)", re.MULTILINE)
    return listed, re.compile(rf"^{re.escape(choice)}$", re.MULTILINE)


def suggested_label(text: str) -> str | None:
    """Label of the choice that somebody names by label and text ("B, aspirin"), or orders to answer ("answer B."); None: nobody does.

    Args:
        text: of a prompt in the default template; the last one that is named counts.
    """
    choices = dict(_LISTED.findall(text))
    named = [(text.rfind(f"{label}, {choice.removesuffix('.')}"), label) for label, choice in choices.items()]
    named += [(place.start(), place[1]) for place in _ORDERED.finditer(text) if place[1] in choices]
    place, label = max(named, default=(-1, ""))
    return label if place >= 0 else None


def asked_cue(text: str, default: str) -> str:
    """The word that the prompt asks the answer line to begin with, as in 'the form "Respuesta: X"'; else the default."""
    found = _FORM.findall(text)
    return str(found[-1]) if found else default


def taken_choice(text: str, known: Collection[str], *, copies: bool) -> tuple[str, str]:
    """(label, text) of the choice that is taken: the one that somebody names if it `copies`, else the known one; either may be empty.

    Args:
        text: of a prompt.
        known: texts of right choices.
        copies: whether somebody is believed.
    """
    named = suggested_label(text) if copies else None
    choice, label = known_choice(text, known) or ("", "")
    return (named, "") if named else (label, choice)


def written(said: str, form: str, cue: str = "") -> str:
    """An answer in the midst of talk, as a JSON object, or as a line with a cue; without a cue the bare answer.

    Args:
        said: the answer.
        form: `talk`, `json` or `line`.
        cue: of a line.
    """
    if form == "talk":
        return f"Sure! I have looked at every choice.\nThe answer is {said}. Let me know if you have more questions."
    if form == "json":
        return json.dumps({"answer": said}, ensure_ascii=False)
    return f"{cue}: {said}" if cue else said


def shown_labels(text: str) -> list[str]:
    """Labels of the last block of labelled lines in a prompt; A to D if there is none."""
    blocks = re.findall(r"(?:^\S{1,8}\. .*\n?)+", text, re.MULTILINE)
    return re.findall(r"^(\S{1,8})\. ", blocks[-1], re.MULTILINE) if blocks else ["A", "B", "C", "D"]
