"""The five verdicts of a comparison, in the order in which the report counts them."""

from typing import Literal

Verdict = Literal["a_better", "b_better", "equivalent", "inconclusive", "not_established"]
VERDICTS: tuple[Verdict, ...] = ("a_better", "b_better", "equivalent", "inconclusive", "not_established")
