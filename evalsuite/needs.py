"""Which perturbations can be asked under which strategies: what the one needs, the other must offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evalsuite.config import Study
from evalsuite.strategies.base import Strategy
from evalsuite.study_checks import Faults
from evalsuite.tasks import TaskCard
from evalsuite.types import Need

NEEDS: Mapping[Need, str] = {
    "written": "answers that are written in one go (format: generate, no reasoning, no shuffled ensemble)",
    "listed": "choices that are shown (format: letters or generate)",
    "dialogue": "a second turn (no ensemble)",
    "drawn_exemplars": "exemplars that are drawn by a seed (few_shot with exemplars: fixed or random)",
    "own_prompt": "one prompt of ours for all models (selection: shared; no task of another framework)",
}
"""What a perturbation can need of a strategy, in words."""


def unmet_needs(
    needs: Mapping[str, frozenset[Need]], built: Mapping[str, Strategy], cards: Sequence[TaskCard]
) -> dict[tuple[str, str, str], frozenset[Need]]:
    """(task, strategy, perturbation) to what the strategy lacks of what the perturbation needs; those that lack nothing are not there."""
    lacking = {
        (card.name, strategy, perturbation): wanted - own.meets(card)
        for card in cards
        for strategy, own in built.items()
        for perturbation, wanted in needs.items()
        if wanted
    }
    return {cell: lacks for cell, lacks in lacking.items() if lacks}


def check_needs(faults: Faults, study: Study, unmet: Mapping[tuple[str, str, str], frozenset[Need]], cards: Sequence[TaskCard]) -> None:
    """Every perturbation can be asked under some strategy on some task, those of the primary and secondary cells under theirs on all."""
    strategies = [entry.label for entry in study.strategies]
    for perturbation in [entry.label for entry in study.perturbations]:
        lacks = [unmet.get((card.name, strategy, perturbation)) for card in cards for strategy in strategies]
        if lacks and all(lacks):
            faults.add("perturbations", perturbation, f"no strategy of this study offers what it needs: {words_of(lacks)}")
    primary, secondary = study.analysis.primary, study.analysis.secondary
    own = primary.strategy or strategies[0]
    stated = [("analysis.primary", own, primary.perturbation)]
    if secondary is not None:
        stated += [("analysis.secondary", strategy, primary.perturbation) for strategy in secondary.strategies]
        stated += [("analysis.secondary", own, perturbation) for perturbation in secondary.perturbations]
    for key, strategy, perturbation in stated:
        lacks = [found for card in cards if (found := unmet.get((card.name, strategy, perturbation)))]
        if lacks:
            faults.add(key, f"{strategy}, {perturbation}", f"the perturbation needs {words_of(lacks)}")


def words_of(lacks: Sequence[frozenset[Need] | None]) -> str:
    """What is needed, in words."""
    wanted = frozenset[Need]().union(*(one for one in lacks if one))
    return "; ".join(words for need, words in NEEDS.items() if need in wanted)
