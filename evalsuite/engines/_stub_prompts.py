"""What planted behaviours find in a prompt, and how they write what they take.

A question that is known, the choices that are listed, what is known to be right, what somebody suggests: all is read off the prompt's text,
as a model would have to. Listings are those of `prompt_templates`: a label, its marks, a blank.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping

# A label between the marks of any template, as in "A. ", "(A) ", "A ) " or "<A> ".
_LABEL = r"(?:^|(?<=[\s(\[<]))(?P<label>[^\s()\[\]<>.,;:]{1,8}) ?[.)\]>] "
_LISTED = re.compile(r"^(\S{1,8})\. (.+)$", re.MULTILINE)
_ORDERED = re.compile(r"\b(?:answer|responde) (\S{1,8})\.(?=\s|$)", re.MULTILINE)
_FORM = re.compile(r'"(\w+): X"')


def find_right(text: str, sheet: Mapping[str, str]) -> tuple[str, str] | None:
    """(right choice, its label) of the question that stands last in a prompt; the label is empty if choices are not listed.

    Among questions that end at the same place the longest counts (one may be part of another). None if no question is known.
    """
    ends = ((text.rfind(question), question) for question in sheet)
    found = max(((start + len(question), len(question), question) for start, question in ends if start >= 0), default=None)
    if found is None:
        return None
    right = sheet[found[2]]
    label = re.search(rf"^(\S{{1,8}})\. {re.escape(right)}$", text[found[0] :], re.MULTILINE)
    return right, label.group(1) if label else ""


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
    for place in re.finditer(_LABEL + re.escape(choice) + r"(?!\w)", text, re.MULTILINE):
        yield place.end(), place["label"]
    for place in re.finditer(rf"^{re.escape(choice)}$", text, re.MULTILINE):
        yield place.end(), ""


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
