"""What the perturbations of choices share: which samples they take, seeded draws among choices, labels, and taking choices out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from evalsuite.formats import labels_of
from evalsuite.perturbations.base import Refusal
from evalsuite.perturbations.parts.unfit import asked_twice, called_right, malformed, without_one_right_choice
from evalsuite.rows import plain
from evalsuite.seeds import derive_seed
from evalsuite.types import Sample


def unfit_choices(sample: Sample) -> Refusal | None:
    """Why the choices of a sample cannot be shown in another way; None if they can.

    Several right choices are allowed: where they stand is followed for each.
    """
    n = len(sample.choices)
    if n < 2:
        return Refusal(reason="fewer than two choices")
    if sample.n_unlisted:
        return Refusal(reason="an answer that is not listed is allowed")
    if not all(map(str.strip, sample.choices)):
        return Refusal(reason="a choice is empty")
    if any(len(held) not in (0, n) for held in (sample.order, sample.labels)) or len(set(sample.targets)) < len(sample.targets):
        return Refusal(reason="choices, labels and key do not fit together")
    return malformed(sample) or asked_twice(sample)


def unfit_one_of_several(sample: Sample) -> Refusal | None:
    """Why it cannot be told of each choice of a sample whether it is right, with the others out of sight; None if it can.

    So that it can, one choice is right, no two are equal, and nobody in the text names one.
    """
    refusal = unfit_choices(sample) or without_one_right_choice(sample) or called_right(sample)
    if refusal is not None:
        return refusal
    return Refusal(reason="two choices have the same text") if repeats(sample.choices) else None


def repeats(choices: Sequence[str]) -> bool:
    """Whether two choices are equal, case and white space aside."""
    return len({plain(choice).casefold() for choice in choices}) < len(choices)


def drawn_positions(sample: Sample, seed: int, *parts: str) -> tuple[int, ...]:
    """All shown positions in a drawn order, every order as likely.

    A choice's place in it depends on its original index and on nothing else of the sample but its id, so that the same choices are drawn in
    whatever order they stand and whichever of them is right.

    Args:
        sample: with choices; its id is part of the seed.
        seed: study seed.
        parts: names of what is decided.
    """
    added: Counter[str] = Counter()
    keys = []
    for position, choice in enumerate(sample.choices):
        index = sample.original_index(position)
        name = str(index) if index >= 0 else f"added {added[choice]} {choice}"
        added[choice] += index < 0
        keys.append((derive_seed(seed, *parts, sample.id, name), position))
    return tuple(position for _, position in sorted(keys))


def drawn_wrong(sample: Sample, seed: int, *parts: str) -> tuple[int, ...]:
    """The shown positions of the wrong choices in the order of `drawn_positions`."""
    return tuple(position for position in drawn_positions(sample, seed, *parts) if position not in sample.targets)


def only_with(sample: Sample, kept: Collection[int]) -> Sample:
    """The sample with some of its choices, in the order in which they stand and under the first labels.

    Args:
        sample: with choices.
        kept: their shown positions; at least one right choice is among them.
    """
    positions = sorted(kept)
    return replace(
        sample,
        choices=tuple(sample.choices[position] for position in positions),
        targets=tuple(new for new, position in enumerate(positions) if position in sample.targets),
        order=tuple(sample.original_index(position) for position in positions),
        labels=sample.labels[: len(positions)],
    )


def with_text(sample: Sample, position: int, text: str) -> Sample:
    """The sample with another text in place of a choice; its original index is then -1."""
    order = [sample.original_index(shown) for shown in range(len(sample.choices))]
    order[position] = -1
    choices = [*sample.choices]
    choices[position] = text
    return replace(sample, choices=tuple(choices), order=tuple(order))


def extended_by(sample: Sample, text: str, label: str) -> Sample:
    """The sample with one more choice behind its own ones.

    Args:
        sample: with choices.
        text: of the choice.
        label: of the choice; used where the sample has labels of its own.
    """
    order = tuple(sample.original_index(shown) for shown in range(len(sample.choices)))
    labels = (*labels_of(sample), label) if sample.labels else ()
    return replace(sample, choices=(*sample.choices, text), order=(*order, -1), labels=labels)
