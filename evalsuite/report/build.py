"""Study and frames to blocks. A section is one builder in `SECTIONS`; one that returns None is absent from the report."""

from __future__ import annotations

from collections.abc import Callable

from evalsuite.report.across import tasks_across_section
from evalsuite.report.answer import answer_section
from evalsuite.report.answers_read import answers_read_section
from evalsuite.report.blocks import Report, Section
from evalsuite.report.calibration import calibration_section
from evalsuite.report.cautions import cautions_section
from evalsuite.report.contamination import contamination_section
from evalsuite.report.contrasts import strategies_section
from evalsuite.report.cost import cost_section
from evalsuite.report.explorer import explorer_section
from evalsuite.report.eyes_off import eyes_off_section
from evalsuite.report.findings import Findings as Findings
from evalsuite.report.flips import flips_section
from evalsuite.report.glossary import glossary_section
from evalsuite.report.instructions import instructions_section
from evalsuite.report.ladder import ladder_section
from evalsuite.report.ladder_pairs import ladder_pairs_section
from evalsuite.report.languages import languages_section
from evalsuite.report.preparations import preparations_section
from evalsuite.report.published import published_section
from evalsuite.report.record import excluded_section, prompts_section, reproduce_section, run_section, tasks_section
from evalsuite.report.results import differences_section, exploratory_section, scores_section, subsets_section
from evalsuite.report.robustness import robustness_section
from evalsuite.report.second_turns import second_turns_section
from evalsuite.report.secondary import secondary_section
from evalsuite.report.sizes import sizes_section
from evalsuite.report.variance import variance_section
from evalsuite.report.win_shares import win_shares_section

Builder = Callable[[Findings], Section | None]

SECTIONS: tuple[Builder, ...] = (
    answer_section,
    cautions_section,
    tasks_across_section,
    differences_section,
    scores_section,
    win_shares_section,
    published_section,
    languages_section,
    strategies_section,
    ladder_section,
    ladder_pairs_section,
    robustness_section,
    instructions_section,
    second_turns_section,
    flips_section,
    sizes_section,
    cost_section,
    preparations_section,
    calibration_section,
    answers_read_section,
    eyes_off_section,
    contamination_section,
    variance_section,
    secondary_section,
    subsets_section,
    exploratory_section,
    explorer_section,
    tasks_section,
    run_section,
    prompts_section,
    excluded_section,
    reproduce_section,
    glossary_section,
)
"""In reading order."""


def build(findings: Findings, *, sections: tuple[Builder, ...] = SECTIONS) -> Report:
    """Decide everything that the report says; pure, the same report for the same findings.

    Args:
        findings: the study, its frames and its record; frames are not changed.
        sections: builders in reading order.

    Returns:
        The report as data, for every renderer alike. Missing values are shown as a dash and are empty in the data.

    Raises:
        KeyError: a frame lacks a column of the contract.
    """
    built = (section(findings) for section in sections)
    return Report(study=findings.study.study, question=findings.study.question, sections=tuple(section for section in built if section))
