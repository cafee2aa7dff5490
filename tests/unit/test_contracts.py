"""Output contracts: writing and reading are inverse, strict means strict, and the perturbations that put them in force."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from evalsuite import formats
from evalsuite.contracts import CONTRACTS, Contract, asked
from evalsuite.contracts.json_object import schema_for
from evalsuite.contracts.refuse import TEXTS, WORDS, with_refusal
from evalsuite.contracts.words import N_WORDS, n_words
from evalsuite.perturbations.base import Refusal
from evalsuite.perturbations.contract import SPEC as CONTRACT
from evalsuite.perturbations.gold_absent import SPEC as GOLD_ABSENT
from evalsuite.strategies.ask import read_under_contract
from evalsuite.types import Dialogue, Manner, Response, Sample

NAMES = ("letter", "json", "sentence", "other_language", "tag", "words", "text", "refuse")
WORD_FOR_WORD = ("letter", "sentence", "other_language", "tag", "text", "refuse")
"""Contracts that one output per choice keeps, white space around it aside."""
LABELS = ((), ("1", "2", "3", "4", "5"), ("a", "b", "c", "d", "e"), ("α", "β", "γ", "δ", "ε"), ("i", "ii", "iii", "iv", "v"))


def sample_of(
    choices: tuple[str, ...] = ("k", "l", "m", "n"), *, language: str = "en", labels: tuple[str, ...] = (), target: int = 1
) -> Sample:
    return Sample(
        id="s",
        group="g",
        question="Which?",
        choices=choices,
        targets=(target,),
        language=language,
        labels=labels[: len(choices)] if labels else (),
    )


def kept_by(contract: Contract, output: str, sample: Sample) -> int | None:
    return contract.read(output, sample, formats.labels_of(sample))


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Any choices that differ, in either language, under any labels."""
    text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(lambda one: bool(one.strip()))
    choices = draw(st.lists(text, min_size=2, max_size=5, unique_by=str.strip))
    language = draw(st.sampled_from(["en", "es"]))
    return sample_of(tuple(choices), language=language, labels=draw(st.sampled_from(LABELS)), target=draw(st.integers(0, len(choices) - 1)))


def under(contract: Contract, sample: Sample) -> Sample:
    return with_refusal(sample, formats.labels_of(sample)) if contract.allows_refusal else sample


def test_every_contract_is_listed_with_words_in_both_languages() -> None:
    assert tuple(CONTRACTS) == NAMES
    for contract in CONTRACTS.values():
        assert set(contract.words) == {"en", "es"}
        assert contract.summary.endswith(".")
        assert contract.source


@pytest.mark.parametrize("name", NAMES)
@given(sample=samples())
def test_reading_undoes_writing(name: str, sample: Sample) -> None:
    contract = CONTRACTS[name]
    shown = under(contract, sample)
    labels = formats.labels_of(shown)
    for index in range(len(shown.choices)):
        output = contract.write(shown, labels, index)
        assert contract.read(output, shown, labels) == index
        assert contract.read(f"\n {output}\t\n", shown, labels) == index


@pytest.mark.parametrize("name", WORD_FOR_WORD)
@given(sample=samples(), data=st.data())
def test_nothing_else_is_kept(name: str, sample: Sample, data: st.DataObject) -> None:
    """Any other output, here one or two edits away from one that is kept, is not."""
    contract = CONTRACTS[name]
    shown = under(contract, sample)
    labels = formats.labels_of(shown)
    written = [contract.write(shown, labels, index).strip() for index in range(len(shown.choices))]
    output = data.draw(st.sampled_from(written))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(output)))
        cut = data.draw(st.integers(0, 1))
        output = output[:at] + data.draw(st.sampled_from(["", " ", ".", "B", "b", "\n", "*", '"', "1", "ñ"])) + output[at + cut :]
    read = contract.read(output, shown, labels)
    assert read == (written.index(output.strip()) if output.strip() in written else None)


@given(st.sampled_from(LABELS), st.sampled_from(["en", "es"]), st.text(max_size=40))
def test_no_output_makes_a_parser_fail(labels: tuple[str, ...], language: str, output: str) -> None:
    sample = sample_of(language=language, labels=labels)
    for contract in CONTRACTS.values():
        read = kept_by(contract, output, sample)
        assert read is None or 0 <= read < len(sample.choices)


# ---- JSON


