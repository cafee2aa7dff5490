"""What renditions of a sample promise, whoever made them: without it they would be counted wrongly, or not at all."""

from __future__ import annotations

from evalsuite.perturbations.base import Refusal
from evalsuite.types import Sample


def broken_promise(sample: Sample, made: object) -> str | None:
    """What a perturbation's result breaks, in words without text of the sample; None if it is in order.

    Args:
        sample: what was perturbed.
        made: what came back.
    """
    if isinstance(made, Refusal):
        return None if made.reason.strip() else "a refusal gives a reason"
    if not isinstance(made, tuple) or not made or not all(isinstance(one, Sample) for one in made):
        return "gives a tuple of one rendition or more, or a Refusal"
    if [one.variant for one in made] != list(range(len(made))):
        return "numbers its renditions by `variant`: 0, 1, ..."
    return next((broken for one in made if (broken := _broken(sample, one)) is not None), None)


def _broken(sample: Sample, shown: Sample) -> str | None:
    n = len(shown.choices)
    if (shown.id, shown.group) != (sample.id, sample.group):
        return "keeps the sample's id and group"
    if any(not 0 <= place < n for place in (*shown.targets, *([] if shown.suggested is None else [shown.suggested]))):
        return "`targets` and `suggested` are places of the choices shown"
    if sample.targets and not shown.targets:
        return "says in `targets` which choices are right"
    if any(len(held) not in (0, n) for held in (shown.order, shown.labels)) or not 0 <= shown.n_unlisted <= max(0, n - 1):
        return "`order` and `labels` hold one entry for each choice, or none; one choice at least is listed"
    if n != len(sample.choices) and not shown.order:
        return "says in `order` which original choice each one is, and -1 of one that it added"
    first = None if shown.dialogue is None else shown.dialogue.first
    if first is not None and ((first.id, first.group, first.variant) != (sample.id, sample.group, 0) or first.dialogue is not None):
        return "a first turn is of the same id and group, of variant 0, and has no dialogue of its own"
    return None
