"""Reading labels and choice texts at one place of an output.

What makes a letter a label is what follows it: "A." and "A because" are labels, "A patient", "B-cell", "C. difficile"
and "A's" are not. Peers that take the first capital letter read option L out of "Let's think" (field survey P8).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from evalsuite.answers import unlisted
from evalsuite.answers.tokens import ChoiceTexts, Word, choice_texts, is_article, words_from
from evalsuite.types import Sample

_OPEN = re.compile(
    r"[\s\"'“”‘’«»(\[{<]*+"
    r"(?:(?:the|la|el|las|los|le|les)\s++|l['’])?+"
    r"(?:(?:options?|choices?|letters?|answers?|opci[oó]n(?:es)?|alternativas?|letras?|respuestas?|n[uú]meros?|lettres?|réponses?|propositions?)\b\s*+)?+"
    r"[\s\"'“”‘’«»(\[{<:]*+",
    re.IGNORECASE,
)
# "e" and "o" join only in lower case: in upper case they are labels
_JOIN = re.compile(r"[ \t]*+[)\]\"'”]?[ \t]*+(?:([,;&+/]|\b(?:y|e|(?i:and|et))\b)|(\b(?:o|u|(?i:or|ou))\b))")
_JOIN_NEXT = re.compile(r"[ \t]*+(?:(?:y|e|o|u|(?i:and|or|et|ou))\b[ \t]*+)?+(?:(?:the|la|el|le)\s++|l['’])?+[\"'“(\[]?")
_FOLLOWERS = frozenset(
    "because since as for is are was would and or given due which being here "
    "porque ya pues dado dada debido es son era sería y e "
    "car parce puisque est sont et avec".split()
)
_VOWELS = frozenset("aeiouy")
_SUBJECT = re.compile(r"[)\]]?\s++(?:is|are|was|were|would|can|does|has|es|son|est|sont)\b", re.IGNORECASE)
_REST = re.compile(r"[.):\] \t\-–—]*+([^\n]{0,2001})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What stands at one place."""

    indices: tuple[int, ...]
    """Shown positions, ascending; empty if what stands there contradicts itself."""
    end: int
    """Offset after it."""

    @property
    def conflict(self) -> bool:
        """True if two choices are asserted there where one is asked."""
        return not self.indices


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a sample offers: labels and texts."""

    labels: tuple[str, ...]
    """Label of each shown choice."""
    by_length: tuple[tuple[str, int], ...]
    """(label, index), longest label first; those that are empty, since none is shown, left out."""
    texts: ChoiceTexts
    """The choices, ready to be found."""
    several: bool
    """True if the task asks for every right choice, however many this sample has: only then may several be read."""
    unlisted: int | None = None
    """Shown position of the choice that stands for a refusal and is not listed; None where a refusal is no answer."""


def labels_of(sample: Sample) -> tuple[str, ...]:
    """Labels of the shown choices, as `formats.labels_of` gives them (neighbouring layers must not import each other)."""
    if sample.labels:
        return sample.labels
    if len(sample.choices) > len(string.ascii_uppercase):
        raise ValueError(f"{len(sample.choices)} choices, but only 26 letters")
    return tuple(string.ascii_uppercase[: len(sample.choices)])


def options_of(sample: Sample, *, several: bool) -> Options:
    """Labels and texts of a sample's choices; `several` is the task's, since a sample's own number of right choices would give it away.

    A choice that is shown without a label has one that nothing written matches: a character for private use and its number.
    """
    labels = tuple(label or f"\ue000{index}" for index, label in enumerate(labels_of(sample)))
    # choices that are shown without labels have empty ones, which are never read
    ordered = sorted(((label, index) for index, label in enumerate(labels) if label), key=lambda pair: -len(pair[0]))
    n_listed = len(labels) - sample.n_unlisted
    # what no prompt shows has no text that an output could name
    texts = choice_texts([*sample.choices[:n_listed], *[""] * sample.n_unlisted])
    refusal = n_listed if sample.n_unlisted else None
    return Options(labels=labels, by_length=tuple(ordered), texts=texts, several=several, unlisted=refusal)


def read_at(text: str, position: int, options: Options, *, skip: bool = True) -> Found | None:
    """Labels that stand at a position, else the text of a choice or a refusal that stands there; None if none of them does.

    Args:
        text: plain output.
        position: where to read.
        options: what the sample offers.
        skip: whether brackets, quotes, articles and nouns such as "option" may stand before it.
    """
    start = _opened(text, position) if skip else position
    labels = label_list(text, start, options)
    if labels is not None and (labels.conflict or len(labels.indices) > 1):
        # "both A and B" or "A and B" may itself be the text of a choice
        line = text[start : _line_end(text, start)]
        whole = options.texts.exactly(line)
        if whole is not None:
            return Found(indices=(whole,), end=start + len(line))
    found = labels if labels is not None else text_list(text, position, options)
    if found is None and options.unlisted is not None:
        end = unlisted.refusal_at(text, start)
        return None if end is None else Found(indices=(options.unlisted,), end=end)
    return found


def label_at(text: str, position: int, options: Options) -> tuple[int, int] | None:
    """(index, end) of the label at a position, judged by what follows it."""
    for label, index in options.by_length:
        end = position + len(label)
        written = text[position:end]
        if written.casefold() != label.casefold() or (position and text[position - 1].isalnum()):
            continue
        if written != label and not _in_other_case(label, written, text[end : end + 1]):
            continue
        if _ends_label(text, end, index, options, small=written != label):
            return index, end
    return None


def _in_other_case(label: str, written: str, following: str) -> bool:
    """Whether what is written may stand for a label whose letters differ in case only: "b" for "B", "B" for "b", "II" for "ii"."""
    if len(label) > 1:
        return label.isalpha() and label.islower() and written.isupper()
    # "I would choose" is no Roman numeral.
    return label.isalpha() and not (written == "I" and following in {" ", "'", "’", ","})


def label_list(text: str, position: int, options: Options) -> Found | None:
    """One label, or several joined by commas and words; several where one is asked contradict each other."""
    if options.several:
        run = _run(text, position, options)
        if run is not None:
            return run
    first = label_at(text, position, options)
    if first is None or _heads_inline_list(text, first, options):
        return None
    indices, end, doubt = {first[0]}, _past_own(text, first, options), False
    while (join := _JOIN.match(text, end)) is not None:
        opened = _JOIN_NEXT.match(text, join.end())
        after = opened.end() if opened else join.end()
        following = label_at(text, after, options)
        if following is None or (join.group(1) in {",", ";"} and _SUBJECT.match(text, following[1])):
            break
        indices.add(following[0])
        doubt = doubt or join.group(2) is not None
        end = _past_own(text, following, options)
    if len(indices) > 1 and (doubt or not options.several):
        return Found(indices=(), end=end)
    if len(indices) == 1 and _names_another(text, end, first[0], options):
        return Found(indices=(), end=end)
    return Found(indices=tuple(sorted(indices)), end=end)


def _past_own(text: str, label: tuple[int, int], options: Options) -> int:
    """Offset after a label and, where several are asked, after its choice's own text: "A. Aspirin, C. Codeine" is a list of two."""
    own = own_end(text, label[1], label[0], options) if options.several else None
    return label[1] if own is None else own


