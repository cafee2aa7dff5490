"""FrenchMedMCQA: questions of the French specialisation diploma in pharmacy, five options, one to five of them right."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from evalsuite.formats import several_wording
from evalsuite.tasks import Row, RowError, Split, Task, TaskCard
from evalsuite.types import Sample

LETTERS = "abcde"
# What a word processor leaves of a picture, and a character of its own.
DEBRIS = re.compile("[\ufffc\uf8e8]")


def tidy(text: str) -> str:
    """Text in NFC (181 training rows hold combining accents) with single plain blanks, without debris."""
    return " ".join(DEBRIS.sub("", unicodedata.normalize("NFC", text)).split())


def words(text: str) -> str:
    """Words of a text, by which two questions are compared."""
    return re.sub(r"\W+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def to_sample(row: Row, number: int) -> Sample:
    """A row of the authors' files, or of the hub, whose loader has a column for each option and codes letters as numbers from 0.

    Ids are the number and the beginning of the source's own, one of which stands twice.
    """
    options = row["answers"] if "answers" in row else {letter: row[f"answer_{letter}"] for letter in LETTERS}
    if sorted(options) != list(LETTERS):
        raise RowError("the options are not lettered a to e")
    # Not `values()`: one training row holds them in another order.
    choices = tuple(tidy(options[letter]) for letter in LETTERS)
    right = tuple(LETTERS.index(key) if isinstance(key, str) else int(key) for key in row["correct_answers"])
    if row.get("nbr_correct_answers", len(right)) != len(right):
        raise RowError("nbr_correct_answers is not the number of correct_answers")
    stem = tidy(row["question"])
    asked = "\n".join([words(stem), *sorted(map(words, choices))])
    return Sample(
        id=f"{number:04d}-{row['id'][:8]}",
        group=f"frenchmedmcqa:{hashlib.sha256(asked.encode()).hexdigest()[:12]}",
        question=stem,
        choices=choices,
        targets=tuple(sorted(right)),
        language="fr",
        metadata={"n_right": str(len(right))},
    )


CARD = TaskCard(
    name="frenchmedmcqa",
    kind="choice",
    description="Questions of the French specialisation diploma in pharmacy, five options, of which one to five are right; how many is "
    "not told, and all of them must be named.",
    language="fr",
    licence="Apache-2.0",
    citation="Labrak et al. 2022, FrenchMedMCQA: A French Multiple-Choice Question Answering Dataset for Medical domain, LOUHI 2022, "
    "aclanthology.org/2022.louhi-1.5, github.com/qanastek/FrenchMedMCQA",
    splits={
        "test": Split(n_rows=622, hub_split="test"),
        "dev": Split(n_rows=312, hub_split="validation"),
        "train": Split(n_rows=2171, tagged={"duplicate_choices": 1}, hub_split="train"),
    },
    split="test",
    exemplar_split="train",
    metric="accuracy",
    metrics=("accuracy", "hamming", "accuracy_strict"),
    # One guess among the 31 sets that are not empty.
    chance=1 / 31,
    hub_id="qanastek/frenchmedmcqa",
    known_issues={
        "several_right": "301 of the 622 test questions have several right options (97 two, 141 three, 56 four, 7 five), in train 1,576 of "
        "2,171: always naming one option cannot be right in more than 52 % of the test.",
        "letters_and_cloze": "The likeliest option is no set of options: `letters` and `cloze` are refused.",
        "exact_match_ratio": "`accuracy` is the paper's exact match ratio, `hamming` its Hamming score.",
        "duplicate_choices": "One training question holds an option twice.",
        "repeated_questions": "Five questions stand twice in train (one as the same row); one of test and one of dev also stand in train "
        "and are kept out of the exemplars by their group; a few more are reworded, with the same options, and are not.",
        "hub_coding": "The hub's loader, a script that `datasets` 4 refuses, codes right answers as class numbers from 0 and their "
        "count as a class, too (0 for one).",
        "debris": "Three training questions hold marks of pictures or a private-use character; they are removed.",
    },
    get_data="{train,dev,test}.json of github.com/qanastek/FrenchMedMCQA (corpus/) as JSON lines",
    wording=several_wording("fr"),
)

TASKS = (Task(card=CARD, to_sample=to_sample),)
