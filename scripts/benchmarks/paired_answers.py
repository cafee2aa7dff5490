"""Right or wrong answers of two models to questions in groups, drawn so that every true value is known.

One uniform number per sample decides both models' answers. With probability sqrt(icc) it is the group's, else the sample's own, so
that two answers of one model within a group have the correlation icc exactly, and so have two differences (Lunn and Davies 1998,
Biometrika 85:487). Shares of right answers, true difference and correlation of the models hold exactly, whatever the icc.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from evalsuite.stats.arrays import FloatArray, IntArray

Sizes = Literal["single", "five", "unequal", "dominant"]
UNEQUAL = (1, 1, 2, 3, 5, 8, 10)
"""Sizes of unequal groups, over and over."""


def group_sizes(sizes: Sizes, n_groups: int) -> IntArray:
    """Samples per group: 1; 5; `UNEQUAL` in turn; or two each but for the last group, which holds a third of all samples."""
    if sizes == "unequal":
        return np.resize(np.array(UNEQUAL, dtype=np.int64), n_groups)
    if sizes == "dominant":
        return np.array([2] * (n_groups - 1) + [n_groups - 1], dtype=np.int64)
    return np.full(n_groups, 1 if sizes == "single" else 5, dtype=np.int64)


def linked_uniforms(group_index: IntArray, icc: float, n_repeats: int, rng: np.random.Generator) -> FloatArray:
    """Uniform numbers (n_repeats, n): the group's own with probability sqrt(icc), else one for the sample alone."""
    numbers = rng.random((n_repeats, len(group_index)))
    if icc > 0:
        themes = rng.random((n_repeats, int(group_index.max()) + 1))[:, group_index]
        numbers = np.where(rng.random(numbers.shape) < sqrt(icc), themes, numbers)
    return numbers


def answers_from(numbers: FloatArray, kinds: IntArray, setting: Setting) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which answers of a and of b are right, from uniform numbers and the kind of each sample's group."""
    tables = np.array([kind.table(setting.accuracy) for kind in setting.kinds])[kinds]
    both, only_a, only_b = tables[..., 0], tables[..., 1], tables[..., 2]
    a = numbers < both + only_a
    b = (numbers < both) | (~a & (numbers < both + only_a + only_b))
    return a, b


def draw(setting: Setting, n_repeats: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Differences a - b of all samples, (n_repeats, n), and the samples' group numbers."""
    sizes = setting.group_sizes
    index = np.repeat(np.arange(setting.n_groups), sizes)
    # In order of groups as rows of a table would be, but which group is of which kind is drawn anew each time.
    shares = [kind.share for kind in setting.kinds]
    kinds = rng.choice(len(shares), p=shares, size=(n_repeats, setting.n_groups))[:, index]
    a, b = answers_from(linked_uniforms(index, setting.icc, n_repeats, rng), kinds, setting)
    return a.astype(np.float64) - b.astype(np.float64), index


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """How the two models differ on the groups of one kind."""

    share: float = 1.0
    """Probability that a group is of this kind."""
    difference: float = 0.0
    """True difference of the shares of right answers, a - b."""
    correlation: float = 0.5
    """Correlation of the two models' answers to one sample."""

    def table(self, accuracy: float) -> tuple[float, float, float]:
        """Probabilities that both, only a, only b are right.

        Raises:
            ValueError: no table has such margins.
        """
        a, b = accuracy + self.difference / 2, accuracy - self.difference / 2
        if not (0 < b < 1 and 0 < a < 1):
            raise ValueError(f"accuracies {a} and {b} must lie between 0 and 1")
        both = a * b + self.correlation * sqrt(a * (1 - a) * b * (1 - b))
        if both > min(a, b) + 1e-12 or 1 - a - b + both < -1e-12:
            raise ValueError(f"accuracies {a} and {b} cannot have the correlation {self.correlation}")
        return both, max(a - both, 0.0), max(b - both, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One case of a simulation."""

    n_groups: int
    """Groups."""
    sizes: Sizes = "single"
    """Samples per group."""
    accuracy: float = 0.5
    """Mean of the two models' true shares of right answers."""
    icc: float = 0.0
    """Correlation of one model's answers, and of differences, within a group of one kind; without meaning for single samples."""
    kinds: tuple[Kind, ...] = (Kind(),)
    """Kinds of groups; their shares sum to 1."""

    @property
    def true_difference(self) -> float:
        """The estimand: expected difference of a sample."""
        return sum(kind.share * kind.difference for kind in self.kinds)

    @property
    def group_sizes(self) -> IntArray:
        """Samples of each group."""
        return group_sizes(self.sizes, self.n_groups)