def text_list(text: str, position: int, options: Options) -> Found | None:
    """The choice whose text begins at a position (after an article) and ends with its clause."""
    # most places hold no choice; looking at their first words first keeps the cost down
    if not any(word.text in options.texts.by_word for word in islice(words_from(text, position), 3)):
        return None
    # enough words for two choices and what joins them
    n_words = 2 * max(len(key) for key in options.texts.keys) + 8
    words = tuple(islice(words_from(text, position), n_words))
    number = 0
    while number < len(words) and number < 2 and options.texts.at(words, number) is None and is_article(words[number]):
        number += 1
    mention = options.texts.at(words, number) if number < len(words) else None
    if mention is None or not _ends_text(text, words, mention.last):
        return None
    end = words[mention.last - 1].end
    indices = {mention.index}
    while (join := _JOIN.match(text, end)) is not None:
        after = next((n for n, word in enumerate(words) if word.start >= join.end()), len(words))
        while after < len(words) and (is_article(words[after]) or words[after].text in {"and", "y", "et", "or", "o"}):
            after += 1
        following = options.texts.at(words, after) if after < len(words) else None
        if following is None:
            break
        if not options.several or join.group(2) is not None:
            return Found(indices=(), end=words[following.last - 1].end)
        indices.add(following.index)
        end = words[following.last - 1].end
    return Found(indices=tuple(sorted(indices)), end=end)


