"""Questions of an exemplar pool that are evaluated ones over again, word for word or nearly so.

Data sets repeat questions across their splits; shown as an exemplar with its answer, such a question gives its own answer away.
Only words count here: case, punctuation and white space do not. Two questions are the same if their passages are and their stems
are. Two texts are the same if they are identical or, both being at least `MIN_WORDS` long, share at least `MIN_JACCARD` of their
shingles. A stem as short and common as "Which of the following is correct?" is not enough: without a single choice in common, two
questions of fewer than `MIN_WORDS` words are different ones.

Sources: word shingles and their Jaccard similarity, Broder 1997 (doi 10.1109/SEQUEN.1997.666900); exact search among the texts that
share one of their rarest shingles, Bayardo et al. 2007 (doi 10.1145/1242572.1242591).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from evalsuite.types import Sample

N_SHINGLE = 3
"""Words of a shingle."""
MIN_WORDS = 30
"""Shorter texts are the same only when they are identical: one other word makes another question of a short one."""
MIN_JACCARD = 0.8
"""Least share of all their shingles that two texts have in common. One other word among 30 leaves 25 of 31."""

_WORD = re.compile(r"[^\W_]+")

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Text:
    """A text as it is compared."""

    words: Words
    """Its words."""
    shingles: frozenset[Words]
    """Its shingles; none where it is too short to be compared by them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Texts:
    """Texts that are looked up by another one."""

    identical: Mapping[Words, Sequence[int]]
    """Words to the numbers of the texts that consist of them."""
    shingles: Mapping[int, frozenset[Words]]
    """Number of each long text to its shingles."""
    frequencies: Mapping[Words, int]
    """How many of the long texts hold a shingle."""
    by_rare: Mapping[Words, Sequence[int]]
    """Shingle to the long texts among whose rarest it is."""


def words_of(text: str) -> list[str]:
    """Runs of letters and digits of any script, in one case and one form of every character (NFKC)."""
    return _WORD.findall((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold())


def near_identical(pool: Sequence[Sample], evaluated: Sequence[Sample]) -> frozenset[int]:
    """Positions of the pool whose question is an evaluated one over again; exact, in time that grows with the number of texts.

    Args:
        pool: samples that may become exemplars.
        evaluated: samples of the evaluated split, all of them, so that a limit changes nothing.
    """
    found = _finder(evaluated)
    return frozenset(position for position, sample in enumerate(pool) if next(found(sample), None) is not None)


def without_repeats(pool: Sequence[Sample], evaluated: Sequence[Sample]) -> tuple[Sample, ...]:
    """The pool without the positions of `near_identical`, in its order."""
    repeats = near_identical(pool, evaluated)
    return tuple(sample for position, sample in enumerate(pool) if position not in repeats)


def without_twins(samples: Sequence[Sample], pool: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples without those whose question stands in the pool too, in the sense of `near_identical`, under another group.

    For samples that are asked with exemplars of the pool while the pool must stay as it is. Their own group is no twin: nothing of it is
    ever shown to them.
    """
    found = _finder(samples)
    twins = {number for shown in pool for number in found(shown) if samples[number].group != shown.group}
    return tuple(sample for number, sample in enumerate(samples) if number not in twins)


def _finder(samples: Sequence[Sample]) -> Callable[[Sample], Iterator[int]]:
    """Numbers of the samples whose question is that of another one."""
    passages = [tuple(words_of(sample.context)) for sample in samples]
    by_passage = _texts({number: words for number, words in enumerate(passages) if words})
    by_stem = _texts({number: tuple(words_of(samples[number].question)) for number, words in enumerate(passages) if not words})

    def found(sample: Sample) -> Iterator[int]:
        passage, stem = tuple(words_of(sample.context)), tuple(words_of(sample.question))
        for number in _find(by_passage, passage) if passage else _find(by_stem, stem):
            same = not passage or _same_text(_read(sample.question), _read(samples[number].question))
            if same and _not_told_apart(sample, samples[number], len(passage) + len(stem)):
                yield number

    return found


def repeats_lines(n_repeats: int) -> tuple[str, ...]:
    """How many samples `without_repeats` dropped, in a line; none if it dropped none."""
    samples = "sample" if n_repeats == 1 else "samples"
    return (f"{n_repeats:,} {samples} left out of the exemplar pool: the same question as an evaluated one",) if n_repeats else ()


def _not_told_apart(left: Sample, right: Sample, n_words: int) -> bool:
    """False for short texts that are the same while no choice is: a common stem."""
    if n_words >= MIN_WORDS or not left.choices or not right.choices:
        return True
    return not {tuple(words_of(choice)) for choice in left.choices}.isdisjoint(tuple(words_of(choice)) for choice in right.choices)


@lru_cache(maxsize=2048)
def _read(text: str) -> _Text:
    """A text's words and shingles. The last ones are kept: a sample meets several exemplars, and an exemplar several samples."""
    words = tuple(words_of(text))
    return _Text(words=words, shingles=_shingles(words) if len(words) >= MIN_WORDS else frozenset())


def _same_text(left: _Text, right: _Text) -> bool:
    if left.words == right.words:
        return True
    return bool(left.shingles) and bool(right.shingles) and _alike(left.shingles, right.shingles)


def _alike(left: frozenset[Words], right: frozenset[Words]) -> bool:
    n_shared = len(left & right)
    return n_shared >= MIN_JACCARD * (len(left) + len(right) - n_shared)


def _shingles(words: Words) -> frozenset[Words]:
    return frozenset(zip(*(words[start:] for start in range(N_SHINGLE)), strict=False))


def _texts(texts: Mapping[int, Words]) -> _Texts:
    identical: dict[Words, list[int]] = defaultdict(list)
    for number, words in texts.items():
        identical[words].append(number)
    shingles = {number: _shingles(words) for number, words in texts.items() if len(words) >= MIN_WORDS}
    frequencies = Counter(shingle for own in shingles.values() for shingle in own)
    by_rare: dict[Words, list[int]] = defaultdict(list)
    for number, own in shingles.items():
        for shingle in _rarest(own, frequencies):
            by_rare[shingle].append(number)
    return _Texts(identical=identical, shingles=shingles, frequencies=frequencies, by_rare=by_rare)


def _find(texts: _Texts, words: Words) -> Iterable[int]:
    """Numbers of the texts that are the same as one of these words, each once."""
    found = dict.fromkeys(texts.identical.get(words, ()))
    if len(words) >= MIN_WORDS:
        own = _shingles(words)
        near = {number for shingle in _rarest(own, texts.frequencies) for number in texts.by_rare.get(shingle, ())}
        found.update(dict.fromkeys(number for number in near if _alike(own, texts.shingles[number])))
    return found


def _rarest(shingles: frozenset[Words], frequencies: Mapping[Words, int]) -> Iterable[Words]:
    """So many of the rarest shingles that a text which shares none of its own with them cannot reach `MIN_JACCARD`."""
    n_wanted = len(shingles) - math.ceil(MIN_JACCARD * len(shingles)) + 1
    # Those that no text holds are the rarest; their order among themselves finds nothing.
    known = [shingle for shingle in shingles if shingle in frequencies]
    n_left = n_wanted - (len(shingles) - len(known))
    return sorted(known, key=lambda shingle: (frequencies[shingle], shingle))[:n_left] if n_left > 0 else ()
