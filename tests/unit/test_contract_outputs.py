"""What is read out of outputs that were asked for under a contract: one row per output, with what a careful reader makes of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalsuite import formats
from evalsuite.answers import read_lenient, read_strict
from evalsuite.contracts import CONTRACTS
from evalsuite.contracts.refuse import with_refusal
from evalsuite.strategies.ask import read_under_contract
from evalsuite.types import FinishReason, Reading, Response, Sample

GOLDEN = Path(__file__).parent.parent / "golden"
QUESTIONS: dict[str, dict[str, Any]] = json.loads((GOLDEN / "contract_questions.json").read_text(encoding="utf-8"))


def rows(language: str) -> list[dict[str, Any]]:
    text = (GOLDEN / f"contract_outputs_{language}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


ROWS = [row for language in ("en", "es") for row in rows(language)]


def sample_of(row: dict[str, Any], target: int = 0) -> Sample:
    """The question as shown: with the unlisted choice behind the others where the contract allows a refusal."""
    asked = QUESTIONS[row["question"]]
    sample = Sample(
        id=row["question"],
        group="g",
        question=asked["question"],
        choices=tuple(asked["choices"]),
        targets=(target,),
        labels=tuple(asked.get("labels", ())),
        language=asked["language"],
    )
    allows = row["contract"] is not None and CONTRACTS[row["contract"]].allows_refusal
    return with_refusal(sample, formats.labels_of(sample)) if allows else sample


def read(row: dict[str, Any], target: int = 0, finish_reason: FinishReason = "stop") -> tuple[Reading, Reading | None]:
    """Lenient and strict reading; without a contract those of the default answer line, which `contract` None stands for."""
    sample = sample_of(row, target)
    wording = formats.default_wording(sample.language)
    if row["contract"] is None:
        return read_lenient(row["output"], sample, wording), read_strict(row["output"], sample, wording)
    contract = CONTRACTS[row["contract"]]
    response = Response(text=row["output"], finish_reason=finish_reason)
    return read_under_contract(contract, row["output"], response, sample, replace(wording, output=contract))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['id']}-{row['contract']}-{row['note']}" for row in ROWS])
def test_output(row: dict[str, Any]) -> None:
    lenient, strict = read(row)
    assert strict is not None
    assert (lenient.index, strict.index) == (row["lenient"], row["strict"])
    for reading in (lenient, strict):
        assert (reading.status == "scored") == (reading.index is not None)


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_tables_are_large_and_mixed(language: str) -> None:
    table = rows(language)
    assert len(table) >= 150
    assert len({(row["contract"], row["question"], row["output"]) for row in table}) == len(table)
    assert 0.15 <= sum(row["lenient"] is None for row in table) / len(table) <= 0.5
    # The first choice is the target: most answers are others, so that no reader does well by it.
    assert sum(row["lenient"] not in (0, None) for row in table) >= 100
    for name in CONTRACTS:
        own = [row for row in table if row["contract"] == name]
        assert {row["strict"] is None for row in own} == {True, False}, name
        assert sum(row["strict"] is None and row["lenient"] is not None for row in own) >= 4, name
    assert sum(row["contract"] is None for row in table) >= 15


def test_an_answer_that_keeps_the_contract_is_read_alike_both_ways() -> None:
    for row in ROWS:
        lenient, strict = read(row)
        if strict is not None and strict.index is not None:
            assert lenient.index == strict.index


def test_no_reading_knows_what_is_right() -> None:
    for row in ROWS:
        assert len({read(row, target) for target in range(len(QUESTIONS[row["question"]]["choices"]))}) == 1


def test_what_was_cut_off_and_not_read_is_truncated() -> None:
    for row in ROWS:
        if row["contract"] is not None and row["lenient"] is None:
            lenient, strict = read(row, finish_reason="length")
            assert strict is not None
            assert (lenient.status, strict.status) == ("truncated", "truncated")


def test_refusals_are_read_only_where_they_are_an_answer() -> None:
    refused = [row for row in ROWS if row["contract"] == "refuse" and row["lenient"] == len(QUESTIONS[row["question"]]["choices"])]
    assert len(refused) >= 60
    for row in refused:
        for contract in ("letter", "json", "tag"):
            lenient, strict = read(row | {"contract": contract})
            assert strict is not None
            assert strict.index is None
            # A refusal may name a choice on its way ("A is wrong ..."), but never has another position than those that are listed.
            assert lenient.index is None or lenient.index < len(QUESTIONS[row["question"]]["choices"])


def test_every_kind_of_refusal_is_in_the_tables() -> None:
    rules = Counter(read(row)[0].rule for row in ROWS if row["contract"] == "refuse")
    assert {"refusal", "contract:refuse", "contract_line", "statement", "leading", "conflict"} <= set(rules)


@pytest.mark.parametrize(
    "output",
    ["I cannot answer.", "No puedo responder.", "I don't know", "No lo sé", "It cannot be determined.", "I can't provide medical advice."],
)
def test_to_decline_is_no_refusal(output: str) -> None:
    for question in ("artery", "arteria"):
        assert read({"contract": "refuse", "question": question, "output": output})[0] == Reading(status="unparsed")
