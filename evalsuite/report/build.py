"""Study and frames to blocks. A section is one builder in `SECTIONS`; one that returns None is absent from the report."""

from __future__ import annotations

from collections.abc import Callable

from evalsuite.report.blocks import Report, Section
from evalsuite.report.findings import Findings as Findings
from evalsuite.report.glossary import glossary_section
from evalsuite.report.record import excluded_section, prompts_section, reproduce_section, run_section, tasks_section
from evalsuite.report.results import answer_section, differences_section, exploratory_section, scores_section, subsets_section

Builder = Callable[[Findings], Section | None]

SECTIONS: tuple[Builder, ...] = (
    answer_section,
    differences_section,
    scores_section,
    subsets_section,
    exploratory_section,
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