def _heads_inline_list(text: str, first: tuple[int, int], options: Options) -> bool:
    """Whether a label, its text, the next label and its text follow each other on a line: the choices, echoed."""
    index, end = first
    own = own_end(text, end, index, options) if index + 1 < len(options.labels) else None
    following = next(words_from(text, own), None) if own is not None else None
    if following is None:
        return False
    after = following.start
    label = options.labels[index + 1]
    return (
        text.startswith(label, after)
        and "\n" not in text[end:after]
        and text[after + len(label) : after + len(label) + 1] in {".", ")", ":"}
        and _own_text(text, after + len(label), index + 1, options)
    )


def _run(text: str, position: int, options: Options) -> Found | None:
    """Labels run together in ascending order and alone on their line, as in "ACE"; only where several are asked."""
    line = text[position : min(_line_end(text, position), position + 40)].strip(" .)*")
    mixed = _mixed_run(line, options)
    if mixed is not None:
        return Found(indices=mixed, end=position + len(line))
    places = {label: index for index, label in enumerate(options.labels) if len(label) == 1}
    indices = [places.get(part, -1) for part in (line.split() if " " in line else line)]
    if len(indices) < 2 or -1 in indices or indices != sorted(set(indices)):
        return None
    return Found(indices=tuple(indices), end=position + len(line))


def _mixed_run(line: str, options: Options) -> tuple[int, ...] | None:
    """Labels in lower case, or joined by hyphens, alone on a line: "a, c et d", "A-C-E"; None if it is no such list.

    Two labels with a hyphen may be a range and are none.
    """
    places = {label.casefold(): index for index, label in enumerate(options.labels) if len(label) == 1}
    parts = [part for part in re.split(r"[\s,;/+&()-]+", line) if part]
    named = [part for number, part in enumerate(parts) if part not in {"et", "and", "y"} or number in {0, len(parts) - 1}]
    indices = [places.get(part.casefold(), -1) for part in named]
    one_case = all(part.islower() for part in named) or all(part.isupper() for part in named)
    if len(named) < 2 or -1 in indices or len(set(indices)) < len(indices) or not one_case or ("-" in line and len(named) < 3):
        return None
    return tuple(sorted(indices))


def _opened(text: str, position: int) -> int:
    """Offset after brackets, quotes, an article and a noun such as "option"."""
    opened = _OPEN.match(text, position)
    return opened.end() if opened else position


def _line_end(text: str, position: int) -> int:
    """End of the line, or of its first 2,000 characters: no choice is longer, and the cost of each place stays bounded."""
    reach = min(len(text), position + 2000)
    end = text.find("\n", position, reach)
    return reach if end < 0 else end


def _own_text(text: str, position: int, index: int, options: Options) -> bool:
    """Whether the choice's own text begins at a position."""
    return own_end(text, position, index, options) is not None


def own_end(text: str, position: int, index: int, options: Options) -> int | None:
    """Offset after the choice's own text if it begins at a position, at most two articles aside."""
    key = options.texts.own[index]
    matched, n_articles, end = 0, 0, position
    for word in words_from(text, position):
        if matched == len(key):
            break
        if word.text == key[matched]:
            matched, end = matched + 1, word.end
        elif matched == 0 and n_articles < 2 and is_article(word):
            n_articles += 1
        else:
            return None
    return end if key and matched == len(key) else None


