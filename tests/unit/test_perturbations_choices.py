"""Perturbations of choices: what each shows, what is right then, and what may be read out of neither."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare

from evalsuite import answers, formats, perturbations
from evalsuite.contracts import CONTRACTS
from evalsuite.errors import UserError
from evalsuite.perturbations.base import Refusal
from evalsuite.perturbations.parts.choice_labels import labels_in, next_label
from evalsuite.perturbations.parts.choice_samples import drawn_positions
from evalsuite.perturbations.parts.negations import asks_negatively
from evalsuite.plan import Selection
from evalsuite.plugins import load_specs
from evalsuite.preview import check_study
from evalsuite.types import Sample

SPECS = load_specs(perturbations)
SAMPLE = Sample(
    id="q", group="g", question="Which drug is given first?", choices=("Aspirin", "Warfarin", "4 mg of morphine", "Heparin"), targets=(1,)
)
SPANISH = replace(
    SAMPLE, question="¿Qué fármaco se administra primero?", choices=("Aspirina", "Warfarina", "4 mg de morfina", "Heparina"), language="es"
)
UNLIKELY = 1e-3
"""Chi-square tests below fail for one seed in a thousand if draws are uniform; the seeds are fixed."""


def made(name: str, sample: Sample = SAMPLE, seed: int = 0, **options: Any) -> tuple[Sample, ...]:
    shown: tuple[Sample, ...] | Refusal = SPECS[name].build(SPECS[name].options.model_validate(options))(sample, seed)
    assert not isinstance(shown, Refusal), shown.reason
    return shown


def refused(name: str, sample: Sample, **options: Any) -> str:
    shown = SPECS[name].build(SPECS[name].options.model_validate(options))(sample, 0)
    assert isinstance(shown, Refusal)
    return shown.reason


def numbered(n: int, n_choices: int = 4) -> list[Sample]:
    pool = ("k", "l", "m", "o", "p")
    return [replace(SAMPLE, id=str(number), choices=pool[:n_choices], targets=(number % n_choices,)) for number in range(n)]


# Orders


def test_cyclic_shifts_are_those_that_are_printed() -> None:
    shown = made("cyclic_shift")
    assert [one.order for one in shown] == [(3, 0, 1, 2), (2, 3, 0, 1), (1, 2, 3, 0)]
    assert [one.targets for one in shown] == [(2,), (3,), (0,)]
    assert made("cyclic_shift", shifts=[3, 1]) == (replace(shown[2], variant=0), replace(shown[0], variant=1))
    assert made("cyclic_shift", replace(SAMPLE, choices=("a", "b"), targets=(0,)), shifts=[1, 2])[0].choices == ("b", "a")
    assert refused("cyclic_shift", replace(SAMPLE, choices=("a", "b"), targets=(0,)), shifts=[2, 3]) == "too few choices for these shifts"


@given(st.integers(2, 8), st.data())
def test_over_all_shifts_every_choice_stands_at_every_place_once(n: int, data: st.DataObject) -> None:
    sample = replace(SAMPLE, choices=tuple(f"drug {number}" for number in range(n)), targets=(data.draw(st.integers(0, n - 1)),))
    shown = (sample, *made("cyclic_shift", sample))
    assert all(sorted(one.choices[place] for one in shown) == sorted(sample.choices) for place in range(n))
    assert sorted(one.targets[0] for one in shown) == list(range(n))
    turned = sample
    for _ in range(n):
        (turned,) = made("cyclic_shift", turned, shifts=[1])
    assert (turned.choices, turned.targets, turned.order) == (sample.choices, sample.targets, tuple(range(n)))


@pytest.mark.parametrize("shifts", [[0], [-1], [26], [1, 1], [], "some", [1.5]])
def test_shifts_are_different_whole_numbers(shifts: Any) -> None:
    with pytest.raises(ValidationError):
        SPECS["cyclic_shift"].options.model_validate({"shifts": shifts})


@pytest.mark.parametrize(
    ("slot", "order", "place"), [("first", (1, 0, 2, 3), 0), ("last", (0, 2, 3, 1), 3), (2, (0, 2, 1, 3), 2), (1, (0, 1, 2, 3), 1)]
)
def test_the_right_choice_goes_to_the_slot_and_the_others_keep_their_order(slot: str | int, order: tuple[int, ...], place: int) -> None:
    (shown,) = made("gold_at", slot=slot)
    assert (shown.order, shown.targets, shown.choices[place]) == (order, (place,), "Warfarin")
    assert made("gold_at", shown, slot=slot) == (shown,)


def test_a_slot_that_is_not_there_refuses() -> None:
    assert refused("gold_at", SAMPLE, slot=4) == "too few choices for this place"
    assert refused("gold_at", replace(SAMPLE, targets=(0, 1)), slot="first") == "not exactly one right choice"


@given(seed=st.integers(0, 1000), n=st.integers(1, 24), size=st.integers(2, 5))
def test_shuffled_orders_are_distinct_and_never_the_original(seed: int, n: int, size: int) -> None:
    orders = [one.order for one in made("shuffle_choices", numbered(1, size)[0], seed, variants=n)]
    assert len(set(orders)) == len(orders) == min(n, {2: 1, 3: 5, 4: 23, 5: 119}[size])
    assert tuple(range(size)) not in orders


def test_shuffled_positions_of_the_right_choice_are_even() -> None:
    counts = Counter(made("shuffle_choices", replace(one, targets=(0,)), 3)[0].targets[0] for one in numbered(4000))
    # Of the 23 orders that differ from the original, 5 leave the first choice first and 6 move it to each other place.
    assert chisquare([counts[place] for place in range(4)], [4000 * share / 23 for share in (5, 6, 6, 6)]).pvalue > UNLIKELY


# Labels


@pytest.mark.parametrize(
    ("style", "listed", "noun"),
    [
        ("numbers", "1. Aspirin\n2. Warfarin\n3. 4 mg of morphine\n4. Heparin", "the number"),
        ("lower", "a. Aspirin\nb. Warfarin\nc. 4 mg of morphine\nd. Heparin", "the letter"),
        ("greek", "α. Aspirin\nβ. Warfarin\nγ. 4 mg of morphine\nδ. Heparin", "the letter"),
        ("roman", "i. Aspirin\nii. Warfarin\niii. 4 mg of morphine\niv. Heparin", "the label"),
    ],
)
def test_labels_stand_in_the_prompt_and_are_called_what_they_are(style: str, listed: str, noun: str) -> None:
    (shown,) = made("labels", style=style)
    wording = formats.default_wording("en")
    written = formats.lay_out(shown, "generate", wording).user
    asked = f'Answer with one line of the form "Answer: X", where X is {noun} of the right choice.'
    assert written == f"Question: Which drug is given first?\n{listed}\n{asked}"
    assert formats.lay_out(shown, "letters", wording).answers == labels_in(style, 4)  # type: ignore[arg-type]
    assert f"donde X es {_SPANISH[noun]} de la opción correcta" in formats.lay_out(
        made("labels", SPANISH, style=style)[0], "generate", formats.default_wording("es")
    ).user  # fmt: skip


_SPANISH = {"the number": "el número", "the letter": "la letra", "the label": "el identificador"}


def test_words_for_letters_stay_where_labels_are_letters() -> None:
    for language in ("en", "es", "fr"):
        sample, wording = replace(SAMPLE, language=language), formats.several_wording(language)
        shown = [formats.lay_out(one, "generate", wording).user for one in (sample, *made("labels", sample, style="numbers"))]
        assert (_ASKED[language][0] in shown[0], _ASKED[language][1] in shown[0]) == (True, False)
        assert (_ASKED[language][0] in shown[1], _ASKED[language][1] in shown[1]) == (False, True)


_ASKED = {"en": ("letters of", "numbers of"), "es": ("letras de", "números de"), "fr": ("lettres de", "numéros de")}

OUTPUTS = {
    "en": (
        "Answer: {label}", "{label}", "{label}.", "({label})", "{label}. {text}", "{label}) {text}", "{label} {text}", "**{label}**",
        "The correct answer is {label}.", "The answer is ({label}) {text}.", "The pain is typical.\n\nAnswer: {label}",
        "Option {label} is correct because it is indicated.", "I would choose {label}.", "I think the answer is {label}", "{text}",
        "The best drug is {text}.", "{label}: {text}", "Final answer: {upper}",
    ),
    "es": (
        "Respuesta: {label}", "{label}", "{label}.", "({label})", "{label}. {text}", "{label}) {text}", "{label} {text}", "**{label}**",
        "La respuesta correcta es la {label}.", "La opción correcta es la {label}) {text}.", "El dolor es típico.\n\nRespuesta: {label}",
        "La opción {label} es correcta porque está indicada.", "Elegiría la {label}.", "{text}", "El fármaco indicado es {text}.",
        "{label}: {text}", "Respuesta final: {upper}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("style", ["numbers", "lower", "greek", "roman", "none"])
@pytest.mark.parametrize("sample", [SAMPLE, SPANISH], ids=["en", "es"])
def test_answers_are_read_under_every_style_of_labels(style: str, sample: Sample) -> None:
    (shown,) = made("labels", sample, style=style)
    wording = formats.default_wording(sample.language)
    for output in OUTPUTS[sample.language]:
        if style == "none" and "{text}" not in output:
            continue
        for index, label in enumerate(shown.labels):
            said = output.replace("{label}", label).replace("{upper}", label.upper()).replace("{text}", shown.choices[index])
            assert answers.read_lenient(said, shown, wording).index == index, said


def test_a_pronoun_and_a_route_are_no_roman_numerals() -> None:
    (shown,) = made("labels", style="roman")
    wording = formats.default_wording("en")
    assert answers.read_lenient("I would choose iii.", shown, wording).index == 2
    assert answers.read_lenient("I, as a doctor, would give IV fluids. Answer: ii", shown, wording).index == 1
    assert answers.read_lenient("II", shown, wording).index == 1


def test_without_labels_the_text_is_asked_for_and_read() -> None:
    (shown,) = made("labels", style="none")
    contract = CONTRACTS["text"]
    wording = replace(formats.default_wording("en"), output=contract)
    assert shown.manner is not None
    assert shown.manner.contract == contract.name
    written = formats.lay_out(shown, "generate", wording).user
    listed = "Which drug is given first?\nAspirin\nWarfarin\n4 mg of morphine\nHeparin\n"
    assert written == f"Question: {listed}Answer with the text of the right choice, exactly as it is written, and nothing else."
    assert formats.right_answer(shown, "generate", wording) == "Warfarin"
    assert contract.read(" Warfarin\n", shown, formats.labels_of(shown)) == 1
    assert contract.read("warfarin", shown, formats.labels_of(shown)) is None
    assert SPECS["labels"].needs(SPECS["labels"].options(style="none")) == {"listed", "written", "own_prompt"}
    assert SPECS["labels"].needs(SPECS["labels"].options(style="lower")) == {"listed"}
    # A letter is no answer, and nothing else than the texts is read.
    for output in ("A", "Answer: B", "The answer is C.", "(A)", "Answer:", ""):
        assert answers.read_lenient(output, shown, formats.default_wording("en")).status == "unparsed"
        assert contract.read(output, shown, formats.labels_of(shown)) is None
    assert refused("labels", replace(SAMPLE, language="fr"), style="none") == "has no form in this language (fr)"
    assert refused("labels", replace(SAMPLE, choices=("a", "A", "b", "c")), style="none") == "two choices have the same text"


def test_there_are_labels_for_so_many_choices() -> None:
    many = replace(SAMPLE, choices=tuple(f"drug {number}" for number in range(25)))
    assert len(made("labels", many, style="numbers")[0].labels) == 25
    assert refused("labels", many, style="greek") == refused("labels", many, style="roman") == "more choices than there are labels"
    assert [next_label(labels) for labels in (("A", "B"), ("1", "2", "3"), ("i", "ii"), ("", ""), ("W", "X"))] == [
        "C",
        "4",
        "iii",
        "",
        None,
    ]


def test_a_choice_that_names_labels_refuses_other_labels_and_one_that_names_places_does_not() -> None:
    assert "by label" in refused("labels", replace(SAMPLE, choices=("x", "y", "z", "Both A and C")), style="numbers")
    assert made("labels", replace(SAMPLE, choices=("x", "y", "z", "All of the above")), style="numbers")


@pytest.mark.parametrize(("style", "text"), [("numbers", "3"), ("numbers", " 2. "), ("lower", "B"), ("greek", "α"), ("roman", "II.")])
def test_a_choice_that_reads_like_a_label_refuses_such_labels(style: str, text: str) -> None:
    """Else an answer "3" could be the third choice or the choice whose text is 3."""
    assert refused("labels", replace(SAMPLE, choices=(text, "0.5", "70", "80")), style=style) == "a choice's text is one of the labels"
    assert made("labels", replace(SAMPLE, choices=("30", "0.5", "70", "80")), style=style)


TASK = """
from evalsuite.tasks import choice_task
TASKS = (choice_task(name="sizes", file="rows.jsonl", question="q", choices="c", answer="a", answer_kind="index0"),)
"""


def test_a_label_that_is_no_single_token_is_told_before_any_model_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample that needs most labels decides, wherever it stands: the tenth number is two tokens, the first nine are one each."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "tasks" / "sizes"
    folder.mkdir(parents=True)
    (folder / "task.py").write_text(TASK, encoding="utf-8")
    rows = [
        '{"q": "Which?", "c": ["x", "y", "z"], "a": 0}',
        '{"q": "And which?", "c": ["r", "s", "t", "u", "v", "w", "x", "y", "z", "k"], "a": 4}',
    ]
    (folder / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    study = tmp_path / "study.yaml"
    for style, fault in (("numbers", "label = '10'"), ("lower", None)):
        study.write_text(
            f"study: s\nquestion: Why?\nmodels: [pocket-generalist]\npairs: []\ntasks: [sizes]\nanalysis: {{n_resamples: 2000}}\n"
            f"perturbations: [none, {{name: labels, style: {style}}}]\nstrategies: [{{name: zero_shot, format: letters}}]\n",
            encoding="utf-8",
        )
        if fault is None:
            assert check_study(study, Selection())[0].endswith("in order")
        else:
            with pytest.raises(UserError, match=f"{fault}.*splits into 2 tokens"):
                check_study(study, Selection())


def test_a_second_turn_that_cannot_be_asked_is_told_before_any_model_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its labels are not those of the first turn; else the run would end in the middle."""
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "study.yaml"
    for style, form, fault in (("greek", "letters", True), ("greek", "generate", False), ("lower", "letters", False)):
        study.write_text(
            "study: s\nquestion: Why?\nmodels: [pocket-generalist]\npairs: []\ntasks: [pocket_clinical_en]\n"
            f"perturbations: [none, {{name: ask_again, then: {{name: labels, style: {style}}}}}]\n"
            f"analysis: {{n_resamples: 2000}}\nstrategies: [{{name: zero_shot, format: {form}}}]\n",
            encoding="utf-8",
        )
        if not fault:
            assert check_study(study, Selection())[0].endswith("in order")
        else:
            with pytest.raises(UserError, match=r"label = 'α'.*splits into 2 tokens"):
                check_study(study, Selection())


