"""HEAD-QA: Spanish examinations for access to specialised health training, in Spanish and in English translation.

Two readings: the question itself (`headqa_en`, `headqa_es`), and which of the six examinations it is from (`headqa_area_*`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from evalsuite.formats import default_wording
from evalsuite.tasks import Row, Split, Task, TaskCard, read_key
from evalsuite.types import Excluded, Sample

SYMBOLS = {
    "\uf02d": "\u2212",
    "\uf044": "\u0394",
    "\uf061": "\u03b1",
    "\uf062": "\u03b2",
    "\uf067": "\u03b3",
    "\uf06d": "\u03bc",
    "\uf07a": "\u03b6",
    "\uf0ab": "\u2194",
    "\uf0b0": "\u00b0",
    "\uf0b1": "\u00b1",
    "\uf0bb": "\u2248",
    "\uf0e0": "\u2192",
    "\u200b": "",
}
"""Private-use characters that Word writes for symbol fonts: U+F000 + the byte in Adobe's Symbol encoding (unicode.org,
VENDORS/ADOBE/symbol.txt). U+F0E0 stands between reactants in one question only and is Word's arrow from Wingdings (Symbol's own 0xE0
is a lozenge). The zero-width space is dropped."""

UNICODE_OF = str.maketrans(SYMBOLS)
DOUBTFUL_EXAM = "2017_M"
AREAS = ("biology", "nursery", "pharmacology", "medicine", "psychology", "chemistry")
AREA_NAMES = {
    "en": ("Biology", "Nursing", "Pharmacology", "Medicine", "Psychology", "Chemistry"),
    "es": ("Biología", "Enfermería", "Farmacología", "Medicina", "Psicología", "Química"),
}
LANGUAGES = {"en": "English", "es": "Spanish"}

REPEATED = {
    "2013_Q:137": "2013_F:145",
    "2013_Q:124": "2013_F:146",
    "2014_Q:167": "2013_Q:222",
    "2014_Q:150": "2014_F:142",
    "2014_Q:166": "2014_F:154",
    "2014_Q:128": "2014_F:156",
    "2015_Q:164": "2015_F:151",
    "2016_B:164": "2015_B:175",
    "2016_E:193": "2015_E:212",
    "2016_Q:213": "2015_Q:221",
    "2017_B:202": "2015_B:172",
    "2017_Q:106": "2016_Q:114",
}
"""Questions that a later examination repeats with the same options (in the English text): they share the group of the earlier one."""


def clean(text: str) -> str:
    """Text with the symbol font's characters as Unicode has them."""
    return text.translate(UNICODE_OF).strip()


def name_of(row: Row) -> str:
    """Short name of a question, e.g. `2017_M:64`; the number in the examination's name is always 1."""
    exam = re.fullmatch(r"Cuaderno_(20\d\d)_1_([BEFMPQ])", row["name"])
    if not exam:
        raise ValueError("name is not Cuaderno_<year>_1_<letter>")
    return f"{exam[1]}_{exam[2]}:{int(row['qid'])}"


def read(row: Row, language: str) -> Sample | Excluded:
    """The question with its options; no key yet."""
    name = name_of(row)
    if row["image"]:
        return Excluded(reason="image_missing", sample_id=name)
    question, choices = clean(row["qtext"]), tuple(clean(answer["atext"]) for answer in row["answers"])
    unmapped = any("\ue000" <= character <= "\uf8ff" for text in (question, *choices) for character in text)
    return Sample(
        id=name,
        group=f"headqa:{REPEATED.get(name, name)}",
        question=question,
        choices=choices,
        language=language,
        tags=("symbol_unmapped",) if unmapped else (),
        metadata={"year": str(row["year"]), "area": row["category"]},
    )


def answering(language: str) -> Callable[[Row, int], Sample | Excluded]:
    """Rows as questions with their options."""

    def to_sample(row: Row, number: int) -> Sample | Excluded:
        sample = read(row, language)
        if isinstance(sample, Excluded):
            return sample
        if [int(answer["aid"]) for answer in row["answers"]] != list(range(1, len(sample.choices) + 1)):
            raise ValueError("the options are not numbered 1, 2, 3, ...")
        doubtful = ("key_doubtful",) if sample.id.startswith(f"{DOUBTFUL_EXAM}:") else ()
        target = read_key(row["ra"], "index1", (), sample.choices)
        return replace(sample, targets=(target,), tags=(*sample.tags, *doubtful))

    return to_sample


def sorting(language: str) -> Callable[[Row, int], Sample | Excluded]:
    """Rows as questions, options included, that are to be sorted into the six examinations."""

    def to_sample(row: Row, number: int) -> Sample | Excluded:
        sample = read(row, language)
        if isinstance(sample, Excluded):
            return sample
        if row["category"] not in AREAS:
            raise ValueError("category is none of the six examinations")
        # Many stems ("Mark the false answer") say nothing alone; dashes, so that the options are not taken for the labels.
        text = "\n".join((sample.question, *(f"- {choice}" for choice in sample.choices)))
        return replace(
            sample,
            question=text,
            choices=AREA_NAMES[language],
            targets=(AREAS.index(row["category"]),),
            metadata={"year": str(row["year"])},
        )

    return to_sample


