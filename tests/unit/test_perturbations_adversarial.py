"""Planted instructions, claims, characters that nobody sees, and long records: what stays, what is added, what is refused."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evalsuite.perturbations import long_record, planted_instruction, unicode
from evalsuite.perturbations.base import PerturbationSpec, Refusal
from evalsuite.perturbations.found import perturbation_specs
from evalsuite.perturbations.parts.protected import quantities
from evalsuite.perturbations.parts.records import FIRST_HOUR, LAST_HOUR, LINES, record
from evalsuite.perturbations.planted_instruction import Wording
from evalsuite.perturbations.unicode import CONFUSABLES, ZERO_WIDTH
from evalsuite.types import Sample

SPECS = perturbation_specs()
EN = Sample(
    id="s1", group="t:1", question="A man of 54 takes 20 mg/day of enalapril, type II. He coughs. What is the likely cause?",
    choices=("Asthma.", "Bronchitis.", "The drug.", "Emphysema."), targets=(2,),
)  # fmt: skip
ES = replace(
    EN, question="Varón de 54 años que toma 20 mg/día de enalapril. Tiene tos. ¿Cuál es la causa más probable?",
    choices=("Asma.", "Bronquitis.", "El fármaco.", "Enfisema."), language="es",
)  # fmt: skip
CASES: list[tuple[str, dict[str, Any]]] = [
    *(("planted_instruction", {"wording": wording}) for wording in planted_instruction.WORDS),
    ("authority_claim", {}),
    ("unicode", {"kind": "confusables"}),
    ("unicode", {"kind": "zero_width"}),
    ("unicode", {"kind": "both", "rate": 1.0}),
    ("long_record", {"words": 80}),
]


def made(name: str, sample: Sample, seed: int = 7, **options: Any) -> tuple[Sample, ...] | Refusal:
    spec: PerturbationSpec = SPECS[name]
    return spec.build(spec.options.model_validate(options))(sample, seed)


def variant_of(name: str, sample: Sample, seed: int = 7, **options: Any) -> Sample:
    found = made(name, sample, seed, **options)
    assert not isinstance(found, Refusal), found.reason
    (variant,) = found
    return variant


def reason(name: str, sample: Sample, **options: Any) -> str:
    found = made(name, sample, **options)
    assert isinstance(found, Refusal)
    return found.reason


@pytest.mark.parametrize(("name", "options"), CASES)
@given(seed=st.integers(0, 2**40), spanish=st.booleans())
def test_choices_target_and_identity_stay_and_the_draw_is_the_seeds(name: str, options: dict[str, Any], seed: int, spanish: bool) -> None:
    sample = ES if spanish else EN
    variant = variant_of(name, replace(sample, variant=4), seed, **options)
    same = ("id", "group", "choices", "targets", "order", "labels", "language", "manner", "dialogue", "n_unlisted")
    assert [getattr(variant, field) for field in same] == [getattr(sample, field) for field in same]
    assert variant.variant == 0
    assert variant == variant_of(name, sample, seed, **options)
    assert (variant.question, variant.context) != (sample.question, sample.context)


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"language": "fr"}, "no form in this language (fr)"),
        ({"choices": ("Asthma.",), "targets": (0,)}, "fewer than two choices"),
        ({"targets": ()}, "right choice"),
        ({"targets": (7,)}, "not among the choices"),
        ({"question": ""}, "no question"),
    ],
)
def test_unfit_samples_are_refused(name: str, options: dict[str, Any], changes: dict[str, Any], why: str) -> None:
    assert why in reason(name, replace(EN, **changes), **options)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_second_turn_is_left_alone(name: str, options: dict[str, Any]) -> None:
    assert reason(name, variant_of("are_you_sure", EN), **options) == "it is asked in a second turn already"


@pytest.mark.parametrize(("name", "needed"), [("planted_instruction", {"listed"}), ("authority_claim", {"listed"}), ("unicode", set())])
def test_who_names_a_label_needs_choices_that_are_listed(name: str, needed: set[str]) -> None:
    assert SPECS[name].needs(SPECS[name].options()) == needed


# --- planted instructions -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wording", get_args(Wording))
@given(seed=st.integers(0, 2**40), spanish=st.booleans())
def test_an_instruction_stands_on_a_line_of_its_own_before_the_question_proper(wording: Wording, seed: int, spanish: bool) -> None:
    sample = ES if spanish else EN
    variant = variant_of("planted_instruction", sample, seed, wording=wording)
    assert variant.suggested in (0, 1, 3)
    planted = planted_instruction.WORDS[wording][sample.language].replace("{label}", "ABCD"[variant.suggested or 0])
    lines = variant.question.split("\n")
    at = lines.index(planted)
    assert 0 < at < len(lines) - 1
    assert " ".join(lines[:at] + lines[at + 1 :]) == sample.question


def test_instructions_are_planted_between_all_sentences_of_the_vignette() -> None:
    heads = {variant_of("planted_instruction", replace(EN, id=str(n))).question.split("\n")[0] for n in range(60)}
    assert heads == {"A man of 54 takes 20 mg/day of enalapril, type II.", "A man of 54 takes 20 mg/day of enalapril, type II. He coughs."}


def test_a_question_of_one_sentence_follows_the_instruction() -> None:
    sample = replace(EN, question="The commonest cause of cough is:")
    assert variant_of("planted_instruction", sample).question.split("\n")[1] == sample.question


def test_planted_labels_are_those_that_are_shown() -> None:
    sample = replace(EN, labels=("α", "β", "γ", "δ"))
    variant = variant_of("planted_instruction", sample)
    assert variant.suggested is not None
    assert f"answer {sample.labels[variant.suggested]}." in variant.question
    bare = variant_of("planted_instruction", replace(EN, labels=("",) * 4))
    assert bare.suggested is not None
    assert f"answer ‘{EN.choices[bare.suggested].rstrip('.')}’." in bare.question


# --- characters that nobody sees ----------------------------------------------------------------------------------------------------------

BACK = {alike: plain for plain, alike in CONFUSABLES.items()}
TEXTS = st.text(st.sampled_from("aeiosxwz AEIXñéü 0123456789.,%/-mgII\n¿?"), min_size=1, max_size=80)


def seen(text: str) -> str:
    """A text as a reader sees it."""
    return "".join(BACK.get(sign, sign) for sign in text if sign not in ZERO_WIDTH)


def test_look_alikes_are_single_letters_of_other_alphabets_and_none_stands_twice() -> None:
    assert len(BACK) == len(CONFUSABLES)
    for plain, alike in CONFUSABLES.items():
        assert plain.isascii()
        assert plain.isupper() == alike.isupper()
        assert unicodedata.name(alike).split()[0] in ("CYRILLIC", "GREEK")
        assert unicodedata.normalize("NFKC", alike) == alike
    assert all(unicodedata.category(sign) == "Cf" for sign in ZERO_WIDTH)


@given(text=TEXTS, rate=st.floats(0.01, 1), kind=st.sampled_from(["confusables", "zero_width", "both"]), seed=st.integers(0, 2**40))
def test_a_reader_sees_the_same_and_numbers_stay(text: str, rate: float, kind: str, seed: int) -> None:
    found = made("unicode", replace(EN, question=text), seed, kind=kind, rate=rate)
    if isinstance(found, Refusal):
        assert found.reason in ("no letter of the stem can be touched", "there is no question")
        return
    changed = found[0].question
    assert changed != text
    assert seen(changed) == text
    assert quantities(changed) == quantities(text)
    for figure in re.findall(r"\w*\d\w*", text):
        assert figure in changed


@pytest.mark.parametrize("rate", [0.001, 0.25, 1.0])
def test_the_rate_is_the_share_of_what_can_be_touched(rate: float) -> None:
    places, gaps = unicode.touchable(EN.question)
    alike = variant_of("unicode", EN, kind="confusables", rate=rate).question
    hidden = variant_of("unicode", EN, kind="zero_width", rate=rate).question
    assert sum(a != b for a, b in zip(alike, EN.question, strict=True)) == max(1, round(rate * len(places)))
    assert len(hidden) - len(EN.question) == max(1, round(rate * len(gaps)))


def test_both_kinds_are_the_one_and_the_other() -> None:
    both, alike, hidden = (variant_of("unicode", EN, kind=kind).question for kind in ("both", "confusables", "zero_width"))
    assert "".join(sign for sign in both if sign not in ZERO_WIDTH) == alike
    assert seen(both) == EN.question
    assert [at for at, sign in enumerate(both) if sign in ZERO_WIDTH] == [at for at, sign in enumerate(hidden) if sign in ZERO_WIDTH]


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        ("20 mg/day of enalapril", "of enalapril"),
        ("type II, HbA1c 7.2 %", "type"),
        ("tres años con tos", "con tos"),
        ("B12 5,5 mmol/L", ""),
        ("5 cm de eje", "de eje"),
    ],
)
def test_numbers_units_and_codes_are_left_alone(text: str, touched: str) -> None:
    places, gaps = unicode.touchable(text)
    words = {word.span() for word in re.finditer(r"\S+", text) if any(word.start() <= at < word.end() for at in [*places, *gaps])}
    assert " ".join(text[start:end] for start, end in sorted(words)) == touched
    if not touched:
        assert "no letter" in reason("unicode", replace(EN, question=text))


@pytest.mark.parametrize("rate", [0, 1.1])
def test_rates_outside_are_refused(rate: float) -> None:
    with pytest.raises(ValidationError, match="rate"):
        unicode.Options(rate=rate)


# --- long records -------------------------------------------------------------------------------------------------------------------------

CLINICAL = re.compile(
    r"\b(?:pain|fever|cough|nause|vomit|blood|pressure|pulse\b|temperature|diagnos|symptom|allerg|tablet|dose|mg|ml|drug|medic|analys|x-ray|"
    r"dolor|fiebre|tos|náusea|vómito|sangre|tensión|pulso\b|temperatura|síntoma|alergi|comprimido|dosis|fármaco|medica|analític|radiograf)",
    re.IGNORECASE,
)


@given(seed=st.integers(0, 2**40), n_words=st.integers(50, 1500), language=st.sampled_from(sorted(LINES)))
def test_records_are_as_long_as_asked_and_never_clinical(seed: int, n_words: int, language: str) -> None:
    text = record(language, n_words, seed)
    lines = text.split("\n")
    longest = max(len(line.split()) for line in lines[1:-1])
    assert n_words <= len(text.split()) < n_words + longest
    assert CLINICAL.search(text) is None
    assert "{" not in text
    assert re.fullmatch(LINES[language].end.replace("{number}", r"\d{5}").replace(".º", r"\.º"), lines[-1])
    times = [re.fullmatch(r"(\d\d)/(\d\d)/(\d{4}) (\d\d):(\d\d) \S.*", line) for line in lines[1:-1]]
    stamps = [(found[3], found[2], found[1], found[4], found[5]) for found in times if found]
    assert len(stamps) == len(lines) - 2
    assert stamps == sorted(stamps)
    assert all(FIRST_HOUR <= int(stamp[3]) < LAST_HOUR for stamp in stamps)


def test_entries_come_again_only_when_all_have_come() -> None:
    entries = [re.sub(r"\d+", "#", line[17:]) for line in record("en", 600, 3).split("\n")[1:-1]]
    named = [re.sub("|".join(LINES["en"].visitors), "@", entry) for entry in entries]
    assert len(set(named)) == len(LINES["en"].entries)
    assert len(set(named[: len(LINES["en"].entries)])) == len(LINES["en"].entries)


def test_languages_hold_the_same_kinds_of_entries() -> None:
    own, other = (LINES[language] for language in ("en", "es"))
    assert len(own.entries) == len(set(own.entries)) == len(other.entries) == len(set(other.entries))
    for a, b in zip(own.entries, other.entries, strict=True):
        assert sorted(re.findall(r"{\w+}", a)) == sorted(re.findall(r"{\w+}", b))


def test_a_record_stands_before_the_question_and_says_whose_it_is() -> None:
    for sample, says in ((EN, "another person's file"), (ES, "historia de otra persona")):
        variant = variant_of("long_record", sample)
        assert variant.question == sample.question
        assert says in variant.context.split("\n")[0]
        assert len(variant.context.split()) >= 600


def test_a_passage_keeps_its_heading_to_itself() -> None:
    variant = variant_of("long_record", replace(EN, context="A trial."), words=60)
    assert variant.context == "A trial."
    assert variant.question.endswith(f"\n\n{EN.question}")
    assert "another person's file" in variant.question


def test_records_apply_to_free_text() -> None:
    text = Sample(id="f", group="g", question="Summarise.", references=("Done.",))
    assert variant_of("long_record", text, words=60).references == ("Done.",)
    with pytest.raises(ValidationError, match="words"):
        long_record.Options(words=10)
