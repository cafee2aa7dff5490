"""How ensembles voted: members, missing votes, agreement and ties, per model, task and strategy. Counted, never dropped in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from evalsuite.stats.costs import answers_of
from evalsuite.stats.design import AnalysisDesign

MISSING = "-"
"""A member that gave no readable vote."""
SAME, OTHER = "=", "x"
"""Free text and quantities: a member that agrees with the answer, and one that does not; those are not told apart."""
COLUMNS = (
    "model", "task", "strategy", "n_answers", "members", "votes_missing", "answers_missing", "n_silent", "agreement", "ties", "outvoted",
)  # fmt: skip
NUMBERS = ("members", "votes_missing", "answers_missing", "agreement", "ties", "outvoted")


def vote_frame(scores: pd.DataFrame, design: AnalysisDesign) -> pd.DataFrame:
    """How the members of each ensemble voted, at the primary perturbation, on each task's primary metric.

    Every variant and replicate is an answer. Answers without the column `votes` are no ensembles and leave; excluded samples and refused
    answers too. Failed answers have no votes: a failure of a member is ours, not a missing vote.

    Source: shares and counts; agreement with the answer is the consistency of Wang et al. 2023 (arXiv 2203.11171).

    Args:
        scores: columns of scores.parquet; without `votes` (older ones) there are no rows.
        design: primary metrics and perturbation, exclusions.

    Returns:
        `COLUMNS`, by task, strategy and model. `members`: mean votes asked for per answer. `votes_missing`: share of all votes that could
        not be read. `answers_missing`: share of the answers with at least one such vote; `n_silent`: answers with no other. `agreement`:
        mean share of the readable votes that the answer given got (where it is not known, that the commonest got). `ties`: share of the
        answers in which several choices got the most votes; `outvoted`: share in which another choice than the answer got more. Both are
        of the answers with readable votes for choices; NaN where votes for others cannot be told apart (free text), as is `agreement`
        without a readable vote.
    """
    if "votes" not in scores:
        return _typed([])
    cast = answers_of(scores, list(design.primary_metric), design)
    cast = cast[cast["votes"].notna()]
    rows: list[dict[str, Any]] = []
    for (task, strategy, model), part in cast.groupby(["task", "strategy", "model"], sort=True, observed=True):
        given = answers_given(part)
        counted = [_of_answer(str(votes).split(","), answer) for votes, answer in zip(part["votes"], given, strict=True)]
        rows.append({"model": model, "task": task, "strategy": strategy, **_of_cell(counted)})
    return _typed(rows)


def answers_given(part: pd.DataFrame) -> list[str | None]:
    """The answer that counts, in the form of a vote: original indices joined by `+`; None where there is none or it is not known."""
    for column in ("answer_indices", "answer_index"):
        if column in part and part[column].notna().any():
            return [None if pd.isna(entry) else _as_vote(entry) for entry in part[column]]
    return [None] * len(part)


def _as_vote(entry: Any) -> str:
    return entry.replace(",", "+") if isinstance(entry, str) else str(int(entry))


def _of_answer(votes: Sequence[str], answer: str | None) -> dict[str, float | None]:
    """What one answer adds: counts, and what can be said of its readable votes."""
    readable = [vote for vote in votes if vote != MISSING]
    found: dict[str, float | None] = {"members": len(votes), "missing": len(votes) - len(readable)}
    found |= {"agreement": None, "tie": None, "outvoted": None}
    if not readable:
        return found
    if set(readable) <= {SAME, OTHER}:
        return found | {"agreement": readable.count(SAME) / len(readable)}
    counts = Counter(readable)
    most = max(counts.values())
    own = most if answer is None else counts[answer]
    tied = sum(count == most for count in counts.values()) > 1
    return found | {"agreement": own / len(readable), "tie": float(tied), "outvoted": float(own < most)}


def _of_cell(counted: Sequence[dict[str, float | None]]) -> dict[str, Any]:
    """Means over the answers of one cell."""
    members, missing = (sum(row[key] or 0 for row in counted) for key in ("members", "missing"))
    return {
        "n_answers": len(counted),
        "members": members / len(counted),
        "votes_missing": missing / members,
        "answers_missing": sum(bool(row["missing"]) for row in counted) / len(counted),
        "n_silent": sum(row["missing"] == row["members"] for row in counted),
        "agreement": _mean([row["agreement"] for row in counted]),
        "ties": _mean([row["tie"] for row in counted]),
        "outvoted": _mean([row["outvoted"] for row in counted]),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    kept = [value for value in values if value is not None]
    return sum(kept) / len(kept) if kept else None


def _typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({**dict.fromkeys(NUMBERS, "float64"), "n_answers": "int64", "n_silent": "int64"})