# None of the others


def test_the_right_choice_is_replaced_at_its_place_or_behind_the_others() -> None:
    (shown,) = made("none_of_the_others")
    assert shown.choices == ("Aspirin", "None of the other choices is right.", "4 mg of morphine", "Heparin")
    assert (shown.targets, shown.order) == ((1,), (0, -1, 2, 3))
    (last,) = made("none_of_the_others", SPANISH, place="last")
    assert last.choices == ("Aspirina", "4 mg de morfina", "Heparina", "Ninguna de las demás opciones es correcta.")
    assert (last.targets, last.order) == ((3,), (0, 2, 3, -1))


def test_none_is_added_behind_the_others_and_is_wrong() -> None:
    (shown,) = made("none_added")
    assert shown.choices == (*SAMPLE.choices, "None of the other choices is right.")
    assert (shown.targets, shown.order, shown.labels) == ((1,), (0, 1, 2, 3, -1), ())
    (unsure,) = made("none_added", made("labels", SPANISH, style="lower")[0], text="do_not_know")
    assert (unsure.choices[4], unsure.labels) == ("No lo sé.", ("a", "b", "c", "d", "e"))
    assert refused("none_added", replace(SAMPLE, labels=("W", "X", "Y", "Z"))) == "there is no label for one more choice"


