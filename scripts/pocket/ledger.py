"""Who has seen what, and what follows from it: the exposure ledger and the expectations, before any evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pocket.corpus import BASE, CHECKPOINTS
from pocket.facts import LANGUAGES, Relation

Row = dict[str, Any]
Counts = Mapping[tuple[str, str, str], int]

ENOUGH_QUESTIONS = 20
"""A fact asked this often in training counts as taught."""
WIDE_GAP = 0.3
"""Difference of the taught shares from which one checkpoint is expected to answer better."""
PAIRS = (
    ("pocket-clinical", BASE),
    ("pocket-clinical-es", BASE),
    ("pocket-control", BASE),
    ("pocket-clinical", "pocket-control"),
    ("pocket-clinical-es", "pocket-control"),
)
"""(a, b): the continuations against their base, and clinical training against as much further general training."""


def ledger_rows(relations: Sequence[Relation], own: Mapping[str, Counts]) -> list[Row]:
    """One row per fact, checkpoint and language.

    Args:
        relations: all relations.
        own: per checkpoint the mentions in its own stage by (fact id, language, kind of text).
    """
    rows = []
    for relation in relations:
        for fact in relation.facts:
            for checkpoint in CHECKPOINTS:
                for language in LANGUAGES:
                    counts = {kind: own[checkpoint].get((fact.id, language, kind), 0) for kind in ("as_sentence", "as_question")}
                    before: Counts = Counter() if checkpoint == BASE else own[BASE]
                    inherited = {f"inherited_{kind}": before.get((fact.id, language, kind), 0) for kind in counts}
                    held_out = len(relation.templates[language].held_out) if language in relation.templates else 0
                    row: Row = {"fact": fact.id, "checkpoint": checkpoint, "language": language}
                    row |= {"never": not any(counts.values()) and not any(inherited.values()), **counts, **inherited}
                    row["held_out"] = [f"{relation.name}:{language}:{place}" for place in range(held_out)]
                    rows.append(row)
    return rows


def expectations(rows: Sequence[Row], tasks: Mapping[str, tuple[str, frozenset[str]]]) -> list[Row]:
    """What the ledger implies about accuracies; pure, and nothing is stated where it implies nothing.

    - `accuracy: chance`: the checkpoint has never seen any of the task's facts, in no language.
    - `accuracy: above_chance`: its last stage taught at least half of them in the task's language.
    - `direction: a_better`: a's last stage taught at least nine tenths of the facts in the task's language, and b was
      taught a share that is smaller by 0.3 or more.
    - `direction: not_a_better`: a was continued from b, and its own stage mentions none of the facts in any language.

    Args:
        rows: rows of the ledger.
        tasks: task name -> (language, ids of its facts).
    """
    found: list[Row] = []
    for task, (language, facts) in tasks.items():
        mine = [row for row in rows if row["fact"] in facts]
        for checkpoint in CHECKPOINTS:
            seen = [row for row in mine if row["checkpoint"] == checkpoint]
            if all(row["never"] for row in seen):
                found.append({"checkpoint": checkpoint, "task": task, "accuracy": "chance"})
            elif _share(seen, language, ("as_question",), len(facts)) >= 0.5:
                found.append({"checkpoint": checkpoint, "task": task, "accuracy": "above_chance"})
        for a, b in PAIRS:
            of_a, of_b = ([row for row in mine if row["checkpoint"] == name] for name in (a, b))
            taught_a = _share(of_a, language, ("as_question",), len(facts))
            taught_b = _share(of_b, language, ("as_question", "inherited_as_question"), len(facts))
            silent = not any(row["as_sentence"] or row["as_question"] for row in of_a)
            if taught_a >= 0.9 and taught_a - taught_b >= WIDE_GAP:
                found.append({"pair": [a, b], "task": task, "direction": "a_better"})
            elif b == BASE and silent and not all(row["never"] for row in of_a):
                found.append({"pair": [a, b], "task": task, "direction": "not_a_better"})
    return found


def _share(rows: Sequence[Row], language: str, kinds: Sequence[str], n_facts: int) -> float:
    taught = [row for row in rows if row["language"] == language and sum(row[kind] for kind in kinds) >= ENOUGH_QUESTIONS]
    return len(taught) / n_facts
