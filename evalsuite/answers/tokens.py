"""Words of an output, and where it names a choice by its text.

Two texts are the same here if their words are the same after folding: case, accents, punctuation, white space and a
leading article do not count. The folding is wider than that of SQuAD's answer normalisation (Rajpurkar et al. 2016,
arXiv 1606.05250), which drops English articles anywhere and knows no accents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from evalsuite.answers.rejection import is_refuted

# A number keeps its decimals, so that "5" does not stand inside "0.5"; comparison signs tell "< 5" from "> 5", and a
# minus in front of a digit tells "-1" from "1". Possessive quantifiers keep the scan linear.
_WORD = re.compile(r"\d++(?:[.,]\d++)++|[^\W_]++|[<>≤≥±+%]|(?<![^\s(])[-−](?=\d)")
_ARTICLES = frozenset("the a an el la los las un una unos unas le les l du de".split())
_CLAUSE_END = re.compile(r"[.,;:!?()\n]|\s[-–—]\s")
_SENTENCE_END = re.compile(r"[.!?\n]")
_REASONS = frozenset("because since as porque pues car".split())
_CLAUSE_WORDS = frozenset(
    # not "because": what stands after it gives the reason of what was negated before it
    "but however so therefore thus although while whereas sino pero aunque entonces luego mientras mais donc".split()
)
_NEGATIONS = frozenset(
    # English; "isn't" is two words here, "isn" and "t"
    "not no never nor neither isn aren doesn don didn won wouldn shouldn wasn weren cannot couldn incorrect wrong false "
    "unlikely excluded excludes exclude excluding eliminate eliminated unrelated whether if "
    "unless less ruled rule rules ruling "
    # Spanish
    "ni nunca tampoco incorrecta incorrecto incorrectas incorrectos falsa falso erronea erroneo descarta descartar "
    "descartamos descartada descartado descartarse improbable menos "
    # French
    "pas ne n jamais incorrecte incorrectes faux fausse exclut exclure moins improbable".split()
)
_UNFIT = frozenset(
    # a choice called so is rejected, unless the question asks for what is
    "contraindicated contraindication inappropriate unsuitable inadequate inadvisable mistake mistaken error erroneous avoided avoid "
    "contraindicado contraindicada contraindicados contraindicadas inadecuado inadecuada inadecuados inadecuadas inapropiado inapropiada "
    "desaconsejado desaconsejada equivocado equivocada evitar evitarse evitarla evitarlo evite evitado evitada "
    "contre indique inapproprie inadapte erreur eviter".split()
)
_AVOIDING = frozenset("avoid avoids avoiding evitar evita evitando evitaria eviter evite".split())
_PURPOSES = frozenset("to para pour".split())
_NEGATIONS_BEFORE = frozenset("rather instead except excepto salvo sauf lugar vez".split())
_WRONG = frozenset(
    "incorrect wrong false incorrecta incorrecto incorrectas incorrectos falsa falso erronea erroneo incorrecte fausse faux".split()
)
_COMMON = frozenset("yes no maybe true false none both neither other unknown si oui non ninguno ninguna otro otra quizas".split())


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One word of a text."""

    text: str
    """Folded: case and accents removed."""
    start: int
    """Offset of its first character."""
    end: int
    """Offset after its last character."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """One place where a choice's text stands."""

    index: int
    """Shown position of the choice."""
    first: int
    """Number of its first word."""
    last: int
    """Number of the word after its last word."""


