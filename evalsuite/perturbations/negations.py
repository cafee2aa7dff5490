"""Whether a question asks for what is not so: "which is NOT", "señale la falsa", "contraindicated"."""

from __future__ import annotations

import re

from evalsuite.answers.cues import asks_for_unwanted, asks_for_wrong

_BETWEEN = re.compile(r"(?<=[.?!:])\s+|\n")
_NEGATIVE = re.compile(
    r"\b(?:not|no|never|cannot|none|neither|nor|without|except|exception|excluding|unless|false|untrue|incorrect(?:ly)?|wrong|unlikely"
    r"|improbable|lacks?|lacking|excepci[oó]n"
    r"|(?<!at )least|other than|nunca|jam[aá]s|ning[uú]n[ao]?|tampoco|excepto|salvo|excluye\w*|excluir\w*|(?<!al )(?<!lo )(?<!más o )menos"
    r"|poco probable|fals[ao]s?|incorrect[ao]s?|err[oó]ne[ao]s?|inciert[ao]s?)\b|n[’']t\b",
    re.IGNORECASE,
)


def asks_negatively(question: str) -> bool:
    """Whether a question asks for what is not so, or may do: then one more negation, or "none is right", could be read in two ways.

    Looked for in the sentences that ask: they end with a question mark or a colon, or are the last one, with the one before if it is short.
    Words in capitals and those that say "false" or "except" are looked for everywhere. Source: ours.

    Args:
        question: the stem, in English or Spanish.
    """
    if asks_for_wrong(question) or asks_for_unwanted(question):
        return True
    *before, last = _BETWEEN.split(question.rstrip())
    # "All of these may cause it, save one. Which?"
    asking = [last, *before[-1:]] if len(last) < 25 else [last]
    return any(_NEGATIVE.search(sentence) for sentence in (*asking, *(one for one in before if one.endswith(("?", ":")))))