@pytest.mark.parametrize(
    ("output", "read"),
    [
        ('{"answer": "B"}', 1), ('{"answer":"B"}', 1), ('\n{\n "answer": "B"\n}\n', 1), ('{"answer": "\\u0042"}', 1),
        ('{"answer": "b"}', None), ('{"answer": "E"}', None), ('{"answer": "B."}', None), ('{"answer": ["B"]}', None),
        ('{"answer": null}', None), ('{"answer": 1}', None), ('{"answer": true}', None), ("{}", None), ("[]", None), ('"B"', None),
        ('{"answer": "B", "why": ""}', None), ('{"Answer": "B"}', None), ('{"answer": "A", "answer": "B"}', None),
        ('{"answer": "B", "answer": "B"}', None), ("{'answer': 'B'}", None), ('{answer: "B"}', None), ('{"answer": "B",}', None),
        ('```json\n{"answer": "B"}\n```', None), ('{"answer": "B"} ', 1), ('{"answer": "B"}.', None), ('Here: {"answer": "B"}', None),
        ('[{"answer": "B"}]', None), ('{"answer": "B"}{"answer": "B"}', None), ('{"answer": "B"', None), ("", None), ("NaN", None),
        ('\ufeff{"answer": "B"}', None), ("[" * 100_000, None), ('{"answer": "B" /* right */}', None),
    ],
)  # fmt: skip
def test_json_is_parsed_and_validated(output: str, read: int | None) -> None:
    assert kept_by(CONTRACTS["json"], output, sample_of()) == read


def test_the_schema_is_one_and_is_what_the_prompt_shows() -> None:
    schema = schema_for(["A", "B"])
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["answer"] == {"enum": ["A", "B"]}
    for language in ("en", "es"):
        words = asked(CONTRACTS["json"], sample_of(("k", "l"), language=language), ["A", "B"])
        assert words is not None
        assert json.loads(words[words.index("{") :]) == schema


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from("ABCD"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["answer", "x"]), inner, max_size=2),
)


@given(VALUES)
def test_json_keeps_exactly_what_the_schema_allows(value: object) -> None:
    expected = value["answer"] if isinstance(value, dict) and list(value) == ["answer"] and value["answer"] in list("ABCD") else None
    read = kept_by(CONTRACTS["json"], json.dumps(value), sample_of())
    assert read == (None if expected is None else "ABCD".index(expected))


# ---- words


@given(st.integers(0, 2 * N_WORDS), st.sampled_from(["\n", "\n\n", "\r\n", "\n \n"]))
def test_words_are_counted(n: int, line_break: str) -> None:
    output = " ".join(f"COX-{number}" for number in range(n)) + f"{line_break}Answer: C"
    assert kept_by(CONTRACTS["words"], output, sample_of()) == (2 if 1 <= n <= N_WORDS else None)


@pytest.mark.parametrize(("text", "n"), [("", 0), ("one", 1), ("a - b", 2), ("INR > 10", 2), ("2,5 mg/kg", 2), ("...", 0), ("uno\ndos", 2)])
def test_a_word_is_a_run_with_a_letter_or_digit(text: str, n: int) -> None:
    assert n_words(text) == n


@pytest.mark.parametrize(
    ("output", "read"),
    [
        ("It fits.\nAnswer: B", 1), ("It fits.\nAnswer: B.", None), ("It fits.\nanswer: B", None), ("It fits. Answer: B", None),
        ("It fits.\n Answer: B", None), ("It fits.\nAnswer: B\nDone.", None), ("Answer: A\nAnswer: B", None), ("Answer: B", None),
        ("Answer: A or B?\nAnswer: B", 1), ("It fits.\nRespuesta: B", None), ("It fits.\nAnswer: E", None), ("-\nAnswer: B", None),
    ],
)  # fmt: skip
def test_the_last_line_is_the_answer_line(output: str, read: int | None) -> None:
    assert kept_by(CONTRACTS["words"], output, sample_of()) == read


def test_an_exemplar_keeps_the_limit_whatever_its_choice() -> None:
    sample = sample_of((" ".join(["word"] * 60), "short\nAnswer: A", "m"))
    for index in range(3):
        output = CONTRACTS["words"].write(sample, "ABC", index)
        assert kept_by(CONTRACTS["words"], output, sample) == index
    assert "word" not in CONTRACTS["words"].write(sample, "ABC", 0)


# ---- the others


@pytest.mark.parametrize(
    ("language", "output", "read"),
    [
        ("en", "The correct answer is B: l.", 1), ("en", "The correct answer is B: m.", None), ("en", "The correct answer is B: l", None),
        ("en", "La respuesta correcta es la B: l.", None), ("en", "The correct answer is D: Stop it.", 3),
        ("en", "The correct answer is D: Stop it..", None), ("es", "La respuesta correcta es la B: l.", 1),
        ("es", "La respuesta correcta es B: l.", None),
    ],
)  # fmt: skip
def test_the_sentence_has_the_label_and_its_text(language: str, output: str, read: int | None) -> None:
    assert kept_by(CONTRACTS["sentence"], output, sample_of(("k", "l", "m", "Stop it."), language=language)) == read


