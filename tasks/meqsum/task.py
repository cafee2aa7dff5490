"""MeQSum: a patient's long message to the US National Library of Medicine becomes one short question."""

from __future__ import annotations

from dataclasses import replace

from evalsuite.formats import WORDINGS
from evalsuite.tasks import Row, Split, Task, TaskCard
from evalsuite.types import Sample


def to_sample(row: Row, number: int) -> Sample:
    """A row of the authors' spreadsheet: `File`, `CHQ` (consumer health question), `Summary`."""
    name = str(row["File"]).removesuffix(".txt").removesuffix(".xml")
    return Sample(id=name, group=f"meqsum:{name}", question=row["CHQ"].strip(), references=(row["Summary"].strip(),))


CARD = TaskCard(
    name="meqsum",
    kind="text",
    description="A consumer's health question, often with a story around it, is summarised as one short question.",
    language="en",
    licence="CC BY 4.0",
    citation="Ben Abacha and Demner-Fushman 2019, On the Summarization of Consumer Health Questions, ACL, github.com/abachaa/MeQSum",
    splits={"all": Split(n_rows=1000)},
    split="all",
    exemplar_split=None,
    metric="rougeL",
    metrics=("rougeL", "rouge1", "rouge2"),
    chance=None,
    known_issues={
        "no_split": "The source has no split: all 1,000 pairs are evaluated (as CLUE does), so there are no exemplars.",
        "repeated_summaries": "Three summaries stand for more than one message (9 messages); each message is its own group.",
        "verbatim_summaries": "In 9 pairs the summary stands word for word in the message.",
    },
    get_data="MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx of github.com/abachaa/MeQSum as all.jsonl with File, CHQ, Summary",
    wording=replace(
        WORDINGS["en"],
        instruction="Summarise each message from a patient as one short question that keeps everything needed to answer it. "
        "Write the question only.",
        question="Message",
        answer="Summary",
        reasoned='Think step by step first about what the patient needs to know. Then write "{answer}:" on a new line and, behind it, the '
        "question only.",
    ),
)

TASKS = (Task(card=CARD, to_sample=to_sample),)
