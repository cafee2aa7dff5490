"""Planted questions in two languages, what each perturbation makes of them by its documentation, and what planted models then answer.

Nothing here calls a perturbation: choices are moved, dropped and added by plain loops, and seeded draws are made anew as documented.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evalsuite.seeds import derive_seed

N, N_CHOICES = 24, 4
LANGUAGES = ("en", "es")
STEMS = {
    "en": "A {age}-year-old woman has had a cough for {weeks} weeks. She takes 20 mg of omeprazole every morning. Her blood pressure is "
    "128/76 mmHg. The nurse reports that the night was quiet. Which card lies in drawer {number:04d}?",
    "es": "Una mujer de {age} años tiene tos desde hace {weeks} semanas. Toma 20 mg de omeprazol cada mañana. La tensión arterial es de "
    "128/76 mmHg. La enfermera refiere que la noche fue tranquila. ¿Qué ficha hay en el cajón {number:04d}?",
}
CARDS = {"en": "card", "es": "ficha"}
NONE_RIGHT = {"en": "None of the other choices is right.", "es": "Ninguna de las demás opciones es correcta."}
VERDICTS = {"en": ("True", "False"), "es": ("Verdadero", "Falso")}

PLUGIN = '''
"""Planted questions; written by the tests."""

from evalsuite.tasks import choice_task

TASKS = tuple(
    choice_task(
        name=f"planted_{language}", description="Planted questions.", language=language, licence="MIT", citation="-",
        file=f"{language}.jsonl", answer_kind="index0", group="group", id="id", n_rows=24,
        metric="accuracy", metrics=metrics, restricted=False,
    )
    for language, metrics in (("en", ("accuracy", "accuracy_strict")), ("es", ("accuracy",)))
)
'''


@dataclass(frozen=True, kw_only=True)
class Question:
    """A planted question."""

    id: str
    language: str
    group: str
    text: str
    choices: tuple[str, ...]
    target: int

    @property
    def right(self) -> str:
        return self.choices[self.target]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One rendition: what is listed, what is right in it, and what somebody calls right."""

    choices: tuple[str, ...]
    right: str | None
    """None: the right answer is not listed."""
    suggested: str | None = None
    first: tuple[str, ...] | None = None
    """Choices of a first turn."""
    distracts: bool = False
    """Whether a word stands in the prompt at which one of the planted models knows nothing."""