def _ends_label(text: str, end: int, index: int, options: Options, *, small: bool) -> bool:
    """Whether what follows lets the letters before `end` be a label.

    Args:
        text: plain output.
        end: offset after the would-be label.
        index: the choice that it would stand for.
        options: what the sample offers.
        small: the label is written in lower case, so that "a" or "y" may be a word.
    """
    following = text[end : end + 1]
    if following in {"", "\n", ")", "]", "}", ">"}:
        return True
    if small and text[end - 1] in _VOWELS:
        return text.startswith("</", end) or (following in {'"', "'", ".", ":"} and not text[end + 1 : end + 2].strip(" \"'}]"))
    if following in {"'", "’"}:
        return not text[end + 1 : end + 2].isalpha()
    if following in {'"', "”", "»", ",", ";", "!", "?", "(", "[", "<"}:
        return True
    if following == ":":
        return True
    if following == ".":
        return _ends_sentence(text, end, index, options)
    if following == "/":
        return _label_next(text, end + 1, options)
    if following in {"-", "–", "—"}:
        # neither "B-cell" nor the range "A-D"
        return not text[end + 1 : end + 2].isalnum() or _own_text(text, end, index, options)
    if not following.isspace():
        return False
    return _follows_well(text, end, index, options)


def _ends_sentence(text: str, end: int, index: int, options: Options) -> bool:
    """After "X.": not the initial of a species ("C. difficile"), an abbreviation ("e.g.") or a decimal ("1.5")."""
    after = text[end + 1 : end + 2]
    if after == "" or after == "\n":
        return True
    if _own_text(text, end, index, options):
        return True
    if after.isalnum():
        return after.isupper() and text[end + 2 : end + 3] != "."
    rest = text[end + 1 : end + 40].lstrip(" \t")
    return not rest[:1].islower() or rest.split(None, 1)[0].strip(".,;:") in _FOLLOWERS


def _follows_well(text: str, end: int, index: int, options: Options) -> bool:
    """After "X ": a sign, the choice's own text, or a word that goes on about a label."""
    rest = text[end : end + 40].lstrip(" \t\r")
    if not rest or not rest[0].isalnum():
        return True
    if _own_text(text, end, index, options):
        return True
    word = re.match(r"\w++", rest)
    if word is not None and word.group().lower() in {"or", "o", "u", "ou"}:
        return _label_next(text, end + (len(text[end : end + 40]) - len(rest)) + word.end(), options)
    return word is not None and word.group().lower() in _FOLLOWERS


def _label_next(text: str, position: int, options: Options) -> bool:
    """Whether another label follows, as in "B or C" and "A/B" (judged by its letters and end alone)."""
    opened = _JOIN_NEXT.match(text, position)
    start = opened.end() if opened else position
    return any(
        text.startswith(label, start) and not text[start + len(label) : start + len(label) + 1].isalnum() for label, _ in options.by_length
    )


def _names_another(text: str, end: int, index: int, options: Options) -> bool:
    """Whether the rest of the line is exactly the text of another choice, so that label and text disagree."""
    rest = _REST.match(text, end)
    if rest is None or rest.start(1) == end:
        return False
    if options.unlisted not in {None, index} and unlisted.refusal_at(text, rest.start(1)) is not None:
        return True
    named = options.texts.exactly(rest.group(1)) if len(rest.group(1)) <= 2000 else None
    return named is not None and named != index and rest.group(1).strip(" .").casefold() != options.labels[index].casefold()


def _ends_text(text: str, words: Sequence[Word], last: int) -> bool:
    """Whether a choice's text ends with its clause: at punctuation, at the end, or before a word that goes on about it."""
    end = words[last - 1].end
    rest = text[end : end + 40].lstrip(" \t\r\"'”’»")
    if not rest or not rest[0].isalnum():
        return rest[:1] not in {"-", "/", "+", "%"} or text[end : end + 1].isspace()
    word = re.match(r"\w++", rest)
    joins = {"or", "o", "u", "ou"}
    return word is not None and (word.group().lower() in _FOLLOWERS or word.group().lower() in joins)


def plain_text(output: str) -> str:
    """An output without what only decorates it: emphasis, code marks, headings, TeX commands, template marks; NFKC."""
    text = unicodedata.normalize("NFKC", output).replace("\r\n", "\n").replace("\u200b", "")
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    text = re.sub(r"<\|[^|<>\n]{1,40}\|>|</?s>|\[/?INST\]", "\n", text)
    text = re.sub(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s*+\{", "{", text)
    text = re.sub(r"\*++|`++|__++|\$++|\\[()\[\]]", "", text)
    return re.sub(r"^[ \t]*+#++[ \t]*+", "", text, flags=re.MULTILINE)
