"""Everything that is computed from the scores of a study beside estimates and comparisons, as one record of frames.

Each frame comes from one module of this package; a study that has no data for it leaves it empty, with its columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from evalsuite.stats.compare import AnalysisDesign
from evalsuite.types import Tell, untold


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What statistics across tasks and models must know of them beside their names."""

    languages: Mapping[str, str] = field(default_factory=dict)
    """Task to ISO 639-1."""
    families: Mapping[str, str] = field(default_factory=dict)
    """Task to the family of its card; tasks without one are their own."""
    chances: Mapping[str, float | None] = field(default_factory=dict)
    """Task to the expected value of its default metric for a uniform guess; None where that has no meaning."""
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Model to `domain`, `base`, `parameters_b`, `languages`, `trained_on`, `knowledge_cutoff` as its registry entry has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Analyses:
    """Frames beside estimates and comparisons; each is described where it is made."""


def analyse(scores: pd.DataFrame, comparisons: pd.DataFrame, design: AnalysisDesign, labels: Labels, tell: Tell = untold) -> Analyses:
    """All further analyses of a study; pure and seeded.

    Args:
        scores: columns of scores.parquet.
        comparisons: from `compare.compare_frames`, of the same scores and design.
        design: the pre-stated analysis.
        labels: of its tasks and models.
        tell: told of progress.
    """
    del scores, comparisons, design, labels, tell
    return Analyses()
