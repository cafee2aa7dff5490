"""How the answers were prepared, and what preparation and seconds add to the table of costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evalsuite.conclude import PREPARED_COLUMNS, recorded_frame
from evalsuite.metrics import METRICS
from evalsuite.report.blocks import Figure, Listing, Paragraph, Section, Table
from evalsuite.report.cost import cost_section
from evalsuite.report.figures import draw
from evalsuite.report.findings import Findings
from evalsuite.report.plots.means import DotPlot
from evalsuite.report.preparations import preparations_section
from evalsuite.stats.costs import PREPARED, TIMED, cost_frame
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import split_conditions
from tests.unit import report_findings
from tests.unit.ladder_findings import TASKS, findings, planted, preparations, selection, timings
from tests.unit.report_findings import CLINICAL, GENERALIST

NAMES = (CLINICAL, GENERALIST)
DESIGN = AnalysisDesign(
    study="planted", pairs=(NAMES,), primary_strategy="zero_shot", primary_perturbation="none",
    primary_metric=dict.fromkeys(TASKS, "accuracy"), metrics=METRICS,
)  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Findings:
    return findings()


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return planted(n=20)


def said(section: Section | None) -> str:
    assert section is not None
    return " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))


def table(section: Section | None, name: str) -> Table:
    assert section is not None
    return next(block for block in section.blocks if isinstance(block, Table) and block.name == name)


def column(own: Table, label: str) -> list[str]:
    at = [head.label for head in own.columns].index(label)
    return [row[at].text for row in own.rows]


def without_votes(made: Findings) -> Findings:
    return replace(made, analyses=replace(made.analyses, votes=pd.DataFrame()))


def test_nothing_prepared_and_no_votes_is_no_section() -> None:
    assert preparations_section(report_findings.findings()) is None
    older = pd.DataFrame([{"model": CLINICAL, "task": TASKS[0], "strategy": "cot", "n_calls": None, "facts": None}])
    assert preparations_section(report_findings.findings(preparations=older)) is None


def test_chains_are_counted_per_model_task_and_strategy(found: Findings) -> None:
    section = preparations_section(found)
    own = table(section, "chains")
    assert len(own.rows) == 2 * 2 * 3
    assert [cell.text for cell in own.rows[0]] == [
        "medqa", "random5_cot", CLINICAL, "its own", "400", "300", "75.0", "80", "20", "0 of 240",
    ]  # fmt: skip
    text = said(section)
    assert f"Kept: from 67.5% ({GENERALIST} on pocket_clinical_en under random5_cot)" in text
    assert f"to 75.0% ({CLINICAL} on medqa under random5_cot) of the questions tried" in text
    assert "12 times a question had fewer exemplars than wanted" in text
    assert "distilled" not in text
    # Counts that are 0 everywhere have no column.
    assert "Failed" not in [head.label for head in own.columns]


def test_reasoning_of_another_model_is_called_distilled() -> None:
    section = preparations_section(findings(prepared=preparations(NAMES, TASKS, source=GENERALIST)))
    text = f"the reasoning is distilled from {GENERALIST}: {CLINICAL} is shown what another model wrote"
    assert text in said(section)
    assert set(column(table(section, "chains"), "Reasoning by")) == {f"distilled from {GENERALIST}"}
    assert set(column(table(section, "chains"), "Model")) == {"all models"}


def test_what_is_rare_is_shown_where_it_occurs() -> None:
    made = preparations(NAMES, TASKS[:1]).iloc[:1]
    chains = {**made["facts"].iloc[0]["chains"], "n_failed": 2, "n_regenerated": 7, "n_bare": 30, "n_truncated": None}
    section = preparations_section(findings(tasks=TASKS[:1], prepared=made.assign(facts=[{"chains": chains}])))
    own = table(section, "chains")
    assert (column(own, "Failed"), column(own, "Tried again"), column(own, "Kept without reasoning")) == (["2"], ["7"], ["30"])
    assert "of these, cut off" not in [head.label for head in own.columns]
    assert f"up to 10.0% is an answer without any reasoning ({CLINICAL}, random5_cot)" in said(section)
    assert "in another order" in own.note


def test_neighbours_that_are_the_same_for_all_models_stand_once(found: Findings) -> None:
    own = table(preparations_section(found), "neighbours")
    assert len(own.rows) == 2 * 2
    assert set(column(own, "Model")) == {"all models"}
    assert set(column(own, "Questions in the pool")) == {"10,178"}


def test_the_winner_and_every_candidate_are_shown() -> None:
    prepared = pd.DataFrame([selection(CLINICAL, [0.5, 0.53, 0.49]), selection(GENERALIST, [0.45, 0.53, 0.41, 0.53])])
    section = preparations_section(without_votes(findings(prepared=prepared)))
    own = table(section, "prompts_chosen")
    assert column(own, "Model") == [CLINICAL, GENERALIST]
    assert column(own, "Winner") == ["template a, exemplar seed 1"] * 2  # of equals the first
    assert (column(own, "Mean there"), column(own, "Worst"), column(own, "Of")) == (["53.0", "53.0"], ["49.0", "41.0"], ["3", "4"])
    assert f"up to 12.0 points apart there ({GENERALIST} on medqa)" in said(section)
    assert "never on the evaluated one" in said(section)
    every = table(section, "candidates_2")
    assert every.folded
    assert column(every, "Mean") == ["45.0", "53.0", "41.0", "53.0"]
    assert column(every, "Chosen") == ["", "chosen", "", ""]
    assert section is not None
    (figure,) = (block for block in section.blocks if isinstance(block, Figure))
    assert isinstance(figure.plot, DotPlot)
    assert [(row.model, row.low, row.mean, row.high) for row in figure.plot.panels[0].rows] == [
        (CLINICAL, 49.0, 53.0, 53.0), (GENERALIST, 41.0, 53.0, 53.0),
    ]  # fmt: skip
    assert draw(figure.plot) == draw(figure.plot)


def test_a_choice_that_failed_has_no_winner_and_says_so() -> None:
    broken = selection(CLINICAL, [0.5, 0.53], winner=None, templates={"t0": {"name": "t0", "separator": ": "}})
    broken["facts"]["selection"]["candidates"][1] |= {"mean": None, "n_failed": 3}
    section = preparations_section(without_votes(findings(prepared=pd.DataFrame([broken]))))
    assert column(table(section, "prompts_chosen"), "Winner") == ["not determined: answers failed"]
    assert column(table(section, "candidates_1"), "Failed") == ["0", "3"]
    assert column(table(section, "candidates_1"), "Mean") == ["50.0", "–"]
    assert section is not None
    assert [block.text for block in section.blocks if isinstance(block, Listing)] == ["t0: separator ': '"]


def test_the_prompt_of_a_lender_is_said_to_be_lent() -> None:
    section = preparations_section(without_votes(findings(prepared=pd.DataFrame([selection(CLINICAL, [0.5, 0.6], lender=CLINICAL)]))))
    assert column(table(section, "prompts_chosen"), "Model") == [f"{CLINICAL}, for all models"]
    assert section is not None
    assert any(f"every model runs with the prompt that won for {CLINICAL}" in str(block) for block in section.blocks)


def test_votes_are_counted_and_missing_ones_named(found: Findings) -> None:
    section = preparations_section(found)
    own = table(section, "votes")
    assert len(own.rows) == 2 * 2 * 2
    cast = found.scores[found.scores["votes"].notna()]
    n_missing = int(cast["n_votes_missing"].sum())
    assert f"Ensembles gave {len(cast):,} answers from {5 * len(cast):,} votes. {n_missing:,} of them" in said(section)
    assert set(column(own, "Votes each")) == {"5"}
    silent = replace(found, analyses=replace(found.analyses, votes=found.analyses.votes.assign(votes_missing=0.0)))
    assert "Every vote could be read." in said(preparations_section(silent))


def costs(scores: pd.DataFrame, prepared: pd.DataFrame | None, timed: pd.DataFrame | None = None) -> pd.DataFrame:
    return cost_frame(scores, split_conditions(scores, METRICS), DESIGN, prepared, timed)


def test_without_preparation_and_timings_the_frame_is_as_it_was(scores: pd.DataFrame) -> None:
    plain = costs(scores, None)
    assert not {*PREPARED.values(), *TIMED} & set(plain.columns)
    nothing = pd.DataFrame(columns=list(PREPARED_COLUMNS))
    idle = preparations(NAMES, TASKS).assign(n_calls=0.0, n_prompt_tokens=0.0, n_output_tokens=0.0)
    for empty in (pd.DataFrame(), nothing, idle):
        pd.testing.assert_frame_equal(costs(scores, empty), plain)


def test_preparation_is_the_total_over_the_tasks_of_the_frame(scores: pd.DataFrame) -> None:
    frame = costs(scores, preparations(NAMES, TASKS)).set_index(["strategy", "model"])
    assert list(frame.loc[("medprompt", CLINICAL), list(PREPARED.values())]) == [800, 96_000, 120_000]
    assert list(frame.loc[("zero_shot", CLINICAL), list(PREPARED.values())]) == [0, 0, 0]
    one_task = costs(scores, preparations(NAMES, TASKS[:1])).set_index(["strategy", "model"])
    assert one_task.loc[("medprompt", CLINICAL), "prepare_calls"] == 400


def test_what_one_model_prepares_for_all_counts_for_all(scores: pd.DataFrame) -> None:
    lent = costs(scores, preparations(NAMES, TASKS, source=GENERALIST)).set_index(["strategy", "model"])
    assert list(lent.loc["medprompt", "prepare_calls"]) == [800, 800]
    own = preparations(NAMES, TASKS)
    # A model without a record of its own, where nobody lends, prepared nothing.
    alone = costs(scores, own[own["model"] == GENERALIST]).set_index(["strategy", "model"])
    assert alone.loc[("medprompt", CLINICAL), "prepare_calls"] == 0


def test_records_without_numbers_make_the_total_missing(scores: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "preparations.json"
    file.write_text('[{"model": "pocket-clinical", "task": "medqa", "strategy": "medprompt", "keys": ["k"]}]', encoding="utf-8")
    older = recorded_frame(file, PREPARED_COLUMNS)
    frame = costs(scores, older).set_index(["strategy", "model"])
    assert frame.loc[("medprompt", CLINICAL), ["prepare_calls", "prepare_prompt_tokens"]].isna().all()
    assert frame.loc[("medprompt", GENERALIST), "prepare_calls"] == 0
    for content in ("not json", '{"model": 1}', "[]"):
        file.write_text(content, encoding="utf-8")
        assert len(recorded_frame(file, PREPARED_COLUMNS)) == 0
    assert len(recorded_frame(tmp_path / "absent.json", PREPARED_COLUMNS)) == 0


def test_seconds_are_per_request_asked_times_the_requests_of_an_answer(scores: pd.DataFrame) -> None:
    timed = timings(NAMES, TASKS)
    # One task is slower: 2 s per request in place of 0.5 s.
    slow = (timed["task"] == TASKS[0]) & (timed["stage"] == "answer")
    timed.loc[slow, "engine_s"] *= 4
    frame = costs(scores, preparations(NAMES, TASKS), timed).set_index(["strategy", "model"])
    for strategy, calls in (("zero_shot", 1), ("medprompt", 5)):
        per_task = [calls * (20 / 10), calls * (5 / 10)]
        assert frame.loc[(strategy, CLINICAL), "seconds"] == pytest.approx(sum(per_task) / 2)
    # 400 requests for each of two tasks, at 2 s each
    assert frame.loc[("medprompt", CLINICAL), "prepare_seconds"] == 1600
    assert frame.loc[("zero_shot", CLINICAL), "prepare_seconds"] == 0
    unasked = costs(scores, None, timed[~((timed["strategy"] == "medprompt") & (timed["task"] == TASKS[1]))])
    assert unasked.set_index(["strategy", "model"]).loc[("medprompt", CLINICAL), ["seconds"]].isna().all()


def labels(section: Section | None) -> list[str]:
    return [head.label for head in table(section, "cost_by_strategy").columns]


def test_the_table_of_costs_shows_preparation_and_seconds_only_where_there_are_any(found: Findings) -> None:
    plain = cost_section(report_findings.findings(analyses=replace(found.analyses, costs=costs(found.scores, None))))
    assert not any("Preparation" in label or "seconds" in label for label in labels(plain))
    assert "alone" not in table(plain, "cost_by_strategy").note
    section = cost_section(found)
    own = table(section, "cost_by_strategy")
    assert [label for label in labels(section) if label in ("Preparation: calls", "Preparation: tokens", "the same per answer")] == [
        "Preparation: calls", "Preparation: tokens", "the same per answer",
    ]  # fmt: skip
    row = next(at for at, row in enumerate(own.rows) if row[0].text == "medprompt")
    # 216,000 tokens for 480 answers
    assert (column(own, "Preparation: tokens")[row], column(own, "the same per answer")[row]) == ("216,000", "450")
    assert "what it would take alone" in own.note
    assert "shared by all samples" in own.note
    assert not any("seconds" in label for label in labels(section))


def test_seconds_are_shown_in_a_timed_study_alone() -> None:
    made: Any = cost_section(findings(timed=timings(NAMES, TASKS)))
    assert {"Engine seconds", "Preparation: engine seconds"} <= set(labels(made))
    assert [block.name for block in made.blocks if isinstance(block, Figure)] == ["cost", "cost_calls", "cost_seconds"]
    assert "they differ from run to run" in table(made, "cost_by_strategy").note