def test_the_other_language_is_the_other_one() -> None:
    english, spanish = "The correct answer is C.", "La respuesta correcta es la C."
    contract = CONTRACTS["other_language"]
    assert (kept_by(contract, spanish, sample_of()), kept_by(contract, english, sample_of())) == (2, None)
    assert (kept_by(contract, english, sample_of(language="es")), kept_by(contract, spanish, sample_of(language="es"))) == (2, None)


def test_a_text_that_two_choices_have_answers_nothing() -> None:
    assert kept_by(CONTRACTS["text"], "k", sample_of(("k", "k ", "m"))) is None
    assert kept_by(CONTRACTS["text"], "m", sample_of(("k", "k ", "m"))) == 2


def test_prompts_call_labels_what_they_are() -> None:
    def words(name: str, language: str, labels: tuple[str, ...]) -> str:
        found = asked(CONTRACTS[name], sample_of(language=language), labels)
        assert found is not None
        return found

    assert words("letter", "en", ("A", "B")) == "Answer with the letter of the right choice and nothing else."
    assert "the number of the right choice" in words("tag", "en", ("1", "2"))
    assert "the label of the right choice" in words("tag", "en", ("i", "ii"))
    assert "el número de la opción correcta" in words("words", "es", ("1", "2"))
    assert "la letra de la opción correcta" in words("sentence", "es", ("α", "β"))
    assert asked(CONTRACTS["letter"], sample_of(language="fr"), "AB") is None
    for name in NAMES:
        assert "{label" not in words(name, "en", ("A", "B"))
        assert "{label" not in words(name, "es", ("A", "B"))


def test_the_refusal_is_asked_for_but_not_called_a_letter_or_listed() -> None:
    shown = with_refusal(sample_of(language="es"), "ABCD")
    wording = replace(formats.default_wording("es"), output=CONTRACTS["refuse"])
    user = formats.lay_out(shown, "generate", wording).user
    assert "la letra de la opción correcta" in user
    assert user.endswith("contesta únicamente con la palabra NINGUNA.")
    assert TEXTS["es"] not in user.partition("Contesta")[0]
    assert (shown.choices[-1], shown.labels[-1], shown.order, shown.n_unlisted) == (TEXTS["es"], WORDS["es"], (0, 1, 2, 3, -1), 1)


PIECES = (
    "NONE", "NINGUNA", "none of the options is correct", "ninguna de las opciones es correcta", "the answer is not listed", "Answer: B",
    "The answer is C.", '{"answer": "A"}', "<answer>D</answer>", "not A but B", "no es la A, sino la C", "E. None", "k", "l", "\n", ". ",
    "wait, ", "if ", "Most likely B", "all of the options are wrong", "'answer': 'a'", "B. Not indicated.", "A and B are alike.",
)  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=7),
    st.sampled_from(NAMES),
    st.sampled_from([*LABELS, ("",) * 5]),
    st.sampled_from(["en", "es"]),
)
def test_readings_are_in_range_and_strict_agrees_with_lenient(pieces: list[str], name: str, labels: tuple[str, ...], language: str) -> None:
    contract = CONTRACTS[name]
    assume(contract.by_text or labels != ("",) * 5)
    shown = under(contract, sample_of(labels=labels, language=language))
    output = " ".join(pieces)
    wording = replace(formats.default_wording(language), output=contract)
    lenient, strict = read_under_contract(contract, output, Response(text=output, finish_reason="stop"), shown, wording)
    assert strict is not None
    for reading in (lenient, strict):
        assert reading.status in {"scored", "unparsed"}
        assert (reading.index is not None) == (reading.status == "scored")
        assert reading.index is None or 0 <= reading.index < len(shown.choices)
        assert reading.also == ()
    assert strict.index is None or lenient == strict


# ---- perturbations


def perturbed(sample: Sample, form: str = "letter") -> Sample | str:
    found = CONTRACT.build(CONTRACT.options.model_validate({"form": form}))(sample, 0)
    return found.reason if isinstance(found, Refusal) else found[0]


def without_gold(sample: Sample) -> Sample | str:
    found = GOLD_ABSENT.build(GOLD_ABSENT.options())(sample, 0)
    return found.reason if isinstance(found, Refusal) else found[0]


