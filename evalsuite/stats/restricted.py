"""How much a mean of paired right-or-wrong differences varies if its true value is the margin, given the discordance that was seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from evalsuite.stats.arrays import LeastVariation, checked_values, group_sums


def against_at_margin(in_direction: float, against: float, margin: float) -> float:
    """The likeliest share of discordant answers against the direction of a difference whose true value is the margin.

    With the shares B of answers in that direction and C against it, q is the larger root of
    2 q^2 + [(2 - B + C) m - (B + C)] q - C m (1 - m) = 0. Source: Tango 1998 (Stat. Med. 17:891), restricted maximum likelihood of
    paired proportions.

    Args:
        in_direction: B, in [0, 1].
        against: C, in [0, 1 - B].
        margin: m, in (0, 1).
    """
    linear = (2 - in_direction + against) * margin - (in_direction + against)
    found = float((-linear + np.sqrt(linear**2 + 8 * against * margin * (1 - margin))) / 4)
    # Shares of both directions sum to 1 at most; rounding may carry the root a hair beyond.
    return min(found, (1 - margin) / 2)


def with_discordance(
    least: LeastVariation,
    differences: npt.ArrayLike,
    group_index: npt.ArrayLike,
    margin: float,
    *,
    span: float = 1.0,
    weights: npt.ArrayLike | None = None,
    n_distinct: npt.ArrayLike | None = None,
) -> LeastVariation:
    """The floor of `arrays.least_variation`, raised to what the discordance seen on both sides implies at the margin.

    Under a true difference m (in units of the span) with the share q against its direction, var d = 2 q + m (1 - m), with q from
    `against_at_margin`; the tests against -m and +m have one each. The plain standard error estimates var d at the difference that was
    seen, where it is smaller, and samples that happen to look equal then err at more than alpha: by exact sums over the trinomial 5.6 %
    at alpha 5 %, and 1.7 times alpha at 0.31 %; with these bounds either test errs in at most 0.96 times alpha (margins 0.01 to 0.1,
    100 to 2,000 single samples, up to a tenth against).

    Groups: the variance of d is multiplied by the share v / s^2 of it that the clustered variance v of the mean keeps, s^2 being the
    weighted variance of the differences. It lies between that of independent questions, sum_g W_g^2 / k_g / W^2, and that of
    all-or-nothing groups, sum_g W_g^2 / W^2; W_g is a group's weight, W their sum. Averages over replicates enter by their parts, which
    is cautious: they vary less than single answers of the same mean. The transfer to groups and weights is ours.

    Args:
        least: of the same groups and margin.
        differences: n paired differences in the metric's unit.
        group_index: n group numbers, see `arrays.checked_values`.
        margin: above 0, in the metric's unit.
        span: distance between the metric's worst and best value, above 0.
        weights: n weights above 0; None: all 1.
        n_distinct: k_g, distinct questions of each of the G groups, where some stand in several tasks; None: as many as samples.
    """
    values, index, n_groups = checked_values(differences, group_index)
    if not values.size or margin >= span:
        return least
    w = np.ones(values.size) if weights is None else np.asarray(weights, dtype=np.float64)
    distinct = np.bincount(index) if n_distinct is None else np.asarray(n_distinct, dtype=np.float64)
    total, m = float(w.sum()), margin / span
    for_a, for_b = float(w @ np.maximum(values, 0)) / (total * span), float(w @ np.maximum(-values, 0)) / (total * span)
    residuals, of_group = values - float(w @ values) / total, np.square(group_sums(w, index))
    lowest, highest = float((of_group / distinct).sum()), float(of_group.sum())
    spread, k = float(w @ np.square(residuals)) / total, float(distinct.sum())
    kept = lowest
    if spread > 0 and n_groups > 1:
        together = float(np.square(group_sums(w * residuals, index)).sum()) * n_groups / (n_groups - 1)
        kept = min(max(together * (k - 1) / (k * spread), lowest), highest)
    at_lower, at_upper = (
        span * float(np.sqrt((2 * against_at_margin(along, against, m) + m * (1 - m)) * kept)) / total
        for along, against in ((for_b, for_a), (for_a, for_b))
    )
    return replace(least, se_at_lower=at_lower, se_at_upper=at_upper)
