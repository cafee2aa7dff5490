"""The pre-stated analysis as the statistics read it: every name resolved, no file behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from evalsuite.config import Correction, Exclusion, Secondary
from evalsuite.metrics.base import Metric

Role = Literal["primary", "secondary", "exploratory"]
"""Which family a comparison belongs to; exploratory ones belong to none."""

MIN_GROUPS = 10
"""Fewer groups give no verdict: the variance between them is too poorly known (DESIGN 2.6)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisDesign:
    """The pre-stated analysis with every name resolved."""

    study: str
    """Name of the study."""
    pairs: tuple[tuple[str, str], ...]
    """(a, b): positive differences favour a."""
    primary_strategy: str
    """Strategy id of the primary cell."""
    primary_perturbation: str
    """Perturbation id of the primary cell."""
    primary_metric: Mapping[str, str]
    """Task to the metric of its primary comparison; its keys are the family's tasks."""
    metrics: Mapping[str, Metric]
    """Records of all metrics that the scores hold, by name."""
    alpha: float = 0.05
    """Two-sided error rate of the family, in (0, 0.5); also the level of each one-sided test against the margin."""
    margin: float = 0.03
    """Margin of equivalence and non-inferiority in the metric's unit, above 0."""
    correction: Correction = "holm"
    """Correction over each family."""
    n_family: int | None = None
    """Size of the pre-stated family, pairs x tasks of the whole study, at least the rows there are; None: the rows there are."""
    n_pairs: int | None = None
    """Pairs of the whole study, the family of the differences over all tasks; None: as many as `pairs`."""
    not_run: Mapping[str, str] = field(default_factory=dict)
    """Stated tasks that a narrowed run leaves out, with their metrics."""
    secondary: Secondary | None = None
    """Cells of the secondary family; None: there is none."""
    n_secondary: int | None = None
    """Size of the secondary family, pairs x tasks x its cells of the whole study; None: the rows there are."""
    pooling: Literal["questions", "tasks"] = "questions"
    """Weights of the mean over tasks: each distinct question counts the same, or each task."""
    pooled_tasks: tuple[str, ...] | None = None
    """Tasks of that mean; None: all."""
    mixed_model: bool = False
    """Whether a mixed-effects logistic model is fitted beside the pooled difference."""
    missing: Literal["incorrect", "drop"] = "incorrect"
    """What `unparsed`, `truncated` and `too_long` count as."""
    n_resamples: int = 10_000
    """Resamples of randomisation and bootstrap."""
    seed: int = 0
    """Study seed; every comparison derives its own from it."""
    exclude: tuple[Exclusion, ...] = ()
    """Samples that leave for all models."""
    ladder: tuple[str, ...] = ()
    """Strategy ids in cumulative order, of which each is set against the one before; empty: no ladder."""
    leave_one_out: tuple[str, ...] = ()
    """Strategy ids that are the last of the ladder without one part each."""
    tags: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Task to sample id to the known issues that touch it; untouched samples may be absent."""
    exploratory: bool = False
    """True: the analysis was changed after answers were seen, so that no comparison is primary or secondary."""

    @property
    def secondary_cells(self) -> tuple[tuple[str, str], ...]:
        """(strategy, perturbation) of each cell of the secondary family, in the order in which they were stated."""
        if self.secondary is None:
            return ()
        strategies = [(name, self.primary_perturbation) for name in self.secondary.strategies]
        return (*strategies, *((self.primary_strategy, name) for name in self.secondary.perturbations))

    def pools(self, task: str) -> bool:
        """Whether a task belongs to the mean over tasks that was stated beforehand."""
        return self.pooled_tasks is None or task in self.pooled_tasks

    def role_of(self, task: str, metric: str, strategy: str, perturbation: str) -> Role:
        """The family of a condition over all samples: the cells of a family, with each task's own metric."""
        if self.exploratory or self.primary_metric.get(task) != metric:
            return "exploratory"
        if (strategy, perturbation) == (self.primary_strategy, self.primary_perturbation):
            return "primary"
        return "secondary" if (strategy, perturbation) in self.secondary_cells else "exploratory"
