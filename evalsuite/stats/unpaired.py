"""The difference of two shares when nothing is known of how the answers pair up, e.g. of printed numbers."""

from __future__ import annotations

from math import sqrt

from scipy.stats import norm


def wilson_interval(share: float, n_samples: float, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share, without continuity correction.

    Source: Wilson 1927 (J. Am. Stat. Assoc. 22:209).

    Args:
        share: in [0, 1]; need not be a whole number of samples.
        n_samples: independent samples, above 0.
        level: of the interval, in (0, 1).

    Raises:
        ValueError: an argument is out of range or not finite.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share = {share}: must lie in [0, 1]")
    if not n_samples > 0:
        raise ValueError(f"n_samples = {n_samples}: must be above 0")
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: must lie between 0 and 1")
    z = float(norm.ppf((1 + level) / 2))
    middle = share + z * z / (2 * n_samples)
    half = z * sqrt(share * (1 - share) / n_samples + z * z / (4 * n_samples * n_samples))
    scale = 1 + z * z / n_samples
    # At 0 and 1 the ends are exact; rounding must not push them past.
    low = 0.0 if share == 0 else max((middle - half) / scale, 0.0)
    high = 1.0 if share == 1 else min((middle + half) / scale, 1.0)
    return low, high


def unpaired_interval(share_a: float, n_a: float, share_b: float, n_b: float, *, level: float = 0.95) -> tuple[float, float]:
    """Newcombe's interval for share_a - share_b of two independent sets of right-or-wrong answers.

    Where both shares are over the same questions it is the interval for answers that do not correlate: wider than a paired one where
    questions that are hard for one model are hard for the other, which is what is seen, and narrower where it is the other way round.

    Source: Newcombe 1998 (Stat. Med. 17:873), method 10 (from Wilson's intervals, without continuity correction).

    Args:
        share_a: in [0, 1].
        n_a: independent samples behind it, above 0.
        share_b: likewise.
        n_b: likewise.
        level: of the interval, in (0, 1).

    Raises:
        ValueError: an argument is out of range or not finite.
    """
    low_a, high_a = wilson_interval(share_a, n_a, level=level)
    low_b, high_b = wilson_interval(share_b, n_b, level=level)
    difference = share_a - share_b
    below = sqrt((share_a - low_a) ** 2 + (high_b - share_b) ** 2)
    above = sqrt((high_a - share_a) ** 2 + (share_b - low_b) ** 2)
    return difference - below, difference + above
