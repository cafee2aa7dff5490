"""The question without the part that decides it, where the data mark that part: who still answers rightly has another source.

Two marks are read. (1) `metadata["evidence"]` of a sample, which a task's plugin may set: one mark or more, joined by `;`, each
`FIELD:START-END:DIGEST`. FIELD is `context` or `question`; START and END are positions in that field's characters, from 0, END not
included; DIGEST is the first 8 hex digits of the sha256 of the marked text (UTF-8), so that a mark is never taken to another text than its
own. (2) A context whose paragraphs, one a line, begin with the section labels of a structured abstract (`RESULTS: ...`, `RESULTADOS: ...`):
those with results or conclusions are taken out; two labelled paragraphs or more, so that a lone word before a colon is none.

None of the tasks that come with the package sets a mark, and PubMedQA's context is shown without its section labels: their samples are
refused, until a plugin marks them. The key stays what it was.

Source: the artefact probe is that of partial inputs (Gururangan et al. 2018, arXiv 1803.02324; Poliak et al. 2018, arXiv 1805.01042); the
marks are ours.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import replace

from evalsuite.perturbations.base import NoOptions, PerturbationSpec, Refusal, always
from evalsuite.perturbations.parts.stems import misfit
from evalsuite.types import Sample

EVIDENCE = "evidence"
"""Name of the mark in a sample's metadata."""
N_DIGITS = 8
_MARK = re.compile(r"(?P<field>context|question):(?P<start>\d+)-(?P<end>\d+):(?P<digest>[0-9a-f]{8})")
_LABELLED = re.compile(r"(?P<label>[A-ZÁÉÍÓÚÑ][A-ZÁÉÍÓÚÑ &/,]{3,60}):\s")
_DECIDES = re.compile(r"RESULT|FINDING|CONCLUSI|INTERPRETATION|HALLAZGO|INTERPRETACI")


def digest(text: str) -> str:
    """First 8 hex digits of the sha256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:N_DIGITS]


def marked_away(sample: Sample, marks: str) -> tuple[str, str] | None:
    """Context and question without the marked parts; None if a mark is malformed, does not fit its text or overlaps another.

    Args:
        sample: as shown.
        marks: as `metadata["evidence"]` holds them.
    """
    spans: dict[str, list[tuple[int, int]]] = {"context": [], "question": []}
    texts = {"context": sample.context, "question": sample.question}
    for mark in marks.split(";"):
        found = _MARK.fullmatch(mark.strip())
        if found is None:
            return None
        start, end = int(found["start"]), int(found["end"])
        if not start < end <= len(texts[found["field"]]) or digest(texts[found["field"]][start:end]) != found["digest"]:
            return None
        spans[found["field"]].append((start, end))
    ordered = [sorted(held) for held in spans.values()]
    if any(later[0] < earlier[1] for held in ordered for earlier, later in itertools.pairwise(held)):
        return None
    return _cut(sample.context, spans["context"]), _cut(sample.question, spans["question"])


def without_results(context: str) -> str | None:
    """A structured abstract without its paragraphs of results and conclusions; None if it has no labels, or no such paragraph."""
    lines = context.split("\n")
    labels = [found["label"] if (found := _LABELLED.match(line)) else "" for line in lines]
    decides = [bool(_DECIDES.search(label)) for label in labels]
    if sum(map(bool, labels)) < 2 or not any(decides):
        return None
    # A paragraph without a label belongs to the section above it.
    for at in range(1, len(lines)):
        if not labels[at]:
            decides[at] = decides[at - 1]
    return "\n".join(line for line, goes in zip(lines, decides, strict=True) if not goes)


def bared(sample: Sample, seed: int) -> tuple[Sample, ...] | Refusal:
    """The sample without what decides it."""
    del seed
    if (refusal := misfit(sample, None)) is not None:
        return refusal
    if marks := sample.metadata.get(EVIDENCE):
        left = marked_away(sample, marks)
        if left is None:
            return Refusal(reason="the mark of the deciding part does not fit the text")
    else:
        context = without_results(sample.context)
        if context is None:
            return Refusal(reason="the data mark no deciding part")
        left = context, sample.question
    if not left[1].strip():
        return Refusal(reason="nothing of the question would be left")
    metadata = {name: value for name, value in sample.metadata.items() if name != EVIDENCE}
    return (replace(sample, context=left[0].strip(), question=left[1].strip(), metadata=metadata, variant=0),)


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """A text without some of its parts; the blanks that then meet are one."""
    left = text
    for start, end in sorted(spans, reverse=True):
        before, after = left[:start], left[end:]
        left = f"{before}{after.lstrip(' ')}" if before[-1:].isspace() or not before else f"{before}{after}"
    return left


SPEC = PerturbationSpec(
    name="without_evidence",
    summary="The question without the part that decides it, where the data mark one: an artefact probe.",
    source="after Gururangan et al. 2018 (arXiv 1803.02324) and Poliak et al. 2018 (arXiv 1805.01042); the marks are ours",
    family="target-changing",
    preserves_meaning=False,
    options=NoOptions,
    build=always(bared),
)
