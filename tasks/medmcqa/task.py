"""MedMCQA: questions of Indian medical entrance examinations (AIIMS, NEET PG), four options, one key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evalsuite.tasks import Row, RowError, Split, Task, TaskCard, read_choices, read_key, stem_name
from evalsuite.types import Sample

OPTIONS = ("opa", "opb", "opc", "opd")
CONTRADICTED = frozenset({"ee904a2e-7494-46ef-b976-22be596ed44f", "f4ea9cd2-e0a7-41e2-ab75-fe54a8bee24e"})
"""The one question that stands twice in validation with the same options in the same order and two keys (A and B)."""


def reader(first: int) -> Callable[[Row, int], Sample]:
    """How a row becomes a sample where keys (`cop`) count from `first`: from 1 in the authors' files, from 0 on the hub."""

    def to_sample(row: Row, number: int) -> Sample:
        stem = row["question"].strip()
        name = stem_name(stem)
        _, choices = read_choices(row, OPTIONS)
        if len(choices) < len(OPTIONS):
            raise RowError("an option is empty")
        # The local training subset has no ids: the row's number and its stem's hash serve.
        sample_id = str(row.get("id") or f"{number:06d}-{name[-6:]}")
        metadata = {"subject": row.get("subject_name"), "choice_type": row.get("choice_type")}
        return Sample(
            id=sample_id,
            group=f"medmcqa:{name}",
            question=stem,
            choices=choices,
            targets=(read_key(row["cop"], "index1" if first else "index0", (), choices),),
            tags=("key_contradicted",) if sample_id in CONTRADICTED else (),
            metadata={key: str(value) for key, value in metadata.items() if value},
        )

    return to_sample


def choose_reader(rows: Sequence[Row]) -> Callable[[Row, int], Sample]:
    """Where the keys count from, told by all rows of a split: a key of 0 or of 4 occurs in one of the two forms only."""
    keys = {str(row.get("cop")).removesuffix(".0") for row in rows}
    if keys <= {"None", "-1"}:
        raise RowError("cop is -1 or missing in every row, as in the hub's test split: its labels are not public")
    if {"0", "4"} <= keys:
        raise RowError("cop is 0 in one row and 4 in another: keys from 0 (hub) and from 1 (the authors' files) are mixed")
    if not keys & {"0", "4"}:
        raise RowError("no row has a cop of 0 or of 4, so that it cannot be told whether keys count from 0 (hub) or from 1")
    return reader(0 if "0" in keys else 1)


CARD = TaskCard(
    name="medmcqa",
    kind="choice",
    description="Questions of Indian medical entrance examinations (AIIMS, NEET PG) in 21 subjects, four options, one key.",
    language="en",
    licence="MIT (the authors' repository; the hub's card says Apache-2.0)",
    citation="Pal, Umapathi and Sankarasubbu 2022, MedMCQA: A Large-scale Multi-Subject Multi-Choice Dataset for Medical domain Question "
    "Answering, CHIL, PMLR 174:248-260, arXiv:2203.14371, github.com/medmcqa/medmcqa",
    splits={
        "validation": Split(n_rows=4183, tagged={"duplicate_choices": 21, "key_contradicted": 2}, hub_split="validation"),
        "train": Split(n_rows=182822, hub_split="train", counted=False),
        "dev": Split(n_rows=4183, tagged={"duplicate_choices": 21, "key_contradicted": 2}, file="validation.jsonl.gz"),
        "train_subset": Split(n_rows=999, tagged={"duplicate_choices": 2}),
    },
    split="validation",
    exemplar_split="train",
    # Who has only the local files also has only the local part of the training data.
    exemplar_splits={"dev": "train_subset"},
    metric="accuracy",
    metrics=("accuracy",),
    chance=0.25,
    hub_id="openlifescienceai/medmcqa",
    known_issues={
        "no_test_labels": "The labels of the official test split (6,150 rows) are not public: validation is evaluated, as everywhere.",
        "dev_is_validation": "`dev` is the local file of validation under another name: its exemplars come from the local `train_subset`, "
        "those of `validation` from the whole training split, which only the hub has. Never pool the two.",
        "training_subset": "`train_subset` is 999 of the 182,822 training rows, re-parsed by a third party from an instruction file, "
        "without ids, subjects and explanations; no stem of it stands in validation.",
        "key_base": "`cop` counts from 1 in the authors' files and from 0 on the hub; which it is, is read from all rows of a split, and "
        "rows that do not say it, or say both, are a fault.",
        "choice_type": "1,367 of the 4,183 questions are marked `multi` and yet have one key. What the authors mean by it is not said "
        "(github.com/medmcqa/medmcqa, issue 4); both sorts are asked in the same way, and the mark is kept as metadata.",
        "duplicate_choices": "Two options of a question are equal (21 of validation, 2 of train_subset); in 4 of the 21 the key is one of "
        "the two, so that the right text can be scored wrong.",
        "key_contradicted": "One question stands twice with equal options and two keys: at least one of them is wrong.",
        "repeated_questions": "20 stems stand twice in validation (case and punctuation aside), 13 of them with the same options, most "
        "others with options that differ in spelling; they share a group, as do different questions with the same short stem.",
        "lost_letters": 'The source lost "rt" in many words ("hypeension", "aery", "hea failure"); the text is left as it is.',
        "of_the_above": '225 questions have an option such as "All of the above", which shuffling the options makes odd.',
        "skewed_keys": "Keys lean to A (1,348, 1,085, 925, 825): always answering A is right in 32.2 %.",
        "explanations_left_out": "The field `exp` often names the right option; it is read into no sample.",
    },
    get_data="the hub's openlifescienceai/medmcqa, or dev.json of the archive that github.com/medmcqa/medmcqa links to, renamed to "
    "validation.jsonl.gz; with the local files alone, few-shot needs `split: dev`",
)

TASKS = (Task(card=CARD, to_sample=reader(1), choose_reader=choose_reader),)
