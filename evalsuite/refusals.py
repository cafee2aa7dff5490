"""What perturbations do not apply to: refused samples by reason, and cells that no strategy can ask."""

from __future__ import annotations

from collections import Counter

from evalsuite.foreign import is_as_made
from evalsuite.needs import words_of
from evalsuite.plan import Plan, Refused

MOST_REASONS = 3
"""Reasons that a line names, the most frequent first."""


def refusals_of(plan: Plan) -> dict[str, dict[str, dict[str, int]]]:
    """Task to perturbation to reason to number of refused samples; only where there are any."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for (task, perturbation), shown in plan.variants.items():
        reasons = Counter(one.reason for one in shown if isinstance(one, Refused))
        if reasons:
            found.setdefault(task, {})[perturbation] = dict(sorted(reasons.items()))
    return found


def perturbation_lines(plan: Plan) -> list[str]:
    """What is shown of each task under each perturbation, and which cells are left out; none of a study without perturbations."""
    if list(plan.perturbations) == ["none"]:
        return []
    refused = refusals_of(plan)
    plain: dict[tuple[str, int], list[str]] = {}
    lines = []
    for (task, perturbation), shown in plan.variants.items():
        renditions = [one for one in shown if not isinstance(one, Refused)]
        reasons = refused.get(task, {}).get(perturbation, {})
        n_samples = len({one.id for one in renditions})
        if reasons or len(renditions) > n_samples:
            several = f" in {len(renditions):,} renditions" if len(renditions) > n_samples else ""
            lines.append(f"{perturbation} on {task}: {n_samples:,} samples{several}{_refused(reasons)}")
        else:
            plain.setdefault((task, n_samples), []).append(perturbation)
    whole = [f"all {n_samples:,} samples of {task}, once each: {', '.join(names)}" for (task, n_samples), names in plain.items()]
    return [*whole, *lines, *left_out_lines(plan), *_own_prompt_lines(plan)]


def _own_prompt_lines(plan: Plan) -> list[str]:
    """Which renditions a task of another framework will refuse when it is run, since its prompts are its own and know no other words."""
    lines = []
    for task in [name for name, planned in plan.tasks.items() if planned.task.foreign is not None]:
        own = [name for name, built in plan.strategies.items() if not built.meets(plan.tasks[task].task.card)]
        changed: dict[str, int] = {}
        for perturbation in plan.perturbations:
            shown = [one for one in plan.variants[task, perturbation] if not isinstance(one, Refused)]
            changed[perturbation] = sum(not is_as_made(one) for one in shown)
        for strategy in own:
            asked = [name for name, n in changed.items() if n and (task, strategy, name) not in plan.unmet]
            named = ", ".join(f"{name} ({changed[name]:,})" for name in asked)
            lines += [f"refused under {strategy} on {task}, whose prompts are the task's own: {named}"] if asked else []
    return lines


def left_out_lines(plan: Plan) -> list[str]:
    """Which perturbations are not asked under which strategies, and why; those that are left out alike stand in one line."""
    tasks: dict[tuple[str, str, str], list[str]] = {}
    for (task, strategy, perturbation), lacks in plan.unmet.items():
        tasks.setdefault((words_of([lacks]), strategy, perturbation), []).append(task)
    names: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (why, strategy, perturbation), on in tasks.items():
        names.setdefault((why, strategy, tuple(on)), []).append(perturbation)
    lines = []
    for (why, strategy, own), found in names.items():
        where = "" if len(own) == len(plan.tasks) else f" on {', '.join(own)}"
        lines.append(f"not asked under {strategy}{where}, which lacks {why}: {', '.join(found)}")
    return lines


def second_turn_lines(plan: Plan) -> list[str]:
    """How many second turns there are, which follow from what a model says in the first and so cannot be counted before."""
    model = next(iter(plan.models))
    shown = [one for cell in plan.cells(model) for one in plan.shown(cell) if not isinstance(one, Refused)]
    n = sum(one.dialogue is not None for one in shown)
    what = f"second turns: at most {n:,} more requests of each model, not counted above, since what is sent holds its first answers"
    return [what] if n else []


def _refused(reasons: dict[str, int]) -> str:
    if not reasons:
        return ""
    named = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    told = "; ".join(f"{n:,} {reason}" for reason, n in named[:MOST_REASONS])
    rest = len(named) - MOST_REASONS
    return f", {sum(reasons.values()):,} refused ({told}{f'; {rest} more reasons' if rest > 0 else ''})"
