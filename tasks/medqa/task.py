"""MedQA (USMLE): licensing-examination questions, with 4 options and with 5. The same questions stand in both."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evalsuite.tasks import Row, Split, Task, TaskCard, read_choices, read_key, stem_name
from evalsuite.types import Excluded, Sample

DEBRIS = '\n"'


def group_of(stem: str) -> str:
    """Group of a stem, equal in the 4- and 5-option versions: case, punctuation and spacing do not count."""
    return f"medqa:{stem_name(stem)}"


def reader(n_options: int) -> Callable[[Row, int], Sample | Excluded]:
    """How a row of the version with `n_options` becomes a sample. No version has ids: the row's number and its stem's hash serve."""

    def to_sample(row: Row, number: int) -> Sample | Excluded:
        stem = row["question"].strip()
        group = group_of(stem)
        sample_id = f"{number:05d}-{group[-6:]}"
        # The 4-option training file holds 36 rows that were never cut down to 4; the hub's Arrow shows an absent E as null.
        options = {letter: text for letter, text in row["options"].items() if text is not None}
        if len(options) > n_options:
            return Excluded(reason="too_many_options", sample_id=sample_id)
        letters, choices = read_choices({"options": {key: text.removesuffix(DEBRIS) for key, text in options.items()}}, "options")
        if list(letters) != list("ABCDE"[:n_options]):
            raise ValueError(f"the options are not lettered A to {'ABCDE'[n_options - 1]}")
        target = read_key(row["answer_idx"], "letter", letters, choices)
        if "answer" in row and row["answer"].removesuffix(DEBRIS).strip() != choices[target]:
            raise ValueError("answer_idx and answer name different options")
        debris = any(text.endswith(DEBRIS) for text in options.values())
        return Sample(
            id=sample_id,
            group=group,
            question=stem,
            choices=choices,
            targets=(target,),
            tags=("option_debris",) if debris else (),
            metadata={"step": row["meta_info"]} if row.get("meta_info") else {},
        )

    return to_sample


def card(n_options: int, name: str, alias: str, hub_id: str | None, splits: Mapping[str, Split]) -> TaskCard:
    """The card of one version."""
    return TaskCard(
        name=name,
        kind="choice",
        description=f"US medical licensing examination questions (USMLE), mostly clinical cases, {n_options} options, one right.",
        language="en",
        licence="MIT",
        citation="Jin et al. 2021, What Disease Does This Patient Have? A Large-Scale Open Domain Question Answering Dataset from "
        "Medical Exams, Applied Sciences 11(14):6421, arXiv:2009.13081, github.com/jind11/MedQA",
        splits=splits,
        split="test",
        exemplar_split="train",
        # Who has only the local development file also has only the local part of the training data.
        exemplar_splits={"dev": "train_subset"},
        metric="accuracy",
        metrics=("accuracy",),
        chance=1 / n_options,
        aliases=(alias,),
        hub_id=hub_id,
        family="medqa",
        known_issues={
            "option_debris": "The source's text ends an option (always the last) in a line feed and a quotation mark; both are removed.",
            "too_many_options": "36 rows of the local 4-option training subset still hold 5 options and are left out.",
            "training_subset": "`train_subset` is a part of the training split, re-parsed by a third party from an instruction file.",
            "duplicate_choices": "The hub's splits were not in hand when the card was written; repeated options there are tagged.",
        },
        get_data="test and train: "
        + (f"the hub's {hub_id}, or " if hub_id else "not on the hub in a form that `datasets` 4 reads (bigbio/med_qa is a script): ")
        + "US/"
        + ("4_options/phrases_no_exclude_{train,dev,test}.jsonl" if n_options == 4 else "{train,dev,test}.jsonl")
        + " of the archive that github.com/jind11/MedQA links to, renamed to <split>.jsonl",
    )


FOUR = {
    "test": Split(n_rows=1273, hub_split="test", counted=False),
    "train": Split(n_rows=10178, hub_split="train", counted=False),
    "dev": Split(n_rows=1272, tagged={"option_debris": 47}),
    "train_subset": Split(n_rows=792, excluded={"too_many_options": 36}),
}
FIVE = {
    "test": Split(n_rows=1273, counted=False),
    "train": Split(n_rows=10178, counted=False),
    "dev": Split(n_rows=1272, tagged={"option_debris": 60}),
    "train_subset": Split(n_rows=1000, tagged={"option_debris": 52}),
}

TASKS = (
    Task(card=card(4, "medqa", "medqa_usmle_4opt", "GBaker/MedQA-USMLE-4-options", FOUR), to_sample=reader(4)),
    Task(card=card(5, "medqa_5opt", "medqa_usmle_5opt", None, FIVE), to_sample=reader(5)),
)
