"""Models by size: means over the pooled tasks against parameters, and specialists against generalists of their own size. Exploratory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pandas as pd

from evalsuite.stats.contrasts import size_name
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.pooling import (
    is_share,
    left_out_of,
    pooled_frame,
    pooled_samples,
    primary_units,
    scopes_of,
    weighed,
    weighted_interval,
)
from evalsuite.stats.tables import Cells, PairedUnits

Models = Mapping[str, Mapping[str, Any]]
"""Model to `domain` (generalist or biomedical) and `parameters_b` (billions; None: unknown)."""

SAME_SIZE = 1.2
"""Two models are of about one size where the larger has at most so many times the parameters of the smaller."""
SCALING_COLUMNS = (
    "model", "domain", "parameters_b", "scope", "mean", "ci_low", "ci_high", "ci_level", "n_questions", "n_groups", "status_note",
)  # fmt: skip
MATCHED_COLUMNS = (
    "size", "model_a", "model_b", "parameters_b_a", "parameters_b_b", "scope", "difference", "ci_low", "ci_high", "ci_level", "p_value",
    "n_questions", "n_groups", "declared_pair", "status_note",
)  # fmt: skip


def scaling_frame(cells: Cells, design: AnalysisDesign, models: Models) -> pd.DataFrame:
    """The mean of each model of known size over the distinct questions of the tasks that the study pools, in the primary cell.

    Same questions and weights as the pooled difference (`pooling.sample_weights`), with its interval (`pooling.weighted_interval`). A
    model that lacks one of the tasks has a note and no numbers: its mean would be one over other questions.

    Args:
        cells: answers by condition and model, from `tables.split_conditions`.
        design: primary cell, missing rule, exclusions, weights.
        models: of the study; those of unknown size are left out.

    Returns:
        `SCALING_COLUMNS`, smallest model first; means are shares in [0, 1]. No rows unless sizes differ by more than `SAME_SIZE`.
    """
    sizes = {name: float(facts["parameters_b"]) for name, facts in models.items() if facts.get("parameters_b")}
    scope = next(iter(scopes_of(design, {}, {})), None)
    frame = pd.DataFrame(columns=list(SCALING_COLUMNS))
    if scope is None or not sizes or max(sizes.values()) <= SAME_SIZE * min(sizes.values()):
        return frame
    # One model on both sides: its own answers, under the rules of a pair.
    units = primary_units(cells, replace(design, pairs=tuple((name, name) for name in sizes)))
    rows = []
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        outside, lost = left_out_of(scope, units[name, name], design)
        row = {"model": name, "domain": models[name].get("domain"), "parameters_b": sizes[name], "scope": scope.name}
        # Notes of a pair speak of sides, of which one model has none.
        notes = [f"{task}: {'not run' if why.startswith('no scores') else why}" for task, why in lost.items()]
        row |= {"ci_level": 1 - design.alpha, "status_note": "; ".join(notes), "n_groups": 0}
        entered = {task: units[name, name][task] for task in scope.tasks if task not in outside}
        rows.append(row | ({} if lost else pooled_mean(entered, design)))
    numbers = dict.fromkeys(("parameters_b", "mean", "ci_low", "ci_high", "ci_level", "n_questions"), "float64")
    return pd.DataFrame(rows, columns=list(SCALING_COLUMNS)).astype({**numbers, "n_groups": "int64"})


def pooled_mean(entered: Mapping[str, PairedUnits], design: AnalysisDesign) -> dict[str, Any]:
    """Share of right answers of one model over several tasks, with its interval; `entered` has the model on both sides."""
    pooled = pooled_samples(entered, {task: design.metrics[design.primary_metric[task]] for task in entered})
    index, counts, weights = weighed(pooled, design.pooling)
    interval = weighted_interval(pooled.a, weights, index, 1 - design.alpha)
    return {
        "mean": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n_questions": float(counts.max(axis=1).sum()),
        "n_groups": len(counts),
    }


def size_matched_frame(cells: Cells, design: AnalysisDesign, models: Models) -> pd.DataFrame:
    """The pooled difference of every biomedical model to every generalist of about its size, declared as a pair or not.

    Numbers as in `pooling.pooled_frame`, scope `all`; p is not corrected, since nobody stated these pairs.

    Args:
        cells: answers by condition and model.
        design: the analysis.
        models: of the study; those of unknown size are left out.

    Returns:
        `MATCHED_COLUMNS`, by size and name; positive differences favour a, the biomedical model. `size` is the
        generalist's, such as `8.03B`. No rows where every such combination is a declared pair, or there is nothing to pool.
    """
    known = {name: facts for name, facts in models.items() if facts.get("parameters_b")}
    specialists, generalists = ([name for name in known if known[name].get("domain") == kind] for kind in ("biomedical", "generalist"))
    sizes = {name: float(facts["parameters_b"]) for name, facts in known.items()}
    pairs = sorted(
        (pair for pair in product(specialists, generalists) if of_one_size(sizes[pair[0]], sizes[pair[1]])),
        key=lambda pair: (sizes[pair[1]], pair),
    )
    declared = {frozenset(pair) for pair in design.pairs}
    shares = any(is_share(design.metrics[name]) for name in design.primary_metric.values())
    if not shares or all(frozenset(pair) in declared for pair in pairs):
        return pd.DataFrame(columns=list(MATCHED_COLUMNS))
    wanted = replace(design, pairs=tuple(pairs), exploratory=True)
    found = pooled_frame(primary_units(cells, wanted), wanted, languages={}, families={})
    found["parameters_b_a"], found["parameters_b_b"] = found["model_a"].map(sizes), found["model_b"].map(sizes)
    found["size"] = found["parameters_b_b"].map(size_name)
    found["declared_pair"] = [frozenset(pair) in declared for pair in zip(found["model_a"], found["model_b"], strict=True)]
    return found.reindex(columns=list(MATCHED_COLUMNS))


def of_one_size(one: float, other: float) -> bool:
    """Whether two numbers of parameters differ by at most `SAME_SIZE`."""
    return max(one, other) <= SAME_SIZE * min(one, other)
