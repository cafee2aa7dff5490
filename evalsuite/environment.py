"""On what the answers of a study were computed, and from what: machine, libraries, weights, data."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evalsuite.cards import Task
from evalsuite.plan import Plan
from evalsuite.store import engine_notes

LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "scipy", "pandas", "pyarrow", "rouge-score")
"""Libraries whose version can change a number."""


def _versions(plan: Plan) -> dict[str, str]:
    own = ("lm_eval",) if any(task.task.foreign for task in plan.tasks.values()) else ()
    return {"python": platform.python_version(), **{name: version(name) for name in (*LIBRARIES, *own)}}


def environment_of(plan: Plan, store: Path, versions: Mapping[str, str] | None) -> dict[str, Any]:
    """On what the answers were computed and from what; the same whoever asks, as long as the store is the same."""
    return {
        "versions": dict(sorted((versions or _versions(plan)).items())),
        "engines": {name: engine_notes(store, model.identity) for name, model in plan.models.items()},
        "weights": {
            name: {
                "fingerprint": model.checkpoint.fingerprint,
                "repo": model.checkpoint.repo,
                "revision": model.checkpoint.revision,
                "pinned": model.checkpoint.pinned,
                "engine": model.settings.name,
                "dtype": model.settings.dtype,
                "quantisation": model.settings.quantisation,
            }
            for name, model in plan.models.items()
        },
        "data": {
            name: {
                "split": task.split,
                "fingerprint": task.data.fingerprint,
                "n_read": len(task.data.samples),
                "n_samples": len(task.samples),
                "n_left_out_by_card": len(task.data.excluded),
                **({"n_pool_duplicates": task.n_pool_duplicates} if task.n_pool_duplicates else {}),
                "revision": task.task.card.revision,
                **_own_metrics(task.task),
            }
            for name, task in plan.tasks.items()
        },
    }


def _own_metrics(task: Task) -> dict[str, Any]:
    """What statistics must know of a task's own metrics, for those who read the scores without it; bounds are null where there are none."""
    if not task.metrics:
        return {}
    described = {}
    for name, metric in sorted(task.metrics.items()):
        low, high = (bound if math.isfinite(bound) else None for bound in sorted((metric.worst, metric.best)))
        described[name] = {"higher_is_better": metric.higher_is_better, "low": low, "high": high, "binary": metric.binary}
    return {"own_metrics": described, **({"own_configuration": task.foreign.configuration} if task.foreign else {})}