def fold(word: str) -> str:
    """A word without case and accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(mark for mark in decomposed if not unicodedata.combining(mark))


def words_of(text: str) -> tuple[Word, ...]:
    """Folded words of a text with their offsets."""
    return tuple(words_from(text, 0))


def words_from(text: str, start: int) -> Iterator[Word]:
    """Folded words from an offset on, one at a time, so that a look at the first few costs no more than those."""
    return (Word(text=fold(found.group()), start=found.start(), end=found.end()) for found in _WORD.finditer(text, start))


def key_of(choice: str) -> tuple[str, ...]:
    """Folded words of a choice without leading articles (an article that is all of it stays)."""
    words = [word.text for word in words_of(unicodedata.normalize("NFKC", choice))]
    start = next((n for n, word in enumerate(words) if word not in _ARTICLES), 0)
    return tuple(words[start:])


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceTexts:
    """The choices of a sample, ready to be found in texts."""

    keys: tuple[tuple[str, ...], ...]
    """Folded words of each choice; empty where the text cannot tell it from another choice."""
    own: tuple[tuple[str, ...], ...]
    """The same without that exception: to check the text behind a label, which already tells which choice is meant."""
    by_word: dict[str, tuple[int, ...]]
    """First word to the choices that begin with it, longest first."""

    def at(self, words: Sequence[Word], number: int) -> Mention | None:
        """The longest choice that stands at a word."""
        for index in self.by_word.get(words[number].text, ()):
            key = self.keys[index]
            if len(words) - number >= len(key) and all(words[number + n].text == part for n, part in enumerate(key)):
                return Mention(index=index, first=number, last=number + len(key))
        return None

    def mentions(self, words: Sequence[Word]) -> Iterator[Mention]:
        """Every mention, left to right, longest first, without overlaps: a longer choice hides a shorter one inside it."""
        number = 0
        while number < len(words):
            mention = self.at(words, number)
            if mention is None:
                number += 1
            else:
                yield mention
                number = mention.last

    def exactly(self, text: str) -> int | None:
        """The choice whose text is all of `text`, articles aside."""
        key = key_of(text)
        return self.keys.index(key) if key and key in self.keys else None

    def telling(self, index: int) -> bool:
        """Whether the text is special enough to be an answer in the middle of a sentence: no number, no yes, no word of 3 letters."""
        key = self.keys[index]
        letters = sum(character.isalpha() for part in key for character in part)
        return letters >= 4 and not (len(key) == 1 and key[0] in _COMMON)


def choice_texts(choices: Iterable[str]) -> ChoiceTexts:
    """Ready the choices; those that are equal after folding, or have no words, are never found by their text."""
    keys = [key_of(choice) for choice in choices]
    unique = tuple(key if keys.count(key) == 1 else () for key in keys)
    by_word: dict[str, list[int]] = {}
    for index, key in enumerate(unique):
        if key:
            by_word.setdefault(key[0], []).append(index)
    ordered = {word: tuple(sorted(found, key=lambda index: -len(unique[index]))) for word, found in by_word.items()}
    return ChoiceTexts(keys=unique, own=tuple(keys), by_word=ordered)


def is_article(word: Word) -> bool:
    """Whether a word is an article that may stand before a choice's text."""
    return word.text in _ARTICLES


def asserted_mentions(text: str, words: Sequence[Word], texts: ChoiceTexts, *, unwanted: bool = False) -> set[int]:
    """Choices that a text names in a clause without negation, condition or rejection, in a sentence that calls nothing wrong.

    A clause ends at punctuation and at words such as "but" or "sino". Negations inside a choice's own text do not
    count. A choice that is named both ways counts as named.

    Args:
        text: plain text.
        words: its words.
        texts: the choices.
        unwanted: the question asks for what to avoid, so that "contraindicated" rejects nothing.
    """
    found = list(texts.mentions(words))
    if not found:
        return set()
    inside = {number for mention in found for number in range(mention.first, mention.last)}
    clause_of, sentence_of = _clauses(text, words, inside)
    rejected: set[int] = set()
    wrong: set[int] = set()
    first_before: dict[int, int] = {}
    for number, word in enumerate(words):
        if number in inside:
            continue
        if word.text in _WRONG:
            wrong.add(sentence_of[number])
        purpose = number > 0 and words[number - 1].text in _PURPOSES
        unfit = not unwanted and word.text in _UNFIT and not (purpose and word.text in _AVOIDING)
        if _negates(text, word) or unfit:
            rejected.add(clause_of[number])
        elif word.text in _NEGATIONS_BEFORE or (not unwanted and word.text in _AVOIDING):
            first_before.setdefault(clause_of[number], number)
    return {
        mention.index
        for mention in found
        if clause_of[mention.first] not in rejected
        and sentence_of[mention.first] not in wrong
        and first_before.get(clause_of[mention.first], mention.first) >= mention.first
        and texts.telling(mention.index)
        and not is_refuted(text, words[mention.last - 1].end, unwanted=unwanted)
    }


def _negates(text: str, word: Word) -> bool:
    """Whether a word negates or puts a condition: "n't" counts, Spanish "sí" is not "si"."""
    if word.text == "t":
        return text[word.start - 1 : word.start] in {"'", "’"}
    return word.text in _NEGATIONS and text[word.start : word.end].lower() != "sí"


def first_clause(text: str) -> str:
    """What stands before the first punctuation or word that ends a clause."""
    stop = _CLAUSE_END.search(text)
    clause = text[: stop.start()] if stop else text
    ends = (word.start for word in words_from(clause, 0) if word.text in _CLAUSE_WORDS or word.text in _REASONS)
    return clause[: next(ends, len(clause))]


def _clauses(text: str, words: Sequence[Word], inside: set[int]) -> tuple[list[int], list[int]]:
    """Numbers of the clause and of the sentence of each word; words of one mention share those of its first word."""
    clauses: list[int] = []
    sentences: list[int] = []
    clause = sentence = 0
    for number, word in enumerate(words):
        if number and not (number in inside and number - 1 in inside):
            between = (words[number - 1].end, word.start)
            clause += word.text in _CLAUSE_WORDS or _CLAUSE_END.search(text, *between) is not None
            sentence += _SENTENCE_END.search(text, *between) is not None
        clauses.append(clause)
        sentences.append(sentence)
    return clauses, sentences
