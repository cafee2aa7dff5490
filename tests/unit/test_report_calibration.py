"""Calibration in the report: the right cell, sentences that follow from the numbers, figures that show them."""

from __future__ import annotations

import pandas as pd

from evalsuite.report.blocks import Bullets, DataFile, Figure, Paragraph, Table
from evalsuite.report.calibration import MAX_PAIRS, MAX_PANELS, MIN_KEPT, calibration_section
from evalsuite.report.figures import draw
from evalsuite.report.findings import Findings
from evalsuite.report.plots.answers import CurvePlot
from tests.unit.report_answer_frames import analyses, calibration, calibration_pairs, reliability, selective
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, comparisons, findings, study


def blocks(found: Findings) -> tuple[object, ...]:
    section = calibration_section(found)
    assert section is not None
    return section.blocks


def figures(found: Findings) -> dict[str, Figure]:
    return {block.name: block for block in blocks(found) if isinstance(block, Figure)}


def tables(found: Findings) -> dict[str, Table]:
    return {block.name: block for block in blocks(found) if isinstance(block, Table)}


def test_no_probabilities_no_section() -> None:
    assert calibration_section(findings()) is None


def test_lead_counts_where_confidence_lies() -> None:
    lead = next(block for block in blocks(findings(analyses=analyses())) if isinstance(block, Paragraph)).text
    assert "above accuracy in 3 of 6 cells (model and task) and below it in 3" in lead
    assert f"farthest off is {CLINICAL} on pocket_clinical_en, too sure by 18.0 points" in lead


def test_pair_sentence_follows_p_and_sign() -> None:
    said = next(block for block in blocks(findings(analyses=analyses())) if isinstance(block, Bullets)).items
    expected = "better on 1 (pocket_clinical_en); worse on 1 (headqa_es); not told apart on 1."
    assert said == (f"Probabilities of {CLINICAL} against {GENERALIST}, by the Brier score on 3 tasks: {expected}",)
    alone = findings(analyses=analyses(calibration_pairs=calibration_pairs().iloc[:1]))
    text = next(block for block in blocks(alone) if isinstance(block, Bullets)).items[0]
    assert f"the probabilities of {CLINICAL} are better than those of {GENERALIST}: Brier score −0.050" in text
    assert "p = 0.0010, not corrected" in text
    strict = findings(analyses=analyses(), study=study(analysis={"alpha": 0.001}))
    assert "better on 1" in next(block for block in blocks(strict) if isinstance(block, Bullets)).items[0]
    stricter = findings(analyses=analyses(), study=study(analysis={"alpha": 0.0009}))
    assert "not told apart on 3" in next(block for block in blocks(stricter) if isinstance(block, Bullets)).items[0]


def test_reliability_counts_bins_clear_of_the_diagonal() -> None:
    figure = figures(findings(analyses=analyses()))[f"reliability_{CLINICAL}_{GENERALIST}"]
    assert isinstance(figure.plot, CurvePlot)
    assert [panel.label for panel in figure.plot.panels] == list(TASKS[:3])
    point = figure.plot.panels[0].curves[0].points[0]
    assert (point.x, point.y, point.low, point.high) == (30.0, 10.0, 2.0, 24.0)
    assert f"6 of 9 bins of {CLINICAL} and 6 of 9 bins of {GENERALIST}; clear above it 0 and 0" in figure.caption
    assert "pocket_clinical_en, pocket-clinical: 30 to 10, 60 to 55, 90 to 60." in figure.alt


def test_only_the_first_pairs_and_tasks_are_drawn_and_the_rest_is_counted() -> None:
    names = tuple(f"task_{at:02d}" for at in range(MAX_PANELS + 2))
    models = (CLINICAL, *(f"other-{at}" for at in range(MAX_PAIRS + 1)))
    rows = pd.concat([comparisons().assign(model_b=other) for other in models[1:]])
    wide = study(models=list(models), pairs=[[CLINICAL, other] for other in models[1:]])
    frames = analyses(calibration=calibration(names), reliability=reliability(names, models), selective=selective(names))
    found = figures(findings(analyses=frames, comparisons=rows, study=wide.model_copy(update={"models": (*wide.models, GENERALIST)})))
    assert sum(name.startswith("reliability") for name in found) == MAX_PAIRS
    figure = found[f"reliability_{CLINICAL}_other-0"]
    assert isinstance(figure.plot, CurvePlot)
    assert len(figure.plot.panels) == MAX_PANELS
    assert figure.caption.endswith(" 2 further tasks: in the CSV file.")
    assert len(figure.data.rows) == 2 * 3 * len(names)


def test_selective_accuracy_is_drawn_from_some_answers_on() -> None:
    frames = analyses(calibration=calibration(n_answers=60))
    figure = figures(findings(analyses=frames))["selective_accuracy"]
    assert isinstance(figure.plot, CurvePlot)
    lowest = min(point.x for panel in figure.plot.panels for curve in panel.curves for point in curve.points)
    assert lowest == 20.0  # 15% of 60 answers are 9
    assert MIN_KEPT == 10
    assert f"+18.0 ({CLINICAL}) and +18.0 ({GENERALIST})" in figure.caption


def test_without_probabilities_in_the_primary_cell_the_first_cell_that_has_them_is_shown() -> None:
    frames = analyses(
        calibration=calibration(strategy="few5"),
        reliability=reliability().assign(strategy="few5"),
        selective=selective().assign(strategy="few5"),
        calibration_pairs=calibration_pairs().assign(strategy="few5"),
    )
    lead = next(block for block in blocks(findings(analyses=frames)) if isinstance(block, Paragraph)).text
    assert "under few5 and none, since the primary cell has no probabilities" in lead


def test_other_cells_stand_in_the_file_only() -> None:
    both = pd.concat([calibration(), calibration(strategy="few5")])
    found = findings(analyses=analyses(calibration=both))
    assert len(tables(found)["calibration"].rows) == 6
    file = next(block for block in blocks(found) if isinstance(block, DataFile))
    assert len(file.data.rows) == 12


def test_numbers_that_are_missing_are_dashes_and_are_not_counted() -> None:
    frame = calibration()
    numbers = ["accuracy", "confidence", "ece", "ece_debiased", "brier", "brier_low", "brier_high", "selective_50", "selective_80"]
    frame.loc[0, numbers] = float("nan")
    found = findings(analyses=analyses(calibration=frame))
    row = tables(found)["calibration"].rows[0]
    assert [cell.text for cell in row[2:5]] == ["–", "–", "–"]
    assert "of 5 cells" in next(block for block in blocks(found) if isinstance(block, Paragraph)).text


def test_small_multiples_hold_every_model_in_shape_and_line() -> None:
    figure = figures(findings(analyses=analyses()))["selective_accuracy"]
    drawing = draw(figure.plot)
    svg = drawing.svg.decode()
    for text in (*TASKS[:3], CLINICAL, GENERALIST):
        assert f">{text}</text>" in svg
    assert svg.count("stroke-dasharray") > 0
    assert drawing.pdf.startswith(b"%PDF")
