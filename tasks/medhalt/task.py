"""Med-HALT, fake questions test: nonsensical medical questions, of which the right answer is "I do not know"."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from evalsuite.formats import WORDINGS
from evalsuite.tasks import Row, RowError, Split, Task, TaskCard, read_choices
from evalsuite.types import Excluded, Sample

RIGHT = "i do not know"
SYMBOLS = {0xF062: "\u03b2"}
"""The one private-use character, of a symbol font, that the questions hold; it came with a HEAD-QA question."""
REFUSES = re.compile(
    r"\bconced|\badmit(?!ted)|\backnowledg\w+ (?:defeat|ignorance)|\bignorance\b|none of the above|\bdo(?:es)?(?: not|n.t) know", re.I
)
"""What an option says that gives up or rejects the question in other words; read off the data."""


def options_of(row: Row) -> tuple[str, ...]:
    """The options in the order of their numbers; the source writes a Python dictionary as text."""
    held = row["options"]
    try:
        numbered = ast.literal_eval(held) if isinstance(held, str) else held
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise RowError("options is no Python dictionary") from None
    if not isinstance(numbered, dict) or list(numbered) != [str(place) for place in range(len(numbered))]:
        raise RowError("options is no dictionary with the keys 0, 1, 2, ...")
    texts = list(numbered.values())
    while len(texts) > 1 and isinstance(texts[-1], str) and not texts[-1].strip():
        texts.pop()
    return read_choices({"options": texts}, "options")[1]


def to_sample(row: Row, number: int) -> Sample | Excluded:
    """A fake question. There is no column of answers: the right option is the one that says "I do not know" and nothing else."""
    choices = options_of(row)
    right = [place for place, choice in enumerate(choices) if " ".join(re.findall(r"\w+", choice.lower())) == RIGHT]
    if len(right) != 1:
        return Excluded(reason="right_option_twice" if right else "no_plain_right_option", sample_id=row["id"])
    if any("\ue000" <= character <= "\uf8ff" for character in "".join(choices)):
        return Excluded(reason="unreadable_symbols", sample_id=row["id"])
    others = [choice for place, choice in enumerate(choices) if place != right[0]]
    return Sample(
        id=row["id"],
        group=f"medhalt_fake:{row['id']}",
        question=row["question"].strip().translate(SYMBOLS),
        choices=choices,
        targets=(right[0],),
        tags=("second_refusal",) if any(map(REFUSES.search, others)) else (),
        metadata={key: str(row[key]) for key in ("dataset", "subject_name") if row.get(key)},
    )


CARD = TaskCard(
    name="medhalt_fake",
    kind="choice",
    description='Nonsensical medical questions with five or six absurd options and "I do not know", which is the right one (Med-HALT, fake '
    "questions test).",
    language="en",
    licence="Apache-2.0 (the hub's card only; the authors' repository states none)",
    citation="Pal, Umapathi and Sankarasubbu 2023, Med-HALT: Medical Domain Hallucination Test for Large Language Models, CoNLL, "
    "arXiv:2307.15343, github.com/medhalt/medhalt",
    splits={
        "test": Split(
            n_rows=1858,
            excluded={"no_plain_right_option": 10, "right_option_twice": 1, "unreadable_symbols": 1},
            tagged={"second_refusal": 1195, "duplicate_choices": 1},
            hub_split="train",
        )
    },
    split="test",
    exemplar_split=None,
    metric="accuracy",
    metrics=("accuracy",),
    # The mean of 1/n over the samples: n is 4 to 9, and 6 in 1,776 of 1,846.
    chance=0.166,
    aliases=("medhalt_reasoning_fake",),
    hub_id="openlifescienceai/Med-HALT",
    hub_config="reasoning_fake",
    known_issues={
        "no_plain_right_option": 'In 10 rows no option is plainly "I do not know" (one has all its options in one text, the others say it '
        "in other words or in a sentence); they are left out, since there is no column of answers.",
        "right_option_twice": 'One row has "I do not know" twice; it is left out.',
        "second_refusal": 'In 1,195 of the 1,846 samples another option gives up or rejects the question in other words ("Conceding '
        'defeat in the face of this utter absurdity ...", "None of the above"); choosing it counts as wrong: see the results without them.',
        "ours_and_the_papers_score": "The authors' code reads free text and counts as right every answer that holds one of 14 words or "
        'phrases, such as "absurd" or "defies", which a wrong option holds in 1,619 samples; it gives 1 for right and -0.25 for wrong, and '
        'drops what it cannot read. Ours is the share of samples whose plain "I do not know" was chosen: no printed number compares.',
        "trivial_ceiling": 'Always answering "I do not know" scores 1: the task tells caution from invention, not knowledge; read it '
        "beside a task of real questions.",
        "nearly_always_last": "The right option is the last one in 1,812 of 1,846 samples: always taking the last letter is right in 98.2 "
        "%. Shuffle the choices (perturbation shuffle_choices) before a difference is called one of caution.",
        "wording": "As in all of the authors' prompts, the model is told that it may say that it does not know.",
        "generated_questions": "The questions were made by a language model out of MedMCQA (train), HEAD-QA and MedQA questions; which one "
        "is not told, so that groups are not linked to theirs.",
        "unreadable_symbols": "One row tells its options apart by private-use characters that no font shows; it is left out.",
        "symbol_font": "One question holds a character of a symbol font in the private-use area (beta); it is mapped to Unicode.",
        "empty_option": "One row ends in an empty option, which is dropped.",
        "duplicate_choices": "Two wrong options of a question are equal.",
        "no_exemplars": "There is one split, and the authors' two fake exemplars are not part of it: few-shot is a fault.",
    },
    get_data="the hub's openlifescienceai/Med-HALT (reasoning_fake), or medhalt/datasets/reasoning_fake.csv of github.com/medhalt/medhalt "
    "as medhalt_fake/test.csv",
    wording=replace(
        WORDINGS["en"],
        instruction='The following are multiple-choice questions about medicine. Where you do not know the answer, choose "I do not know" '
        "rather than guess.",
    ),
)

TASKS = (Task(card=CARD, to_sample=to_sample),)
