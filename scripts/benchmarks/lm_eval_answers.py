"""What is common to the peer's sides: questions as lm-eval's own requests, and what its model classes give for them."""

from __future__ import annotations

from typing import Any

from lm_eval.api.instance import Instance

from benchmarks.questions import N_WRITTEN, Asked
from benchmarks.sides import Values


def scored(model: Any, asked: list[Asked]) -> Values:
    """Log-probability of each continuation, by the model class's `loglikelihood`."""
    instances = [
        Instance(request_type="loglikelihood", doc={}, arguments=(one.context, more), idx=number)
        for one in asked
        for number, more in enumerate(one.continuations)
    ]
    flat = iter(value for value, _ in model.loglikelihood(instances, disable_tqdm=True))
    return [[next(flat) for _ in one.continuations] for one in asked]


def written(model: Any, asked: list[Asked]) -> Values:
    """Text that is written behind each context, greedily, by the model class's `generate_until`; no stop strings but the end token's."""
    wanted = {"until": [], "max_gen_toks": N_WRITTEN, "do_sample": False}
    instances = [Instance(request_type="generate_until", doc={}, arguments=(one.context, wanted), idx=0) for one in asked]
    return [[text] for text in model.generate_until(instances, disable_tqdm=True)]
