"""What holds for every perturbation, over every multiple-choice task that is at hand and over generated samples.

What each may do stands in `perturbation_promises.PROMISES`. The right answer is worked out here once more from the original sample, by
reading what is shown, and never taken from the perturbation.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite import formats
from evalsuite.contracts import CONTRACTS
from evalsuite.contracts.refuse import TEXTS
from evalsuite.data import load_split
from evalsuite.errors import UserError
from evalsuite.perturbations.base import Refusal
from evalsuite.perturbations.parts.none_right import NONE_RIGHT, NOT_KNOWN
from evalsuite.tasks import find_tasks
from evalsuite.types import Manner, Sample
from tests.contract.perturbation_promises import (
    ABSTRACT,
    CHOICES,
    PROMISES,
    SPECS,
    VIGNETTE,
    Promise,
    built,
    digests,
    fixed_samples,
    label_of,
    preserved,
)

EACH = pytest.mark.parametrize(("name", "promise"), PROMISES, ids=[label_of(name, promise) for name, promise in PROMISES])
MAPS = {label_of(name, promise): built(name, promise) for name, promise in PROMISES}
WORD = re.compile(r"\w+|[^\w\s]")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SEVERAL_MAY_BE_RIGHT = frozenset({
    "none", "shuffle_choices", "cyclic_shift", "labels", "whitespace", "typos", "ocr_noise", "reformat", "irrelevant_sentence",
    "sentence_order", "without_evidence", "prompts", "unicode", "long_record", "compose",
})  # fmt: skip
"""Plugins that follow every right choice of a sample."""


@contextmanager
def said_of(name: str, promise: Promise) -> Iterator[None]:
    """A failure within says of which entry."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"perturbation: {label_of(name, promise)}")
        raise


def applied(name: str, promise: Promise, sample: Sample, seed: int = 3) -> tuple[Sample, ...] | Refusal:
    return MAPS[label_of(name, promise)](sample, seed)


# What a variant must be


def check(name: str, promise: Promise, sample: Sample, made: tuple[Sample, ...] | Refusal) -> None:
    """Everything that holds for what a perturbation made of a sample with one right choice."""
    if isinstance(made, Refusal):
        assert made.reason
        assert not any(choice in made.reason for choice in sample.choices if len(choice) > 12)
        assert sample.question not in made.reason
        return
    assert made
    assert [variant.variant for variant in made] == list(range(len(made)))
    for variant in made:
        check_frame(sample, variant)
        check_stem(promise, sample, variant)
        check_choices(promise, sample, variant)
        assert len(variant.targets) == 1
        right = variant.targets[0]
        if preserved(name, promise):
            assert variant.original_index(right) == sample.targets[0]
            assert variant.choices[right] == sample.choices[sample.targets[0]]
        else:
            assert right_by_reading(name, sample, variant) == right


def check_frame(sample: Sample, variant: Sample) -> None:
    """Names, orders, labels and dialogue fit together, and the sample can be laid out."""
    for field in ("id", "group", "language", "tags", "references", "quantity"):
        assert getattr(variant, field) == getattr(sample, field)
    assert set(variant.metadata.items()) <= set(sample.metadata.items())
    n = len(variant.choices)
    assert len(variant.order) in (0, n)
    assert len(variant.labels) in (0, n)
    labels = formats.labels_of(variant)
    assert len(set(labels)) == n or not any(labels)
    assert 0 <= variant.n_unlisted < n
    assert variant.suggested is None or 0 <= variant.suggested < n - variant.n_unlisted
    originals = [variant.original_index(shown) for shown in range(n)]
    known = [index for index in originals if index >= 0]
    assert len(set(known)) == len(known)
    assert all(variant.choices[shown] == sample.choices[index] for shown, index in enumerate(originals) if index >= 0)
    if variant.dialogue is not None:
        assert variant.dialogue.first == replace(sample, variant=0)
        assert variant.dialogue.said.strip()
    manner = variant.manner or Manner()
    wording = formats.default_wording(sample.language)
    if manner.contract:
        wording = replace(wording, output=CONTRACTS[manner.contract])
    shown = formats.lay_out(variant, "generate", wording).user
    assert all(choice in shown for choice in variant.choices[: n - variant.n_unlisted])
    assert variant.question in shown


