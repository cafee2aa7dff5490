"""The label in a tag.

Source: ours; to fence an answer in tags is usual with instruct models.
"""

from __future__ import annotations

import re

from evalsuite.contracts.base import Contract, Labels, place_of
from evalsuite.types import Sample

_TAGGED = re.compile(r"<answer>(\S+)</answer>")


def write(sample: Sample, labels: Labels, index: int) -> str:
    """The label between the tags."""
    del sample
    return f"<answer>{labels[index]}</answer>"


def read(output: str, sample: Sample, labels: Labels) -> int | None:
    """The label between the tags, in its own case, with no blank between."""
    del sample
    found = _TAGGED.fullmatch(output.strip())
    return None if found is None else place_of(found[1], labels)


CONTRACT = Contract(
    name="tag",
    summary="The label of the right choice in the tag <answer>, and nothing else.",
    source="ours",
    words={
        "en": "Answer with {label} of the right choice between the tags <answer> and </answer>, with no space and nothing else.",
        "es": "Contesta únicamente con {label} de la opción correcta entre las marcas <answer> y </answer>, sin espacios.",
    },
    write=write,
    read=read,
)
