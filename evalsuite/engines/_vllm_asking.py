"""Requests as vLLM is asked them, and outcomes from what it answers. Runs in the engine's process.

A request becomes parts, one per sequence that vLLM computes:

- `next`: one token, `logprob_token_ids`; at most 128 ids a part;
- `continuation`: one part per distinct continuation, by one of `WAYS`;
- `prompt`: `prompt_logprobs` along the prompt, which vLLM computes without its prefix cache;
- `generate`: one part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind

from evalsuite.engines._decoding import Texts, decoded
from evalsuite.engines._vllm_forced import ARGUMENT
from evalsuite.types import Failure, Outcome, Request, Response, Sampling

N_IDS = 128
"""Most ids whose log-probability vLLM gives at once."""

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 2.0
"""vLLM raises what lies below to the first, and refuses what lies above the second."""

Way = Literal["rows", "forced", "plain"]
"""How continuations are scored. `rows`: one pass, log-probabilities at the continuation's places only (V2 model runner); `forced`:
decoding in which only the given next token is left; `plain`: log-probabilities along the whole prompt, as others do it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """How log-probabilities of given tokens are found."""

    next_at_once: bool = False
    """`next`: by `logprob_token_ids`, else one sequence per candidate."""
    continuation: Way = "plain"
    """`continuation`."""


Values = tuple[tuple[float, ...], tuple[bool, ...]]
"""Log-probabilities of a part, in the order in which they were asked, and whether each token was the likeliest at its place."""


class PartError(Exception):
    """vLLM's answer to a part lacks what was asked for."""


