"""What an output contract is: words that ask for a form, and a parser that says whether an output has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evalsuite.types import Sample

Labels = Sequence[str]
"""Labels of all shown choices, unlisted ones included, in shown order."""


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
    """ISO 639-1 of the question -> what the prompt says of the form. A language that is not here has no such contract."""
    write: Callable[[Sample, Labels, int], str]
    """An output that keeps the contract and gives the choice at this shown position; `read` gives it back."""
    read: Callable[[str, Sample, Labels], int | None]
    """Shown position of the choice that an output gives; None: the output, white space around it aside, does not keep the contract."""
