"""What the statistics promise, held against simulated answers: coverage, false positives, families, equivalence, means over tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from benchmarks.claims import Claim
from benchmarks.error_rates import ALPHA, LEVEL, Rate
from benchmarks.exact_sums import ExactRate
from benchmarks.simulation_cases import EVEN, SKEWED, Simulation, simulate

N_REPEATS = 2000
"""Draws of each case per repeat of the bench: 10,000 with its usual five."""
N_GROUPS = (20, 50, 200)
"""Of the coverage grid: where the interval promises anything."""
LOWEST, HIGHEST = 0.94, 0.96

needs: tuple[str, ...] = ()
"""What is missing for it."""


def measure(n_repeats: int) -> Iterator[Claim]:
    """All promises; `simulate.py` shows every case.

    Args:
        n_repeats: of the bench.
    """
    yield from claims_of(simulate(N_REPEATS * n_repeats, N_GROUPS))


def claims_of(found: Simulation) -> Iterator[Claim]:
    """The worst case of each promise. A share counts as it was found; its Monte-Carlo error stands beside it."""
    covered = [rate for rate in found.coverage if rate.setting.n_groups >= 20]
    sound = [rate for rate in covered if all(rate.rules)]
    for name, rates in (("20 groups or more", covered), ("the three rules kept", sound)):
        yield worst(f"coverage, lowest, {name}", rates, LEVEL, LOWEST, at_most=False)
        yield worst(f"coverage, highest, {name}", rates, LEVEL, HIGHEST, at_most=True)
    flips = [rate for rate in found.null if rate.method == "sign flips"]
    # The largest of many shares lies above their true value by chance alone.
    exchangeable = [rate for rate in flips if rate.setting.kinds != SKEWED]
    yield worst("false positives, exchangeable", exchangeable, ALPHA, allowed(exchangeable), at_most=True)
    even = [rate for rate in found.null if rate.method == "McNemar" and rate.setting.kinds == EVEN]
    yield worst("false positives, McNemar", even, ALPHA, allowed(even), at_most=True)
    families = [rate for rate in found.families if rate.method == "Holm, any false"]
    yield worst("Holm, any false of ten", families, ALPHA, allowed(families), at_most=True)
    yield worst("equivalence at the margin", found.equivalence, ALPHA, allowed(found.equivalence), at_most=True)
    yield worst_exact(found.exact_equivalence)
    linked = [rate for rate in found.pooled if rate.method == "linked"]
    yield worst("mean over tasks, lowest coverage", linked, LEVEL, LOWEST, at_most=False)
    pooled = [rate for rate in found.pooled if rate.method == "sign flips"]
    yield worst("mean over tasks, false positives", pooled, ALPHA, allowed(pooled), at_most=True)


def allowed(rates: Sequence[Rate]) -> float:
    """Alpha and three Monte-Carlo errors at alpha."""
    return round(ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / rates[0].n_repeats), 4)


def worst(case: str, rates: Sequence[Rate], nominal: float, target: float, *, at_most: bool) -> Claim:
    """The case that is nearest to breaking a promise, or breaks it most."""
    rate = (max if at_most else min)(rates, key=lambda rate: rate.share)
    kept = sum(each.share <= target if at_most else each.share >= target for each in rates)
    return Claim(
        case=case,
        ours=rate.share,
        peer=nominal,
        target=target,
        at_most=at_most,
        unit="share",
        error=rate.error,
        detail=f"{kept} of {len(rates)} cases keep it, {rate.n_repeats} repeats each; worst: {described(rate)}",
    )


def worst_exact(rates: Sequence[ExactRate]) -> Claim:
    """The largest error of equivalence by exact sums."""
    rate = max(rates, key=lambda rate: rate.share)
    kept = sum(each.share <= ALPHA for each in rates)
    where = f"{rate.n_samples} single samples, margin {rate.margin:g}, only b right on {rate.only_b:g}"
    return Claim(
        case="equivalence at the margin, exact sums", ours=rate.share, peer=ALPHA, target=ALPHA, at_most=True, unit="share",
        detail=f"{kept} of {len(rates)} cases keep it; worst: {where}",
    )  # fmt: skip


def described(rate: Rate) -> str:
    """A case in words."""
    setting = rate.setting
    kinds = ", ".join(f"{kind.difference:+g} on {kind.share:.0%}" if kind.share < 1 else f"{kind.difference:+g}" for kind in setting.kinds)
    words = f"{setting.n_groups} groups ({setting.sizes}), accuracy {setting.accuracy:g}, icc {setting.icc:g}, true difference {kinds}"
    return words if rate.pooled is None else f"{words}, by {rate.pooled.rule}"