ISSUES = {
    "image_missing": "The question points to an image that the data set does not ship; left out (68 train, 30 dev, 67 test).",
    "symbol_font": "The training examinations hold characters of a symbol font in the private-use area; they are mapped to Unicode.",
    "symbol_unmapped": "A private-use character has no known meaning and is shown as it is.",
    "five_options_in_train": "train (2013, 2014) has 5 options, dev and test 4: exemplars come from dev, or they would show a letter E. "
    "dev itself is evaluated with exemplars from train.",
    "repeated_questions": "12 questions come back with the same options in a later examination (5 times one of dev or test in test); "
    "they share a group, so that none is exemplar and sample at once.",
}
KEY_ISSUE = (
    "The key of the 2017 medicine examination looks wrong: of 49 of its questions that CasiMedicos also holds it agrees on 17, which is "
    "chance (2013: 54 of 60; 2015: 107 of 120); question 64 makes Mycoplasma the commonest agent of childhood pneumonia, 65 denies "
    "that echinocandins inhibit glucan synthase. Report results with and without these 196 samples."
)
CITATION = (
    "Vilares and Gómez-Rodríguez 2019, HEAD-QA: A Healthcare Dataset for Complex Reasoning, ACL, arXiv:1906.04701, github.com/aghie/head-qa"
)


def splits(doubtful: bool, duplicates: Mapping[str, int]) -> dict[str, Split]:
    """The three splits; tags as counted after the exclusion of images."""
    tags: dict[str, dict[str, int]] = {"train": {}, "dev": {}, "test": {"key_doubtful": 196} if doubtful else {}}
    for split, n in duplicates.items():
        tags[split]["duplicate_choices"] = n
    sizes = {"test": (2742, 67, "test"), "train": (2657, 68, "train"), "dev": (1366, 30, "validation")}
    return {
        name: Split(n_rows=n, excluded={"image_missing": n_images}, tagged=tags[name], hub_split=hub_split)
        for name, (n, n_images, hub_split) in sizes.items()
    }


def card(name: str, language: str, **own: Any) -> TaskCard:
    """What the four cards have in common."""
    values: dict[str, Any] = {
        "name": name,
        "language": language,
        "licence": "MIT",
        "citation": CITATION,
        "split": "test",
        "exemplar_split": "dev",
        "exemplar_splits": {"dev": "train"},
        "aliases": (f"headqa_{language}",) if name != f"headqa_{language}" else (),
        "hub_id": "EleutherAI/headqa",
        "hub_config": language,
        "family": "headqa",
        "get_data": f"the hub's EleutherAI/headqa ({language}), or the archive that github.com/aghie/head-qa links to, a question per line",
    }
    return TaskCard(**(values | own))


def answer_card(language: str, duplicates: Mapping[str, int]) -> TaskCard:
    """Card of `headqa_<language>`."""
    issues = ISSUES | {"key_doubtful": KEY_ISSUE, "duplicate_choices": "Two options of a question are equal in this language."}
    if language == "en":
        issues["translated"] = "The English text was translated from the Spanish by machine."
    return card(
        f"headqa_{language}",
        language,
        kind="choice",
        description=f"Questions of the Spanish specialty examinations in six health areas, in {LANGUAGES[language]}, one option right.",
        splits=splits(True, duplicates),
        metric="accuracy",
        metrics=("accuracy",),
        chance=0.25,
        known_issues=issues,
    )


def area_card(language: str) -> TaskCard:
    """Card of `headqa_area_<language>`."""
    instruction = {
        "en": "Say for each examination question which of the six examinations it is from.",
        "es": "Indica de cuál de los seis exámenes procede cada pregunta.",
    }
    return card(
        f"headqa_area_{language}",
        language,
        kind="labels",
        description=f"Which of six specialty examinations a question (shown with its options, in {LANGUAGES[language]}) is from.",
        splits=splits(False, {}),
        metric="macro_f1",
        metrics=("macro_f1", "accuracy"),
        # The six classes are nearly of one size (396 to 458 of 2,675).
        chance=1 / 6,
        known_issues=ISSUES | {"our_reading": "The sorting task is ours, made from the field `category`; there is no published result."},
        wording=replace(default_wording(language), instruction=instruction[language]),
    )


TASKS = (
    Task(card=answer_card("en", {"train": 4, "dev": 2}), to_sample=answering("en")),
    Task(card=answer_card("es", {"train": 1, "dev": 1}), to_sample=answering("es")),
    Task(card=area_card("en"), to_sample=sorting("en")),
    Task(card=area_card("es"), to_sample=sorting("es")),
)