@pytest.mark.parametrize(
    "choice", ["None of the above", "All of these", "Ninguna es correcta", "Todas las anteriores", "I don't know", "Both"]
)
def test_where_a_choice_speaks_of_the_others_no_none_is_put_beside_it(choice: str) -> None:
    sample = replace(SAMPLE, choices=(*SAMPLE.choices[:3], choice))
    assert refused("none_of_the_others", sample) == refused("none_added", sample) == "a choice speaks of the others, or of not knowing"


# Fewer choices


def test_dropping_keeps_the_right_choice_and_the_order_of_the_others() -> None:
    for sample in numbered(40, 5):
        (shown,) = made("drop_distractor", sample, n=2)
        assert list(shown.order) == sorted(shown.order)
        assert len(shown.choices) == 3
        assert shown.original_index(shown.targets[0]) == sample.targets[0]
    assert refused("drop_distractor", replace(SAMPLE, choices=("x", "y"))) == "fewer than two choices would be left"
    assert made("drop_distractor", made("labels", style="greek")[0])[0].labels == ("α", "β", "γ")


def test_each_wrong_choice_is_dropped_as_often() -> None:
    dropped = Counter(
        next(index for index in range(4) if index not in made("drop_distractor", replace(one, targets=(2,)))[0].order)
        for one in numbered(3000)
    )
    assert set(dropped) == {0, 1, 3}
    assert chisquare(list(dropped.values())).pvalue > UNLIKELY


