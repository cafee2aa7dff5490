r"""The words that announce an answer, in English, Spanish and French, and where they stand in an output.

Every pattern is anchored at a literal noun or verb and looks at most 60 characters ahead, so that a search is linear
in the length of the output. Sources: the cues are those of openai/simple-evals ("Answer: $LETTER"), of
lm-evaluation-harness ("the answer is (B)", MMLU-Pro: Wang et al. 2024, arXiv 2406.01574) and of the
MATH convention ("\boxed{B}"); the Spanish and French ones are ours, as are the guards around them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

_ADJECTIVE = (
    r"(?:final|correct|right|best|my|single|most|likely|probable|appropriate|suitable|"
    r"correctas?|mejor|mi|definitiva|más|adecuada|acertada|correctes?|finale|bonnes?|meilleure|exactes?)\b"
)
_NOUN = r"(?:answers?|ans|choice|option|response|solution|respuestas?|opci[oó]n|alternativa|soluci[oó]n|réponses?)"
_ADVERBS = (
    r"(?:\s+(?:therefore|thus|clearly|definitely|likely|probably|hence|indeed|actually|simply|"
    r"claramente|probablemente|entonces|por tanto|por lo tanto|donc|clairement))*+"
)
_ENGLISH = (
    r"\b(?:answers?|options?|choices?|response|most\s+(?:likely|appropriate|probable|suitable|accurate)|"
    r"best|correct|right|incorrect|false)\b[^\n.:;?!]{0,60}?\b(?:is|are|would be|should be|must be|will be)\b"
)
_SPANISH = (
    r"\b(?:respuestas?|opci[oó]n(?:es)?|alternativas?|(?:in)?correctas?|fals[ao]s?|"
    r"más\s+(?:probable|adecuad[ao]|apropiad[ao]|indicad[ao])|mejor)\b"
    r"[^\n.:;?!]{0,60}?\b(?:es|son|sería|serían|será|debe ser|debería ser)\b"
)
_FRENCH = r"\b(?:réponses?|options?|correctes?|meilleure|plus\s+probable)\b[^\n.:;?!]{0,60}?\b(?:est|sont|serait|seraient)\b"
_STATEMENTS = tuple(re.compile(words + _ADVERBS + r"\s*+:?\s*+", re.IGNORECASE) for words in (_ENGLISH, _SPANISH, _FRENCH))
_CHOOSING = re.compile(
    r"\b(?:(?:I|we)(?:['’](?:d|ll)|\s+would|\s+will)?\s+(?:choose|chose|select|pick|go\s+with|opt\s+for|answer|vote\s+for|settle\s+on)"
    r"|elijo|elegiría|escojo|escogería|selecciono|seleccionaría|marco|marcaría|opto\s+por|optaría\s+por|me\s+quedo\s+con"
    r"|me\s+decanto\s+por|me\s+inclino\s+por|voto\s+por|contesto|respondo"
    r"|je\s+(?:choisis|choisirais|sélectionne|réponds|dirais))\s+",
    re.IGNORECASE,
)
_IT_IS = re.compile(
    r"^[ \t]*+(?:it\s+is|it['’]s|es|c['’]est)\s+(?=(?:option|opci[oó]n|letter|letra|la|l['’]option|\(|\w\b))", re.IGNORECASE | re.MULTILINE
)
_ONLY_LA = re.compile(
    r"^[ \t]*+(?:(?:creo que )?(?:es|sería|será)\s+)?la\s+(?=[A-Z0-9]{1,2}[ \t]*+[.)]?[ \t]*+$)", re.IGNORECASE | re.MULTILINE
)
_INLINE = re.compile(r"\b" + _NOUN + r"(?:\s+" + _ADJECTIVE + r")*+\s*+:\s*+", re.IGNORECASE)
_FIELD = re.compile(r"\"(?:answer|respuesta|réponse)(?:_\w{1,20})?\"\s*+:\s*+|<(?:answer|respuesta|réponse)>\s*+", re.IGNORECASE)
_BOX = re.compile(r"\\boxed\s*+\{\s*+\{?")
_OPTION = re.compile(r"\b(?:options?|choices?|letter|answer|opci[oó]n|alternativa|letra|respuesta|réponse|lettre)[ \t]+", re.IGNORECASE)
_FINAL = re.compile(
    r"\b(?:therefore|thus|hence|so|final|finally|conclusion|actually|overall|ultimately|in summary|to conclude|"
    r"por (?:lo )?tanto|así que|entonces|finalmente|conclusión|en resumen|en definitiva|definitiva|por eliminación|"
    r"donc|ainsi|par conséquent|finalement|en résumé)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|unless|si|salvo que|a menos que)\b", re.IGNORECASE)
_FORCED = re.compile(r"\b(?:if (?:i )?(?:had|have|were|forced|must)|si (?:tuviera|tengo|hubiera) que)\b", re.IGNORECASE)
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|whether|tempting|might|mistake\w{0,5}|cannot|nunca|tampoco|ni|pas|ne|jamais)\b|n['’]t?\b",
    re.IGNORECASE,
)
_WRONG = re.compile(
    r"\b(?:incorrect[aeo]?s?|wrong|false|fals[ao]s?|faux|fausse|except|excepto|excluded?|unlikely|descart\w{1,6}|"
    r"eliminat\w{1,4}|elimin[ao]\w{0,4}|rul\w{1,3} out|improbable|inappropriate)\b",
    re.IGNORECASE,
)
_RIGHT = re.compile(r"\b(?:correct|correcta|correcte|right answer|best answer)\b|[✓✔✅]", re.IGNORECASE)
_INVERTED = re.compile(
    r"\b(?:NOT|not true|not correct|EXCEPT|except|incorrect|false|least likely|INCORRECT[AO]S?|incorrect[ao]s?|"
    r"FALS[AO]S?|fals[ao]s?|EXCEPTO|excepto|NO|SALVO|"
    r"incorrecte|fausse|faux|SAUF|sauf)\b"
)
_NEW_QUESTION = re.compile(r"^[ \t]*+(?:Question|Pregunta|Q|User|Human|Usuario|Instruction)(?:[ \t]+\d{1,4})?[ \t]*:", re.MULTILINE)


@cache
def contract_pattern(cue: str) -> re.Pattern[str]:
    """A line that begins with an answer cue and a colon, or that is nothing but an answer cue.

    Args:
        cue: the wording's own cue; empty if it has none.
    """
    noun = f"(?:{_NOUN}|{re.escape(cue)})" if cue else _NOUN
    lead = r"(?:(?:so|thus|therefore|hence|por (?:lo )?tanto|donc)\s*+,?+\s++)?+"
    article = r"(?:(?:the|la|le)\s++)?+"
    body = r"(?:" + _ADJECTIVE + r"\s++)*+" + noun + r"(?:\s++" + _ADJECTIVE + r")*+"
    return re.compile(r"^[ \t\-•>]*+" + lead + article + body + r"[ \t]*+(?:[:=]\s*+|\n\s*+)", re.IGNORECASE | re.MULTILINE)


@cache
def correct_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    """Sentence in which a label is the subject: "B is the correct answer", "la B es correcta", "(B) is right".

    Group 1 is the label. Between label and verb only a bracket may stand, so that "A patient ... is best" is no match.
    """
    label = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    nouns = r"(?i:options?|choice|answer|letter|opci[oó]n|alternativa|letra|respuesta|réponse)"
    subject = r"(?:^|[.!?:;,]\s+|\b(?:" + nouns + r"|(?i:therefore|thus|so|but|that|pero|que|l[ae]))\s+)"
    named = r"\s*+(?:\([^()\n]{0,120}\)\s*+)?+"
    verb = r"(?:is|es|est)\s+(?:(?:the|la|el|le|una|a)\s+)?(?:(?i:most|single|likely|más)\s+){0,2}"
    praise = (
        r"(?i:correct|right|best|likely|appropriate|suitable|accurate|"
        r"correcta|probable|respuesta|adecuada|acertada|mejor|correcte|bonne|exacte|réponse)\b"
    )
    return re.compile(subject + r"[(\"]?(" + label + r")[)\"]?" + named + verb + praise, re.MULTILINE)


def statement_ends(text: str) -> Iterator[tuple[int, int]]:
    """(start of the cue, where its answer would begin) of every sentence that announces an answer."""
    for pattern in (*_STATEMENTS, _CHOOSING, _IT_IS, _ONLY_LA, _INLINE):
        for found in pattern.finditer(text):
            yield found.start(), found.end()


def field_ends(text: str) -> Iterator[int]:
    """Where the value of a JSON key or an XML element named "answer" begins."""
    return (found.end() for found in _FIELD.finditer(text))


def box_ends(text: str) -> Iterator[int]:
    r"""Where the content of a \boxed{} begins."""
    return (found.end() for found in _BOX.finditer(text))


def option_ends(text: str) -> Iterator[int]:
    """Where the label after "option" would begin."""
    return (found.end() for found in _OPTION.finditer(text))


def is_final(text: str, start: int, end: int) -> bool:
    """Whether a statement concludes: its sentence holds a word such as "therefore", "final" or "actually"."""
    return _FINAL.search(text, _sentence_start(text, start), end) is not None


def is_doubted(text: str, start: int, end: int, *, inverted: bool) -> bool:
    """Whether a statement stands under a condition, under a negation in its own clause, or names what is wrong.

    Args:
        text: plain output.
        start: start of the cue.
        end: where its answer begins.
        inverted: the question asks for what is wrong, so that "the incorrect option is B" answers it.
    """
    sentence = _sentence_start(text, start)
    if _CONDITION.search(text, sentence, start) and not _FORCED.search(text, sentence, start):
        return True
    clause = max(text.rfind(mark, sentence, start) for mark in ",:(")
    begin = max(sentence, clause)
    return _NEGATION.search(text, begin, end) is not None or (not inverted and _WRONG.search(text, begin, end) is not None)


def is_rejected(text: str, start: int, end: int) -> bool:
    """Whether the clause around a span negates it or calls it wrong."""
    before = max(text.rfind(mark, max(0, start - 120), start) for mark in ".,;:\n")
    after = min((place for mark in ",;:\n!?" if (place := text.find(mark, end, end + 120)) >= 0), default=min(len(text), end + 120))
    stop = text.find(". ", end, after)
    span = (max(before + 1, start - 120, 0), stop if stop >= 0 else after)
    return _NEGATION.search(text, *span) is not None or _WRONG.search(text, *span) is not None


def is_marked_right(line: str) -> bool:
    """Whether a line about one choice calls it correct and nothing about it wrong."""
    return bool(_RIGHT.search(line)) and not _WRONG.search(line) and not _NEGATION.search(line)


def says_right(text: str) -> bool:
    """Whether a text calls anything correct; where the question asks for what is wrong, that answers nothing."""
    return _RIGHT.search(text) is not None


def asks_for_wrong(question: str) -> bool:
    """Whether a question asks for the choice that is false or does not belong ("EXCEPT", "señale la incorrecta")."""
    return _INVERTED.search(question) is not None


def new_question(text: str) -> int | None:
    """Where an output that has answered goes on to invent the next question; None if it does not."""
    for found in _NEW_QUESTION.finditer(text):
        if text[: found.start()].strip():
            return found.start()
    return None


def _sentence_start(text: str, position: int) -> int:
    """Start of the sentence of a position, at most 200 characters before it."""
    reach = max(0, position - 200)
    return max(reach, *(text.rfind(mark, reach, position) + 1 for mark in (". ", "! ", "? ", "; ", "\n")))
