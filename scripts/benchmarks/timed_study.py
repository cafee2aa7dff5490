"""`evalsuite run` in this process with clocks around its parts.

The last line of the standard output tells them, and whether torch was imported.

python -m benchmarks.timed_study ARGUMENTS OF evalsuite run
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from evalsuite.cli import main as evalsuite


def main() -> None:
    started = time.perf_counter()
    from evalsuite import resolve, study

    seconds = {"imports": time.perf_counter() - started}

    def clocked(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began

        return timed

    plain: Callable[..., Iterator[Any]] = vars(study)["run_plan"]

    def answered(*arguments: Any, **named: Any) -> Iterator[Any]:
        items = plain(*arguments, **named)
        take = clocked("rendering and store", lambda: next(items, None))
        while (item := take()) is not None:
            yield item

    parts = {"tokenizers": "probe", "statistics and report": "conclude"}
    timed = {call: clocked(name, vars(study)[call]) for name, call in parts.items()}
    planned = patch.object(resolve, "resolve", clocked("planning", resolve.resolve))
    with planned, patch.dict(vars(study), {"run_plan": answered, **timed}):
        try:
            evalsuite(sys.argv[1:])
        except SystemExit as end:
            if end.code:
                raise
    seconds["whole"] = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "torch": "torch" in sys.modules}))


if __name__ == "__main__":
    main()
