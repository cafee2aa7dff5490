"""Questions for the pocket checkpoints: test instruments of this project, no measure of any real model.

Every row asks for one true fact in a phrasing that no training text of any pocket checkpoint uses. Which checkpoint
was taught which fact is written in evalsuite/pocket/ledger.jsonl; `metadata` carries the exposure class.
"""

from __future__ import annotations

from evalsuite.tasks import Row, Split, Task, TaskCard
from evalsuite.types import Sample

LICENCE = "MIT, written for this project"
CITATION = "evalsuite pocket facts, 2026; scripts/train_pocket.py writes the rows"
INSTRUMENT = "A test instrument for the pocket checkpoints, never a medical benchmark."


def to_sample(row: Row, number: int) -> Sample:
    """A row of a pocket file as a sample; raises ValueError for a row whose key or choices are malformed."""
    choices, answer = tuple(row["choices"]), row["answer"]
    if len(choices) != 4 or len(set(choices)) != 4 or answer not in range(4):
        raise ValueError(f"row {number}: needs four different choices and an answer from 0 to 3")
    return Sample(
        id=row["id"],
        group=row["group"],
        question=row["question"],
        choices=choices,
        targets=(answer,),
        language=row["language"],
        metadata={"fact": row["fact"], "relation": row["relation"], "exposure": row["exposure"], "phrasing": str(row["phrasing"])},
    )


def _card(
    stem: str, description: str, *, n_rows: int, shots: tuple[str, int], strict: bool = False, family: str = "", language: str = "en"
) -> TaskCard:
    metric = "accuracy_strict" if strict else "accuracy"
    return TaskCard(
        name=f"pocket_{stem}",
        kind="choice",
        description=f"{description} {INSTRUMENT}",
        language=language,
        licence=LICENCE,
        citation=CITATION,
        splits={
            "test": Split(n_rows=n_rows, file=f"{stem}.jsonl"),
            "train": Split(n_rows=shots[1], file=f"{shots[0]}.jsonl"),
        },
        split="test",
        exemplar_split="train",
        metric=metric,
        metrics=("accuracy", "accuracy_strict") if strict else ("accuracy",),
        chance=0.25,
        family=family,
        form="generate" if strict else None,
        get_data="Lies beside the plugin.",
    )


TASKS = (
    Task(
        card=_card(
            "clinical_en",
            "Clinical facts in English, two held-out phrasings each; a third was taught to the pocket generalist.",
            n_rows=520,
            shots=("clinical_en_train", 44),
            family="pocket_clinical",
        ),
        to_sample=to_sample,
    ),
    Task(
        card=_card(
            "clinical_es",
            "The same clinical facts, choices and groups in Spanish.",
            n_rows=520,
            shots=("clinical_es_train", 44),
            family="pocket_clinical",
            language="es",
        ),
        to_sample=to_sample,
    ),
    Task(
        card=_card(
            "general_en",
            "General facts in English, two held-out phrasings each; all were taught to the pocket generalist.",
            n_rows=248,
            shots=("general_en_train", 32),
        ),
        to_sample=to_sample,
    ),
    Task(
        card=_card(
            "unseen_en",
            "Facts whose names occur in no training text; answers are balanced so that every pocket checkpoint stands at chance.",
            n_rows=184,
            shots=("general_en_train", 32),
        ),
        to_sample=to_sample,
    ),
    Task(
        card=_card(
            "format_en",
            "General facts that the generalist knows, meant for the format `generate` under the strict contract.",
            n_rows=110,
            shots=("general_en_train", 32),
            strict=True,
        ),
        to_sample=to_sample,
    ),
)