def check_stem(promise: Promise, sample: Sample, variant: Sample) -> None:
    """The passage and the stem are what is promised."""
    before, after = (f"{one.context}\n{one.question}" for one in (sample, variant))
    if promise.stem == "kept":
        assert before == after
    elif promise.stem == "numbers":
        assert Counter(NUMBER.findall(after)) == Counter(NUMBER.findall(before))
    elif promise.stem == "contained":
        assert stands_in(WORD.findall(before), iter(WORD.findall(after)))
    elif promise.stem == "shortened":
        assert len(after) < len(before)
        assert stands_in(WORD.findall(after), iter(WORD.findall(before)))


def stands_in(words: list[str], among: Iterator[str]) -> bool:
    """Whether words come one after the other among others."""
    return all(word in among for word in words)


def check_choices(promise: Promise, sample: Sample, variant: Sample) -> None:
    """The choices are what is promised; a choice is new only where that is."""
    n, before, after = len(sample.choices), list(sample.choices), list(variant.choices)
    order = [variant.original_index(shown) for shown in range(len(after))]
    new = order.count(-1)
    if promise.choices == "kept":
        assert (after, order) == (before, list(range(n)))
    elif promise.choices == "moved":
        assert sorted(order) == list(range(n))
    elif promise.choices == "fewer":
        assert 2 <= len(after) < n or (n == 2 and len(after) == 2)
        assert new == 0
        assert order == sorted(order)
    elif promise.choices == "one replaced":
        assert (len(after), new) == (n, 1)
    elif promise.choices == "one added":
        assert (order[-1], new) == (-1, 1)
    elif promise.choices == "right one unlisted":
        assert (len(after), new, variant.n_unlisted) == (n, 1, 1)
    else:
        assert order == [-1, -1]


# What is right, by reading what is shown


def right_by_reading(name: str, sample: Sample, variant: Sample) -> int:
    """Shown position of the right choice, found by the texts alone."""
    truth = sample.choices[sample.targets[0]]
    texts = list(variant.choices)
    if name == "none_of_the_others":
        assert truth not in texts
        return texts.index(NONE_RIGHT[sample.language])
    if name == "gold_absent":
        assert truth not in texts
        return texts.index(TEXTS[sample.language])
    if name == "true_false":
        lines = variant.question.split("\n")
        proposed = lines[-2].split(": ", 1)[1]
        assert proposed in sample.choices
        return texts.index({"en": ("True", "False"), "es": ("Verdadero", "Falso")}[sample.language][proposed != truth])
    if name == "negated":
        assert len(texts) == 2
        return 1 - texts.index(truth)
    if name == "none_added":
        assert {NONE_RIGHT[sample.language], NOT_KNOWN[sample.language]} & set(texts)
    return texts.index(truth)


# Samples

QUESTIONS = {
    "en": (
        "Which is the most likely diagnosis?",
        "Which of the following is NOT a cause?",
        "The dose of paracetamol is:",
        "What is given?",
    ),
    "es": (
        "¿Cuál es el diagnóstico más probable?",
        "Señale la respuesta INCORRECTA:",
        "La dosis de paracetamol es:",
        "¿Qué se administra?",
    ),
}
TELLING = {
    "en": (
        "Her haemoglobin is 9.8 g/dL.",
        "He takes 1,000 mg of metformin.",
        "She has had a fever of 38.5 °C for 2 days.",
        "The pulse is 110.",
    ),
    "es": (
        "La hemoglobina es de 9,8 g/dl.",
        "Toma 1.000 mg de metformina.",
        "Tiene fiebre de 38,5 °C desde hace 2 días.",
        "El pulso es de 110.",
    ),
}
REFERRING = {"en": ("Both A and B", "All of the above", "None of these"), "es": ("A y B", "Todas las anteriores", "Ninguna es correcta")}


