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
    r"correctas?|mejor|mi|definitiva|más|adecuada|acertada|correctes?|finale|bonnes?|meilleure|exactes?|vraies?|justes?)\b"
)
_NOUN = r"(?:answers?|ans|choice|option|response|solution|respuestas?|opci[oó]n|alternativa|soluci[oó]n|réponses?|propositions?)"
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
_FRENCH = (
    r"\b(?:réponses?|options?|propositions?|affirmations?|correctes?|exactes?|vraies?|justes?|meilleure|plus\s+probable)\b"
    r"[^\n.:;?!]{0,60}?\b(?:est|sont|serait|seraient)\b(?:\s+les?\s+suivante?s?)?"
)
_FRENCH_FIRST = re.compile(r"\b(?:est|sont)\s+(?:correcte|exacte|vraie|juste)s?\s*+:\s*+", re.IGNORECASE)
_STATEMENTS = tuple(re.compile(words + _ADVERBS + r"\s*+:?\s*+", re.IGNORECASE) for words in (_ENGLISH, _SPANISH, _FRENCH))
_CHOOSING = re.compile(
    r"\b(?:(?:I|we)(?:['’](?:d|ll)|\s+would|\s+will)?\s+(?:choose|chose|select|pick|go\s+with|opt\s+for|answer|vote\s+for|settle\s+on)"
    r"|elijo|elegiría|escojo|escogería|selecciono|seleccionaría|marco|marcaría|opto\s+por|optaría\s+por|me\s+quedo\s+con"
    r"|me\s+decanto\s+por|me\s+inclino\s+por|voto\s+por|contesto|respondo"
    r"|je\s+(?:choisis|choisirais|sélectionne|réponds|répondrais|dirais|coche|cocherais|retiens))\s+",
    re.IGNORECASE,
)
_IT_IS = re.compile(
    r"^[ \t]*+(?:it\s+is|it['’]s|es|c['’]est)\s+(?=(?:option|opci[oó]n|letter|letra|la|l['’]option|\(|\w\b))", re.IGNORECASE | re.MULTILINE
)
_MEANT = re.compile(
    r"\b(?:I\s+meant|it\s+(?:should|must)\s+be|quise\s+decir|quería\s+decir|(?:debería|tiene\s+que)\s+ser|je\s+voulais\s+dire)\s+",
    re.IGNORECASE,
)
_AMONG = re.compile(
    r"\b(?:answer|choice|respuesta|opción)\b[^\n.:;?!]{0,60}?\b(?:is|está)\s+(?:among|one\s+of|entre)\b[^\n.:;?!]{1,40}:\s*"
    r"(?:(?:it\s+is|it['’]s|es)\s+)?",
    re.IGNORECASE,
)
_LIKELY = re.compile(
    r"^[ \t]*+(?:(?:most|very)\s+likely|probably|probablemente|seguramente|muy\s+probablemente)[,:]?[ \t]++", re.IGNORECASE | re.MULTILINE
)
_CONTRAST = re.compile(r"(?:not\s+|no\s+)?[^.;\n]{1,60}?[ ,](?:but|sino)\s+(?:rather\s+)?(?:(?:it\s+is|is|es)\s+)?", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|no)\b|n['’]t\b", re.IGNORECASE)
_ONLY_LA = re.compile(
    r"^[ \t]*+(?:(?:en mi opinión|a mi juicio|sin (?:ninguna )?duda(?: alguna)?|claramente|yo diría que|creo que),?\s+)?"
    r"(?:(?:es|sería|será)\s+)?la\s+(?=[A-Z0-9]{1,2}(?:[ \t]*+[.)]?[ \t]*+$|\.[ \t]))",
    re.IGNORECASE | re.MULTILINE,
)
_INLINE = re.compile(r"\b" + _NOUN + r"(?:\s+" + _ADJECTIVE + r")*+\s*+:\s*+", re.IGNORECASE)
_FIELD = re.compile(
    r"[\"'“](?:(?:correct|final|right|best|selected|chosen|my)[_ ]?)?"
    r"(?:answer|choice|option|letter|respuesta|opci[oó]n|alternativa|letra|réponse)(?:_\w{1,20})?[\"'”]\s*+:\s*+"
    r"|(?<![/\w])[<\[]?(?:answer|respuesta|réponse)[>\]]\s*+",
    re.IGNORECASE,
)
_BOX = re.compile(r"\\boxed\s*+\{\s*+\{?")
_OPTION = re.compile(
    r"\b(?:options?|choices?|letter|answer|opci[oó]n|alternativa|letra|respuesta|réponse|lettre|proposition)[ \t]+", re.IGNORECASE
)
_FINAL = re.compile(
    r"\b(?:therefore|thus|hence|so|final|finally|conclusion|actually|overall|ultimately|in summary|to conclude|"
    r"por (?:lo )?tanto|así que|entonces|finalmente|conclusión|en resumen|en definitiva|definitiva|por eliminación|"
    r"donc|ainsi|par conséquent|finalement|en résumé)\b",
    re.IGNORECASE,
)
_INVERTED = re.compile(
    r"\b(?:NOT|not true|not correct|EXCEPT|except|incorrect|false|least likely|INCORRECT[AO]S?|incorrect[ao]s?|"
    r"FALS[AO]S?|fals[ao]s?|EXCEPTO|excepto|NO|SALVO|"
    r"incorrectes?|fausses?|faux|inexactes?|erronées?|SAUF|sauf)\b"
)
_UNWANTED = re.compile(
    r"\b(?:contraindicat\w{1,4}|contraindicad[ao]s?|contre-indiqu\w{1,3}|(?<!to )avoid(?:ed)?|to avoid\s*[?:]|inappropriate|mistake|error|"
    r"inadecuad[ao]s?|inapropiad[ao]s?|desaconsejad[ao]s?|evitar(?:se)?|evitaría|harmful|unsafe|éviter)\b[^.!?\n]{0,200}(?:[?:]|\.?\s*\Z)",
    re.IGNORECASE,
)
_SPEAKS_OF_ANSWER = re.compile(
    r"\b(?:answers?|ans|options?|choices?|response|correct|right|solution|respuestas?|opci[oó]n(?:es)?|alternativas?|correctas?|soluci[oó]n|"
    r"réponses?|correctes?|exactes?|vraies?|justes?|propositions?|affirmations?)\b",
    re.IGNORECASE,
)
_CALLED_FINAL = re.compile(r"\b(?:final|finally|definitive|definitiv[ao]|finalmente|finale|finalement)\b", re.IGNORECASE)
_CONSEQUENCE = re.compile(
    r"\b(so|therefore|thus|hence|but|rather|sino|por lo que|así que|por (?:lo )?tanto|entonces|luego|de modo que|donc|mais)\b"
    r"[ \t]*,?[ \t]*(?:que\s)?(?:(?:it\s+is|it['’]s|es|sería|use|give|choose)\s+)?",
    re.IGNORECASE,
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
def cue_word(cue: str) -> re.Pattern[str]:
    """A word of which every match of `contract_pattern` holds one: looked for first, since it is found sooner."""
    return re.compile(f"{_NOUN}|{re.escape(cue)}" if cue else _NOUN, re.IGNORECASE)


@cache
def correct_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    """Sentence in which a label is the subject: "B is the correct answer", "la B es correcta", "(B) is right".

    Group 1 is the label. Between label and verb only a bracket may stand, so that "A patient ... is best" is no match.
    """
    label = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    nouns = r"(?i:options?|choice|answer|letter|opci[oó]n|alternativa|letra|respuesta|réponse)"
    subject = r"(?:^|[.!?:;,]\s+|\b(?:" + nouns + r"|(?i:therefore|thus|so|but|that|pero|que|l[ae]))\s+)"
    named = r"\s*+(?:\([^()\n]{0,120}\)\s*+)?+"
    verb = (
        r"(?:is|es|est|seems(?:\s+to\s+be)?|appears\s+to\s+be|would\s+be|sería|parece(?:\s+ser)?)\s+"
        r"(?:(?:the|la|el|le|una|a)\s+)?(?:(?i:most|single|likely|más)\s+){0,2}"
    )
    praise = (
        r"(?i:correct|right|best|likely|appropriate|suitable|accurate|"
        r"correcta|probable|respuesta|adecuada|acertada|mejor|correcte|bonne|exacte|vraie|juste|réponse)\b"
    )
    return re.compile(subject + r"[(\"]?(" + label + r")[)\"]?" + named + verb + praise, re.MULTILINE)


def statement_ends(text: str) -> Iterator[tuple[int, int]]:
    """(start of the cue, where its answer would begin) of every sentence that announces an answer."""
    for pattern in (*_STATEMENTS, _FRENCH_FIRST, _CHOOSING, _IT_IS, _MEANT, _AMONG, _LIKELY, _ONLY_LA, _INLINE):
        for found in pattern.finditer(text):
            yield found.start(), found.end()


def field_ends(text: str) -> Iterator[int]:
    """Where the value of a JSON key or an XML element named "answer" begins."""
    return (found.end() for found in _FIELD.finditer(text))


def box_ends(text: str) -> Iterator[int]:
    r"""Where the content of a \boxed{} begins."""
    return (found.end() for found in _BOX.finditer(text))


def contrast_end(text: str, start: int, end: int) -> int | None:
    """Where a statement with a negation goes on with what holds instead: "the answer is not B but C", "no es la B, sino la C".

    Args:
        text: plain output.
        start: start of the statement.
        end: where its answer would begin.
    """
    if _NOT.search(text, start, min(len(text), end + 4)) is None:
        return None
    found = _CONTRAST.match(text, end)
    return None if found is None else found.end()


def speaks_of_answer(text: str) -> bool:
    """Whether a text speaks of the answer or an option."""
    return _SPEAKS_OF_ANSWER.search(text) is not None


def option_ends(text: str) -> Iterator[int]:
    """Where the label after "option" would begin."""
    return (found.end() for found in _OPTION.finditer(text))


def consequence_ends(text: str, start: int, end: int) -> Iterator[tuple[str, int]]:
    """("so", "but" or their like; where what follows it begins) between two offsets."""
    return ((found.group(1), found.end()) for found in _CONSEQUENCE.finditer(text, start, end))


def names_answer(text: str, start: int, end: int) -> bool:
    """Whether a statement speaks of the answer or the option, or chooses, and not only of what is best or most likely."""
    return _SPEAKS_OF_ANSWER.search(text, start, end) is not None or _CHOOSING.match(text, start) is not None


def is_called_final(text: str, start: int, end: int) -> bool:
    """Whether a cue calls its answer the final one."""
    return _CALLED_FINAL.search(text, start, end) is not None


def is_final(text: str, start: int, end: int) -> bool:
    """Whether a statement concludes: its sentence holds a word such as "therefore", "final" or "actually"."""
    return _FINAL.search(text, sentence_start(text, start), end) is not None


def asks_for_wrong(question: str) -> bool:
    """Whether a question asks for the choice that is false or does not belong ("EXCEPT", "señale la incorrecta")."""
    return _INVERTED.search(question) is not None


def asks_for_unwanted(question: str) -> bool:
    """Whether a question asks, in a sentence that asks or is its last, for what is contraindicated, a mistake, or to be avoided."""
    return _UNWANTED.search(question) is not None


def new_question(text: str) -> int | None:
    """Where an output that has answered goes on to invent the next question; None if it does not."""
    for found in _NEW_QUESTION.finditer(text):
        if text[: found.start()].strip():
            return found.start()
    return None


def sentence_start(text: str, position: int) -> int:
    """Start of the sentence of a position, at most 200 characters before it."""
    reach = max(0, position - 200)
    return max(reach, *(text.rfind(mark, reach, position) + 1 for mark in (". ", "! ", "? ", "; ", "\n")))
