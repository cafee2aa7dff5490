"""Printed numbers of the papers that studies here repeat, and how they stand beside what was measured."""

from __future__ import annotations

from evalsuite.published.files import load_paper, paper_ids, read_papers
from evalsuite.published.records import Paper, Record

__all__ = ["Paper", "Record", "load_paper", "paper_ids", "read_papers"]
