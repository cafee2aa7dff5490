"""Edits of the stem: what they may touch, what they never do, and what they make of real stems."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evalsuite.data import load_split
from evalsuite.perturbations import (
    irrelevant_sentence,
    ocr_noise,
    reformat,
    sentence_order,
    typos,
    whitespace,
    without_evidence,
)
from evalsuite.perturbations.base import PerturbationSpec, Refusal
from evalsuite.perturbations.parts.clinical_sentences import OF_A_VISIT, OF_THE_PAGE
from evalsuite.perturbations.parts.drug_names import is_drug
from evalsuite.perturbations.parts.protected import free_words, kind_of, quantities, words_of
from evalsuite.perturbations.parts.sentences import asking_from, sentences
from evalsuite.perturbations.parts.vignettes import movable_blocks, tells_of_a_patient
from evalsuite.tasks import find_tasks
from evalsuite.types import Dialogue, Manner, Quantity, Sample

REPOSITORY = Path(__file__).resolve().parents[2]
EDITS = {module.SPEC.name: module.SPEC for module in (whitespace, typos, ocr_noise, reformat, irrelevant_sentence, sentence_order)}
WORD = re.compile(r"[^\W\d_]+")

EN = Sample(
    id="en:1",
    group="g",
    question="A 67-year-old woman comes to the physician because of chest pain for 3 hours. She has not had a fever. Her blood pressure is "
    "150/90 mm Hg and her temperature is 37.8 °C. Serum creatinine is 1.2 mg/dL. An ECG shows depression of 2.5 mm in the inferior leads. "
    "Which of the following is the most appropriate next step in management?",
    choices=("Coronary angiography", "Aspirin 300 mg", "Observation", "Oral prednisone"),
    targets=(1,),
)
ES = Sample(
    id="es:1",
    group="g",
    question="Mujer de 67 años que acude a la consulta por dolor torácico de 3 horas de evolución. No refiere fiebre. La exploración "
    "física es normal y la presión arterial es de 150/90 mmHg. En la analítica destaca una creatinina de 1,2 mg/dL. El ECG muestra un "
    "descenso de 2,5 mm. Recibió 20 mg de enalapril. ¿Cuál es la actitud más adecuada?",
    choices=("Coronariografía", "Ácido acetilsalicílico", "Observación", "Prednisona"),
    targets=(1,),
    language="es",
)


def made(spec: PerturbationSpec, sample: Sample, seed: int = 0, **options: Any) -> tuple[Sample, ...]:
    found = spec.build(spec.options.model_validate(options))(sample, seed)
    assert not isinstance(found, Refusal), found
    return found


def refused(spec: PerturbationSpec, sample: Sample, **options: Any) -> str:
    found = spec.build(spec.options.model_validate(options))(sample, 0)
    assert isinstance(found, Refusal)
    return found.reason


def kept_words(text: str) -> Counter[str]:
    """Negations, quantifiers, number words, units and medicines of a text."""
    return Counter(word for word in map(str.lower, WORD.findall(text.replace("-\n", ""))) if kind_of(word))


# Sentences


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("El Dr. Ruiz la ve. Toma 2,5 mg p. ej. de día.", ["El Dr. Ruiz la ve. ", "Toma 2,5 mg p. ej. de día."]),
        ("He takes 1.5 mg vs. 2 mg. It helps.", ["He takes 1.5 mg vs. 2 mg. ", "It helps."]),
        ("Mario G. ha sido operado. Paula L. Ruiz no.", ["Mario G. ha sido operado. ", "Paula L. Ruiz no."]),
        ("The U.S. Task Force met. E. Coli grew.", ["The U.S. Task Force met. ", "E. Coli grew."]),
        ("She has hepatitis C. He lacks vitamin D. So?", ["She has hepatitis C. ", "He lacks vitamin D. ", "So?"]),
        ("Se pauta i.v. Mejora. Peso 70 kg. Talla 1,7 m.", ["Se pauta i.v. ", "Mejora. ", "Peso 70 kg. ", "Talla 1,7 m."]),
        ("Labs show:\nNa+ 138 mEq/L\nK+ 4.1\nWhat is it?", ["Labs show:\n", "Na+ 138 mEq/L\n", "K+ 4.1\n", "What is it?"]),
        ("ITB de 0,9 ¿Qué haría?", ["ITB de 0,9 ", "¿Qué haría?"]),
        ('He said "I am ill. Very ill." Then he left.', ['He said "I am ill. Very ill." ', "Then he left."]),
        ("It fell (from 10. To 8). Why?", ["It fell (from 10. To 8). ", "Why?"]),
        ("1. Fiebre. 2. Tos.", ["1. Fiebre. ", "2. Tos."]),
        ("Fig. 3 shows it. See no. 5 there.", ["Fig. 3 shows it. ", "See no. 5 there."]),
        ("Is it so? No. He left.", ["Is it so? ", "No. ", "He left."]),
        ("", [""]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, pieces: list[str]) -> None:
    assert list(sentences(text)) == pieces


@given(st.text(alphabet='aAbñ .?!:\n()"“”¿0159,;DrvsSra', max_size=120))
def test_sentences_lose_nothing(text: str) -> None:
    pieces = sentences(text)
    assert "".join(pieces) == text
    assert all(pieces) or text == ""
    assert 0 <= asking_from(pieces) < len(pieces)


@pytest.mark.parametrize(
    ("text", "asking"),
    [
        ("She coughs. What is it?", 1),
        ("Tose. Señale la INCORRECTA:", 1),
        ('He asks "why?" and sleeps. The most likely cause is', 1),
        ("Tose. ¿Qué es? ¿Qué haría?", 1),
        ("Señale la correcta:\n- Una\n- Otra", 0),
        ("One sentence", 0),
    ],
)
def test_where_a_stem_asks(text: str, asking: int) -> None:
    assert asking_from(sentences(text)) == asking


# What is left alone


@pytest.mark.parametrize("word", "enalapril metformin heparina Prednisona atorvastatin losartán rituximab imatinib amoxicilina".split())
def test_medicines_are_known(word: str) -> None:
    assert is_drug(word)


@pytest.mark.parametrize("word", "colesterol determines máquina patient paciente hemorragia fever sometida presión retina".split())
def test_words_that_are_no_medicine(word: str) -> None:
    assert not is_drug(word)


def test_free_words_are_none_of_what_is_left_alone() -> None:
    text = "Without Cushing's disease the CD4 count of three patients on Enalapril fell by 5 mg; levels dropped, not sin-care, TP53."
    assert [word[0] for word in free_words(text, ("Levels of iron",))] == ["disease", "count", "patients", "fell", "dropped"]
    assert [word[0] for word in free_words(text, ())] == ["disease", "count", "patients", "fell", "levels", "dropped"]


def test_quantities_are_numbers_with_their_units() -> None:
    assert quantities("BP 150/90 mm Hg, 2,5mg/dL, 38.5 °C, 10,000/mm3, T4") == (
        ("150", ""), ("90", "mmHg"), ("2,5", "mg/dL"), ("38.5", "°C"), ("10,000", ""), ("3", ""), ("4", ""),
    )  # fmt: skip


# Every edit


@st.composite
def stems(draw: st.DrawFn) -> Sample:
    """Questions put together from parts that are hard to edit."""
    parts = {
        "en": "The patient takes 5 mg of enalapril daily.|Blood pressure is 120/80 mm Hg.|He denies fever, but not cough.|Serum sodium is "
        "135 mEq/L (normal: 135–145).|She didn't smoke.|Examination shows rales.|“Spotting” began 3 days ago.|Platelets 12,500/mm3.",
        "es": "El paciente toma 5 mg de enalapril al día.|La presión arterial es de 120/80 mmHg.|No tiene fiebre, pero sí tos.|Sodio "
        "de 135 mEq/L (normal: 135–145).|Nunca ha fumado.|La exploración muestra crepitantes.|Inició “mareos” hace 3 días.|"
        "Plaquetas 12.500/mm3.",
    }
    asks = {"en": ["Which is NOT true?", "The most likely diagnosis is:", "Mark the answer."], "es": ["¿Cuál NO es cierta?:", "Señale:"]}
    language = draw(st.sampled_from(["en", "es"]))
    told = draw(st.lists(st.sampled_from(parts[language].split("|")), max_size=6))
    choices = draw(st.lists(st.sampled_from(["Fever", "Cough 5 mg", "Tos", "Crepitantes", "Enalapril", "None"]), min_size=2, unique=True))
    return Sample(
        id=draw(st.text(min_size=1, max_size=4)),
        group="g",
        question=" ".join([*told, draw(st.sampled_from(asks[language]))]),
        choices=tuple(choices),
        targets=(draw(st.integers(0, len(choices) - 1)),),
        language=language,
    )


@pytest.mark.parametrize("spec", EDITS.values(), ids=EDITS)
@given(sample=stems(), seed=st.integers(0, 99))
def test_numbers_units_medicines_negations_and_choices_survive(spec: PerturbationSpec, sample: Sample, seed: int) -> None:
    found = spec.build(spec.options())(sample, seed)
    if isinstance(found, Refusal):
        return
    for variant in found:
        assert (variant.choices, variant.targets, variant.order, variant.context) == (sample.choices, sample.targets, (), "")
        assert Counter(quantities(variant.question)) == Counter(quantities(sample.question))
        if spec is not EDITS["sentence_order"]:
            assert quantities(variant.question) == quantities(sample.question)
        if spec is not EDITS["irrelevant_sentence"]:
            assert kept_words(variant.question.replace("mm Hg", "mmHg")) == kept_words(sample.question.replace("mm Hg", "mmHg"))
        assert variant != replace(sample, variant=variant.variant)
    assert spec.build(spec.options())(sample, seed) == found


@pytest.mark.parametrize("spec", EDITS.values(), ids=EDITS)
def test_samples_that_do_not_fit_are_refused(spec: PerturbationSpec) -> None:
    assert "two choices" in refused(spec, replace(EN, choices=("One",), targets=(0,)))
    refused(spec, replace(EN, targets=()))
    refused(spec, replace(EN, targets=(7,)))
    refused(spec, replace(EN, question="  \n"))
    refused(spec, replace(EN, choices=(), targets=()))
    assert "second turn" in refused(spec, replace(EN, dialogue=Dialogue(first=EN, said="Sure?", repeats=False)))
    if spec.languages is not None:
        assert refused(spec, replace(EN, language="fr")) == "has no form in this language (fr)"
        assert spec.languages == {"en", "es"}


@pytest.mark.parametrize("spec", EDITS.values(), ids=EDITS)
def test_free_text_and_quantities_have_stems_too(spec: PerturbationSpec) -> None:
    bare = replace(EN, choices=(), targets=())
    for sample in (replace(bare, references=("rest",)), replace(bare, references=("5",), quantity=Quantity(form="number", low=5, high=5))):
        assert made(spec, sample)[0].question != EN.question


@pytest.mark.parametrize("spec", EDITS.values(), ids=EDITS)
def test_a_second_turn_that_shows_the_stem_keeps_its_first_turn(spec: PerturbationSpec) -> None:
    asked = Dialogue(first=EN, said="Again.", repeats=True)
    assert made(spec, replace(EN, dialogue=asked))[0].dialogue == asked


@pytest.mark.parametrize("name", ["whitespace", "typos", "ocr_noise", "irrelevant_sentence"])
def test_variants_differ_and_the_first_does_not_depend_on_their_number(name: str) -> None:
    variants = made(EDITS[name], EN, variants=5)
    assert [variant.variant for variant in variants] == [0, 1, 2, 3, 4]
    assert len({variant.question for variant in variants}) == 5
    assert made(EDITS[name], EN)[0] == variants[0]
    assert made(EDITS[name], EN, seed=1)[0] != variants[0]
    assert made(EDITS[name], replace(EN, id="en:2"))[0].question != variants[0].question


# Noise


def test_slips_are_of_the_kinds_that_are_told() -> None:
    kinds = dict(typos.slips("mañana", typos.NEIGHBOURS["es"]))
    assert "mañama" in kinds["key"]  # m is beside n
    assert "mañaña" not in kinds["key"]
    assert set(kinds["swap"]) == {"mñaana", "maañna", "mañnaa", "mañaan"}
    assert set(kinds["drop"]) == {"mñana", "maana", "mañna", "mañaa", "mañan"}
    assert "maññana" in kinds["double"]
    assert dict(typos.slips("crónico", typos.NEIGHBOURS["es"]))["accent"] == ["cronico"]
    assert "ñ" in typos.NEIGHBOURS["es"]["l"]
    assert "ñ" not in "".join(typos.NEIGHBOURS["en"].values())
    assert set(typos.NEIGHBOURS["en"]["g"]) == set("fhtyvb")
    assert set(typos.NEIGHBOURS["en"]["5"]) == set("46")


@pytest.mark.parametrize("name", ["typos", "ocr_noise"])
@pytest.mark.parametrize("sample", [EN, ES], ids=["en", "es"])
def test_noise_touches_the_stated_share_of_free_words_and_nothing_else(name: str, sample: Sample) -> None:
    free = free_words(sample.question, sample.choices)
    for rate in (0.01, 0.1, 0.5, 1.0):
        text = made(EDITS[name], sample, rate=rate)[0].question.replace("-\n", "\0")
        words, before = text.split(), sample.question.split()
        assert len(words) == len(before)
        changed = [(old, new) for old, new in zip(before, words, strict=True) if old != new]
        # At the highest rate a few words have no slip that is no other word.
        expected = max(1, round(rate * len(free)))
        assert (expected - 3 if rate == 1 else expected) <= len(changed) <= expected
        for old, new in changed:
            assert old[0] == new[0]
            assert WORD.search(old)
            assert any(word[0] in old for word in free)


def test_what_is_not_protected_is_asked_for() -> None:
    sample = replace(EN, question="Give 500 mg of enalapril or 25 mg of captopril for three weeks", choices=("Nausea", "Vomiting"))
    figures = made(EDITS["typos"], sample, rate=1.0, protect=["units", "drugs", "choices"])[0].question
    assert quantities(figures) != quantities(sample.question)
    assert "enalapril" in figures
    assert "weeks" in figures
    drugs = made(EDITS["typos"], sample, rate=1.0, protect=["numbers", "units", "choices"])[0].question
    assert "enalapril" not in drugs
    assert quantities(drugs) == quantities(sample.question)
    units = made(EDITS["typos"], sample, rate=1.0, protect=["numbers", "drugs", "choices"])[0].question
    assert "weeks" not in units
    noisy = made(EDITS["typos"], sample, rate=1.0, protect=["numbers", "units", "drugs"])[0]
    assert len(set(noisy.choices) - set(sample.choices)) == 2
    spec = EDITS["typos"]
    assert spec.preserves(spec.options())
    assert not spec.preserves(spec.options.model_validate({"protect": ["numbers", "units", "drugs"]}))


def test_a_stem_without_free_words_is_refused() -> None:
    for text in ("La eritropoyetina:", "NO es cierto:", "TP53?"):
        assert refused(EDITS["typos"], replace(ES, question=text)) == "nothing in the stem may be changed"


def test_noise_makes_no_word_of_another_one() -> None:
    generator = np.random.default_rng(0)
    assert "cases" in {typos.slipped("causes", "en", generator) for _ in range(2000)}
    for number in range(300):
        sample = replace(EN, question="The causes are", choices=("a1", "b2"), id=str(number))
        assert "cases" not in made(EDITS["typos"], sample, rate=1.0)[0].question


def test_misreadings_hold_no_figure_unless_asked_for() -> None:
    sample = replace(EN, question="The following statements about biological possibilities should also be considered by most of us")
    assert not re.search(r"\d", "".join(variant.question for variant in made(EDITS["ocr_noise"], sample, rate=1.0, variants=16)))
    assert re.search(r"\d", "".join(variant.question for variant in made(EDITS["ocr_noise"], sample, rate=1.0, variants=16, figures=True)))
    broken = [variant.question for variant in made(EDITS["ocr_noise"], sample, rate=1.0, variants=16) if "-\n" in variant.question]
    assert broken


# White space


def test_only_white_space_and_marks_change() -> None:
    seen = ""
    for sample in (EN, ES):
        for variant in made(EDITS["whitespace"], sample, edits=40, variants=16):
            assert re.sub(r"\W", "", variant.question) == re.sub(r"\W", "", sample.question)
            seen += variant.question
    for sign in ("  ", " ?", "\n"):
        assert sign in seen


def test_hyphens_apostrophes_and_quotations_take_their_other_form() -> None:
    text = "The patient's wife says “it hurts” after well-known drug-free weeks"
    kinds = {kind: instead for kind, _, _, instead in whitespace.possible_edits(text, ("free",))}
    assert kinds["apostrophe"] == "’"
    assert kinds["quotation"] == '"it hurts"'
    hyphens = [start for kind, start, _, _ in whitespace.possible_edits(text, ("free",)) if kind == "hyphen"]
    assert hyphens == [text.index("-known")]


def test_words_that_belong_together_are_not_parted() -> None:
    text = "Take 5 mg enalapril maleate at atrial fibrillation onset"
    doubled = [
        text[:start].split()[-1] for kind, start, _, _ in whitespace.possible_edits(text, ("Atrial fibrillation",)) if kind == "blanks"
    ]
    assert doubled == ["maleate", "at", "fibrillation"]


# The note


def test_a_note_has_headings_lines_and_other_blanks() -> None:
    assert made(EDITS["reformat"], EN)[0].question == (
        "Case:\n- A 67-year-old woman comes to the physician because of chest pain for 3 hours.\n- She has not had a fever.\n- Her blood "
        "pressure is 150/90 mmHg and her temperature is 37.8°C.\n- Serum creatinine is 1.2mg/dL.\n- An ECG shows depression of 2.5mm in "
        "the inferior leads.\nAsked:\nWhich of the following is the most appropriate next step in management?"
    )
    assert made(EDITS["reformat"], ES)[0].question.startswith("Caso clínico:\n- Mujer de 67 años que acude")
    assert "\nCuestión:\n¿Cuál es la actitud" in made(EDITS["reformat"], ES)[0].question
    assert made(EDITS["reformat"], replace(ES, question="La ciclofosfamida:"))[0].question == "Cuestión:\nLa ciclofosfamida:"
    told = replace(ES, question="El glucógeno es un polisacárido. Señale la falsa:")
    assert made(EDITS["reformat"], told)[0].question.startswith("Planteamiento:\n- El glucógeno")
    table = made(EDITS["reformat"], replace(EN, question="Labs show:\nNa+ 138 mEq/L\nK+ 4%\nWhat is it?"))[0].question
    assert table == "Background:\n- Labs show:\n- Na+ 138mEq/L\n  K+ 4 %\nAsked:\nWhat is it?"
    assert refused(EDITS["reformat"], made(EDITS["reformat"], EN)[0]) == "the stem is a note already"


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("10 mg", "10mg"), ("10mg/dL", "10 mg/dL"), ("5 %", "5%"), ("38.5°C", "38.5 °C"), ("120/80 mmHg", "120/80 mm Hg"),
        ("120/80mm Hg", "120/80 mmHg"), ("10 l", "10 l"), ("1,020", "1,020"), ("75.000", "75.000"), ("10-kg", "10-kg"), ("T4 g", "T4 g"),
        ("2-etil", "2-etil"), ("5 minutes", "5 minutes"), ("CD4 15%", "CD4 15 %"), ("3 months", "3 months"), ("1.2.3 mg", "1.2.3mg"),
    ],
)  # fmt: skip
def test_blanks_before_units(text: str, other: str) -> None:
    assert reformat.respaced(text) == other
    assert quantities(other) == quantities(text)


# Irrelevant sentences


@pytest.mark.parametrize("lists", [OF_A_VISIT, OF_THE_PAGE], ids=["visit", "page"])
def test_irrelevant_sentences_say_nothing_of_a_patient(lists: Mapping[str, tuple[str, ...]]) -> None:
    told_of = re.compile(
        r"\d|\b(?:pain|fever|cough|dolor|fiebre|he|she|his|her|él|ella|patient|paciente|ago|hace|smok\w*|tabaco|years?|años?|mother|madre|"
        r"drug|travel|viaj\w*|diet|dieta|doctor|not|no|dust|paint\w*)\b",
        re.IGNORECASE,
    )
    for held in lists.values():
        assert len(set(held)) == len(held) >= 25
        for sentence in held:
            assert not told_of.search(sentence), sentence
            assert sentence[0].isupper()
            assert sentence.endswith(".")
            assert len(sentences(sentence)) == 1
            assert not any(is_drug(word) for word in WORD.findall(sentence)), sentence


def test_they_stand_where_nothing_is_parted() -> None:
    for number in range(60):
        text = made(EDITS["irrelevant_sentence"], replace(EN, id=str(number)))[0].question
        pieces = sentences(text)
        at = next(at for at, piece in enumerate(pieces) if piece.strip() in OF_A_VISIT["en"])
        assert 1 <= at <= 5
        assert "".join(piece for piece in pieces if piece.strip() not in OF_A_VISIT["en"]) == EN.question
    alone = made(EDITS["irrelevant_sentence"], replace(ES, question="La ciclofosfamida:"))[0].question
    assert alone.endswith(" La ciclofosfamida:")
    assert alone.removesuffix(" La ciclofosfamida:") in OF_THE_PAGE["es"]
    leaning = replace(EN, question="A 40-year-old man has a rash. It itches. This worries him. Labs show:\nNa 1\nK 2\nWhy?")
    for number in range(40):
        text = made(EDITS["irrelevant_sentence"], replace(leaning, id=str(number)))[0].question
        assert "has a rash. It itches. This worries him. " in text
        assert "Labs show:\nNa 1\nK 2\nWhy?" in text


def test_as_many_as_asked_for_and_none_twice() -> None:
    text = made(EDITS["irrelevant_sentence"], EN, n=5)[0].question
    found = [piece.strip() for piece in sentences(text) if piece.strip() in OF_A_VISIT["en"]]
    assert len(set(found)) == len(found) == 5
    for n in (0, 6):
        with pytest.raises(ValidationError):
            irrelevant_sentence.Options(n=n)


@pytest.mark.parametrize(
    ("text", "whether"),
    [
        ("A 5-year-old boy coughs. Why?", True),
        ("Mujer de 45 años con tos. ¿Qué haría?", True),
        ("El paciente tose. ¿Qué haría?", True),
        ("¿Qué fármaco requiere ajuste en un paciente con insuficiencia renal?", False),
        ("Glycogen is a polymer. Which is true?", False),
    ],
)
def test_who_tells_of_a_patient(text: str, whether: bool) -> None:
    pieces = sentences(text)
    assert tells_of_a_patient(pieces, asking_from(pieces)) is whether


# The order of sentences


def test_independent_sentences_change_places_and_others_follow_theirs() -> None:
    text = (
        "A 60-year-old man comes to the clinic because of cough. He has smoked for 30 years. Physical examination shows rales. These are "
        "bilateral. Laboratory studies show:\nNa 135\nK 4\nAn ECG shows no abnormalities. What is the cause?"
    )
    pieces = sentences(text)
    assert movable_blocks(pieces, asking_from(pieces), "en") == ((1, 2), (2, 4), (4, 8))
    orders = set()
    for number in range(80):
        moved = made(EDITS["sentence_order"], replace(EN, question=text, id=str(number)))[0]
        assert moved.manner is None
        assert moved.question != text
        assert sorted(sentences(moved.question)) == sorted(pieces)
        assert moved.question.startswith(pieces[0])
        assert moved.question.endswith(pieces[-1])
        assert "rales. These are bilateral. " in moved.question
        assert "show:\nNa 135\nK 4\nAn ECG" in moved.question
        orders.add(moved.question)
    assert len(orders) == 5


@pytest.mark.parametrize(
    "told",
    [
        "Examination shows a rash. This spreads. Treatment is started. She improves.",
        "Physical examination shows a mass. Biopsy of the mass shows a tumour.",
        "His father smokes. Her mother drinks alcohol.",
        "She is admitted. Serum sodium is then 120.",
        "Laboratory studies are listed below. Serum sodium is 120.",
        "She coughs. She sleeps.",
    ],
)
def test_sentences_that_lean_on_each_other_stay_and_the_choices_go_first(told: str) -> None:
    sample = replace(EN, question=f"A 60-year-old woman comes to the clinic. {told} What is it?")
    (variant,) = made(EDITS["sentence_order"], sample)
    assert variant == replace(sample, manner=Manner(choices_first=True))


def test_choices_first_is_refused_where_it_cannot_be() -> None:
    short = replace(EN, question="What is it?")
    assert "stand first already" in refused(EDITS["sentence_order"], made(EDITS["sentence_order"], short)[0])
    assert "stands above" in refused(EDITS["sentence_order"], replace(short, choices=("One", "None of the above"), targets=(0,)))
    assert "change places" in refused(EDITS["sentence_order"], replace(short, choices=(), targets=(), references=("x",)))
    manner = Manner(contract="letter", system="Be brief.")
    assert made(EDITS["sentence_order"], replace(short, manner=manner))[0].manner == replace(manner, choices_first=True)
    assert sentence_order.SPEC.needs(sentence_order.SPEC.options()) == {"listed", "own_prompt"}


# Evidence


def test_marked_parts_are_taken_out() -> None:
    context, question = "Fever. The culture grew S. aureus. Pain.", "He is 5. Gram stain: cocci. Which germ?"
    cut, part = (7, 34), (9, 28)
    marks = "; ".join(
        f"{name}:{start}-{end}:{hashlib.sha256(text[start:end].encode()).hexdigest()[:8]}"
        for name, text, (start, end) in (("context", context, cut), ("question", question, part))
    )
    sample = replace(EN, context=context, question=question, metadata={"evidence": marks, "year": "2020"})
    (variant,) = made(without_evidence.SPEC, sample)
    assert (variant.context, variant.question) == ("Fever. Pain.", "He is 5. Which germ?")
    assert variant.metadata == {"year": "2020"}
    assert (variant.choices, variant.targets) == (sample.choices, sample.targets)
    assert refused(without_evidence.SPEC, variant) == "the data mark no deciding part"
    for text in (question.replace("cocci", "cacci"), f" {question}"):
        assert "does not fit" in refused(without_evidence.SPEC, replace(sample, question=text))
    for bad in ("context:0-4", f"{marks};{marks}", "context:4-2:00000000", "context:0-999:00000000", "x"):
        assert "does not fit" in refused(without_evidence.SPEC, replace(sample, metadata={"evidence": bad}))
    whole = f"question:0-{len(question)}:{without_evidence.digest(question)}"
    assert "nothing of the question" in refused(without_evidence.SPEC, replace(sample, metadata={"evidence": whole}))


def test_results_of_a_structured_abstract_are_taken_out() -> None:
    abstract = "BACKGROUND: Why.\nMETHODS: 120 patients.\nRESULTS: 31 died.\nMore of it.\nCONCLUSIONS: Bad.\nFUNDING: None."
    assert without_evidence.without_results(abstract) == "BACKGROUND: Why.\nMETHODS: 120 patients.\nFUNDING: None."
    assert without_evidence.without_results("MÉTODOS: 5.\nRESULTADOS: 6.") == "MÉTODOS: 5."
    for bare in ("Results: fine.\nMethods: good.", "RESULTS: one label only.", "AIM: a.\nMETHODS: b.", ""):
        assert without_evidence.without_results(bare) is None


# Real stems


@pytest.mark.parametrize(
    ("task", "folder", "split"),
    [("headqa_es", "headqa_es", "test"), ("casimedicos_en", "casimedicos_en", "dev"), ("medqa", "medqa_usmle_4opt", "dev")],
)
def test_real_stems_keep_what_decides_and_hardly_any_is_refused(shared: Path, task: str, folder: str, split: str) -> None:
    samples = load_split(find_tasks(REPOSITORY / "tasks")[task], split, {task: shared / "data" / folder}).samples
    step = max(1, len(samples) // 120)
    for name, spec in EDITS.items():
        perturb = spec.build(spec.options())
        chosen = samples[::step]
        n_refused = 0
        for sample in chosen:
            found = perturb(sample, 0)
            if isinstance(found, Refusal):
                n_refused += 1
                continue
            assert Counter(quantities(found[0].question)) == Counter(quantities(sample.question)), (name, sample.id)
            assert found[0].choices == sample.choices
            drugs = [word for word in WORD.findall(sample.question) if is_drug(word)]
            assert not Counter(drugs) - Counter(WORD.findall(found[0].question)), (name, sample.id)
            in_choices = [word for word in WORD.findall(sample.question) if word.lower() in words_of(sample.choices)]
            assert not Counter(in_choices) - Counter(WORD.findall(found[0].question)), (name, sample.id)
        assert n_refused <= 0.02 * len(chosen), name


def test_present_tasks_mark_no_deciding_part(shared: Path) -> None:
    samples = load_split(find_tasks(REPOSITORY / "tasks")["pubmedqa"], "test", {"pubmedqa": shared / "data" / "pubmedqa_pqal"}).samples
    assert {refused(without_evidence.SPEC, sample) for sample in samples[:50]} == {"the data mark no deciding part"}
