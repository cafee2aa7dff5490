"""Metrics of a whole cell, which are no mean of per-sample values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evalsuite.metrics.accuracy import lenient_value
from evalsuite.metrics.base import Metric


def macro_f1_of(targets: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64], n_classes: int) -> float:
    """Unweighted mean of the F1 of each class that occurs among targets or predictions.

    As scikit-learn's `f1_score(average="macro", zero_division=0)` with `labels` = those classes: F1 of a class is
    2 TP / (2 TP + FP + FN), and a class that occurs has a denominator above 0. A prediction of -1 is a missing answer:
    a false negative for its target's class and a false positive for none. (scikit-learn itself would count -1 as one
    more class; that would lower the mean by the number of models' silences rather than by what they cost.)

    Args:
        targets: shape (n,), classes in [0, n_classes).
        predictions: shape (n,), classes in [0, n_classes), or -1 where there is no answer.
        n_classes: number of classes of the task.

    Returns:
        A value in [0, 1].

    Raises:
        ValueError: no samples, shapes that differ, or a class out of range.
    """
    if targets.shape != predictions.shape or targets.ndim != 1 or targets.size == 0:
        raise ValueError("macro F1 needs two equally long, non-empty arrays")
    if targets.min() < 0 or targets.max() >= n_classes or predictions.min() < -1 or predictions.max() >= n_classes:
        raise ValueError(f"a class lies outside 0 to {n_classes - 1}")
    true_positives = np.bincount(targets[targets == predictions], minlength=n_classes)
    n_targets = np.bincount(targets, minlength=n_classes)
    n_predictions = np.bincount(predictions[predictions >= 0], minlength=n_classes)
    occurs = n_targets + n_predictions > 0
    # FP + FN + 2 TP is the number of targets plus the number of predictions of a class
    return float(np.mean(2.0 * true_positives[occurs] / (n_targets + n_predictions)[occurs]))


MACRO_F1 = Metric(
    name="macro_f1",
    summary="Mean over classes of F1; each class counts the same however rare it is.",
    source="Yang and Liu 1999 (SIGIR); computed as scikit-learn's f1_score(average='macro', zero_division=0) over the classes that occur",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    binary=False,
    reading="lenient",
    applies="choice",
    value=lenient_value,
    of_set=macro_f1_of,
)
