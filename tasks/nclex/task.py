"""NCLEX-style nursing questions from a file of the user's own.

Nori et al. 2023 (arXiv 2311.16452) used two NCLEX sets to see whether their prompting, tuned on physicians' questions, carries over to
nursing. Neither may be passed on, so this plugin reads what you have: rows with `question`, `options` (a list, an object by letter, or
either as JSON text) and `answer` (a letter).
"""

from __future__ import annotations

from evalsuite.tasks import Row, RowError, Split, Task, TaskCard, read_cell, read_choices, read_key
from evalsuite.types import Excluded, Sample


def to_sample(row: Row, number: int) -> Sample | Excluded:
    """A row as a sample. "Select all that apply" items, whose key names several letters, are left out: the study was of single answers."""
    keys, choices = read_choices(row, "options")
    sample_id = str(row.get("id") or f"{number:05d}")
    key = read_cell(row, "answer")
    letters = key if isinstance(key, list) else str(key).replace(" ", "").split(",")
    if len(letters) > 1:
        return Excluded(reason="several_right", sample_id=sample_id)
    question = read_cell(row, "question")
    if not isinstance(question, str) or not question.strip():
        raise RowError("question is empty or no text")
    # Items that unfold one case belong together.
    case = str(row.get("case") or sample_id)
    return Sample(
        id=sample_id,
        group=f"nclex:{case}",
        question=question.strip(),
        choices=choices,
        targets=(read_key(letters[0], "letter", keys, choices),),
    )


TASKS = (
    Task(
        card=TaskCard(
            name="nclex",
            kind="choice",
            description="Nursing licensing questions with one right choice, from a file of your own.",
            language="en",
            licence="as your file's source states; NCLEX items are not to be passed on",
            citation="National Council Licensure Examination; used by Nori et al. 2023, arXiv:2311.16452",
            splits={"test": Split(n_rows=None, counted=False), "train": Split(n_rows=None, counted=False)},
            split="test",
            exemplar_split="train",
            metric="accuracy",
            metrics=("accuracy",),
            # The number of choices is the file's own.
            chance=None,
            restricted=True,
            known_issues={
                "single_answers": 'Items with several right answers ("select all that apply") are left out and counted as `several_right`.',
            },
            get_data="put test.jsonl (and train.jsonl for exemplars) into a folder and name it under `data: {nclex: FOLDER}`",
        ),
        to_sample=to_sample,
    ),
)
