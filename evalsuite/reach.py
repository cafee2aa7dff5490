"""What the comparisons of a plan could establish with the samples that there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evalsuite.cards import metrics_of
from evalsuite.plan import Plan, Refused
from evalsuite.stats.multiplicity import worst_level
from evalsuite.stats.pooling import is_share
from evalsuite.stats.power import Attainable, Needed, attainable, needed


def reach_of(plan: Plan) -> tuple[Reach, ...]:
    """What each task's comparison could establish, and their pooled difference.

    Samples are those that the primary perturbation shows. Pooled are the tasks whose metric is the share of right answers, if there are
    several; the pairs are its family. A run that is narrowed to other tasks than the stated ones has no pooled difference.
    """
    found, pooled = [], []
    analysis = plan.study.analysis
    stated = set(plan.statement["metrics"]) if analysis.pooled_tasks is None else set(analysis.pooled_tasks)
    for name, task in plan.tasks.items():
        metric = metrics_of(task.task)[task.metric]
        asked = {shown.id for shown in plan.variants[name, analysis.primary.perturbation] if not isinstance(shown, Refused)}
        groups = [sample.group for sample in task.samples if sample.id in asked]
        n_refused = sum(isinstance(shown, Refused) for p in plan.perturbations for shown in plan.variants[name, p])
        reach = _reach(plan, name, groups, plan.n_family if metric.binary or metric.of_set else None)
        found.append(replace(reach, n_refused=n_refused, of_set=metric.of_set is not None))
        pooled.append(groups if is_share(metric) and name in stated else [])
    n_pooled = sum(bool(groups) for groups in pooled)
    known = {name: metric for task in plan.tasks.values() for name, metric in metrics_of(task.task).items()}
    left_out = [metric for name, metric in plan.statement["metrics"].items() if name in stated and name not in plan.tasks]
    # As in the analysis, where a metric without a record may be a share of right answers.
    if n_pooled > 1 and not any(name not in known or is_share(known[name]) for name in left_out):
        name = f"{n_pooled} of {len(pooled)} tasks, pooled" if n_pooled < len(pooled) else f"all {n_pooled} tasks, pooled"
        found.append(_reach(plan, name, [group for groups in pooled for group in groups], len(plan.statement["pairs"])))
    return tuple(found)


def _reach(plan: Plan, name: str, groups: Sequence[str], n_family: int | None) -> Reach:
    """What a comparison over samples of some groups could establish in a family; nothing is said of its power for None."""
    analysis, n_groups = plan.study.analysis, len(set(groups))
    reach = Reach(name=name, n_samples=len(groups), n_groups=n_groups, n_refused=None, now=None, for_margin=None)
    if n_family is None or not groups:
        return reach
    alpha = worst_level(n_family, analysis.alpha, analysis.correction)
    return replace(
        reach,
        now=attainable(len(groups), n_groups, alpha=alpha, margin=analysis.margin),
        for_margin=needed(analysis.margin, len(groups) / n_groups, alpha=alpha),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """What a comparison could establish."""

    name: str
    """The task, or what several tasks are called together."""
    n_samples: int
    """Samples."""
    n_groups: int
    """Groups among them; one that occurs in several tasks counts once."""
    n_refused: int | None
    """Samples that a perturbation refuses, over all perturbations; None for several tasks."""
    now: Attainable | None
    """With the samples that there are, at the worst level that the correction can put the comparison to; None where a metric is neither
    right or wrong nor of a set of classes, so that nothing can be assumed of its differences."""
    for_margin: Needed | None
    """The size at which a true difference of one margin is found; None likewise."""
    of_set: bool = False
    """True for a metric of a set of classes, of which the same is assumed as if its answers were right or wrong one by one."""
