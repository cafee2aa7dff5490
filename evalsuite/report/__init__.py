"""The report of a study: `build` decides what is said, `write_report` renders it as HTML, Markdown, LaTeX, CSV and figures."""

from evalsuite.report.answer import answers
from evalsuite.report.blocks import Report, Table
from evalsuite.report.build import build
from evalsuite.report.findings import Findings
from evalsuite.report.verdict_table import model_card, rescored_table, verdict_table
from evalsuite.report.write import write_report

__all__ = ["Findings", "Report", "Table", "answers", "build", "model_card", "rescored_table", "verdict_table", "write_report"]
