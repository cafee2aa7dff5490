"""What an output contract is: words that ask for a form, and a parser that says whether an output has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evalsuite.types import Sample

Labels = Sequence[str]
"""Labels of all shown choices, unlisted ones included, in shown order."""

_NOUNS = {
    "letter": {"en": "the letter", "es": "la letra"},
    "number": {"en": "the number", "es": "el número"},
    "label": {"en": "the label", "es": "el identificador"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """An exact form of output. The same for every model; words by language, parsers for all."""

    name: str
    """Name in study.yaml and in `Manner.contract`."""
    summary: str
    """One sentence."""
    source: str
    """Where the form is from; `ours` where nobody printed it before."""
    words: Mapping[str, str]
    """ISO 639-1 of the question -> what the prompt says of the form. A language that is not here has no such contract. `{label}` stands for
    "the letter" or its like, `{labels}` for the labels in quotes, separated by commas; `asked` puts them in."""
    write: Callable[[Sample, Labels, int], str]
    """An output that keeps the contract and gives the choice at this shown position; `read` gives it back."""
    read: Callable[[str, Sample, Labels], int | None]
    """Shown position of the choice that an output gives; None: the output, white space around it aside, does not keep the contract."""
    by_text: bool = False
    """Whether the choice's text alone is the answer, so that no label is asked for."""
    allows_refusal: bool = False
    """Whether an unlisted choice may be answered, by its label."""


def asked(contract: Contract, sample: Sample, labels: Labels) -> str | None:
    """What a prompt says of a contract; None where it has no words in the sample's language.

    Args:
        contract: the contract.
        sample: as shown.
        labels: of all shown choices; only those of the listed ones are named.
    """
    words = contract.words.get(sample.language)
    if words is None:
        return None
    listed = labels[: len(labels) - sample.n_unlisted]
    quoted = ", ".join(f'"{label}"' for label in listed)
    return words.replace("{labels}", quoted).replace("{label}", _NOUNS[_kind(listed)][sample.language])


def place_of(label: str, labels: Labels) -> int | None:
    """Shown position of a label, in its own case; None for what is none."""
    return list(labels).index(label) if label in labels else None


def _kind(labels: Labels) -> str:
    """What labels are called: letters, numbers, or neither."""
    if all(len(label) == 1 and label.isalpha() for label in labels):
        return "letter"
    return "number" if all(label.isdecimal() for label in labels) else "label"
