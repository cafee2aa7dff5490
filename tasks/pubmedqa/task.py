"""PubMedQA: yes, no or maybe to a research question, from the abstract without its conclusion (expert-labelled part, PQA-L)."""

from __future__ import annotations

from dataclasses import replace

from evalsuite.formats import WORDINGS
from evalsuite.tasks import Row, Split, Task, TaskCard
from evalsuite.types import Sample

LABELS = ("yes", "no", "maybe")


def to_sample(row: Row, number: int) -> Sample:
    """A row of the authors' file, or of the hub's `pqa_labeled`, which names its fields otherwise."""
    hub = "final_decision" in row and "QUESTION" not in row
    passages = row["context"]["contexts"] if hub else row["CONTEXTS"]
    if not passages or not all(isinstance(text, str) and text.strip() for text in passages):
        raise ValueError("the abstract is empty or has an empty part")
    if row["final_decision"] not in LABELS:
        raise ValueError(f"final_decision is none of {', '.join(LABELS)}")
    year = None if hub else row.get("YEAR")
    return Sample(
        id=str(row["pubid"]),
        group=f"pubmedqa:{row['pubid']}",
        question=row["question" if hub else "QUESTION"].strip(),
        context="\n".join(text.strip() for text in passages),
        choices=LABELS,
        targets=(LABELS.index(row["final_decision"]),),
        metadata={"year": str(year)} if year else {},
    )


CARD = TaskCard(
    name="pubmedqa",
    kind="labels",
    description="A research question (a PubMed title) is answered yes, no or maybe from the abstract without its conclusion.",
    language="en",
    licence="MIT",
    citation="Jin et al. 2019, PubMedQA: A Dataset for Biomedical Research Question Answering, EMNLP-IJCNLP, arXiv:1909.06146, "
    "github.com/pubmedqa/pubmedqa",
    splits={
        "test": Split(n_rows=500),
        "train_pool": Split(n_rows=500),
        "labelled": Split(n_rows=1000, hub_split="train", counted=False),
    },
    split="test",
    exemplar_split="train_pool",
    metric="accuracy",
    metrics=("accuracy", "macro_f1"),
    chance=1 / 3,
    aliases=("pubmedqa_pqal",),
    hub_id="qiaojin/PubMedQA",
    hub_config="pqa_labeled",
    known_issues={
        "hub_has_no_test": "The hub holds the 1,000 labelled items as one split (here `labelled`); the official 500 test items need the "
        "authors' file. Results on `labelled` are not results on `test`.",
        "imbalanced": "yes/no/maybe are 276/169/55 of 500 in either half: always saying yes is right in 55.2 %.",
    },
    get_data="test and train_pool: data/ori_pqal.json of github.com/pubmedqa/pubmedqa as JSON lines with `pubid`, cut in two by the ids of "
    "data/test_ground_truth.json",
    wording=replace(WORDINGS["en"], context="Abstract"),
)

TASKS = (Task(card=CARD, to_sample=to_sample),)
