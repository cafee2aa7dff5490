"""Reading answers: golden tables, traps, agreement of strict and lenient, and time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalsuite import formats
from evalsuite.answers import RULES, read_lenient, read_strict, read_text, without_thinking
from evalsuite.answers.labels import labels_of
from evalsuite.types import Reading, Sample

GOLDEN = Path(__file__).parent.parent / "golden"
THINK = ("<think>", "</think>")
DRUGS = ("Aspirin", "Ibuprofen", "Paracetamol", "Codeine")
EN = formats.default_wording("en")


def rows(language: str) -> list[dict[str, Any]]:
    text = (GOLDEN / f"answers_{language}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def wording_in(row: dict[str, Any], language: str) -> formats.Wording:
    """Of a golden case: the French table says whether several are asked; the others have several targets where they are."""
    return wording_of(row.get("language", language), several=row.get("several", len(row.get("targets", [0])) > 1))


def wording_of(language: str, *, several: bool) -> formats.Wording:
    return formats.several_wording(language) if several else formats.default_wording(language)


CASES = [(language, row) for language in ("en", "es", "fr") for row in rows(language)]


def sample_of(
    choices: tuple[str, ...] = DRUGS,
    *,
    targets: tuple[int, ...] = (0,),
    labels: tuple[str, ...] = (),
    question: str = "Which drug?",
    language: str = "en",
) -> Sample:
    return Sample(id="s1", group="g1", question=question, choices=choices, targets=targets, labels=labels, language=language)


def positions(reading: Reading) -> list[int] | int | str:
    if reading.status != "scored":
        return reading.status
    assert reading.index is not None
    assert all(later > reading.index for later in reading.also)
    return [reading.index, *reading.also] if reading.also else reading.index


@pytest.mark.parametrize(("language", "row"), CASES, ids=[f"{row['id']}-{row['note']}" for _, row in CASES])
def test_golden(language: str, row: dict[str, Any]) -> None:
    sample = sample_of(
        tuple(row["choices"]), targets=tuple(row.get("targets", [0])), labels=tuple(row["labels"]), question="Q", language=language
    )
    wording = wording_in(row, language)
    thinking = (row["thinking"][0], row["thinking"][1]) if "thinking" in row else None
    assert positions(read_strict(row["output"], sample, wording, thinking=thinking)) == row["strict"]
    assert positions(read_lenient(row["output"], sample, wording, thinking=thinking)) == row["lenient"]


@pytest.mark.parametrize("language", ["en", "es"])
def test_golden_tables_are_large_and_mixed(language: str) -> None:
    table = rows(language)
    assert len(table) >= 150
    assert len({row["id"] for row in table}) == len(table)
    unparsed = sum(row["lenient"] == "unparsed" for row in table)
    assert 0.2 <= unparsed / len(table) <= 0.5
    # the target is always the first choice where only one is right, so that reading it proves nothing; most answers are others
    assert sum(row["lenient"] not in (0, "unparsed") for row in table) >= 40


def test_the_french_table_has_several_and_single_answers_and_traps() -> None:
    table = rows("fr")
    assert sum(row["language"] == "fr" for row in table) >= 80
    assert {row["language"] for row in table} == {"fr", "en", "es"}
    assert len({row["id"] for row in table}) == len(table)
    assert sum(isinstance(row["lenient"], list) for row in table) >= 50
    assert sum(isinstance(row["lenient"], int) for row in table) >= 15
    assert sum(row["lenient"] == "unparsed" for row in table) >= 20
    # where one choice is wanted, the same outputs never give several
    assert not [row for row in table if not row["several"] and isinstance(row["lenient"], list)]


@pytest.mark.parametrize("row", [row for row in rows("fr") if isinstance(row["lenient"], list)], ids=lambda row: row["id"])
def test_several_letters_are_never_read_where_one_is_wanted(row: dict[str, Any]) -> None:
    sample = sample_of(tuple(row["choices"]), targets=(0, 1), labels=tuple(row["labels"]), language=row["language"])
    wording = formats.default_wording(row["language"])
    for read in (read_strict, read_lenient):
        assert read(row["output"], sample, wording).also == ()


def test_a_range_is_no_list() -> None:
    assert positions(read_lenient("Réponse : A-D", sample_of(), wording_of("fr", several=True))) == "unparsed"
    assert positions(read_lenient("Réponse : A-C-D", sample_of(), wording_of("fr", several=True))) == [0, 2, 3]


def test_a_choice_left_undecided_leaves_all_unread() -> None:
    verdicts = "A. Vrai\nB. Faux\nC. {}\nD. Faux"
    several = wording_of("fr", several=True)
    assert positions(read_lenient(verdicts.format("Vrai"), sample_of(), several)) == [0, 2]
    assert positions(read_lenient(verdicts.format("Peut-être"), sample_of(), several)) == "unparsed"
    wrong = sample_of(question="Parmi les propositions suivantes, lesquelles sont fausses ?")
    assert positions(read_lenient(verdicts.format("Vrai"), wrong, several)) == "unparsed"


def test_the_number_of_right_choices_is_not_given_away() -> None:
    for output in ("Réponse: A, C", "ACD", "Réponse: B", "Je ne sais pas."):
        read = {repr(read_lenient(output, sample_of(targets=targets), wording_of("fr", several=True))) for targets in ((0,), (0, 2), (1,))}
        assert len(read) == 1


def test_every_rule_reads_some_golden_case() -> None:
    used = set()
    for language, row in CASES:
        sample = sample_of(tuple(row["choices"]), targets=tuple(row.get("targets", [0])), labels=tuple(row["labels"]), question="Q")
        thinking = (row["thinking"][0], row["thinking"][1]) if "thinking" in row else None
        wording = wording_in(row, language)
        used.add(read_lenient(row["output"], sample, wording, thinking=thinking).rule)
    # refusals are read only where a contract allows them: test_contract_outputs
    assert {rule.name for rule in RULES} - {"refusal"} | {"conflict", ""} == used


def test_every_rule_says_what_it_does() -> None:
    for rule in RULES:
        text = rule.read.__doc__ or ""
        assert "(" in text, f"{rule.name} names no source"


# (output, expected) with labels A to D, one answer asked; beyond the golden tables
MORE: list[tuple[str, int | str]] = [
    ("Answer: B. A is incorrect because it is irreversible.", 1),
    ("Answer: B, since A is wrong", 1),
    ("Answer: B, C is wrong", 1),
    ("The answer is D, not B.", 3),
    ("The answer is B because A is not indicated and C and D are contraindicated.", 1),
    ("Thus, the correct answer is B (Ibuprofen), rather than A (Aspirin).", 1),
    ("Sure! The correct answer is:\n\n**C. Paracetamol**\n\nHere's why:\n- **A. Aspirin**: wrong\n- **B. Ibuprofen**: wrong", 2),
    ("Let's go through the options.\n\nA. Aspirin: wrong.\n\nB. Ibuprofen: wrong.\n\nSo the best option is C. Paracetamol.", 2),
    ("Among the options, B is the most likely.", 1),
    ("I cannot answer with certainty, but B is most likely correct.", 1),
    ("A) Aspirin B) Ibuprofen C) Paracetamol D) Codeine", "unparsed"),
    ("Answer: A) Aspirin B) Ibuprofen C) Paracetamol D) Codeine", "unparsed"),
    ("Please provide the options A-D.", "unparsed"),
    ("A 45-year-old man presents with chest pain.", "unparsed"),
    ("D-dimer should be ordered.", "unparsed"),
    ("Both A and B are correct.", "unparsed"),
    ("A, B, C, D", "unparsed"),
    ("A/B", "unparsed"),
    ("Group B streptococcus", "unparsed"),
    ("I would not recommend ibuprofen for this patient.", "unparsed"),
    ("Aspirin isn't indicated here.", "unparsed"),
    ("Answer: B<|eot_id|>", 1),
    ("B [/INST]", 1),
    ("Answer: B - not indicated", "unparsed"),
    ("Answer: B is not the right choice.", "unparsed"),
    ("Answer: Ibuprofen is not only safe but effective.", 1),
    ("Answer: B. Ibuprofen is the only drug that is not contraindicated.", 1),
    ("Since aspirin is contraindicated the best option is B.", 1),
    ("Answer: B\n\nA common mistake is to think that the answer is A.", 1),
    ("Answer: B\n\nMany choose A, but that is wrong.", 1),
    ("Answer: B\n\nI hope this helps! Let me know if that is wrong.", 1),
    ("Answer: B\n\nAspirin actually binds irreversibly. Therefore, the correct answer is C.", "unparsed"),
    ("Answer: B. I was wrong about A earlier.", 1),
    ("The contraindicated option is B.", "unparsed"),
    ("Choosing option B would be a mistake.", "unparsed"),
    ("Aspirin (contraindicated)", "unparsed"),
    ("Aspirin: avoid.", "unparsed"),
    ("My final answer is B. Answer: C", "unparsed"),
    ("The answer is A, no, wait, the answer is B.", 1),
    ("La respuesta es la A, no, espera, la respuesta es la B.", 1),
    ("Respuesta: B\n\nPerdón, quise decir C.", 2),
    ("Como la aspirina está contraindicada la mejor opción es la B.", 1),
    ("Respuesta: B (A y C están contraindicadas)", 1),
    ("La opción inadecuada es la B.", "unparsed"),
    ("Réponse : B\n\nAttendez, c'est faux. La bonne réponse est la C.", 2),
    ("Ｂ", 1),
    ("Answer：Ｂ", 1),
]


@pytest.mark.parametrize(("output", "expected"), MORE, ids=[output[:40] for output, _ in MORE])
def test_traps(output: str, expected: int | str) -> None:
    assert positions(read_lenient(output, sample_of(), EN)) == expected


FRENCH: list[tuple[str, tuple[int, ...], object]] = [
    ("Réponse : B", (0,), 1),
    ("La bonne réponse est la B.", (0,), 1),
    ("La réponse correcte est l'option C.", (0,), 2),
    ("C'est la réponse B.", (0,), 1),
    ("Je choisis B.", (0,), 1),
    ("Les bonnes réponses sont A et C.", (0, 2), [0, 2]),
    ("Réponse : ACD", (0, 2, 3), [0, 2, 3]),
    ("A C D", (0, 2, 3), [0, 2, 3]),
    ("A ou C", (0, 2), "unparsed"),
    ("Réponse : B n'est pas correcte.", (0,), "unparsed"),
]


@pytest.mark.parametrize(("output", "targets", "expected"), FRENCH)
def test_french(output: str, targets: tuple[int, ...], expected: object) -> None:
    sample = sample_of(targets=targets, language="fr")
    assert positions(read_lenient(output, sample, wording_of("fr", several=len(targets) > 1))) == expected


def test_french_contract_is_strict() -> None:
    wording = formats.default_wording("fr")
    assert positions(read_strict("Réponse : B", sample_of(language="fr"), wording)) == 1
    assert positions(read_strict("Réponse: B", sample_of(language="fr"), wording)) == "unparsed"
    assert positions(read_lenient("Réponse: B", sample_of(language="fr"), wording)) == 1
    assert positions(read_strict("Answer: B", sample_of(language="fr"), wording)) == "unparsed"


def test_question_that_asks_for_what_is_wrong() -> None:
    inverted = sample_of(question="All of the following are NSAIDs EXCEPT:")
    spanish = sample_of(question="Señale la respuesta INCORRECTA:", labels=("1", "2", "3", "4"), language="es")
    assert positions(read_lenient("The incorrect option is D.", inverted, EN)) == 3
    assert positions(read_lenient("The incorrect option is D.", sample_of(), EN)) == "unparsed"
    assert positions(read_lenient("La respuesta incorrecta es la 3.", spanish, formats.default_wording("es"))) == 2
    # "is correct" says nothing about which choice answers such a question
    assert positions(read_lenient("Option A is correct, aspirin inhibits COX.", inverted, EN)) == "unparsed"


@pytest.mark.parametrize(
    ("question", "output"),
    [
        ("Which drug should be avoided?", "Aspirin should be avoided."),
        ("Which drug is contraindicated?", "Answer: Aspirin is contraindicated in this patient."),
        ("Which drug is contraindicated?", "The contraindicated drug is aspirin."),
        ("Which of these is a mistake?", "The answer is A. Aspirin would be a mistake."),
        ("¿Qué fármaco está contraindicado?", "Aspirin está contraindicado."),
        ("¿Qué fármaco debe evitarse?", "Debe evitarse aspirin."),
    ],
)
def test_question_that_asks_for_what_to_avoid(question: str, output: str) -> None:
    assert positions(read_lenient(output, sample_of(question=question), EN)) == 0
    # a stem that only tells of an avoidance does not ask for one
    told = sample_of(question="She was told to avoid NSAIDs and aspirin is contraindicated. Which drug is indicated?")
    if not output.startswith("The answer is A"):
        assert positions(read_lenient(output, told, EN)) == "unparsed"


@pytest.mark.parametrize(
    "output",
    [
        "The answer is A. The answer is C.",
        "Answer: A\nAnswer: C",
        "Answer: A\n\nThe correct answer is C.",
        "Answer: A\n\nWait, that is wrong.",
        "Respuesta: A\n\nLa opción A es incorrecta.",
        "\\boxed{A} and \\boxed{C}",
    ],
)
def test_conflict_is_named(output: str) -> None:
    reading = read_lenient(output, sample_of(), EN)
    assert (reading.status, reading.rule, reading.index) == ("unparsed", "conflict", None)


@pytest.mark.parametrize("first", "ABCD")
@pytest.mark.parametrize("last", "ABCD")
def test_what_is_taken_back_depends_on_no_letter(first: str, last: str) -> None:
    expected = "ABCD".index(last)
    contradicted = expected if first == last else "unparsed"
    assert positions(read_lenient(f"Answer: {first}\n\nThe correct answer is {last}.", sample_of(), EN)) == contradicted
    assert positions(read_lenient(f"Answer: {first}\n\nWait, that is wrong. The correct answer is {last}.", sample_of(), EN)) == expected
    if first != last:
        assert positions(read_lenient(f"Answer: {first} is wrong; Answer: {last}", sample_of(), EN)) == expected


def test_choices_that_differ_only_in_signs() -> None:
    doses = sample_of(("< 10 mg", "> 10 mg", "-1", "1"))
    assert positions(read_lenient("> 10 mg", doses, EN)) == 1
    assert positions(read_lenient("Answer: -1", doses, EN)) == 2
    # equal after folding: the text cannot tell them apart, so it is not read
    assert positions(read_lenient("Answer: aspirin", sample_of(("Aspirin", "ASPIRIN")), EN)) == "unparsed"


# choices of real data whose words look like cues or verdicts
TREACHEROUS = [
    ("With a cane in the left hand.", "The most correct way is the safest one.", "With crutches.", "In a wheelchair."),
    ("Anteriorly", "Posteriorly", "Depending upon the operator's choice", "Both at once"),
    ("Discuss home-care options", "Seek a court order", "Schedule testing", "None of the above"),
    ("Option A of the trial", "The answer is yes", "It is correct", "B lymphocytes"),
]


@pytest.mark.parametrize("choices", TREACHEROUS, ids=[choices[0] for choices in TREACHEROUS])
def test_echoes_of_treacherous_choices(choices: tuple[str, ...]) -> None:
    sample = sample_of(choices)
    echo = "\n".join(f"{label}. {choice}" for label, choice in zip("ABCD", choices, strict=True))
    assert positions(read_lenient(echo, sample, EN)) == "unparsed"
    for index, label in enumerate("ABCD"):
        assert positions(read_lenient(f"{label}. {choices[index]}", sample, EN)) == index
        assert positions(read_lenient(f"{echo}\n\nAnswer: {label}", sample, EN)) == index
        assert positions(read_lenient(f"The correct answer is {label}. {choices[index]}", sample, EN)) == index


@pytest.mark.parametrize("language", ["en", "es", "fr"])
@pytest.mark.parametrize("n_choices", [2, 5, 10, 26])
@pytest.mark.parametrize("several", [False, True])
def test_the_contract_of_formats_is_read_back(language: str, n_choices: int, several: bool) -> None:
    wording = wording_of(language, several=several)
    for target in range(n_choices):
        targets = tuple(sorted({target, (target + 1) % n_choices})) if several else (target,)
        sample = sample_of(tuple(f"choice number {n}" for n in range(n_choices)), targets=targets, language=language)
        output = formats.right_answer(sample, "generate", wording)
        expected = list(targets) if several else target
        assert positions(read_strict(output, sample, wording)) == expected
        assert positions(read_lenient(output, sample, wording)) == expected
        assert positions(read_lenient(f"Some reasoning first.\n\n{output}", sample, wording)) == expected


@pytest.mark.parametrize("n_choices", [1, 4, 26])
def test_labels_are_those_of_formats(n_choices: int) -> None:
    choices = tuple(str(n) for n in range(n_choices))
    for labels in ((), tuple(f"({n})" for n in range(n_choices))):
        sample = sample_of(choices, labels=labels)
        assert labels_of(sample) == formats.labels_of(sample)
        last = formats.labels_of(sample)[-1]
        assert positions(read_lenient(f"Answer: {last}", sample, EN)) == n_choices - 1
    too_many = sample_of(tuple(str(n) for n in range(27)))
    for function in (labels_of, formats.labels_of):
        with pytest.raises(ValueError, match="27 choices"):
            function(too_many)


def test_strict_takes_nothing_but_the_line() -> None:
    broken = ["Answer: B.", "answer: B", "Answer:  B", "Answer:B", "Answer: b", "B", "**Answer: B**", "Answer: B\nAnswer: B"]
    broken += ["So\nAnswer: B", "Answer: B\n\nBecause.", "Answer: E", "Answer: ", ""]
    assert [positions(read_strict(output, sample_of(), EN)) for output in broken] == ["unparsed"] * len(broken)
    several = formats.several_wording("en")
    assert positions(read_strict("Answer: C, A", sample_of(), several)) == [0, 2]
    for output in ("Answer: A,C", "Answer: A, A", "Answer: A and C", "Answer: AC"):
        assert positions(read_strict(output, sample_of(), several)) == "unparsed"


@pytest.mark.parametrize(
    ("output", "rest"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("<think>a", ""),
        ("b", "b"),
        ("x<think>a</think>b", "xb"),
        ("<think>a</think>b<think>c", "b"),
        ("<think>a</think><think>c</think>b", "b"),
    ],
)
def test_thinking(output: str, rest: str) -> None:
    assert without_thinking(output, THINK) == rest
    assert without_thinking(output, None) == output


def test_free_text() -> None:
    assert read_text("  a cough \n") == Reading(status="scored", text="a cough", rule="text")
    assert read_text(" \n").status == "unparsed"
    assert read_text("<think>hm</think> yes", thinking=THINK).text == "yes"
    assert read_text("<think>hm", thinking=THINK).status == "unparsed"


PIECES = st.sampled_from(
    [
        "A",
        "B",
        "C",
        "D",
        " ",
        "\n",
        "Answer: ",
        "the answer is ",
        "not ",
        "(",
        ")",
        ". ",
        "**",
        "\\boxed{",
        "}",
        "aspirin",
        "Codeine",
        "La respuesta es la ",
        "option ",
        "correct",
        "is ",
        "and ",
        "or ",
        ", ",
        "Question:",
        "<think>",
        "</think>",
        "'",
        "-",
        "1.5",
        "é",
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60), st.sampled_from([(0,), (1, 3)]))
@example("Answer: A\n", (0,))
@settings(max_examples=400, deadline=None)
def test_readings_are_in_range_and_strict_agrees_with_lenient(output: str, targets: tuple[int, ...]) -> None:
    sample = sample_of(targets=targets)
    wording = wording_of("en", several=len(targets) > 1)
    lenient, strict = read_lenient(output, sample, wording, thinking=THINK), read_strict(output, sample, wording, thinking=THINK)
    for reading in (lenient, strict):
        if reading.status == "scored":
            assert reading.index is not None
            assert 0 <= reading.index < 4
            assert len(targets) > 1 or reading.also == ()
        else:
            assert reading.status == "unparsed"
            assert (reading.index, reading.also) == (None, ())
    if strict.status == "scored":
        assert (lenient.index, lenient.also) == (strict.index, strict.also)
    assert lenient == read_lenient(output, sample, wording, thinking=THINK)


@given(st.integers(0, 3), st.sampled_from(["Answer: {}", "The answer is {}", "{}", "({})", "**{}**", "\\boxed{{{}}}", "Option {}"]))
def test_relabelling_moves_the_reading_with_the_label(index: int, frame: str) -> None:
    # reading must not know which choice is right or stands first
    output = frame.format("ABCD"[index])
    for target in range(4):
        assert positions(read_lenient(output, sample_of(targets=(target,)), EN)) == index


HOSTILE = [
    "A. ", "Answer: ", "Answer: A and B ", "the answer is ", "The answer is B. ", "((A)", "**A**", "\\boxed{", " ", "\n", "option A ",
    "1.1.", "so ", "wait, ", "Answer: A is wrong; ", "that is wrong. ",
    "A is incorrect. ", "the best is aspirin. ", "answer: x, so ", "actually ", "Answer: not A but B ", "avoid ", "aspirin is not ",
    "best ", "\nQuestion: x\n", "A, C and ", "aspirin ", "ibuprofen and ", "<think>", "</think>", "A) Aspirin ", "A. \nB. \n",
    "is correct ", "B (", '{"answer": ', "<|a", "más probable ", "I would choose ", "> ", "é", "__", "The answer\n", "not ",
]  # fmt: skip


SEVERAL = (
    "A, C and ",
    "A. Aspirin, ",
    "Answer: A\nB\n",
    "A. Vrai\n",
    "A est exacte. ",
    "Les réponses sont :\nA. x\nC. y\n",
    "a, ",
    "A, B sont ",
)


@pytest.mark.parametrize(("piece", "several"), [(piece, False) for piece in HOSTILE] + [(piece, True) for piece in SEVERAL])
def test_time_grows_with_the_length_only(piece: str, several: bool) -> None:
    sample, wording = sample_of(), wording_of("fr" if several else "en", several=several)

    def cost(n_characters: int) -> float:
        output = (piece * (n_characters // len(piece) + 1))[:n_characters]
        started = time.process_time()
        read_lenient(output, sample, wording, thinking=THINK)
        read_strict(output, sample, wording, thinking=THINK)
        return time.process_time() - started

    large = cost(100_000)
    # four times the text: linear gives 4, quadratic 16; short times are noise
    assert large < 0.5 or large < 10 * cost(25_000)
    assert large < 20