class StartsTooLateError(PartError):
    """The prefix cache held places whose log-probabilities are wanted: the part must be asked without it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One sequence that vLLM computes."""

    ids: tuple[int, ...]
    """Prompt as vLLM receives it."""
    params: SamplingParams
    """What is wanted of it."""
    read: Callable[[Any], Any]
    """Takes vLLM's finished `RequestOutput`; gives `Values`, or a Response for generations. Raises PartError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoder:
    """What generations need of the checkpoint."""

    tokenizer: Any
    """Decodes ids."""
    end_ids: tuple[int, ...]
    """Ids that end any generation."""
    special_ids: dict[str, int]
    """Ids of the tokens that decoding leaves out, by their text."""


def problem_of(request: Request) -> str:
    """Why vLLM cannot serve a request exactly as asked, beyond what every engine refuses; empty if it can."""
    if request.kind == "prompt" and request.moments:
        return "vLLM gives no moments of the log-probabilities along a prompt; ask the transformers engine"
    if request.kind == "generate" and request.sampling is not None:
        temperature = request.sampling.temperature
        if 0 < temperature < LOWEST_TEMPERATURE or temperature > HIGHEST_TEMPERATURE:
            return f"temperature is {temperature}; vLLM takes 0, or {LOWEST_TEMPERATURE} to {HIGHEST_TEMPERATURE}"
    return ""


def parts_of(request: Request, ways: Ways, decoder: Decoder) -> list[Part]:
    """Parts of a sound request, in the order in which `put_together` expects their results."""
    ids = request.prompt.token_ids
    if request.kind == "next":
        different = tuple(dict.fromkeys(request.candidates))
        if not ways.next_at_once:
            return [continued(ids, (token,), "plain") for token in different]
        return [_next(ids, different[begin : begin + N_IDS]) for begin in range(0, len(different), N_IDS)]
    if request.kind == "continuation":
        # Rows bring no ranks, without which nothing is known of what greedy decoding would give.
        own: Way = "plain" if ways.continuation == "rows" and request.greedy else ways.continuation
        return [continued(ids, tokens, own) for tokens in dict.fromkeys(request.continuations)]
    if request.kind == "prompt":
        return [_along(ids, 1)]
    if request.sampling is None:
        raise PartError("generate without sampling parameters")
    return [_generate(ids, request.sampling, decoder)]


def continued(ids: tuple[int, ...], tokens: tuple[int, ...], way: Way, *, cached: bool = True) -> Part:
    """The part that scores one continuation; `cached`: the prefix cache may be used."""
    if way == "plain":
        return _along(ids + tokens, len(ids))
    if way == "forced":
        params = _params(max_tokens=len(tokens), logprobs=0, extra_args={ARGUMENT: list(tokens)})
        return Part(ids=ids, params=params, read=lambda output: _decoded_by_force(output, tokens))
    params = _params(
        prompt_logprob_start=len(ids) - 1,
        prompt_logprob_token_ids=np.array([[token] for token in tokens], dtype=np.int64),
        skip_reading_prefix_cache=not cached,
    )
    return Part(ids=ids + tokens, params=params, read=lambda output: _rows(output, len(tokens)))


def uncached(request: Request, number: int) -> Part:
    """The same part once more, without the prefix cache. Only rows of continuations need it."""
    tokens = list(dict.fromkeys(request.continuations))[number]
    return continued(request.prompt.token_ids, tokens, "rows", cached=False)


def put_together(request: Request, results: Sequence[Any]) -> Outcome:
    """The outcome of a request from the results of its parts."""
    n_prompt_tokens = len(request.prompt.token_ids)
    if request.kind == "generate":
        response: Response = replace(results[0], n_prompt_tokens=n_prompt_tokens)
        return response
    if not all(math.isfinite(value) for logprobs, _ in results for value in logprobs):
        return Failure(reason="invalid_logprob", message="a log-probability is not finite", transient=False)
    if request.kind == "next":
        values = (value for logprobs, _ in results for value in logprobs)
        found = dict(zip(dict.fromkeys(request.candidates), values, strict=True))
        return Response(logprobs=tuple(found[token] for token in request.candidates), n_prompt_tokens=n_prompt_tokens)
    if request.kind == "prompt":
        return Response(logprobs=results[0][0], n_prompt_tokens=n_prompt_tokens)
    by_tokens = dict(zip(dict.fromkeys(request.continuations), results, strict=True))
    return Response(
        continuation_logprobs=tuple(by_tokens[tokens][0] for tokens in request.continuations),
        continuation_greedy=tuple(all(by_tokens[tokens][1]) for tokens in request.continuations) if request.greedy else (),
        n_prompt_tokens=n_prompt_tokens,
        n_output_tokens=sum(map(len, request.continuations)),
    )


def _params(**changes: Any) -> SamplingParams:
    """Greedy, one token, no text, nothing that ends it but its length; changed as asked."""
    plain = {
        "temperature": 0.0,
        "max_tokens": 1,
        "ignore_eos": True,
        "detokenize": False,
        "flat_logprobs": True,
        "output_kind": RequestOutputKind.FINAL_ONLY,
        # These parameters are made for one part and not touched again: vLLM need not copy them.
        "skip_clone": True,
    }
    return SamplingParams(**{**plain, **changes})


def _next(ids: tuple[int, ...], wanted: tuple[int, ...]) -> Part:
    params = _params(logprobs=len(wanted), logprob_token_ids=list(wanted))

    def read(output: Any) -> Values:
        logprobs = _only(output).logprobs
        found = dict(zip(logprobs.token_ids, logprobs.logprobs, strict=True))
        if not all(token in found for token in wanted):
            raise PartError("a candidate's log-probability is missing")
        return tuple(found[token] for token in wanted), ()

    return Part(ids=ids, params=params, read=read)


def _along(ids: tuple[int, ...], first: int) -> Part:
    """Log-probabilities along a sequence, from the token at `first` on."""

    def read(output: Any) -> Values:
        logprobs = output.prompt_logprobs
        if logprobs is None or len(logprobs) != len(ids):
            raise PartError("log-probabilities along the prompt are missing")
        starts = logprobs.start_indices[first:]
        if [logprobs.token_ids[start] for start in starts] != list(ids[first:]):
            raise PartError("log-probabilities along the prompt belong to other tokens")
        return tuple(logprobs.logprobs[start] for start in starts), tuple(logprobs.ranks[start] == 1 for start in starts)

    return Part(ids=ids, params=_params(prompt_logprobs=0), read=read)


def _decoded_by_force(output: Any, tokens: tuple[int, ...]) -> Values:
    found = _only(output)
    logprobs = found.logprobs
    starts = logprobs.start_indices
    values = tuple(logprobs.logprobs[start] for start in starts)
    if tuple(found.token_ids) != tokens and all(math.isfinite(value) for value in values):
        raise PartError("another token was decoded than the one that was forced")
    return values, tuple(logprobs.ranks[start] == 1 for start in starts)


def _rows(output: Any, n_tokens: int) -> Values:
    table = output.prompt_token_id_logprobs
    if table is None:
        raise StartsTooLateError("the prefix cache covered places whose log-probabilities are wanted")
    if table.shape != (n_tokens, 1):
        raise PartError("log-probabilities of a continuation are missing")
    return tuple(table[:, 0].tolist()), ()


def _generate(ids: tuple[int, ...], sampling: Sampling, decoder: Decoder) -> Part:
    # A stop string that is one special token never shows in decoded text: it is told by its id.
    special = {decoder.special_ids[stop] for stop in sampling.stop if stop in decoder.special_ids}
    ends = {*decoder.end_ids, *special}
    params = _params(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed if sampling.temperature > 0 else None,
        stop=list(sampling.stop),
        stop_token_ids=sorted(ends),
        detokenize=bool(sampling.stop),
        # Broken logits show in the log-probability of the token that was taken all the same.
        logprobs=0,
    )

    def read(output: Any) -> Outcome:
        found = _only(output)
        if not all(map(math.isfinite, found.logprobs.logprobs)):
            return Failure(reason="invalid_logprob", message="the model's logits are not finite", transient=False)
        tokens = tuple(found.token_ids)
        at_limit = found.finish_reason == "length" and tokens[-1] not in ends
        return decoded(tokens, Texts(decoder.tokenizer), sampling, "length" if at_limit else "stop")

    return Part(ids=ids, params=params, read=read)


def _only(output: Any) -> Any:
    found = output.outputs[0]
    if found.finish_reason not in ("stop", "length"):
        raise PartError(f"vLLM ended the request with {found.finish_reason}")
    return found
