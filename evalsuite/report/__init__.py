"""The report of a study: `build` decides what is said, `write_report` renders it as HTML, Markdown, LaTeX, CSV and figures."""

from evalsuite.report.blocks import Report
from evalsuite.report.build import build
from evalsuite.report.findings import Findings
from evalsuite.report.words import answers
from evalsuite.report.write import write_report

__all__ = ["Findings", "Report", "answers", "build", "write_report"]
