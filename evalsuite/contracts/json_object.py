"""A JSON object that satisfies a schema: one key, one of the labels, nothing else.

Source: JSON is what Med-HALT (Pal et al. 2023, arXiv 2307.15343) and MIRAGE (Xiong et al. 2024, arXiv 2402.13178) ask for; the schema and
its strict reading are ours. Schemas are JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from evalsuite.contracts.base import Contract, Labels, place_of
from evalsuite.types import Sample

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_SCHEMA = '{"type": "object", "properties": {"answer": {"enum": [{labels}]}}, "required": ["answer"], "additionalProperties": false}'


def write(sample: Sample, labels: Labels, index: int) -> str:
    """The object on one line."""
    del sample
    return json.dumps({"answer": labels[index]}, ensure_ascii=False)


def read(output: str, sample: Sample, labels: Labels) -> int | None:
    """One JSON text that is valid under the schema. A code fence, a key given twice, and text before or after are no JSON text."""
    del sample
    try:
        found = json.loads(output.strip(), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        return None
    return place_of(found["answer"], labels) if _validator(tuple(labels)).is_valid(found) else None


def schema_for(labels: Labels) -> dict[str, Any]:
    """The schema that an answer must satisfy, as the prompt shows it."""
    schema: dict[str, Any] = json.loads(_SCHEMA.replace("{labels}", ", ".join(json.dumps(label) for label in labels)))
    return schema


@cache
def _validator(labels: tuple[str, ...]) -> Draft202012Validator:
    # Imported where it is used: the command line starts without it.
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema_for(labels))


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


CONTRACT = Contract(
    name="json",
    summary='A JSON object {"answer": label} that satisfies the schema in the prompt, and nothing else.',
    source="ours, after the JSON outputs of Pal et al. 2023 (arXiv 2307.15343) and Xiong et al. 2024 (arXiv 2402.13178)",
    words={
        "en": "Answer with a JSON object and nothing else: no code block, no other text. "
        'The key "answer" holds {label} of the right choice. '
        f"The object must satisfy this JSON Schema: {_SCHEMA}",
        "es": "Contesta únicamente con un objeto JSON, sin bloque de código ni ningún otro texto. "
        'La clave "answer" contiene {label} de la opción correcta. '
        f"El objeto debe cumplir este JSON Schema: {_SCHEMA}",
    },
    write=write,
    read=read,
)
