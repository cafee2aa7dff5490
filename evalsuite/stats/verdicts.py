"""From the p-values of a study's comparisons to verdicts: correction within families, the gate between them, and one of five words."""

from __future__ import annotations

from typing import Any

from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.multiplicity import adjusted, behind_gate, gate

CORRECTED = (
    ("p_value", "p_adjusted"),
    ("p_equivalence", "p_equivalence_adjusted"),
    ("p_a_noninferior", "p_a_noninferior_adjusted"),
    ("p_b_noninferior", "p_b_noninferior_adjusted"),
)
"""Each p-value with its adjusted form; each is a family of its own."""

Row = dict[str, Any]


def adjudicate(rows: list[Row], design: AnalysisDesign) -> list[Row]:
    """Correct the p-values of the primary and the secondary family and give every row its verdict.

    The secondary family is tested behind the gate of the primary differences (`multiplicity.gate`), for its differences and for its
    equivalences and non-inferiorities alike: none of them is claimed unless every primary difference is significant.

    Args:
        rows: comparisons with `role`, `status_note` (not empty: it cannot be tested), `unread` (sides without a readable answer: `a`, `b`,
            or `a in TASKS`), `difference` and the p-values of `CORRECTED`.
        design: alpha, correction and sizes of the families.

    Returns:
        The same rows with adjusted p-values, `within_margin`, `a_noninferior`, `b_noninferior` and `verdict`; a note where a side without
        readable answers forbids one.

    Raises:
        ValueError: a family has more rows than was stated.
    """
    primary, n_primary = _family(rows, "primary", design.n_family)
    secondary, n_secondary = _family(rows, "secondary", design.n_secondary)
    for raw, corrected in CORRECTED:
        p_values = adjusted([row[raw] for row in primary], design.correction, n_primary)
        for row, p in zip(primary, p_values, strict=True):
            row[corrected] = float(p)
    opened_at = gate([row["p_adjusted"] for row in primary], n_primary)
    for raw, corrected in CORRECTED:
        p_values = behind_gate([row[raw] for row in secondary], opened_at, design.correction, n_secondary)
        for row, p in zip(secondary, p_values, strict=True):
            row[corrected] = float(p)
    for row in rows:
        _conclude(row, design.alpha)
    return rows


def _family(rows: list[Row], role: str, n_stated: int | None) -> tuple[list[Row], int]:
    """The rows of a family that could be tested, and its size."""
    family = [row for row in rows if row["role"] == role]
    n_family = len(family) if n_stated is None else n_stated
    if n_family < len(family):
        raise ValueError(f"{len(family)} {role} comparisons in a family of {n_family}")
    return [row for row in family if not row["status_note"]], n_family


def _conclude(row: Row, alpha: float) -> None:
    """Give a row its verdict and its claims about the margin; nulls and `not_established` where it cannot be tested."""
    row |= dict.fromkeys(("within_margin", "a_noninferior", "b_noninferior")) | {"verdict": "not_established"}
    if row["status_note"]:
        return
    p = {raw: row[raw if row["role"] == "exploratory" else corrected] for raw, corrected in CORRECTED}
    within = bool(p["p_equivalence"] <= alpha) and not row["unread"]
    verdict = verdict_of(row["difference"], p["p_value"], within, alpha)
    if row["unread"] and verdict == "inconclusive":
        # Two silent models have the same score, and nobody has seen what they would have answered.
        row["status_note"] = f"no answer of {' and '.join(row['unread'])} could be read"
        return
    # The missing rule may call silence worse, but nobody who is silent is as good.
    silent = {side.split()[0] for side in row["unread"]}
    noninferior = {f"{side}_noninferior": bool(p[f"p_{side}_noninferior"] <= alpha) and side not in silent for side in "ab"}
    row |= {"within_margin": within, "verdict": verdict, **noninferior}


def verdict_of(difference: float, p: float, within_margin: bool, alpha: float) -> str:
    """The verdict of a comparison that can be tested: a difference first, then equivalence, else inconclusive."""
    if p <= alpha and difference != 0:
        return "a_better" if difference > 0 else "b_better"
    return "equivalent" if within_margin else "inconclusive"
