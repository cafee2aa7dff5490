"""RQE: does one health question entail another, so that an answer to the second also answers the first?"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from evalsuite.formats import WORDINGS
from evalsuite.tasks import Row, Split, Task, TaskCard
from evalsuite.types import Excluded, Sample

LABELS = ("yes", "no")
LABEL_OF = {"true": "yes", "false": "no"}


def words_of(text: str) -> str:
    """Text without case and punctuation."""
    return re.sub(r"\W+", " ", text.casefold()).strip()


def to_sample(row: Row, number: int) -> Sample | Excluded:
    """A row of the authors' XML: `pid`, `type`, `value`, `chq`, `faq`. The consumer's question is the group: it stands in several pairs."""
    # The part of the source is in `type`: training pairs are original/short questions, test pairs come in three parts.
    part = "train" if row["type"].startswith("originalQ") else "test"
    sample_id = f"{part}-{row['pid']}"
    premise, hypothesis = row["chq"].strip(), row["faq"].strip()
    if not premise or not hypothesis:
        return Excluded(reason="empty_question", sample_id=sample_id)
    if row["value"] not in LABEL_OF:
        raise ValueError("value is neither true nor false")
    tags = {"conflicting_labels": sample_id in CONFLICTING, "identical_pair": words_of(premise) == words_of(hypothesis)}
    return Sample(
        id=sample_id,
        group=f"rqe:{hashlib.sha256(words_of(premise).encode()).hexdigest()[:12]}",
        question=hypothesis,
        context=premise,
        choices=LABELS,
        targets=(LABELS.index(LABEL_OF[row["value"]]),),
        tags=tuple(tag for tag, applies in tags.items() if applies),
        metadata={"part": row["type"]},
    )


CONFLICTING = frozenset({"train-94", "train-95", "test-184", "test-300"})
"""Pairs that the source holds once as true and once as false."""

CARD = TaskCard(
    name="rqe",
    kind="labels",
    description="Two health questions: whether every answer to the second (a frequently asked question) is a complete or partial answer to "
    "the first (a consumer's question).",
    language="en",
    licence="CC BY 4.0",
    citation="Ben Abacha and Demner-Fushman 2016, Recognizing Question Entailment for Medical Question Answering, AMIA, "
    "github.com/abachaa/RQE_Data_AMIA2016",
    splits={
        "test": Split(n_rows=302, tagged={"conflicting_labels": 2}),
        "train": Split(n_rows=8588, excluded={"empty_question": 1}, tagged={"conflicting_labels": 2, "identical_pair": 1475}),
    },
    split="test",
    exemplar_split="train",
    metric="macro_f1",
    metrics=("macro_f1", "accuracy"),
    # Mean over both classes of 2 p r / (p + r), with recall 1/2 and precision 129/302 or 173/302.
    chance=0.497,
    known_issues={
        "conflicting_labels": "The same pair stands once as true and once as false (one pair in test, one in train).",
        "identical_pair": "The two questions of a training pair are equal but for case and punctuation: a trivial exemplar.",
        "repeated_pairs": "7 pairs stand twice in test; they share a group.",
        "different_material": "Training pairs are clinicians' questions and short forms; test pairs are consumers' questions and FAQs.",
        "empty_question": "Training pair 5860 has an empty second question and is left out.",
    },
    get_data="RQE_Train_8588_AMIA2016.xml and RQE_Test_302_pairs_AMIA2016.xml of github.com/abachaa/RQE_Data_AMIA2016 as train.jsonl and "
    "test.jsonl with pid, type, value, chq, faq",
    wording=replace(
        WORDINGS["en"],
        instruction="Say for each pair whether every answer to the second question is also a complete or partial answer to the first.",
        context="First question",
        question="Second question",
    ),
)

TASKS = (Task(card=CARD, to_sample=to_sample),)