@st.composite
def samples(draw: st.DrawFn, languages: tuple[str, ...] = ("en", "es")) -> Sample:
    """A question with one right choice among two to six, in its original order; nothing of it is unusual but perhaps a referring choice."""
    language = draw(st.sampled_from(languages))
    own = language if language in VIGNETTE else "es"
    told = draw(st.lists(st.sampled_from(TELLING[own]), max_size=4, unique=True))
    head = draw(st.sampled_from(["", VIGNETTE[own].rsplit(". ", 1)[0] + "."]))
    question = " ".join(filter(None, [head, *told, draw(st.sampled_from(QUESTIONS[own]))]))
    pool = (*CHOICES[own], "10 mg/kg", "Streptococcus pneumoniae", "Vitamina D, 800 UI", "No treatment")
    choices = draw(st.lists(st.sampled_from(pool), min_size=2, max_size=6, unique=True))
    if draw(st.integers(0, 5)) == 0:
        choices.append(draw(st.sampled_from(REFERRING[own])))
    return Sample(
        id=draw(st.text(min_size=1, max_size=6)),
        group="g",
        question=question,
        context=draw(st.sampled_from(["", "", ABSTRACT])),
        choices=tuple(choices),
        targets=(draw(st.integers(0, len(choices) - 1)),),
        language=language,
        tags=("key_doubtful",) if draw(st.booleans()) else (),
        metadata={"year": "2017"},
    )


@cache
def tasks_at_hand() -> dict[str, tuple[Sample, ...]]:
    """Some samples of every task of choices whose data are here, spread over its split."""
    found = {}
    for name, task in find_tasks().items():
        if task.card.kind not in ("choice", "labels"):
            continue
        try:
            data = load_split(task, task.card.split, {}).samples
        except UserError:
            continue
        found[name] = tuple(data[:: max(1, len(data) // 12)])
    return found


# The suite


def test_every_plugin_says_what_it_promises() -> None:
    assert {name for name, _ in PROMISES} == set(SPECS)
    assert len({label_of(name, promise) for name, promise in PROMISES}) == len(PROMISES)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples(), seed=st.integers(0, 2**40))
def test_one_right_answer_remains_and_it_is_the_computed_one(sample: Sample, seed: int) -> None:
    before = replace(sample, metadata=dict(sample.metadata))
    for name, promise in PROMISES:
        with said_of(name, promise):
            made = applied(name, promise, sample, seed)
            check(name, promise, sample, made)
            assert sample == before
            assert applied(name, promise, sample, seed) == made


@EACH
def test_the_same_holds_on_every_task_at_hand(name: str, promise: Promise) -> None:
    assert {"pocket_clinical_en", "pocket_clinical_es", "pocket_format_en"} <= set(tasks_at_hand())
    for task, held in tasks_at_hand().items():
        made = [applied(name, promise, sample) for sample in held]
        for sample, one in zip(held, made, strict=True):
            check(name, promise, sample, one)
        if name != "without_evidence":
            refused = [one.reason for one in made if isinstance(one, Refusal)]
            assert len(refused) <= (0.02 if preserved(name, promise) else 0.5) * len(held), (task, Counter(refused))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples(), other=st.integers(1, 5), seed=st.integers(0, 2**40))
def test_nothing_but_what_is_declared_depends_on_the_key(sample: Sample, other: int, seed: int) -> None:
    moved = replace(sample, targets=((sample.targets[0] + other) % len(sample.choices),))
    for name, promise in PROMISES:
        with said_of(name, promise):
            made, made_other = (applied(name, promise, one, seed) for one in (sample, moved))
            if isinstance(made, Refusal) or isinstance(made_other, Refusal):
                assert made == made_other
                continue
            assert len(made) == len(made_other)
            if not promise.uses_key:
                assert [without_key(one) for one in made] == [without_key(one) for one in made_other]


def without_key(variant: Sample) -> Sample:
    """What of a variant a prompt could show."""
    dialogue = None if variant.dialogue is None else replace(variant.dialogue, first=replace(variant.dialogue.first, targets=()))
    return replace(variant, targets=(), dialogue=dialogue)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples(), seed=st.integers(0, 2**40))
def test_a_second_application_does_what_is_declared(sample: Sample, seed: int) -> None:
    for name, promise in PROMISES:
        made = applied(name, promise, sample, seed)
        if isinstance(made, Refusal) or not promise.again:
            continue
        with said_of(name, promise):
            again = applied(name, promise, made[0], seed)
            assert isinstance(again, Refusal) == (promise.again == "refused")
            assert isinstance(again, Refusal) or again[0] == made[0]


