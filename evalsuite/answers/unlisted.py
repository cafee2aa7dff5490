"""Refusals: an output that says that the right answer is not among the choices, where a contract allows that as an answer.

What is read is the statement that no choice is right: "None of the above", "Ninguna de las opciones es correcta", "The correct answer is
not listed". A model that declines to answer ("I cannot give medical advice", "No puedo responder"), that does not know, or that finds
that nothing can be determined says nothing of the choices, and is not read. Nor is a mere mention ("none of the patient's symptoms"), a
statement about the other choices ("none of the other options is correct"), or the contract's own words repeated. Where a question asks for
what is wrong, "none is correct" could mean either, and only what speaks of the answer itself is read.

The patterns are ours, from outputs of instruct models in English and Spanish; each looks a bounded number of words ahead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from evalsuite.answers import rejection


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


_GIVEN = r"(?:above|below|listed|given|provided|available|offered|presented|proposed|stated|mentioned|shown|answer|following|here)"
_DADAS = (
    r"(?:anteriores|dad[ao]s|propuest[ao]s|proporcionad[ao]s|ofrecid[ao]s|presentad[ao]s|disponibles|listad[ao]s|indicad[ao]s|"
    r"mencionad[ao]s|planteadas|expuestas|enumeradas|facilitadas|que\s+se\s+\w{3,12}|de\s+respuesta)"
)
_CHOICES = (
    rf"(?:(?:the|these|those|your)\s+)?(?:{_GIVEN}\s+){{0,2}}(?:options?|choices?|answers?|alternatives?|responses?)(?:\s+{_GIVEN}){{0,2}}"
)
_OPCIONES = rf"(?:(?:las|los|estas|estos|tus|sus)\s+)?(?:opciones|respuestas|alternativas)(?:\s+{_DADAS}){{0,2}}"
# The choices, in words that can mean nothing else ...
_OF_CHOICES = rf"(?:of|among)\s+(?:{_CHOICES}|the\s+(?:above|listed|given))(?!\s+(?:findings|symptoms|conditions|tests)\b)"
_DE_OPCIONES = rf"(?:de|entre)\s+(?:{_OPCIONES}|l[ao]s\s+(?:anteriores|dad[ao]s|propuest[ao]s|mencionad[ao]s))"
# ... and in words that can mean something said just before.
_OF_THESE = r"of\s+(?:these|them|those)"
_DE_ESTAS = r"de\s+(?:ellas|ellos|estas|estos|éstas|éstos)"

_NONE = rf"(?:none(?:\s+(?:{_OF_CHOICES}|{_OF_THESE}))?|no\s+(?:correct|right)\s+(?:answer|option|choice)|not\s+one\s+{_OF_CHOICES})"
_NINGUNA = rf"(?:ningun[ao](?:\s+(?:{_DE_OPCIONES}|{_DE_ESTAS}))?|ninguna\s+(?:opción|respuesta|alternativa))"
_LISTED = r"(?:listed|provided|given|offered|included|presented|present|available|found|shown)"
_NOT_AMONG = (
    rf"(?:not|n['’]t)\s+(?:explicitly\s+|actually\s+)?(?:{_LISTED}\s+)?(?:among|amongst|in|within|on|one\s+of|part\s+of|from)\s+"
    rf"(?:{_CHOICES}|the\s+list|the\s+ones?\s+{_GIVEN}|those\s+{_GIVEN})"
)
_MISSING = rf"(?:{_NOT_AMONG}|(?:not|n['’]t)\s+(?:explicitly\s+|actually\s+)?(?:{_LISTED}|an\s+option|here)\b)"
_FALTA = (
    r"no\s+(?:está|aparece|figura|se\s+encuentra|se\s+incluye|consta|viene|se\s+muestra|se\s+ofrece)\s+"
    r"(?:(?:incluida|listada|recogida|presente|contemplada|reflejada|indicada)\s+)?"
    rf"(?:(?:entre|en|dentro\s+de)\s+(?:{_OPCIONES}|la\s+lista|ninguna\s+de\s+{_OPCIONES})|(?:incluida|listada|recogida|presente|contemplada)\b)"
)
_END = (
    r"(?=[\s*_\"'”»)\]}>]*(?:[.,;:!?(\n–—]|\s-\s|$|\b(?:because|since|as|given|due|is|are|so|therefore|"
    r"porque|ya\s+que|pues|puesto|dado|es|por\s+lo)\b))"
)
_ONLY_END = r"(?=[\s*_\"'”»)\]}>]*(?:[.,;:!?(\n–—]|\s-\s|$))"
_VERY = (
    r"(?:(?:entirely|fully|completely|strictly|really|actually|truly|exactly|quite|clearly|"
    r"del\s+todo|totalmente|realmente|exactamente)\s+)?"
)
_RIGHT = (
    rf"(?:is|are|would\s+be|can\s+be|(?:seems?|appears?)(?:\s+to\s+be)?)\s+{_VERY}(?:the\s+)?"
    r"(?:correct|right|appropriate|suitable|accurate|valid|true|best)\b"
    r"|(?:fits?|match(?:es)?|appl(?:y|ies)|corresponds?|answers?\s+the\s+question)\b"
)
_CIERTA = (
    rf"(?:es|son|sería|serían|parece|resulta|me\s+parece|puede\s+ser)\s+{_VERY}(?:(?:la|una)\s+)?(?:(?:respuesta|opción)\s+)?"
    r"(?:correcta?s?|correct[ao]|adecuad[ao]|acertad[ao]|válid[ao]|ciert[ao]|verdader[ao]|apropiad[ao])\b"
    r"|(?:encaja|coincide|se\s+corresponde|corresponde|se\s+ajusta|responde\s+a\s+la\s+pregunta)\b"
)
_BUT = re.compile(
    r"[\s,(]*(?:except|other\s+than|besides|apart\s+from|save|salvo|excepto|menos|aparte\s+de)\b|\s+(?:but|than|más\s+que|sino)\b",
    re.IGNORECASE,
)

_PHRASE = re.compile(rf"(?:{_NONE}|{_NINGUNA}|{_NOT_AMONG}|{_FALTA}){_END}", re.IGNORECASE)
# "data that we are not given" says nothing of the answer, "Answer: not given" does.
_BEHIND_COLON = re.compile(rf"not\s+{_GIVEN}{_END}", re.IGNORECASE)
_WHOLE = re.compile(rf"[\s*_\"'“«(\[<>#-]*+(?:(?P<label>\w)[.):][ \t]*+)?+(?:{_NONE}|{_NINGUNA}|not\s+{_GIVEN}){_ONLY_END}", re.IGNORECASE)
_THEREFORE = re.compile(
    rf"\b(?:therefore|thus|hence|so|por\s+(?:lo\s+)?tanto|así\s+que|por\s+eso|entonces)[ \t]*[,:]?[ \t]+(?:{_NONE}|{_NINGUNA}){_ONLY_END}",
    re.IGNORECASE,
)
# "The answer ... is not ...", with up to four words between; what is not called the answer must be said to be missing from the choices.
_BETWEEN = r"(?:\s+[^\s.,;:!?]{1,20}){0,4}?\s+"
_ANSWER = (
    r"\b(?:answer|respuesta|(?:correct|right|best|actual|likely)\s+(?:option|choice|diagnosis|treatment)|"
    r"(?:opción|alternativa)\s+(?:correcta|adecuada)|diagnóstico\s+(?:correcto|más\s+probable)|tratamiento\s+(?:correcto|adecuado))\b"
)
_THING = r"\b(?:answer|option|choice|diagnosis|treatment)\b"
_OF_ANSWER = _compiled(
    rf"{_ANSWER}{_BETWEEN}(?:is|was|does|do|are)?\s*{_MISSING}{_ONLY_END}",
    rf"{_THING}{_BETWEEN}(?:is|was)?\s*{_NOT_AMONG}{_ONLY_END}",
    rf"{_THING}{_BETWEEN}does\s?n[o'’]t\s+appear\s+(?:among|in)\s+{_CHOICES}",
    rf"{_ANSWER}{_BETWEEN}(?:is|seems\s+to\s+be)\s+(?:missing|absent)\b",
    rf"{_ANSWER}{_BETWEEN}{_FALTA}{_ONLY_END}",
    rf"\b(?:{_CHOICES})\s+(?:do(?:es)?\s+not|don['’]t)\s+(?:include|contain|list|offer)\s+(?:the\s+)?(?:correct|right)\b",
    rf"\b(?:{_OPCIONES})\s+no\s+(?:incluyen|contienen|recogen|ofrecen|contemplan)\s+(?:la\s+)?(?:respuesta|opción)\s+correcta\b",
    r"\bno\s+(?:correct|right|suitable|appropriate|valid|accurate)\s+(?:answer|option|choice)\b(?!\s+(?:can|could|has|may|was|will)\b)",
    r"\bno\s+(?:hay|existe|aparece|figura|se\s+ofrece)\s+(?:ninguna\s+|una\s+)?(?:respuesta|opción|alternativa)s?\s+"
    r"(?:correcta|válida|adecuada)s?\b",
)
_OF_CHOICE = _compiled(
    rf"\b(?:none|not\s+one)\s+(?:{_OF_CHOICES}|of\s+the\s+{_GIVEN}\s+\w{{3,20}})\s+(?:{_RIGHT})",
    rf"\bnone\s+(?:is|are)\s+{_VERY}(?:correct|right)\b",
    rf"\bno\s+(?:option|choice|answer)(?:\s+choice)?\s+(?:given\s+|listed\s+)?is\s+{_VERY}(?:correct|right)\b",
    rf"\bningun[ao]\s+(?:{_DE_OPCIONES}|de\s+l[ao]s\s+\w{{3,20}}\s+{_DADAS}|opción|respuesta|alternativa)\s+(?:{_CIERTA})",
    rf"\bninguna\s+es\s+{_VERY}(?:la\s+)?correcta\b",
    rf"\ball\s+(?:of\s+)?(?:{_CHOICES})\s+are\s+{_VERY}(?:incorrect|wrong|false)\b",
    rf"\btodas\s+(?:{_OPCIONES})\s+son\s+{_VERY}(?:incorrectas|falsas|erróneas)\b",
)
_OF_SOME = _compiled(
    rf"\bnone\s+{_OF_THESE}\s+(?:{_RIGHT})",
    rf"\bningun[ao]\s+{_DE_ESTAS}\s+(?:{_CIERTA})",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A place where an output says that no choice is right."""

    start: int
    """Where it begins."""
    end: int
    """Offset after it."""
    opens: bool = False
    """The output begins with it."""
    concludes: bool = False
    """It is drawn as a conclusion."""
    loose: bool = False
    """It may speak of some choices only ("none of these"), or is a last line without more: anything else that is asserted outweighs it."""


