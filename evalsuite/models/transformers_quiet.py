"""What every loading through transformers has in common: what it raises for bad files, and that it says nothing itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

LOAD_ERRORS = (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError, SafetensorError, StrictDataclassError)
"""What transformers raises for files that it cannot use."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep bars and reports off the terminal while loading; what matters in them is raised by us in one line."""
    import transformers

    logging: Any = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