def test_what_is_dropped_depends_on_the_key_only_where_the_key_would_be_dropped() -> None:
    for one in numbered(60):
        gone = [set(range(4)) - set(made("drop_distractor", replace(one, targets=(key,)))[0].order) for key in range(4)]
        first, second = drawn_positions(one, 0, "drop_distractor")[:2]
        assert gone == [{second} if key == first else {first} for key in range(4)]


def test_draws_follow_the_choices_into_other_orders() -> None:
    for one in numbered(30):
        (straight,) = made("drop_distractor", one)
        for turned in made("cyclic_shift", one):
            (later,) = made("drop_distractor", turned)
            assert sorted(later.order) == sorted(straight.order)


def test_draws_are_pinned() -> None:
    """They rest on sha256 alone: the same on every machine and under every version of Python and NumPy."""
    ranked = [drawn_positions(replace(SAMPLE, id=name), 7, "x") for name in "abcd"]
    assert ranked == PINNED
    assert [made("drop_distractor", replace(SAMPLE, id=name), 7)[0].order for name in "abcd"] == PINNED_DROPS


PINNED = [(2, 1, 0, 3), (1, 2, 0, 3), (2, 3, 1, 0), (3, 1, 0, 2)]
PINNED_DROPS = [(0, 1, 3), (0, 1, 2), (1, 2, 3), (0, 1, 3)]


