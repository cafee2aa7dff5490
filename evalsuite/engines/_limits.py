"""What every engine refuses, said the same way by all: requests that it cannot serve exactly as asked (DESIGN 2.4)."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np

from evalsuite.types import Failure, Kind, Request, Sampling


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a loaded checkpoint can take."""

    kinds: frozenset[Kind]
    """Request kinds that the engine supports."""
    n_context_tokens: int
    """Most tokens of prompt plus output."""
    n_vocabulary: int
    """Token ids lie in [0, n_vocabulary)."""


def refusal(request: Request, limits: Limits) -> Failure | None:
    """Why a request cannot be served as asked, or None if it can.

    `too_long` is the model's limit; everything else is `unsupported`. Both are transient: a raised `max_model_len` or a newer
    engine changes neither the request nor its key, so the next run must ask again; a refusal costs nothing. The message
    never holds prompt text.
    """
    problem = _problem(request, limits)
    if problem:
        return Failure(reason="unsupported", message=problem, transient=True)
    n_tokens = n_tokens_needed(request)
    if n_tokens > limits.n_context_tokens:
        message = f"{n_tokens} tokens of prompt and output, the context holds {limits.n_context_tokens}"
        return Failure(reason="too_long", message=message, transient=True)
    return None


def n_tokens_needed(request: Request) -> int:
    """Tokens of prompt plus the longest output that the request may need; the answer to `next` takes no place."""
    n_prompt_tokens = len(request.prompt.token_ids)
    if request.kind == "generate" and request.sampling is not None:
        return n_prompt_tokens + request.sampling.max_tokens
    if request.kind == "continuation":
        return n_prompt_tokens + max((len(continuation) for continuation in request.continuations), default=0)
    return n_prompt_tokens


def _problem(request: Request, limits: Limits) -> str:
    """One line, or empty if the request is sound (its length is checked elsewhere)."""
    if request.kind not in limits.kinds:
        return f"this engine does not support the request kind {request.kind}"
    if not request.prompt.token_ids:
        return "empty prompt"
    if not _known(request, limits):
        return f"a token id lies outside the model's vocabulary of {limits.n_vocabulary}"
    if request.kind == "next" and not request.candidates:
        return "no candidates"
    if request.kind == "continuation":
        if not request.continuations:
            return "no continuations"
        if not all(request.continuations):
            return "empty continuation"
    return _sampling_problem(request.sampling) if request.kind == "generate" else ""


def _known(request: Request, limits: Limits) -> bool:
    """Whether every id lies in the vocabulary. Prompts are long and many: packed, they are looked at three times as fast."""
    try:
        ids = array("I", request.prompt.token_ids)
        ids.extend(request.candidates)
        for continuation in request.continuations:
            ids.extend(continuation)
    except OverflowError:  # below 0, or above all vocabularies
        return False
    return int(np.frombuffer(ids, dtype=np.uintc).max()) < limits.n_vocabulary


def _sampling_problem(sampling: Sampling | None) -> str:
    if sampling is None:
        return "generate without sampling parameters"
    if sampling.max_tokens < 1:
        return f"max_tokens is {sampling.max_tokens}, at least 1 is needed"
    if not math.isfinite(sampling.temperature) or sampling.temperature < 0:
        return f"temperature is {sampling.temperature}, 0 or more is needed"
    if not 0 < sampling.top_p <= 1:
        return f"top_p is {sampling.top_p}, more than 0 and at most 1 is needed"
    if sampling.temperature > 0 and (sampling.seed is None or sampling.seed < 0):
        return "a temperature above 0 needs a seed of 0 or more"
    return "a stop string is empty" if "" in sampling.stop else ""
