"""What takes an assertion away: doubt before it, rejection around or behind it, and words that take it back later on.

All searches are bounded by a clause of at most 120 characters or a sentence of at most 200, so that each costs the same
wherever it is made. Sources: the words are ours, from outputs of instruct models in English, Spanish and French.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from evalsuite.answers.cues import sentence_start

_CONDITION = re.compile(r"\b(?:if|unless|si|salvo que|a menos que)\b", re.IGNORECASE)
_FORCED = re.compile(r"\b(?:if (?:i )?(?:had|have|were|forced|must)|si (?:tuviera|tengo|hubiera) que)\b", re.IGNORECASE)
_DISBELIEF = re.compile(
    r"(?:\bnot|n['’]t|\bno)\s+(?:think|believe|say|agree|mean|sure|convinced|certain|creo|pienso|diría|estoy de acuerdo con)\b"
    r"[^,;:\n]{0,40}$",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not(?!\s+only\b)|no(?!\s+s[oó]lo\b)|never|neither|whether|tempting|might|mistake\w{0,5}|cannot|nunca|tampoco|ni|pas|ne|jamais)\b"
    r"|n['’]t?\b",
    re.IGNORECASE,
)
_WRONG_WORD = (
    r"incorrect[aeo]?s?|wrong|false|fals[ao]s?|faux|fausses?|inexactes?|erronées?|except|excepto|excluded?|unlikely|descart\w{1,6}|"
    r"eliminat\w{1,4}|elimin[ao]\w{0,4}|rul\w{1,3} out|improbable|inappropriate|erroneous|err[oó]ne[ao]s?"
)
_WRONG = re.compile(r"\b(?:" + _WRONG_WORD + r")\b", re.IGNORECASE)
_UNFIT_WORD = (
    r"contraindicat\w{1,4}|contra-indicated|contraindicad[ao]s?|contre-indiqu\w{1,3}|inappropriate|inadequate|unsuitable|inadvisable|"
    r"inadecuad[ao]s?|inapropiad[ao]s?|desaconsejad[ao]s?|inadapté\w?|mistaken?|an?\s+error|un\s+error|une\s+erreur|equivocad[ao]s?|"
    r"err[oó]ne[ao]s?|avoided|(?<!to )avoid|evitar(?:se|l[ao]s?)|evitad[ao]s?|(?<!para )evitar|éviter"
)
_NOT_FIT = (
    r"not\s(?:correct|right|indicated|recommended|appropriate|suitable|the\s(?:answer|correct|right|best)[^.,;\n]{0,20})|"
    r"no\s(?:es\s|está\s)?(?:la\s)?(?:correct[ao]|indicad[ao]|recomendad[ao]|adecuad[ao])"
)
_UNFIT = re.compile(r"\b(?:" + _UNFIT_WORD + r")\b", re.IGNORECASE)
_UNFIT_NOUN = re.compile(r"\b(?:" + _UNFIT_WORD + r")\s+$", re.IGNORECASE)
_AVOID = re.compile(r"\b(?:avoid(?:ing)?|evitar|evite[ns]?|evita|evitando|éviter|évitez)\s+(?:\w{1,12}\s+){0,2}[(\"']?$", re.IGNORECASE)
_RIGHT = re.compile(r"\b(?:correct|correcta|correcte|right answer|best answer)\b|[✓✔✅]", re.IGNORECASE)
_PREDICATE = re.compile(
    r"[)\]}\"'”]?\s?(?:\([^()\n]{0,120}\)\s?)?\b(?:(?:is|are|was|were|would|should|must|can|could|ca|wo|has|had|does|did|do|seems|looks|appears)"
    r"(?:n['’]t|not)?|no|es|son|era|está|están|sería|serían|debe|deben|debería|puede|queda|parece|se|hay|n['’]est|est|sont|serait|ne)(?!\w)",
    re.IGNORECASE,
)
_VERDICT = re.compile(
    r"[)\]}\"'”]?\s?(?:\([^()\n]{0,120}\)\s?)?[ \t]*(?:[-–—:,(][ \t]*)"
    r"(?:(?:which|that|this|it|que|eso|esto)\s+(?:is|was|es|sería|está)\s+)?(?:"
    + _NOT_FIT
    + "|"
    + _WRONG_WORD
    + "|"
    + _UNFIT_WORD
    + r")\b[ \t]*"
    r"(?=[).,;!?\n]|$|because|since|as\b|porque|ya que|pues|in\b|en\b|for\b|para\b)"
    r"|[)\]\"”]?\s?\?\s*no\b",
    re.IGNORECASE,
)
_PREDICATE_END = re.compile(
    r"[.;:,!?\n(]|\b(?:because|since|as|due|which|that|but|so|and|or|while|whereas|unlike|rather|instead|when|if|for|in|with|without|"
    r"porque|ya que|pues|que|pero|y|o|mientras|puesto|dado|cuando|si|para|en|con|sin|car|puisque|mais|et)\b",
    re.IGNORECASE,
)
_OPENING_END = re.compile(
    r"[.;:,!?\n(]|\b(?:because|since|as|due|so|while|whereas|unlike|rather|instead|when|if|unless|"
    r"porque|ya que|pues|puesto|dado|mientras|cuando|si|car|puisque)\b",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"[\s.,):\]\"'”»–—-]*+")
_LATER = re.compile(
    r"[.!?;][ \t]+(?:(?:this|it|that|which|est[aeo]|eso|ello|cela|ça)\b[^.!?;\n]{0,40}?\b|\b)(?:"
    + _NOT_FIT
    + "|"
    + _WRONG_WORD
    + "|"
    + _UNFIT_WORD
    + r")\b",
    re.IGNORECASE,
)
_APPROVAL = re.compile(
    r"\b(?:correct[ae]?|right|best|indicated|appropriate|preferred|indicad[ao]|adecuad[ao]|mejor|bonne|elección)\b", re.IGNORECASE
)
_SAID_WRONG = (
    r"(?:c['’]est\s(?:faux|incorrect|une\serreur)|"
    r"(?:that|this|it|eso|esto|ello|lo anterior|ça|cela)['’]?\s?(?:answer\s|respuesta\s)?(?:(?:is|s|was|es|era|est)\s+"
    r"(?:actually\s|clearly\s)?(?:not\s(?:right|correct)|wrong|incorrect[oae]?|false|fals[oa]|a\smistake|an\serror|un\serror|une\serreur|"
    r"err[oó]ne[oa]|faux)|(?:no es|n['’]est pas)\s+correct[oae]?))\b"
)
_OWNED = (
    r"I(?:\s?['’]m|\s+(?:am|was|have been))\s+(?:wrong|mistaken|incorrect)\b(?!\s+(?:about|to)\b)|"
    r"I\s+(?:made|have made)\s+an?\s+(?:mistake|error)\b|"
    r"scratch that\b|I take (?:that|it) back\b|me\s+(?:he\s+)?equivo(?:qué|cado|caba)\b|cometí un error\b|he cometido un error\b|"
    r"je me suis trompée?\b|je me trompe\b"
)
_ANSWER = r"(?:answer|option|choice|correct|right|respuesta|opción|correcta|réponse)"
_TAKEN_BACK = re.compile(
    r"\b(?:"
    + _OWNED
    + r"|on (?:second thoughts?|reflection|reconsideration)\b|let me (?:correct|revise|reconsider|re-?(?:think|evaluate|examine|check))|"
    r"(?:correction|corrección|rectificación|rectification)\s?:|corrijo\b|rectifico\b|pensándolo (?:bien|mejor)\b|mejor dicho\b|"
    r"my (?:earlier|previous|initial|first) (?:answer|choice|response)\b|"
    r"mi (?:respuesta|elección) (?:anterior|inicial)\b|I meant\b|quise decir\b|"
    r"(?:actually|en realidad|en fait)\b[^.!?\n]{0,60}\b"
    + _ANSWER
    + r"\b|"
    + _ANSWER
    + r"\b[^.!?\n]{0,30}\b(?:actually|en realidad|en fait)\b|"
    r"non?,? (?:wait|espera|perdón|attends|attendez|pardon)\b|je (?:me )?corrige\b)"
    r"|(?:^|[.!?\n…—-])[ \t]*(?:but |oh,? |no,? |hmm,? |pero |however, |ah,? )?"
    r"(?:(?:wait|espera|espere|perdón|attendez|attends)\b[ \t]*[,.!…:—-]|sorry,)"
    r"|(?:^|[.!?\n…—])[ \t]*(?:no,? |but |pero |y )?" + _SAID_WRONG,
    re.IGNORECASE | re.MULTILINE,
)
_WITHDRAWN = re.compile(
    r"[\s.)\]}>\"'!,?…-]{0,20}(?:(?:wait|no|hmm|sorry|oh|but|however|espera|perdón|pero|attendez)\b[\s,.!…-]{1,4}){0,3}(?:"
    + _SAID_WRONG
    + "|"
    + _OWNED
    + ")",
    re.IGNORECASE,
)


def is_doubted(text: str, start: int, end: int, *, inverted: bool, unwanted: bool = False) -> bool:
    """Whether a statement stands under a condition, under a negation in its own clause, or names what is wrong or unfit.

    Args:
        text: plain output.
        start: start of the cue.
        end: where its answer begins.
        inverted: the question asks for what is wrong, so that "the incorrect option is B" answers it.
        unwanted: the question asks for what to avoid, so that "the contraindicated option is B" answers it.
    """
    sentence = sentence_start(text, start)
    if _CONDITION.search(text, sentence, start) and not _FORCED.search(text, sentence, start):
        return True
    begin = max(sentence, *(text.rfind(mark, sentence, start) for mark in ",:("))
    if _NEGATION.search(text, begin, end) is not None or (not inverted and _WRONG.search(text, begin, end) is not None):
        return True
    # not the whole clause: "since aspirin is contraindicated the best option is B"
    return not unwanted and (_UNFIT.search(text, start, end) is not None or _UNFIT_NOUN.search(text[begin:start]) is not None)


def is_disbelieved(text: str, start: int) -> bool:
    """Whether "B is correct" stands under a condition or behind "I don't think that"."""
    sentence = sentence_start(text, start)
    before = text[sentence:start]
    return _DISBELIEF.search(before) is not None or (_CONDITION.search(before) is not None and _FORCED.search(before) is None)


def is_rejected(text: str, start: int, end: int, *, unwanted: bool = False) -> bool:
    """Whether the clause around a span negates it, calls it wrong, or says to avoid it."""
    before = max(text.rfind(mark, max(0, start - 120), start) for mark in ".,;:\n")
    after = min((place for mark in ",;:\n!?" if (place := text.find(mark, end, end + 120)) >= 0), default=min(len(text), end + 120))
    stop = text.find(". ", end, after)
    span = (max(before + 1, start - 120, 0), stop if stop >= 0 else after)
    if _NEGATION.search(text, *span) is not None or _WRONG.search(text, *span) is not None:
        return True
    return is_refuted(text, end, unwanted=unwanted) or (not unwanted and _AVOID.search(text[span[0] : start]) is not None)


def is_opening_rejected(text: str, end: int, stop: int, *, named: bool, unwanted: bool = False) -> bool:
    """Whether a line that begins with a label goes on to reject it: "B. Not indicated", "B. Ibuprofen has no role", "B. X. It is wrong".

    Looked at are the clause that follows, and later sentences about "it"; what the line says of other choices rejects nothing.

    Args:
        text: plain output.
        end: offset after the label, or after its choice's own text.
        stop: where the line, or as much of it as is looked at, ends.
        named: the choice's own text stands before `end`.
        unwanted: the question asks for what is wrong or to be avoided.
    """
    if is_refuted(text, end, unwanted=unwanted):
        return True
    separators = _SEPARATORS.match(text, end)
    begin = end if separators is None else separators.end()
    if not named or not text[end:begin].strip():
        clause_end = _OPENING_END.search(text, begin, stop)
        clause = (begin, clause_end.start() if clause_end else stop)
        if _NEGATION.search(text, *clause) is not None or _WRONG.search(text, *clause) is not None:
            return True
    return not unwanted and _LATER.search(text, end, stop) is not None


def is_refuted(text: str, end: int, *, unwanted: bool) -> bool:
    """Whether what follows a label or choice in its clause takes it away: "is wrong", "(incorrect)", "should be avoided".

    The clause ends at punctuation and before a reason, a contrast or a circumstance, so that "B because A is wrong" and
    "B is best when aspirin is contraindicated" stand. What first says that it is right stands too.

    Args:
        text: plain output.
        end: offset after the label or choice.
        unwanted: the question asks for what is wrong or to be avoided, so that nothing of this takes anything away.
    """
    if unwanted:
        return False
    if _VERDICT.match(text, end) is not None:
        return True
    predicate = _PREDICATE.match(text, end)
    if predicate is None:
        return False
    stop = _PREDICATE_END.search(text, predicate.end(), predicate.end() + 120)
    span = (predicate.start(), stop.start() if stop else min(len(text), predicate.end() + 120))
    against = min((found.start() for words in (_NEGATION, _WRONG, _UNFIT) if (found := words.search(text, *span))), default=None)
    approval = _APPROVAL.search(text, *span)
    return against is not None and (approval is None or against < approval.start())


def is_marked_right(line: str) -> bool:
    """Whether a line about one choice calls it correct and nothing about it wrong."""
    return bool(_RIGHT.search(line)) and not _WRONG.search(line) and not _NEGATION.search(line)


def says_right(text: str) -> bool:
    """Whether a text calls anything correct; where the question asks for what is wrong, that answers nothing."""
    return _RIGHT.search(text) is not None


def has_negation(text: str) -> bool:
    """Whether a text holds a negation."""
    return _NEGATION.search(text) is not None


def taken_back_at(text: str) -> Iterator[int]:
    """Where an output takes back what it said before: "wait, ...", "that is wrong", "me he equivocado", "actually"."""
    return (found.start() for found in _TAKEN_BACK.finditer(text))


def is_withdrawn(text: str, end: int) -> bool:
    """Whether the sentence right behind an answer takes it back for good; "wait" alone does not."""
    return _WITHDRAWN.match(text, end) is not None


@cache
def called_wrong_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    """Sentence in which a label is the subject and is called wrong: "option B is incorrect"; group 1 is the label."""
    label = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    nouns = r"(?i:options?|choice|answer|letter|opci[oó]n|alternativa|letra|respuesta|réponse)"
    subject = r"(?:^|[.!?:;,]\s+|\b(?:" + nouns + r"|(?i:so|but|that|pero|que|l[ae]))\s+)"
    named = r"\s*+(?:\([^()\n]{0,120}\)\s*+)?+"
    wrong = r"(?:incorrect[ao]?|wrong|false|fals[ao]|err[oó]ne[ao]|faux|fausse)\b"
    praise = r"(?:(?:the|la)\s)?(?:correct[ae]?|right|best|mejor|bonne)\b"
    verb = r"(?:(?:is|was|es|era|est)\s+(?:therefore\s|thus\s|clearly\s)?(?:" + wrong + r"|not\s" + praise + r")|no\s+es\s+" + praise + ")"
    return re.compile(subject + r"[(\"]?(" + label + r")[)\"]?" + named + verb, re.MULTILINE)
