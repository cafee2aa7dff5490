"""Samples that a map must leave alone, and the reasons that are told; reasons hold no text of a sample."""

from __future__ import annotations

from collections.abc import Collection

from evalsuite.perturbations.base import Refusal
from evalsuite.types import Sample


def malformed(sample: Sample) -> Refusal | None:
    """Why a sample of any kind is not a question that can be scored; None if it is one."""
    if not sample.question.strip():
        return Refusal(reason="there is no question")
    if sample.choices and len(sample.choices) < 2:
        return Refusal(reason="fewer than two choices")
    if sample.choices and not sample.targets:
        return Refusal(reason="no right choice is known")
    if any(not 0 <= target < len(sample.choices) for target in sample.targets):
        return Refusal(reason="the right choice is not among the choices")
    return None


def without_one_right_choice(sample: Sample) -> Refusal | None:
    """Why a sample is not a question with exactly one right choice among several; None if it is one."""
    if len(sample.choices) < 2:
        return Refusal(reason="fewer than two choices")
    if len(sample.targets) != 1:
        return Refusal(reason="not exactly one right choice")
    return malformed(sample)


def without_words(sample: Sample, languages: Collection[str]) -> Refusal | None:
    """Why there are no words for a sample's language; None if there are."""
    return None if sample.language in languages else Refusal(reason=f"has no form in this language ({sample.language})")


def asked_twice(sample: Sample) -> Refusal | None:
    """Why a sample that is asked in a second turn already is left alone; None if it is not."""
    return None if sample.dialogue is None else Refusal(reason="it is asked in a second turn already")


def called_right(sample: Sample) -> Refusal | None:
    """Why a choice that somebody in the text calls right already stands in the way; None if nobody does."""
    return None if sample.suggested is None else Refusal(reason="somebody in the text calls a choice right already")