def questions(language: str) -> list[Question]:
    """Right choices stand equally often at each place; the first eight questions share groups in pairs."""
    made = []
    for number in range(N):
        text = STEMS[language].format(age=40 + number, weeks=2 + number % 7, number=number)
        choices = tuple(f"{CARDS[language]} {number:04d}-{letter}" for letter in "kmpt")
        group = f"planted:{number // 2 if number < 8 else number}"
        made.append(
            Question(id=f"q{number:04d}", language=language, group=group, text=text, choices=choices, target=(number // 2) % N_CHOICES)
        )
    return made


def write_project(folder: Path) -> Path:
    """The tasks and the sheet of right answers; returns the sheet."""
    task = folder / "tasks" / "planted"
    task.mkdir(parents=True)
    sheet = {}
    for language in LANGUAGES:
        rows = []
        for question in questions(language):
            rows.append(
                {
                    "id": question.id,
                    "group": question.group,
                    "question": question.text,
                    "options": question.choices,
                    "answer": question.target,
                }
            )
            sheet[question.text] = question.right
        (task / f"{language}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (task / "task.py").write_text(PLUGIN, encoding="utf-8")
    (folder / "sheet.json").write_text(json.dumps(sheet), encoding="utf-8")
    return folder / "sheet.json"


# --------------------------------------------------------------------------------------------- what perturbations make of a question


def same(question: Question) -> list[Shown]:
    return [Shown(choices=question.choices, right=question.right)]


def in_orders(question: Question, orders: Sequence[Sequence[int]]) -> list[Shown]:
    return [Shown(choices=tuple(question.choices[at] for at in order), right=question.right) for order in orders]


def drawn_orders(question: Question, n: int) -> list[list[int]]:
    rng = np.random.default_rng(derive_seed(0, "shuffle_choices", question.id))
    orders: list[list[int]] = []
    while len(orders) < n:
        order = rng.permutation(N_CHOICES).tolist()
        if order != [0, 1, 2, 3] and order not in orders:
            orders.append(order)
    return orders


def shifted(question: Question) -> list[Shown]:
    return in_orders(question, [[(place - shift) % N_CHOICES for place in range(N_CHOICES)] for shift in (1, 2, 3)])


def right_at(question: Question, slot: int) -> list[Shown]:
    others = [at for at in range(N_CHOICES) if at != question.target]
    return in_orders(question, [[*others[:slot], question.target, *others[slot:]]])


def none_of_the_others(question: Question) -> list[Shown]:
    none = NONE_RIGHT[question.language]
    return [Shown(choices=tuple(none if text == question.right else text for text in question.choices), right=none)]


def none_shuffled(question: Question) -> list[Shown]:
    (replaced,) = none_of_the_others(question)
    order = drawn_orders(question, 1)[0]
    return [Shown(choices=tuple(replaced.choices[at] for at in order), right=replaced.right)]


def none_added(question: Question) -> list[Shown]:
    return [Shown(choices=(*question.choices, NONE_RIGHT[question.language]), right=question.right)]


def drawn_wrong(question: Question, name: str) -> list[int]:
    drawn = sorted(range(N_CHOICES), key=lambda at: derive_seed(0, name, question.id, str(at)))
    return [at for at in drawn if at != question.target]


def one_dropped(question: Question) -> list[Shown]:
    gone = drawn_wrong(question, "drop_distractor")[0]
    return [Shown(choices=tuple(text for at, text in enumerate(question.choices) if at != gone), right=question.right)]


def called_true_or_false(question: Question) -> list[Shown]:
    verdicts = VERDICTS[question.language]
    return [Shown(choices=verdicts, right=verdicts[derive_seed(0, "true_false", "coin", question.id) % 2])]


def negated(question: Question) -> list[Shown]:
    wrong = drawn_wrong(question, "negated")[0]
    kept = sorted((wrong, question.target))
    return [Shown(choices=tuple(question.choices[at] for at in kept), right=question.choices[wrong])]


def without_right(question: Question) -> list[Shown]:
    return [Shown(choices=tuple(text for text in question.choices if text != question.right), right=None)]


def asked_twice(question: Question) -> list[Shown]:
    return [Shown(choices=question.choices, right=question.right, first=question.choices)]


def again_shuffled(question: Question) -> list[Shown]:
    return [replace(shown, first=question.choices) for shown in in_orders(question, drawn_orders(question, 1))]


def again_none(question: Question) -> list[Shown]:
    return [replace(shown, first=question.choices) for shown in none_of_the_others(question)]


def wrong_named(question: Question, plugin: str) -> str:
    wrong = [at for at in range(N_CHOICES) if at != question.target]
    return question.choices[wrong[derive_seed(0, plugin, question.id) % len(wrong)]]


def told_wrong(question: Question) -> list[Shown]:
    return [replace(shown, suggested=wrong_named(question, "suggestion")) for shown in asked_twice(question)]


def told_right(question: Question) -> list[Shown]:
    return [replace(shown, suggested=question.right) for shown in asked_twice(question)]


def claimed(question: Question) -> list[Shown]:
    return [replace(shown, suggested=wrong_named(question, "authority_claim")) for shown in same(question)]


def planted(question: Question) -> list[Shown]:
    return [replace(shown, suggested=wrong_named(question, "planted_instruction")) for shown in same(question)]


def recorded(question: Question) -> list[Shown]:
    return [replace(shown, distracts=True) for shown in same(question)]


def under_prompts(question: Question) -> list[Shown]:
    """Two system prompts, the study's own (there is none) first, times three templates."""
    return same(question) * 3 + recorded(question) * 3


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A perturbation of the planted studies."""

    entry: str
    """As in study.yaml."""
    renditions: Callable[[Question], list[Shown]] = same
    preserves: bool = True
    """Whether answers are compared choice by choice."""
    together: bool = False
    """Whether it counts for the worst case of all meaning-preserving ones."""
    contract: str = "line"
    """What is asked for in writing."""
    strategies: tuple[str, ...] = ("letters",)
    """Studies in which it stands; each has one strategy."""


LETTERS, WRITTEN, BOTH = ("letters",), ("written",), ("letters", "written")


def kept(
    entry: str, renditions: Callable[[Question], list[Shown]] = same, contract: str = "line", strategies: tuple[str, ...] = LETTERS
) -> Planned:
    """A meaning-preserving one."""
    return Planned(entry=entry, renditions=renditions, together=True, contract=contract, strategies=strategies)


PLANNED: Mapping[str, Planned] = {
    "none": Planned(entry="none", strategies=BOTH),
    "shuffled": kept("{id: shuffled, name: shuffle_choices, variants: 3}", lambda question: in_orders(question, drawn_orders(question, 3))),
    "shifted": kept("{id: shifted, name: cyclic_shift}", shifted),
    "right_first": kept("{id: right_first, name: gold_at, slot: first}", lambda question: right_at(question, 0)),
    "right_last": kept("{id: right_last, name: gold_at, slot: last}", lambda question: right_at(question, 3)),
    "numbers": kept("{id: numbers, name: labels, style: numbers}", strategies=BOTH),
    "small_letters": kept("{id: small_letters, name: labels, style: lower}"),
    "greek": kept("{id: greek, name: labels, style: greek}", strategies=WRITTEN),
    "unlabelled": kept("{id: unlabelled, name: labels, style: none}", contract="text", strategies=WRITTEN),
    "whitespace": kept("whitespace"),
    "typos": kept("typos"),
    "ocr": kept("{id: ocr, name: ocr_noise, variants: 2}", lambda question: same(question) * 2),
    "reformat": kept("reformat"),
    "irrelevant": kept("{id: irrelevant, name: irrelevant_sentence}"),
    "sentences": kept("{id: sentences, name: sentence_order}"),
    "none_right": Planned(
        entry="{id: none_right, name: none_of_the_others}", renditions=none_of_the_others, preserves=False, strategies=BOTH
    ),
    "none_added": Planned(entry="none_added", renditions=none_added, preserves=False),
    "one_dropped": Planned(entry="{id: one_dropped, name: drop_distractor}", renditions=one_dropped, preserves=False),
    "true_false": Planned(entry="true_false", renditions=called_true_or_false, preserves=False),
    "negated": Planned(entry="negated", renditions=negated, preserves=False),
    "choices_only": Planned(entry="choices_only", preserves=False),
    "shuffled_typos": Planned(
        entry="{id: shuffled_typos, name: compose, steps: [shuffle_choices, typos]}",
        renditions=lambda question: in_orders(question, drawn_orders(question, 1)),
    ),
    "none_shuffled": Planned(
        entry="{id: none_shuffled, name: compose, steps: [none_of_the_others, shuffle_choices]}", renditions=none_shuffled, preserves=False
    ),
    "sure": Planned(entry="{id: sure, name: are_you_sure}", renditions=asked_twice, strategies=BOTH),
    "again_shuffled": Planned(entry="{id: again_shuffled, name: ask_again, then: shuffle_choices}", renditions=again_shuffled),
    "again_none": Planned(
        entry="{id: again_none, name: ask_again, then: none_of_the_others}", renditions=again_none, preserves=False, strategies=BOTH
    ),
    "told_wrong": Planned(entry="{id: told_wrong, name: suggestion}", renditions=told_wrong, strategies=BOTH),
    "told_right": Planned(entry="{id: told_right, name: suggestion, by: senior, right: true}", renditions=told_right, strategies=BOTH),
    "claimed": Planned(entry="{id: claimed, name: authority_claim}", renditions=claimed),
    "planted": Planned(entry="{id: planted, name: planted_instruction}", renditions=planted),
    "look_alikes": Planned(entry="{id: look_alikes, name: unicode, kind: both}"),
    "record": Planned(entry="{id: record, name: long_record, words: 60}", renditions=recorded),
    "prompts": Planned(entry="{name: prompts, systems: 1, templates: 2}", renditions=under_prompts),
    "letter": Planned(entry="{id: letter, name: contract, form: letter}", contract="letter", strategies=WRITTEN),
    "json": Planned(entry="{id: json, name: contract, form: json}", contract="json", strategies=WRITTEN),
    "tag": Planned(entry="{id: tag, name: contract, form: tag}", contract="tag", strategies=WRITTEN),
    "words": Planned(entry="{id: words, name: contract, form: words}", contract="words", strategies=WRITTEN),
    "sentence": Planned(entry="{id: sentence, name: contract, form: sentence}", contract="sentence", strategies=WRITTEN),
    "other": Planned(entry="{id: other, name: contract, form: other_language}", contract="other", strategies=WRITTEN),
    "refuse": Planned(entry="{id: refuse, name: contract, form: refuse}", contract="refuse", strategies=WRITTEN),
    "absent": Planned(
        entry="{id: absent, name: gold_absent}", renditions=without_right, preserves=False, contract="refuse", strategies=WRITTEN
    ),
}  # fmt: skip


# ----------------------------------------------------------------------------------------------------- what planted models answer

MODELS = {"letters": ("first", "knows", "copies", "distracted"), "written": ("knows", "copies", "chatty", "json")}
"""Models of each study."""
PAIRS = {
    "letters": (("knows", "first"), ("copies", "knows"), ("distracted", "knows")),
    "written": (("chatty", "knows"), ("json", "knows"), ("json", "copies")),
}
LINES = frozenset((language, contract) for language in LANGUAGES for contract in ("line", "text"))
KEEPS = {"knows": LINES, "copies": LINES, "chatty": frozenset[tuple[str, str]](), "json": frozenset({("en", "json"), ("es", "json")})}
"""Model to the (language, contract) that its writing keeps."""
DISTRACTED_BY = "You are a physician|Eres médico|End of file|Fin de la historia"
"""What a system prompt and the end of a record say."""


def model_paths(sheet: Path) -> dict[str, str]:
    return {
        "first": "stub:first",
        "knows": f"stub:text?sheet={sheet}",
        "copies": f"stub:copies?sheet={sheet}",
        "distracted": f"stub:text?sheet={sheet}&distracted_by={DISTRACTED_BY}",
        "chatty": f"stub:text?sheet={sheet}&writes=talk",
        "json": f"stub:text?sheet={sheet}&writes=json",
    }


def study_of(strategy: str) -> str:
    """study.yaml of a strategy."""
    form = {"letters": "letters", "written": "generate"}[strategy]
    return "\n".join(
        [
            f"study: {strategy}",
            "question: Are the planted scores found?",
            f"models: [{', '.join(MODELS[strategy])}]",
            f"pairs: [{', '.join(f'[{a}, {b}]' for a, b in PAIRS[strategy])}]",
            "tasks: [planted_en, planted_es]",
            f"strategies: [{{id: {strategy}, name: zero_shot, format: {form}}}]",
            "perturbations:",
            *(f"  - {planned.entry}" for planned in PLANNED.values() if strategy in planned.strategies),
            "decoding: {max_tokens: 200}",
            "analysis: {margin: 0.2}",
            "",
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What theory says of one answer."""

    task: str
    perturbation: str
    model: str
    sample: str
    group: str
    variant: int
    shown: Shown
    answer: str
    """Text of the choice taken."""
    first: str | None
    """That of a first turn."""
    truth: str
    """Right choice of the question as the data hold it."""
    kept: bool | None
    """Whether the contract was kept; None: nothing is written."""

    @property
    def value(self) -> float:
        return float(self.answer == self.shown.right)

    @property
    def strict(self) -> float:
        return self.value * bool(self.kept)


def taken(model: str, question: Question, choices: Sequence[str], shown: Shown, *, first_turn: bool = False) -> str:
    """The choice that a model takes among those that are listed."""
    if model == "copies" and shown.suggested is not None and not first_turn:
        return shown.suggested
    knows = model != "first" and not (model == "distracted" and shown.distracts)
    return question.right if knows and question.right in choices else choices[0]


def expected(strategy: str) -> Iterator[Expected]:
    """Every answer of a study."""
    for question in (each for language in LANGUAGES for each in questions(language)):
        for name, planned in PLANNED.items():
            renditions = planned.renditions(question) if strategy in planned.strategies else []
            for variant, shown in enumerate(renditions):
                for model in MODELS[strategy]:
                    answer = taken(model, question, shown.choices, shown)
                    if name == "again_none" and model != "first":
                        # The first turn listed the right text, under the label at which the second one says that none is right.
                        answer = shown.choices[question.target]
                    yield Expected(
                        task=f"planted_{question.language}", perturbation=name, model=model, sample=question.id, group=question.group,
                        variant=variant, shown=shown, answer=answer, truth=question.right,
                        first=None if shown.first is None else taken(model, question, shown.first, shown, first_turn=True),
                        kept=(question.language, planned.contract) in KEEPS[model] if strategy == "written" else None,
                    )  # fmt: skip
