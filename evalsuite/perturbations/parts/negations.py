"""Whether a question asks for what is not so: "which is NOT", "señale la falsa", "contraindicated"."""

from __future__ import annotations

import re

from evalsuite.answers.cues import asks_for_unwanted, asks_for_wrong

_BETWEEN = re.compile(r"(?<=[.?!:])\s+|\n")
_NEGATIVE = re.compile(
    r"\b(?:not|no|never|cannot|none|neither|nor|without|except|excluding|unless|false|untrue|incorrect(?:ly)?|wrong|unlikely"
    r"|improbable|lacks?|lacking|exception|excepci[oó]n|(?<!or )less(?! than| or )"
    r"|(?<!at )least|other than|nunca|jam[aá]s|ning[uú]n[ao]?|tampoco|excepto|salvo|excluye\w*|excluir\w*|(?<!al )(?<!lo )(?<!más o )menos"
    r"|poco probable|carecen?|desaconsej\w*|fals[ao]s?|incorrect[ao]s?|err[oó]ne[ao]s?|inciert[ao]s?)\b|n[’']t\b",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"\b(?:NOT|EXCEPT|EXCEPTION|INCORRECT|FALSE|LEAST|INCORRECT[AO]S?|FALS[AO]S?|EXCEPTO|EXCEPCI[OÓ]N)\b")
# A last sentence that asks nothing by itself, however long it is.
_BARE = re.compile(
    r"\W*(?:which(?: one)?(?: of (?:them|these|those|the following))?|cuál(?:es)?(?: de (?:ell|est|l)[ao]s(?: siguientes)?)?)"
    r"(?: (?:is|are|es|son)(?: it)?)?\W*",
    re.IGNORECASE,
)
N_SHORT = 25
"""Characters below which a last sentence asks nothing by itself."""


def asks_negatively(question: str) -> bool:
    """Whether a question asks for what is not so, or may do: then one more negation, or "none is right", could be read in two ways.

    Looked for in the sentences that ask: they end with a question mark or a colon, or are the last one, with the one before if it is short.
    Words in capitals and those that say "false" or "except" are looked for everywhere. Source: ours.

    Args:
        question: the stem, in English or Spanish.
    """
    if asks_for_wrong(question) or asks_for_unwanted(question) or _CAPITALS.search(question):
        return True
    *before, last = _BETWEEN.split(question.rstrip())
    # "All of these may cause it, save one. Which of them?"
    asking = [last, *before[-1:]] if len(last) < N_SHORT or _BARE.fullmatch(last) else [last]
    return any(_NEGATIVE.search(sentence) for sentence in (*asking, *(one for one in before if one.endswith(("?", ":")))))