def test_every_order_of_the_draw_is_as_likely() -> None:
    counts = Counter(drawn_positions(one, 1, "any") for one in numbered(4800))
    assert len(counts) == 24
    assert chisquare(list(counts.values())).pvalue > UNLIKELY


# True or false, negation, no question


def test_a_choice_is_proposed_and_judged() -> None:
    (right,) = made("true_false", shown="right")
    assert right.question == "Which drug is given first?\nProposed answer: Warfarin\nIs the proposed answer right?"
    assert (right.choices, right.targets, right.order) == (("True", "False"), (0,), (-1, -1))
    (wrong,) = made("true_false", SPANISH, shown="wrong")
    _, proposed, asked = wrong.question.split("\n")
    assert proposed.removeprefix("Respuesta propuesta: ") in {"Aspirina", "4 mg de morfina", "Heparina"}
    assert (asked, wrong.choices, wrong.targets) == ("¿Es correcta la respuesta propuesta?", ("Verdadero", "Falso"), (1,))
    assert made("true_false", made("labels", style="numbers")[0], shown="right")[0].labels == ("1", "2")


def test_the_coin_is_even_and_does_not_know_the_key() -> None:
    several = numbered(2000)
    verdicts = [made("true_false", one)[0].targets[0] for one in several]
    assert chisquare([verdicts.count(0), verdicts.count(1)]).pvalue > UNLIKELY
    moved = [made("true_false", replace(one, targets=((one.targets[0] + 1) % 4,)))[0].targets[0] for one in several[:200]]
    assert moved == verdicts[:200]


