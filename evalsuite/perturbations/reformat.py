"""The same stem written as a note: headings, a line per sentence, and blanks between numbers and units the other way.

No unit is converted, no value and no separator of thousands or decimals is changed (1,020 and 75.000 are not the same number in English and
Spanish). A stem of one sentence gets the heading, and its units the other blanks.

Source: ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from evalsuite.perturbations.base import NoOptions, PerturbationSpec, Refusal, always
from evalsuite.perturbations.parts.protected import QUANTITY
from evalsuite.perturbations.parts.sentences import asking_from, is_terminal, sentences
from evalsuite.perturbations.parts.stems import misfit
from evalsuite.perturbations.parts.vignettes import tells_of_a_patient
from evalsuite.types import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Headings:
    """The headings of a note in one language."""

    case: str
    """Of what is told of a patient."""
    given: str
    """Of what is told where there is no patient."""
    asked: str
    """Of what is asked."""


HEADINGS: Mapping[str, Headings] = {
    "en": Headings(case="Case:", given="Background:", asked="Asked:"),
    "es": Headings(case="Caso clínico:", given="Planteamiento:", asked="Cuestión:"),
}
_BULLET = re.compile(r"[-–•*] ")


def respaced(text: str) -> str:
    """The text with a blank between number and unit where there was none, and none where there was one (10 mg, 10mg; 5%, 5 %).

    Millimetres of mercury change within: 70 mmHg and 70 mm Hg. A lone small l is no unit here, since 10l would be read as another number.
    """

    def other(found: re.Match[str]) -> str:
        number, unit = found["number"], found["unit"]
        if unit.startswith("mmHg"):
            return f"{number} mm Hg{unit[4:]}"
        if unit.startswith("mm Hg"):
            return f"{number} mmHg{unit[5:]}"
        return f"{number}{'' if found['space'] else ' '}{unit}"

    return QUANTITY.sub(other, text)


def as_note(sample: Sample) -> str | None:
    """The stem as a note; None where it is one already."""
    words = HEADINGS[sample.language]
    text = sample.question.strip()
    if text.startswith((words.case, words.given, words.asked)):
        return None
    pieces = sentences(text)
    asking = asking_from(pieces)
    lines: list[str] = []
    for at, piece in enumerate(pieces[:asking]):
        goes_on = at > 0 and not is_terminal(pieces[at - 1])
        bare = respaced(piece.strip())
        lines.append(f"  {bare}" if goes_on else bare if _BULLET.match(bare) else f"- {bare}")
    if lines:
        lines.insert(0, words.case if tells_of_a_patient(pieces, asking) else words.given)
    return "\n".join([*lines, words.asked, respaced("".join(pieces[asking:]))])


def noted(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
    """The sample with its stem as a note."""
    del seed
    if (refusal := misfit(sample, HEADINGS)) is not None:
        return refusal
    note = as_note(sample)
    return Refusal(reason="the stem is a note already") if note is None else (replace(sample, question=note, variant=0),)


SPEC = PerturbationSpec(
    name="reformat",
    summary="The stem as a note: headings, a line per sentence, the other blanks between numbers and units; no value or unit changes.",
    source="ours",
    family="meaning-preserving",
    preserves_meaning=True,
    options=NoOptions,
    build=always(noted),
    languages=frozenset(HEADINGS),
)
