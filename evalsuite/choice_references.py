"""What choices say of each other: by label ("A and C"), by place ("all of the above"), or of all others ("none of these").

A choice that names others by label or place means something else, or nothing, once they stand elsewhere. One that speaks of all others
without naming any stands every order, but not that one of them is replaced or taken out. Source: ours, for English, Spanish and French;
written against the choices of HEAD-QA, CasiMedicos, MedQA, MedMCQA, MMLU and FrenchMedMCQA.
"""

from __future__ import annotations

import re
from functools import lru_cache

N_KEPT = 1 << 16
"""Most choices of which it is kept what they say: the perturbations of a task go through the same ones, one perturbation after another."""

_NOUN = (
    r"(?:options?|choices?|answers?|statements?|alternatives?|opci[oó]n(?:es)?|respuestas?|alternativas?|afirmaci[oó]n(?:es)?|enunciados?"
    r"|proposici[oó]n(?:es)?|r[ée]ponses?|propositions?)"
)
_RIGHT = (
    r"(?:in)?(?:correct|right|wrong|true|false|correctas?|ciertas?|verdaderas?|falsas?|v[aá]lidas?|correctes?|exactes?|vraies?|fausses?)\b"
)
_ARE = r"(?:are|is|son|es|est[aá]n?|sont|est)\b"
_AND = r"(?:and|or|nor|y|e|o|u|ni|et|ou)\b"
_LETTER = r"[\"'(\[]?(?-i:[A-F]|[a-f])\b[\"')\].]?"
_NUMBER = r"\(?\b[1-6]\b[).]?"
_LETTERS = rf"{_LETTER}(?:\s*(?:,\s*{_AND}|,|&|\b{_AND})\s*(?:la\s+|el\s+)?{_LETTER}){{1,9}}"
# A comma between two digits without a blank is a decimal one, or part of a name in chemistry.
_NUMBERS = rf"{_NUMBER}(?:(?:,\s+{_AND}\s+|,\s+|\s*&\s*|\s+{_AND}\s+)(?:la\s+|el\s+)?{_NUMBER}){{1,9}}"
_LABELS = rf"(?:{_LETTERS}|{_NUMBERS})"
_END = rf"(?=\W*$|\s*[.,;)]|\s+(?:{_ARE}|except|but|excepto|menos|salvo|sauf|{_NOUN}|{_RIGHT}))"