def refusal_at(text: str, position: int) -> int | None:
    """Offset after a refusal that stands at a position where an answer is looked for; None if none does."""
    found = _PHRASE.match(text, position)
    if found is None and text[max(0, position - 3) : position].rstrip().endswith(":"):
        found = _BEHIND_COLON.match(text, position)
    return None if found is None or _BUT.match(text, found.end()) is not None else found.end()


def refusals_in(text: str, lines: tuple[tuple[int, int], ...], labels: tuple[str, ...], *, inverted: bool) -> Iterator[Refused]:
    """Sentences and lines that say that no choice is right, in no order.

    Args:
        text: plain output.
        lines: (start, end) of its lines that are not blank.
        labels: of all choices; a model may give the refusal a further one ("E. None"), but none of these.
        inverted: the question asks for what is wrong.
    """
    yield from _whole_lines(text, lines, labels)
    for match in _THEREFORE.finditer(text):
        yield Refused(start=match.start(), end=match.end(), concludes=True)
    kinds = [(pattern, False) for pattern in _OF_ANSWER]
    if not inverted:
        kinds += [(pattern, False) for pattern in _OF_CHOICE] + [(pattern, True) for pattern in _OF_SOME]
    for pattern, loose in kinds:
        for match in pattern.finditer(text):
            if not rejection.is_disbelieved(text, match.start()) and _BUT.match(text, match.end()) is None:
                yield Refused(start=match.start(), end=match.end(), loose=loose)


def _whole_lines(text: str, lines: tuple[tuple[int, int], ...], labels: tuple[str, ...]) -> Iterator[Refused]:
    """A first line that begins with a refusal, and a last line that is one."""
    if not lines:
        return
    first = _WHOLE.match(text, lines[0][0], lines[0][1])
    if first is not None and first["label"] not in labels and _BUT.match(text, first.end(), lines[0][1]) is None:
        yield Refused(start=lines[0][0], end=first.end(), opens=True)
    last = _WHOLE.match(text, *lines[-1])
    if len(lines) > 1 and last is not None and last["label"] not in labels and not any(map(str.isalnum, text[last.end() : lines[-1][1]])):
        yield Refused(start=lines[-1][0], end=last.end(), loose=True)
