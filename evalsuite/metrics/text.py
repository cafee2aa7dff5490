"""Metrics of free text against references: ROUGE and exact match; the best reference counts."""

from __future__ import annotations

import re
import string
from functools import cache
from typing import Any

from evalsuite.metrics.base import Metric
from evalsuite.types import Answer, Sample

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ROUGE_SOURCE = "Lin 2004 (ROUGE, W04-1013), package rouge-score, F-measure, Porter stemmer, as CLUE and Hugging Face evaluate"


def normalise(text: str) -> str:
    """SQuAD's answer normalisation: lower case, no ASCII punctuation, no English articles, single spaces (arXiv 1606.05250)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def answer_text(sample: Sample, answer: Answer) -> str:
    """The text that was read.

    Raises:
        ValueError: the reading holds no text, or the sample no reference; both are programming errors.
    """
    if answer.reading.text is None:
        raise ValueError(f"sample {sample.id}: the reading holds no text")
    if not sample.references:
        raise ValueError(f"sample {sample.id} has no reference")
    return answer.reading.text


def rouge(kind: str, reference: str, text: str) -> float:
    """F-measure of one ROUGE kind in [0, 1]; 0 where either text has no n-gram.

    rouge-score keeps only a to z and 0 to 9, so that a letter with an accent splits its word; this is kept, since the
    published numbers have it, and stated with the tables of Spanish and French tasks.

    Args:
        kind: `rouge1`, `rouge2` or `rougeL` (sentence level: the texts are one sequence, line breaks do not matter).
        reference: right text.
        text: what the model wrote.
    """
    return float(_scorer(kind).score(reference, text)[kind].fmeasure)


def best_rouge(kind: str, sample: Sample, answer: Answer) -> float:
    """The highest F-measure over the references."""
    text = answer_text(sample, answer)
    return max(rouge(kind, reference, text) for reference in sample.references)


def rouge1_value(sample: Sample, answer: Answer) -> float:
    """ROUGE-1, best reference."""
    return best_rouge("rouge1", sample, answer)


def rouge2_value(sample: Sample, answer: Answer) -> float:
    """ROUGE-2, best reference."""
    return best_rouge("rouge2", sample, answer)


def rouge_l_value(sample: Sample, answer: Answer) -> float:
    """ROUGE-L, best reference."""
    return best_rouge("rougeL", sample, answer)


def exact_match_value(sample: Sample, answer: Answer) -> float:
    """1.0 if the text equals a reference after normalisation, else 0.0.

    Texts of which normalisation leaves nothing ("A", "-") are compared as they are, but for case and white space around
    them; SQuAD's script would call any two of them equal.
    """
    text = answer_text(sample, answer)
    return 1.0 if any(_equal(text, reference) for reference in sample.references) else 0.0


def _equal(text: str, reference: str) -> bool:
    """Whether two texts are equal after normalisation."""
    left, right = normalise(text), normalise(reference)
    return left == right if left or right else text.strip().casefold() == reference.strip().casefold()


@cache
def _scorer(kind: str) -> Any:
    """The scorer of one kind; the package is imported at first use, since it brings NLTK."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], use_stemmer=True)


ROUGE1 = Metric(
    name="rouge1",
    summary="F-measure of shared words with the closest reference.",
    source=_ROUGE_SOURCE,
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=False,
    reading="lenient",
    applies="text",
    value=rouge1_value,
)

ROUGE2 = Metric(
    name="rouge2",
    summary="F-measure of shared word pairs with the closest reference.",
    source=_ROUGE_SOURCE,
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=False,
    reading="lenient",
    applies="text",
    value=rouge2_value,
)

ROUGE_L = Metric(
    name="rougeL",
    summary="F-measure of the longest common subsequence of words with the closest reference, at sentence level.",
    source=_ROUGE_SOURCE,
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=False,
    reading="lenient",
    applies="text",
    value=rouge_l_value,
)

EXACT_MATCH = Metric(
    name="exact_match",
    summary="Share of samples whose text equals a reference but for case, punctuation and English articles.",
    source="Rajpurkar et al. 2016 (SQuAD, arXiv 1606.05250), its evaluation script",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=True,
    reading="lenient",
    applies="text",
    value=exact_match_value,
)