_LIST = re.compile(rf"\W*(?:(?:both|only|s[oó]lo|solamente|las?)\s+)?(?P<list>{_LABELS})\W*", re.IGNORECASE)
_BY_LABEL = re.compile(
    rf"\b(?:both|either|neither|only|all|none|ni)\s+(?:of\s+)?(?:{_NOUN}\s+)?(?:{_LABELS}|(?-i:[A-F]{{1,2}}))\W*(?:$|\.|{_ARE})"
    rf"|\b{_NOUN}\s+[\"'(]?(?:(?-i:[A-F])\b(?!-)|[a-f](?=[\"')]|\W*$|\s*[.,;:]|\s+(?:{_AND}|{_ARE}))|[1-6]\b(?!\s*[-–%]|[.,]\d))"
    rf"|\b{_LABELS}\s+{_ARE}\s+(?:both\s+|ambas\s+)?{_RIGHT}"
    rf"|\b{_RIGHT}\s+(?:las?\s+)?{_LABELS}\W*$"
    rf"|\bla\s+(?:[1-6]|[a-f])\)?\s+[yo]\s+la\s+(?:[1-6]|[a-f])\b",
    re.IGNORECASE,
)
_NOT_A_MEASURE = r"(?!-|\s+(?:\d|the\b|an?\b|this\b|that\b|average\b|normal\b|it\b|age\b))"
_SOME = r"\b(?:all|none|any|both|some|one|two|three|either|neither|each|most|combination)"
_BY_PLACE = re.compile(
    rf"{_SOME}\s+(?:(?:of|the|two|three|four|{_NOUN})\s+)*above\b{_NOT_A_MEASURE}"
    rf"|\b(?:the|as|{_NOUN})\s+above\b{_NOT_A_MEASURE}"
    rf"|{_SOME}\s+of\s+(?:(?:the|these|those)\s+)?(?:two\s+|three\s+)?(?:preceding|previous|foregoing|following)\b{_END}"
    rf"|\b(?:preceding|previous|foregoing|following)\s+(?:two\s+|three\s+)?{_NOUN}"
    rf"|\bl[ao]s\s+(?:dos\s+|tres\s+|cuatro\s+)?(?:anteriores|precedentes){_END}"
    rf"|\b(?:todo|nada\s+de|igual\s+que|como)\s+l[ao]\s+anterior{_END}"
    rf"|\b(?:tod[ao]s|ningun[ao]\s+de|cualquiera\s+de)\s+l[ao]s\s+siguientes{_END}"
    rf"|\bl[ao]s\s+(?:dos|tres)\s+(?:primer[ao]s|[uú]ltim[ao]s){_END}"
    rf"|\b{_NOUN}\s+(?:anteriores|precedentes|siguientes|pr[ée]c[ée]dentes?|suivantes?|ci-dessus)\b"
    r"|^\W*(?:both|either|neither|ambas|ambos|las\s+dos|los\s+dos|ningun[ao]\s+de\s+l[ao]s\s+dos|les\s+deux)"
    rf"(?:\s+(?:of\s+)?(?:them|these|those)|\s+(?:{_ARE}\s+)?{_RIGHT}|\s+{_NOUN})*\W*$",
    re.IGNORECASE,
)
_OF_ALL = re.compile(
    r"^\W*(?:all|none|nothing|everything|tod[ao]s?|ningun[ao]|nada|tous|toutes?|aucune?)"
    rf"(?:\s+(?:of\s+)?(?:these|those|them)|\s+(?:de\s+)?(?:ell|est|es)[ao]s|\s+(?:{_ARE}\s+)?{_RIGHT})*\W*$"
    rf"|\b(?:all|none|any)\s+of\s+(?:these|those|them|the\s+(?:other|rest|listed|mentioned|{_NOUN}))"
    rf"|\b(?:all|none|any)\s+(?:the\s+)?(?:other\s+)?{_NOUN}\b|\b(?:all|none)\s+{_ARE}\s+{_RIGHT}"
    r"|^\W*none\s+(?:are|is|applies|apply)\b"
    rf"|\b(?:tod[ao]s|ningun[ao]|cualquiera)\s+(?:(?:de\s+)?(?:l|ell|est|es)[ao]s\s+)?(?:{_NOUN}\s+)?(?:{_ARE}\s+)?{_RIGHT}"
    rf"|\b(?:tod[ao]s|ningun[ao]|cualquiera)\s+(?:de\s+)?l[ao]s\s+(?:otr[ao]s|dem[aá]s|mencionad[ao]s|citad[ao]s|{_NOUN})"
    rf"|\b(?:aucune?|toutes)\s+(?:de|des|les)\s+(?:ces\s+)?{_NOUN}",
    re.IGNORECASE,
)
_NONE = re.compile(r"\b(?:none|neither|nothing|ningun[ao]|nada|aucune?)\b", re.IGNORECASE)
_UNKNOWING = re.compile(
    r"\W*(?:(?:I\s+)?(?:do\s+not|don[’']?t|cannot)\s+know|not\s+sure|no\s+(?:lo\s+)?s[eé]|je\s+ne\s+sais\s+pas)\W*", re.IGNORECASE
)


@lru_cache(maxsize=N_KEPT)
def names_labels(choice: str, position: int, n_choices: int) -> bool:
    """Whether a choice names others by their labels.

    Args:
        choice: its text.
        position: where it stands, from 0.
        n_choices: how many there are. A bare list of labels names choices only if all of them have such labels and the choice's own is not
            among them: "3, 1, 2, 4" puts items of the stem in order.
    """
    if _BY_LABEL.search(choice):
        return True
    found = _LIST.fullmatch(choice)
    if found is None:
        return False
    named = {_place(label) for label in re.findall(r"\b(?:[1-6]|[A-F]|[a-f])\b", found["list"])}
    return position not in named and max(named) < n_choices


@lru_cache(maxsize=N_KEPT)
def names_places(choice: str) -> bool:
    """Whether a choice names others by where they stand: "all of the above", "las dos primeras", "both"."""
    return _BY_PLACE.search(choice) is not None


@lru_cache(maxsize=N_KEPT)
def speaks_of_all(choice: str) -> bool:
    """Whether a choice speaks of all others without naming any: "none of these", "todas son ciertas"."""
    return _OF_ALL.search(choice) is not None


def says_not_known(choice: str) -> bool:
    """Whether a choice is that one does not know."""
    return _UNKNOWING.fullmatch(choice) is not None


def says_none(choice: str) -> bool:
    """Whether a choice says that no other one is right."""
    return _NONE.search(choice) is not None and (speaks_of_all(choice) or names_places(choice) or _BY_LABEL.search(choice) is not None)


def _place(label: str) -> int:
    return int(label) - 1 if label.isdecimal() else ord(label.upper()) - ord("A")
