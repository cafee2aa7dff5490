"""Paired studies of clinical language models against the generalists they were made from.

Everything the command line does is a function that returns data:

    from evalsuite import load_study, run_study, load_scores, compare
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalsuite.config import load_study
    from evalsuite.study import compare, load_scores, run_study

__all__ = ["compare", "load_scores", "load_study", "run_study"]

# Nothing calls home. The libraries read these when they are first imported, so they are set before anything can be.
for _variable in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "DISABLE_SAFETENSORS_CONVERSION", "VLLM_NO_USAGE_STATS"):
    os.environ[_variable] = "1"

_HOMES = {"compare": "evalsuite.study", "load_scores": "evalsuite.study", "load_study": "evalsuite.config", "run_study": "evalsuite.study"}


def __getattr__(name: str) -> Any:
    """Import a public function when it is first used, so that `import evalsuite` is quick."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