def test_the_same_in_every_process() -> None:
    program = Path(__file__).with_name("perturbation_promises.py")
    root = str(Path(__file__).resolve().parents[2])
    other = subprocess.run(
        [sys.executable, str(program)],
        env={"PYTHONHASHSEED": "1234", "PYTHONPATH": root},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(other.stdout) == digests()


@EACH
def test_what_is_drawn_depends_on_seed_and_id_alone(name: str, promise: Promise) -> None:
    held = fixed_samples()
    alone = [applied(name, promise, sample) for sample in held]
    assert [applied(name, promise, sample) for sample in reversed(held)] == alone[::-1]
    for sample, made in zip(held, alone, strict=True):
        other = applied(name, promise, replace(sample, group="another", metadata={"year": "1999"}, tags=("key_x",)))
        if isinstance(made, Refusal) or isinstance(other, Refusal):
            assert made == other
            continue
        assert [one.question for one in other] == [one.question for one in made]
        assert [(one.choices, one.targets, one.order) for one in other] == [(one.choices, one.targets, one.order) for one in made]


# Samples that are not as they should be

SOUND = Sample(id="s", group="g", question=VIGNETTE["en"], choices=CHOICES["en"][:4], targets=(1,))
BROKEN: dict[str, Sample] = {
    "one choice": replace(SOUND, choices=SOUND.choices[:1], targets=(0,)),
    "no key": replace(SOUND, targets=()),
    "key outside": replace(SOUND, targets=(4,)),
    "key before": replace(SOUND, targets=(-1,)),
}
UNFIT: dict[str, Sample] = {
    "several right": replace(SOUND, targets=(0, 2)),
    "an empty choice": replace(SOUND, choices=("Aspirin", " ", "Warfarin", "Nothing")),
    "equal choices": replace(SOUND, choices=("Aspirin", "aspirin", "Warfarin", "Heparin"), targets=(0,)),
    "all equal": replace(SOUND, choices=("Aspirin",) * 4),
    "by label": replace(SOUND, choices=(*SOUND.choices[:3], "Both A and B")),
    "by place": replace(SOUND, choices=(*SOUND.choices[:3], "All of the above")),
    "of all": replace(SOUND, choices=(*SOUND.choices[:3], "None of these")),
    "unlisted": replace(SOUND, n_unlisted=1, labels=("A", "B", "C", "NONE")),
    "suggested": replace(SOUND, question=f"A colleague says B. {SOUND.question}", suggested=1),
    "own labels": replace(SOUND, labels=("W", "X", "Y", "Z")),
    "no labels": replace(SOUND, labels=("",) * 4),
    "another order": replace(SOUND, order=(2, 0, 3, 1), variant=5),
    "added choice": replace(SOUND, order=(0, -1, 2, 3)),
    "braces": replace(SOUND, question="What is {choice}, {label} or {question}?", choices=("{choice}", "{question}", "{}", "%s")),
    "no numbers, no sentences": replace(SOUND, question="Which"),
    "26 choices": replace(SOUND, choices=tuple(f"Drug number {number}" for number in range(26))),
}


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples(), seed=st.integers(0, 2**40))
def test_what_is_withheld_cannot_be_told_from_what_is_shown(sample: Sample, seed: int) -> None:
    other = replace(sample, question=VIGNETTE[sample.language], context="Another passage.")
    for name, promise in PROMISES:
        if promise.stem == "replaced":
            with said_of(name, promise):
                made, made_other = (applied(name, promise, one, seed) for one in (sample, other))
                if not isinstance(made, Refusal) and not isinstance(made_other, Refusal):
                    assert made == made_other


@EACH
def test_malformed_samples_are_refused(name: str, promise: Promise) -> None:
    for fault, sample in BROKEN.items():
        assert isinstance(applied(name, promise, sample), Refusal) == (name != "none"), fault


@EACH
def test_odd_samples_are_refused_or_stay_sound(name: str, promise: Promise) -> None:
    for oddity, sample in UNFIT.items():
        made = applied(name, promise, sample)
        if isinstance(made, Refusal):
            assert name != "none"
            continue
        assert oddity != "several right" or name in SEVERAL_MAY_BE_RIGHT
        for variant in made:
            check_odd(variant, sample, kept=preserved(name, promise) and variant.dialogue is None)


