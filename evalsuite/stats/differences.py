"""One oriented difference per sample or per group: what analyses beyond the single comparison are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import FloatArray, group_sums, partition
from evalsuite.stats.tables import PairedUnits, sample_means


def sample_differences(units: PairedUnits, metric: Metric) -> Differences:
    """a - b of each sample, means over its replicates and variants, oriented so that positive favours a.

    Sums of the same replicates in another order differ in the last bit; such a difference is 0.

    Args:
        units: paired answers, any number of them.
        metric: a metric with a value per sample; its direction orients.

    Source: Miller 2024 (arXiv 2411.00640), paired differences of question means.
    """
    means = sample_means(units)
    raw = means.a - means.b
    noise = 1e-12 * np.maximum(1, np.maximum(np.abs(means.a), np.abs(means.b)))
    values = np.where(np.abs(raw) <= noise, 0.0, raw if metric.higher_is_better else -raw)
    return Differences(names=np.unique(units.samples), groups=means.groups, values=values)


def group_means(differences: Differences) -> Differences:
    """Mean difference of each group: groups take the place of samples, so that tasks which ask the same in other words can be paired."""
    groups = partition(differences.groups)
    names = np.asarray(groups.names, dtype=str)
    return Differences(names=names, groups=names, values=group_sums(differences.values, groups.index) / np.maximum(groups.sizes, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """Differences of named samples (or groups) in the order of their names; arrays of one length."""

    names: npt.NDArray[np.str_]
    """Sample ids, or group names; each once, sorted."""
    groups: npt.NDArray[np.str_]
    """Group of each."""
    values: FloatArray
    """a - b, positive favours a."""