def test_of_the_right_choice_and_a_wrong_one_the_wrong_one_is_asked_for() -> None:
    (shown,) = made("negated")
    assert shown.question == f"{SAMPLE.question}\nExactly one of the two choices is NOT a right answer to this question. Which one?"
    assert len(shown.choices) == 2
    assert "Warfarin" in shown.choices
    assert shown.choices[shown.targets[0]] != "Warfarin"
    assert made("negated", SPANISH)[0].question.endswith(
        "\nDe las dos opciones, solo una NO es correcta como respuesta a esta pregunta. Señala cuál."
    )
    places = Counter(made("negated", one)[0].targets[0] for one in numbered(2000))
    assert chisquare([places[0], places[1]]).pvalue > UNLIKELY


@pytest.mark.parametrize(
    "question",
    [
        "Which of the following is NOT a sign?", "All of these are causes EXCEPT:", "Which one is not used?",
        "Which statement is false?", "Which is the least likely cause?", "Which drug is contraindicated in her?",
        "Which would you avoid?", "Mark the incorrect answer:", "Señale la respuesta INCORRECTA:", "¿Cuál NO es una causa?",
        "¿Cuál de estas no lo es?", "Es FALSO que:", "Indique la menos probable:", "Todas lo producen, salvo una. ¿Cuál?",
        "Son causas todas excepto:", "Todas las siguientes son ciertas menos una:", "¿Qué fármaco está contraindicado?",
        "Señale el enunciado erróneo:", "¿Cuál de estas pruebas carece de valor?", "¿Qué se suele desaconsejar en la enuresis?",
        "Which of these do you think is LESS adequate?",
        "Every enzyme is in the matrix, with the exception of one. Which of the following is:",
        "Todas están en la matriz, a excepción de una. ¿Cuál de las siguientes es?:",
        "Which of these traits is INCORRECT. The critical thinkers are:",
    ],
)  # fmt: skip
def test_what_is_asked_negatively_already_is_neither_negated_nor_is_none_right_there(question: str) -> None:
    assert asks_negatively(question)
    for name in ("negated", "none_of_the_others"):
        assert "what is not so" in refused(name, replace(SAMPLE, question=question))


@pytest.mark.parametrize(
    "question",
    [
        "She has no fever and does not smoke. Which is the most likely diagnosis?", "At least two weeks later, which test is best?",
        "No tiene fiebre ni ha viajado. ¿Cuál es el diagnóstico más probable?", "Lleva al menos 2 semanas con tos. ¿Qué prueba pediría?",
        "Paciente que no mejora. Señale la respuesta correcta según las guías:", "A count of less than 50 suggests:",
        "The pH is 7.2. What is given next?",
    ],
)  # fmt: skip
def test_a_vignette_may_say_no(question: str) -> None:
    assert not asks_negatively(question)


def test_without_the_question_nothing_of_it_is_shown() -> None:
    sample = replace(
        SAMPLE, context="A trial of anticoagulants.", question="Which drug, discovered in Wisconsin, is a vitamin K antagonist?"
    )
    (shown,) = made("choices_only", sample)
    prompt = formats.lay_out(shown, "generate", formats.default_wording("en")).user
    assert prompt.startswith(
        "Question: The question is not shown. Choose the choice that is most likely to be its right answer.\nA. Aspirin\n"
    )
    assert not {"trial", "Wisconsin", "vitamin", "antagonist"} & set(prompt.replace(",", " ").replace(".", " ").split())
    assert (shown.choices, shown.targets, shown.order) == (sample.choices, sample.targets, sample.order)


# Compositions


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), key=st.integers(0, 3), shift=st.integers(1, 3))
def test_original_indices_are_followed_through_several_changes(seed: int, key: int, shift: int) -> None:
    sample = replace(SAMPLE, targets=(key,))
    (first,) = made("shuffle_choices", sample, seed)
    (second,) = made("drop_distractor", first, seed)
    (third,) = made("none_added", second, seed)
    (fourth,) = made("cyclic_shift", replace(third, choices=(*third.choices[:-1], "Rest")), seed, shifts=[shift])
    (fifth,) = made("gold_at", made("labels", fourth, seed, style="roman")[0], seed, slot="last")
    assert fifth.original_index(3) == key
    assert fifth.choices[3] == sample.choices[key]
    assert [sample.choices[index] if index >= 0 else "Rest" for index in fifth.order] == list(fifth.choices)
    assert fifth.labels == ("i", "ii", "iii", "iv")
    (gone,) = made("none_of_the_others", second, seed)
    assert sorted(gone.order) == sorted(-1 if index == key else index for index in second.order)