@st.composite
def odd_samples(draw: st.DrawFn) -> tuple[Sample, bool]:
    """A sample with one to three oddities, and whether its key is broken, so that nothing can be right."""
    sample = draw(samples())
    n = len(sample.choices)
    for oddity in draw(st.lists(st.integers(0, 8), min_size=1, max_size=3, unique=True)):
        match oddity:
            case 0:
                sample = replace(sample, choices=(sample.choices[-1], *sample.choices[1:]))
            case 1:
                sample = replace(sample, choices=(*sample.choices[:-1], "  "))
            case 2:
                sample = replace(sample, targets=tuple(sorted({*sample.targets, draw(st.integers(0, n - 1))})))
            case 3:
                sample = replace(sample, targets=())
            case 4:
                sample = replace(sample, targets=(n + draw(st.integers(0, 3)),))
            case 5:
                sample = replace(sample, suggested=draw(st.integers(0, n - 1)))
            case 6:
                sample = replace(sample, labels=tuple(f"L{number}" for number in range(n)))
            case 7:
                sample = replace(sample, order=tuple(draw(st.permutations(range(n)))), variant=2)
            case _:
                sample = replace(sample, order=(-1, *range(1, n)))
    return sample, not sample.targets or any(target >= n for target in sample.targets)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(odd=odd_samples(), seed=st.integers(0, 2**40))
def test_generated_odd_samples_are_refused_or_stay_sound(odd: tuple[Sample, bool], seed: int) -> None:
    sample, broken = odd
    for name, promise in PROMISES:
        with said_of(name, promise):
            made = applied(name, promise, sample, seed)
            assert name == "none" or isinstance(made, Refusal) or not broken
            for variant in () if isinstance(made, Refusal) or name == "none" else made:
                check_odd(variant, sample, kept=preserved(name, promise) and variant.dialogue is None)


def check_odd(variant: Sample, sample: Sample, *, kept: bool) -> None:
    """The fields fit together, and the key is followed where the meaning is preserved."""
    n = len(variant.choices)
    assert len(variant.order) in (0, n)
    assert len(variant.labels) in (0, n)
    assert len(variant.targets) == len(sample.targets)
    assert all(0 <= target < n for target in variant.targets)
    assert variant.n_unlisted >= sample.n_unlisted
    if kept:
        assert sorted(variant.choices[target] for target in variant.targets) == sorted(sample.choices[at] for at in sample.targets)
        originals = {variant.original_index(target) for target in variant.targets}
        assert originals == {sample.original_index(target) for target in sample.targets}


@EACH
def test_a_second_turn_that_shows_nothing_is_not_changed_behind_its_back(name: str, promise: Promise) -> None:
    doubted = SPECS["are_you_sure"].build(SPECS["are_you_sure"].options())(SOUND, 0)
    assert not isinstance(doubted, Refusal)
    made = applied(name, promise, doubted[0])
    if not isinstance(made, Refusal):
        assert all((one.question, one.choices[:4], one.dialogue) == (SOUND.question, SOUND.choices, doubted[0].dialogue) for one in made)
        assert all(formats.labels_of(one)[:4] == ("A", "B", "C", "D") for one in made)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples(languages=("fr",)))
def test_a_language_without_words_is_refused(sample: Sample) -> None:
    for name, promise in PROMISES:
        with said_of(name, promise):
            made = applied(name, promise, sample)
            if SPECS[name].languages is None:
                check(name, promise, sample, made)
            else:
                assert "fr" not in (SPECS[name].languages or ())
                assert isinstance(made, Refusal)


@EACH
def test_the_reason_names_the_language(name: str, promise: Promise) -> None:
    made = applied(name, promise, replace(SOUND, language="fr"))
    if SPECS[name].languages is not None:
        assert isinstance(made, Refusal)
        assert made.reason.endswith("has no form in this language (fr)")


FREE = replace(SOUND, choices=(), targets=(), references=("A reference of 5 mg",))
CHANGES_CHOICES = [
    (name, promise)
    for name, promise in PROMISES
    if promise.choices != "kept" or name in ("labels", "contract", "choices_only", "suggestion")
]


@EACH
def test_free_text_keeps_its_references(name: str, promise: Promise) -> None:
    made = applied(name, promise, FREE)
    if (name, promise) in CHANGES_CHOICES:
        assert isinstance(made, Refusal)
    elif not isinstance(made, Refusal):
        assert all((one.references, one.choices, one.targets) == (FREE.references, (), ()) for one in made)