@pytest.mark.parametrize("form", NAMES)
def test_a_contract_changes_how_is_asked_and_nothing_else(form: str) -> None:
    sample = replace(sample_of(), variant=3, manner=Manner(choices_first=True), suggested=2)
    found = perturbed(sample, form)
    assert isinstance(found, Sample)
    assert found.manner == Manner(choices_first=True, contract=form)
    assert found.targets == sample.targets
    if form == "refuse":
        assert (found.choices, found.labels, found.order) == (
            (*sample.choices, TEXTS["en"]),
            ("A", "B", "C", "D", "NONE"),
            (0, 1, 2, 3, -1),
        )
        found = replace(found, choices=sample.choices, labels=(), order=(), n_unlisted=0)
    assert replace(found, variant=3, manner=sample.manner) == sample


def test_a_form_must_be_one_of_the_contracts() -> None:
    for name in NAMES:
        assert CONTRACT.options.model_validate({"form": name})
    for bad in ({}, {"form": "xml"}, {"form": "json", "n": 1}):
        with pytest.raises(ValidationError):
            CONTRACT.options.model_validate(bad)


SPEAKS = "a choice speaks of all others, or is none or not known itself"
REFERS = "a choice, or somebody in the text, refers to choices"


@pytest.mark.parametrize(
    ("form", "sample", "reason"),
    [
        ("letter", sample_of(("k",), target=0), "fewer than two choices"),
        ("letter", replace(sample_of(), targets=(0, 1)), "not exactly one right choice"),
        ("letter", replace(sample_of(), targets=()), "not exactly one right choice"),
        ("json", sample_of(language="fr"), "has no form in this language (fr)"),
        ("tag", sample_of(labels=("", "", "", "")), "the contract asks for a label, and the choices have none"),
        ("text", sample_of(("k", "k ", "m")), "two choices have the same text"),
        ("letter", sample_of(tuple(f"c{number}" for number in range(27))), "more choices than letters"),
        ("letter", with_refusal(sample_of(), "ABCD"), "an answer that is not listed is allowed already"),
        ("refuse", sample_of(("k", "None of the above")), SPEAKS),
        ("refuse", sample_of(("k", "Ninguno, es un hallazgo normal"), language="es"), SPEAKS),
        ("refuse", sample_of(("k", "I do not know")), SPEAKS),
    ],
)  # fmt: skip
def test_contracts_refuse_what_they_do_not_fit(form: str, sample: Sample, reason: str) -> None:
    assert perturbed(sample, form) == reason


def test_choices_without_labels_are_asked_for_by_their_text() -> None:
    assert isinstance(perturbed(sample_of(labels=("", "", "", "")), "text"), Sample)


@given(samples(), st.integers(0, 9))
def test_without_the_right_choice_the_refusal_is_right(sample: Sample, shift: int) -> None:
    n = len(sample.choices)
    moved = replace(sample, order=tuple((at + shift) % n for at in range(n)))
    found = without_gold(moved)
    if isinstance(found, str):
        return
    gold = sample.targets[0]
    listed = found.choices[:-1]
    assert n >= 3
    assert sample.choices[gold] not in listed
    assert listed == tuple(choice for at, choice in enumerate(sample.choices) if at != gold)
    assert found.order == (*(moved.order[at] for at in range(n) if at != gold), -1)
    assert found.labels == (*formats.labels_of(sample)[: n - 1], WORDS[sample.language])
    assert (found.targets, found.n_unlisted) == ((n - 1,), 1)
    assert found.manner == Manner(contract="refuse")
    assert CONTRACTS["refuse"].write(found, found.labels, found.targets[0]) == WORDS[sample.language]


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (sample_of(("yes", "no")), "fewer than three choices, so that fewer than two would be left"),
        (sample_of(("k", "l", "All of the above")), REFERS),
        (sample_of(("k", "l", "Both A and B")), REFERS),
        (replace(sample_of(), suggested=1), REFERS),
        (replace(sample_of(), dialogue=Dialogue(first=sample_of(), said="", repeats=True)), "the first turn has shown the right choice"),
        (sample_of(("k", "Lupus", "lupus ")), "another choice has the same text as the right one"),
        (sample_of(language="fr"), "has no form in this language (fr)"),
    ],
)  # fmt: skip
def test_the_right_choice_is_not_taken_out_where_it_would_still_be_there(sample: Sample, reason: str) -> None:
    told = without_gold(sample)
    assert isinstance(told, str)
    assert told == reason


def test_both_need_the_whole_answer_in_a_prompt_of_ours() -> None:
    assert CONTRACT.needs(CONTRACT.options.model_validate({"form": "json"})) == {"written", "own_prompt"}
    assert GOLD_ABSENT.needs(GOLD_ABSENT.options()) == {"written", "own_prompt"}
    assert (CONTRACT.preserves_meaning, GOLD_ABSENT.preserves_meaning) == (True, False)
