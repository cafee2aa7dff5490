"""CasiMedicos: questions of the Spanish medical residency examination (MIR) that doctors have commented."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from evalsuite.tasks import Row, RowError, Split, Task, TaskCard, read_choices, read_key, stem_name
from evalsuite.types import Sample

LANGUAGES = {"en": "English", "es": "Spanish", "fr": "French"}
with Path(__file__).with_name("groups.csv").open(encoding="utf-8", newline="") as _file:
    GROUPS = {row["stem"]: (row["group"], row["disputed"] == "yes") for row in csv.DictReader(_file)}
"""English stem (hash) to its group and whether its key is disputed, for questions of the local files that stand there more than once, or
in HEAD-QA too. The translations differ, so that words were compared, not texts; tests/contract/test_tasks.py finds the same table."""


def group_of(row: Row, stem: str) -> tuple[str, bool]:
    """(group, whether the key is disputed): by examination and number where the row has them, so that the languages meet; else by stem."""
    if row.get("year") and row.get("question_id_specific"):
        return f"casimedicos:{row['year']}:{row['question_id_specific']}", False
    name = stem_name(stem)
    return GROUPS.get(name, (f"casimedicos:{name}", False))


def reader(language: str) -> Callable[[Row, int], Sample]:
    """Rows of the hub, or of the local files, which have its field names but no examination."""

    def to_sample(row: Row, number: int) -> Sample:
        if str(row.get("lang") or language) != language:
            raise RowError(f"the row is not in the language {language}")
        stem = row["full_question"].strip()
        # A fifth option that the examination did not have is null, or NaN in the hub's raw files.
        given = {key: text for key, text in row["options"].items() if isinstance(text, str)}
        numbers, choices = read_choices({"options": given}, "options")
        if list(numbers) != [str(place) for place in range(1, len(choices) + 1)]:
            raise RowError("the options are not numbered 1, 2, 3, ...")
        group, disputed = group_of(row, stem)
        return Sample(
            id=str(row["id"]),
            group=group,
            question=stem,
            choices=choices,
            targets=(read_key(row["correct_option"], "index1", (), choices),),
            language=language,
            tags=("key_disputed",) if disputed else (),
            metadata={key: str(row[key]) for key in ("type", "year") if row.get(key)},
        )

    return to_sample


def splits(language: str) -> dict[str, Split]:
    """The hub's splits in every language; in English also the local files, which hold a part of the questions."""
    hub = {
        "test": Split(n_rows=125, hub_split="test", counted=False),
        "validation": Split(n_rows=63, hub_split="validation", counted=False),
        "train_all": Split(n_rows=434, hub_split="train", counted=False),
    }
    if language != "en":
        return hub
    return hub | {
        "dev": Split(n_rows=55, tagged={"key_disputed": 2}),
        "train": Split(n_rows=381, tagged={"key_disputed": 15, "duplicate_choices": 1}),
    }


def issues(language: str) -> dict[str, str]:
    """Known issues of a language."""
    found = {
        "explanations_left_out": "Explanations are written by doctors and often name the right option; they are read into no sample.",
        "two_commentators": "A question that two doctors have commented stands twice, also in two splits. On the hub such rows share a "
        "group by examination and number; the local files have neither, and words were compared.",
        "four_or_five_options": "Questions have four or five options (in the local files 237 and 199 of 436): chance is the mean of 1/n.",
        "hub_not_in_hand": "The hub's splits (test 125, validation 63, train 434, here `train_all`) were not in hand when the card was "
        "written: repeated options there are tagged, not counted.",
        "duplicate_choices": "Two options of a question are equal.",
        "partly_headqa": "Questions of the examinations of 2013 to 2017 stand in HEAD-QA too, in another English translation. Rows of the "
        "hub are not linked to it: never pool them with HEAD-QA.",
    }
    if language != "en":
        return found
    return found | {
        "partly_headqa": "182 of the 436 local rows (21 of dev) are questions of HEAD-QA (medicine 2013, 2014, 2015, 2017) in another "
        "translation, and bear its group. Rows of the hub are not linked: never pool them with HEAD-QA.",
        "key_disputed": "HEAD-QA (but for its doubtful examination of 2017), or another row of the question, has another key: 2 of dev, 15 "
        "of train. Some keys are the commentator's own.",
        "shared_between_splits": "13 questions of dev stand in train too: 20 rows of train are no exemplars when dev is evaluated. "
        "The 436 local rows are 377 questions.",
        "local_part": "`train` and `dev` are the 436 questions of the argument-annotated release, put together from its tokens, without "
        "the test split; how `dev` and the hub's validation overlap is not known.",
    }


def card(language: str) -> TaskCard:
    """Card of `casimedicos_<language>`."""
    return TaskCard(
        name=f"casimedicos_{language}",
        kind="choice",
        description=f"Questions of the Spanish medical residency examination (MIR), mostly cases, in {LANGUAGES[language]}.",
        language=language,
        licence="CC BY 4.0 (the authors' README and the hub's card; the LICENSE file of the repository is CC0 1.0)",
        citation="Agerri et al. 2023, HiTZ@Antidote: Argumentation-driven Explainable Artificial Intelligence for Digital Medicine, SEPLN, "
        "arXiv:2306.06029; Goenaga et al. 2023, Explanatory Argument Extraction of Correct Answers in Resident Medical Exams, "
        "arXiv:2312.00567, github.com/ixa-ehu/antidote-casimedicos",
        splits=splits(language),
        split="test",
        exemplar_split="train_all",
        exemplar_splits={"dev": "train"} if language == "en" else {},
        metric="accuracy",
        metrics=("accuracy",),
        # Of the local rows, where 237 questions have four options and 199 five; the hub's share is not known.
        chance=0.227,
        hub_id="HiTZ/casimedicos-exp",
        hub_config=language,
        family="headqa",
        known_issues=issues(language),
        get_data=f"the hub's HiTZ/casimedicos-exp ({language}) for test, validation and train (as train_all)"
        + ("; dev and train: casimedicos-arg.tar.gz of github.com/ixa-ehu/antidote-casimedicos" if language == "en" else ""),
    )


TASKS = tuple(Task(card=card(language), to_sample=reader(language)) for language in LANGUAGES)
