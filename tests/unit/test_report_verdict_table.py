"""The verdict table and the model card: what leaves the report goes with what the report warns of."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import pandas as pd
import pytest

from evalsuite.cli.tables import print_table
from evalsuite.report import Findings, model_card, rescored_table, verdict_table
from tests.unit.report_analyses import LABELS, analyses, pooled
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, comparisons, findings, study


def counted(frame: pd.DataFrame | None = None, **changes: Any) -> Findings:
    rows = comparisons() if frame is None else frame
    return findings(comparisons=rows.assign(n_a_missing=0, n_b_missing=0), **changes)


def printed(findings: Findings) -> list[str]:
    screen = io.StringIO()
    with redirect_stdout(screen):
        print_table(verdict_table(findings))
    return screen.getvalue().splitlines()


def test_a_model_card_says_that_it_speaks_of_a_part_of_failures_and_of_test_instruments() -> None:
    card = model_card(counted(selection={"limit": 40}))
    assert "Please note: Part of the study only: --limit 40." in card
    assert f"Please note: Answers failed for reasons that are not the models': restricted\\_notes ({CLINICAL})." in card
    assert "These results say nothing about any model that is meant for medical use." in card


def test_a_whole_study_has_no_note_of_a_part() -> None:
    assert "Part of the study" not in model_card(counted())


def test_a_card_of_one_pair_says_which_model_is_taken_from_which() -> None:
    assert f"Differences are {CLINICAL} minus {GENERALIST} on the same questions" in model_card(counted())


def test_without_a_pair_a_card_has_no_table_and_no_word_of_differences() -> None:
    card = model_card(counted(comparisons().iloc[:0], study=study(pairs=[])))
    assert "No pair of models was compared." in card
    assert "|" not in card
    assert "Differences" not in card


@pytest.mark.parametrize(("role", "said"), [("primary", "corrected after Holm"), ("exploratory", "not corrected")])
def test_a_card_speaks_of_the_p_values_that_it_shows(role: str, said: str) -> None:
    rows = comparisons()
    card = model_card(counted(rows.assign(role=role) if role == "exploratory" else rows))
    assert f"linked questions, {said}." in card
    assert ("p (Holm)" in card) == (role == "primary")


def test_a_name_as_long_as_names_may_be_leaves_the_words_of_a_terminal_whole() -> None:
    long = "clinical-" * 11 + "b"
    rows = comparisons().replace({"model_a": {CLINICAL: long}})
    lines = printed(counted(rows, study=study(models=[long, GENERALIST], pairs=[[long, GENERALIST]])))
    (line,) = [line for line in lines if line.startswith("headqa_es")]
    assert line.split() == ["headqa_es", "35.0", "40.0", "−5.0", "−7.9", "to", "−2.1", "0.0024", "500", "worse"]
    assert all(len(line) <= 160 for line in lines)
    assert all(any(line.startswith(task) for line in lines) for task in TASKS)


def rescored(**changes: Any) -> list[tuple[str, ...]]:
    """What is printed where the comparisons of then are those of now but for `changes`, and the mean over tasks was another one."""
    now = counted(analyses=analyses(pooled=pooled()), labels=LABELS)
    primary = now.comparisons[(now.comparisons["role"] == "primary") & (now.comparisons["subset"] == "all")]
    then = pooled(difference=0.05, verdict="inconclusive", margin=changes.get("margin", 0.03))
    found = rescored_table(now, primary.assign(**changes), then)
    assert found is not None
    return [tuple(cell.text for cell in row) for row in found.rows]


def test_a_rescoring_prints_what_became_of_the_mean_over_tasks() -> None:
    pair = f"{CLINICAL} − {GENERALIST}"
    assert rescored() == [
        (pair, "all tasks", "difference", "+5.0", "+7.2"),
        (pair, "all tasks", "verdict", "cannot tell", "better"),
    ]


def test_what_changed_alike_everywhere_stands_once_above_the_others() -> None:
    rows = rescored(margin=0.1)
    assert rows[0] == ("all pairs", "all", "margin", "10.0", "3.0")
    assert [row[2] for row in rows[1:]] == ["difference", "verdict"]


def test_numbers_that_were_exploratory_under_another_metric_are_still_those_of_before() -> None:
    rows = rescored(role="exploratory", metric="accuracy_strict")
    assert {(row[1], *row[2:]) for row in rows} >= {(task, "metric", "accuracy_strict", "accuracy") for task in TASKS}


def test_nothing_that_reads_otherwise_is_no_table() -> None:
    now = counted(analyses=analyses(pooled=pooled()), labels=LABELS)
    primary = now.comparisons[(now.comparisons["role"] == "primary") & (now.comparisons["subset"] == "all")]
    assert rescored_table(now, primary, pooled()) is None
    assert rescored_table(now, primary, pd.DataFrame()) is None
