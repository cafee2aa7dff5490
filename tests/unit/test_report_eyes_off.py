"""What a report says of a sealed part: before it is opened, on it, and afterwards."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from evalsuite.report.blocks import Notice, Paragraph, Section, Table
from evalsuite.report.eyes_off import eyes_off_section, seal_notice
from evalsuite.seals import Holdout, Opening, Version
from evalsuite.stats.eyes_off import MODEL_COLUMNS, PAIR_COLUMNS, POOLED, EyesOff
from tests.unit.report_findings import CLINICAL, GENERALIST, findings

OPENING = Opening(at=1_700_000_000.0, n_runs=12, n_plans=3, version=Version(study="pocket_demo", stated={}, models={}, tasks={}))


def holdout(**changes: Any) -> Holdout:
    content: dict[str, Any] = {"share": 0.2, "unsealed": False, "sealed": {"headqa_es": (200, 180), "medmcqa": (50, 50)}, "opening": None}
    return Holdout(**(content | changes))


def row(names: dict[str, str], task: str | None, open_: float, sealed: float, low: float, high: float, **changes: Any) -> dict[str, Any]:
    made = {"strategy": "zero_shot", **names, "task": task, "metric": POOLED if task is None else "accuracy", "ci_level": 0.95}
    made |= {"on": open_, "on_low": open_ - 0.02, "on_high": open_ + 0.02, "on_n_samples": 800, "on_n_groups": 700}
    made |= {"off": sealed, "off_low": sealed - 0.05, "off_high": sealed + 0.05, "off_n_samples": 200, "off_n_groups": 180}
    return made | {"gap": sealed - open_, "gap_low": low, "gap_high": high, "status_note": ""} | changes


def beside(**changes: Any) -> EyesOff:
    pair = {"model_a": CLINICAL, "model_b": GENERALIST}
    models = [row({"model": CLINICAL}, task, 0.6, 0.5, -0.17, -0.03) for task in (None, "medmcqa", "headqa_es")]
    models += [row({"model": GENERALIST}, task, 0.4, 0.4, -0.07, 0.07) for task in ("headqa_es", "medmcqa", None)]
    pairs = [row(pair, task, 0.2, 0.1, -0.2, 0.01, **changes) for task in ("headqa_es", "medmcqa", None)]
    return EyesOff(models=pd.DataFrame(models, columns=list(MODEL_COLUMNS)), pairs=pd.DataFrame(pairs, columns=list(PAIR_COLUMNS)))


def section(sealed: Holdout, **changes: Any) -> Section:
    made = eyes_off_section(findings(holdout=sealed, **changes))
    assert made is not None
    return made


def texts(made: Section) -> str:
    return "\n".join(block.text for block in made.blocks if isinstance(block, Paragraph | Notice))


def test_a_study_that_seals_nothing_has_no_section_and_no_notice() -> None:
    assert eyes_off_section(findings()) is None
    assert seal_notice(findings()) == ()


def test_before_it_is_opened_there_is_only_how_much_is_sealed() -> None:
    made = section(holdout())
    assert [type(block) for block in made.blocks] == [Paragraph, Table]
    assert texts(made).startswith("20% of the groups of the evaluated splits are sealed")
    assert seal_notice(findings(holdout=holdout())) == ()
    table = made.blocks[1]
    assert isinstance(table, Table)
    assert [[cell.text for cell in cells] for cells in table.rows] == [["headqa_es", "200", "180"], ["medmcqa", "50", "50"]]


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"unsealed": True}, "note", "about the sealed part of the study alone, opened on 2023-11-14."),
        ({}, "note", "was opened on 2023-11-14; these results are about the rest."),
        ({"changed": ("margin", "seed")}, "warning", "(margin, seed): what was chosen since was chosen with the sealed part known"),
        ({"unsealed": True, "changed": ("margin",)}, "warning", "no longer the study that it was opened for"),
    ],
)
def test_the_first_screen_says_that_it_was_opened(changes: dict[str, Any], level: str, said: str) -> None:
    (notice,) = seal_notice(findings(holdout=holdout(opening=OPENING, **changes)))
    assert notice.level == level
    assert said in notice.text


def test_both_parts_stand_side_by_side_with_all_tasks_last() -> None:
    made = section(holdout(opening=OPENING, unsealed=True), eyes_off=beside())
    text = texts(made)
    assert "opened on 2023-11-14, after 12 runs of the study on this store of 3 different plans." in text
    change = "a change of −10.0 (95% interval −20.0 to 1.0), which chance alone can explain."
    assert f"{CLINICAL} − {GENERALIST}, over all tasks: +20.0 points in the open, +10.0 on the sealed part; {change}" in text
    means = f"{CLINICAL} −10.0 (−17.0 to −3.0) and {GENERALIST} 0.0 (−7.0 to 7.0)."
    assert f"Mean on the sealed part less that in the open, over all tasks, in points: {means}" in text
    tables = [block for block in made.blocks if isinstance(block, Table)]
    assert [table.name for table in tables] == ["sealed", "eyes_off_pairs", "eyes_off_models"]
    first = [[cell.text for cell in cells[:2]] for cells in tables[2].rows]
    assert [task for name, task in first if name == CLINICAL] == ["headqa_es", "medmcqa", "all tasks"]
    assert [cell.text for cell in tables[1].rows[0]] == [
        f"{CLINICAL} − {GENERALIST}", "headqa_es", "+20.0", "18.0 to 22.0", "800", "+10.0", "5.0 to 15.0", "200", "−10.0", "−20.0 to 1.0",
    ]  # fmt: skip


def test_more_than_chance_and_nothing_known_are_said() -> None:
    sealed = holdout(opening=OPENING, unsealed=True)
    assert "more than chance alone explains." in texts(section(sealed, eyes_off=beside(gap_high=-0.01)))
    unknown = beside(gap_low=None, gap_high=None)
    assert "of which nothing can be said with so few groups." in texts(section(sealed, eyes_off=unknown))
    lost = beside(on=None, gap=None, gap_low=None, gap_high=None, status_note="medmcqa, eyes-on: 3 failed answers")
    made = section(sealed, eyes_off=lost)
    assert f"{CLINICAL} − {GENERALIST}" not in texts(made)
    table = next(block for block in made.blocks if isinstance(block, Table) and block.name == "eyes_off_pairs")
    assert table.columns[-1].label == "Note"
    assert table.rows[0][2].text == "–"


def test_what_may_have_been_seen_and_what_is_absent_is_said() -> None:
    made = section(
        holdout(opening=OPENING, unsealed=True, seen=("2023-10-01", "2023-11-02"), absent="no ordinary run of the study is in p")
    )
    assert "were stated or run on this store on 2023-10-01 and 2023-11-02: part of what is sealed now may have been seen then." in texts(
        made
    )
    assert "Nothing stands beside the sealed part: no ordinary run of the study is in p." in texts(made)


@pytest.mark.parametrize(("n_runs", "n_plans", "said"), [(0, 0, "before any run"), (1, 1, "after 1 run of"), (4, 1, "of one plan")])
def test_after_how_many_runs(n_runs: int, n_plans: int, said: str) -> None:
    opening = Opening(at=0.0, n_runs=n_runs, n_plans=n_plans, version=OPENING.version)
    assert said in texts(section(holdout(opening=opening, unsealed=True)))
