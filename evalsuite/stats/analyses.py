"""Everything that is computed from the scores of a study beside estimates and comparisons, as one record of frames.

Each frame comes from one module of this package; a study that has no data for it leaves it empty, with its columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from evalsuite.stats.calibration import calibration_frames
from evalsuite.stats.cautions import caution_frame
from evalsuite.stats.contracts_kept import contracts_kept_frame, format_parts_frame
from evalsuite.stats.contrasts import contrast_frame
from evalsuite.stats.costs import cost_frame
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.ladder import ladder_frame
from evalsuite.stats.ladder_pairs import ladder_pair_frame
from evalsuite.stats.meta import meta_frame
from evalsuite.stats.mixed import mixed_frame
from evalsuite.stats.perturbed import Perturbed, perturbed_frame
from evalsuite.stats.pooling import pooled_frame, primary_units
from evalsuite.stats.positions import position_frame
from evalsuite.stats.prompt_spread import prompt_rank_frame, prompt_spread_frame
from evalsuite.stats.robustness import robustness_frame
from evalsuite.stats.scaling import scaling_frame, size_matched_frame
from evalsuite.stats.second_turns import second_turn_frame
from evalsuite.stats.tables import Cells, class_counts, split_conditions
from evalsuite.stats.variance import variance_frame
from evalsuite.stats.votes_cast import vote_frame
from evalsuite.stats.win_shares import share_frame
from evalsuite.stats.worst_cases import worst_frame
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
    strategies: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Strategy id to its name and all its options, in the study's order."""
    perturbations: Mapping[str, Perturbed] = field(default_factory=dict)
    """Perturbation id to what it is, in the study's order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What a study spent beside its answers, as `costs.cost_frame` takes it."""

    preparations: pd.DataFrame | None = None
    """What strategies prepared; None: nothing."""
    timings: pd.DataFrame | None = None
    """Engine seconds; None: the study does not show any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Analyses:
    """Frames beside estimates and comparisons; each is described where it is made."""

    pooled: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Mean differences over tasks."""
    meta: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Random-effects meta-analysis over tasks."""
    mixed: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Mixed-effects logistic model."""
    shares: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Shares of wins, ties and losses."""
    contrasts: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Differences in differences."""
    scaling: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Means by size of model."""
    size_matched: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Specialists against generalists of about their size."""
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Calibration of choice probabilities."""
    reliability: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Bins of reliability diagrams."""
    selective: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Accuracy by coverage."""
    calibration_pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Paired differences in Brier score."""
    variance: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Variance parts."""
    cautions: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What the scores themselves warn of."""
    costs: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Tokens and calls beside the share of right answers."""
    perturbed: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What perturbations do to each model's answers."""
    worst: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Each model's score where only the worst rendition of a sample counts."""
    robustness: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Differences in differences under perturbations."""
    positions: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Places answered beside places of right choices."""
    contracts_kept: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Lenient and strict scores of the same written answers, and how many kept their contract."""
    format_parts: pd.DataFrame = field(default_factory=pd.DataFrame)
    """How much of a pair's strict difference is knowledge and how much is form."""
    second_turns: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What became of first answers."""
    prompt_spread: pd.DataFrame = field(default_factory=pd.DataFrame)
    """How far scores move over prompts."""
    prompt_ranks: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Which side of a pair is ahead over prompts."""
    ladder: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What each part of the prompting adds, within each model."""
    ladder_pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Differences of pairs on every rung of the ladder."""
    votes: pd.DataFrame = field(default_factory=pd.DataFrame)
    """How ensembles voted."""


def analyse(
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    design: AnalysisDesign,
    labels: Labels,
    tell: Tell = untold,
    *,
    spent: Spent | None = None,
    cells: Cells | None = None,
) -> Analyses:
    """All further analyses of a study; pure and seeded.

    Args:
        scores: columns of scores.parquet.
        comparisons: from `compare.compare_frames`, of the same scores and design.
        design: the pre-stated analysis.
        labels: of its tasks and models.
        tell: told of progress.
        spent: what beside the answers was spent; None: nothing is known.
        cells: the same scores as `tables.split_conditions` cuts them; None: they are cut here.
    """
    cells = split_conditions(scores, design.metrics) if cells is None else cells
    known = Spent() if spent is None else spent
    calibrated = calibration_frames(scores, design)
    units = primary_units(cells, design)
    stated = {pair: {task: own for task, own in of_pair.items() if design.pools(task)} for pair, of_pair in units.items()}
    n_classes = class_counts(scores, design.metrics)
    return Analyses(
        pooled=pooled_frame(units, design, languages=labels.languages, families=labels.families, tell=tell),
        meta=meta_frame(comparisons[comparisons["task"].map(design.pools)], stated, design, tell),
        mixed=mixed_frame(stated, design, tell),
        shares=share_frame(comparisons, units, design, n_classes, tell),
        contrasts=contrast_frame(cells, design, languages=labels.languages, models=labels.models, n_classes=n_classes, tell=tell),
        scaling=scaling_frame(cells, design, labels.models),
        size_matched=size_matched_frame(cells, design, labels.models),
        calibration=calibrated.calibration,
        reliability=calibrated.reliability,
        selective=calibrated.selective,
        calibration_pairs=calibrated.calibration_pairs,
        variance=variance_frame(cells, design, labels.strategies),
        cautions=caution_frame(scores, cells, design, chances=labels.chances, n_classes=n_classes),
        costs=cost_frame(scores, cells, design, known.preparations, known.timings),
        perturbed=perturbed_frame(cells, design, labels.perturbations, labels.strategies, tell),
        worst=worst_frame(cells, design, labels.perturbations, labels.strategies, tell),
        robustness=robustness_frame(cells, design, labels.perturbations, labels.strategies, tell),
        positions=position_frame(scores, cells, design, labels.perturbations, labels.strategies, tell),
        contracts_kept=contracts_kept_frame(cells, design),
        format_parts=format_parts_frame(cells, design),
        second_turns=second_turn_frame(cells, design),
        prompt_spread=prompt_spread_frame(cells, design, labels.perturbations),
        prompt_ranks=prompt_rank_frame(cells, design, labels.perturbations),
        ladder=ladder_frame(cells, design, n_classes, tell),
        ladder_pairs=ladder_pair_frame(cells, comparisons, design, n_classes),
        votes=vote_frame(scores, design),
    )
