"""A checkpoint loaded into vLLM, in the engine's process: adds requests, steps, and finds out at the start which ways can be trusted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import vllm
from vllm.engine.arg_utils import EngineArgs
from vllm.v1.engine.llm_engine import LLMEngine

from evalsuite.engines._decoding import special_ids_of
from evalsuite.engines._vllm_asking import (
    Decoder,
    Part,
    PartError,
    StartsTooLateError,
    Way,
    Ways,
    parts_of,
    problem_of,
    put_together,
    uncached,
)
from evalsuite.engines._vllm_forced import NAME as FORCED
from evalsuite.engines._vllm_light import end_ids_of
from evalsuite.engines._vllm_worker import line_of
from evalsuite.errors import Fault, UserError
from evalsuite.types import Failure, Outcome, Prompt, Request, Response

TOLERANCE: Mapping[str, float] = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.25}
"""Most that a log-probability of the probe may differ between two ways. The last two are a step or two of the logits' rounding;
a way that is wrong is off by whole units."""

N_PROBE_TOKENS = (5, 24, 60)
"""Lengths of the probe's prompts."""


@dataclass(slots=True)
class _Asked:
    """A request under way."""

    request: Request
    """What is asked."""
    results: list[Any]
    """Results of its parts, None where still to come."""
    n_left: int
    """Parts to come."""


@dataclass(slots=True)
class _Running:
    """A part under way."""

    asked: int
    """Number of the request."""
    place: int
    """Place of the part within it."""
    part: Part
    """The part."""


def load_engine(order: dict[str, Any]) -> Served:
    """Load a checkpoint.

    Args:
        order: see `evalsuite.engines.vllm.order_of`.

    Raises:
        UserError: the checkpoint cannot be loaded, or not with these settings.
    """
    try:
        config = EngineArgs(**order["arguments"]).create_engine_config()
        if config.model_config.runner_type != "generate":
            raise ValueError("not a causal language model")
        on_v2 = bool(getattr(config, "use_v2_model_runner", False))
        if not on_v2:
            # The V2 model runner has another interface for it, and needs none.
            config.model_config.logits_processors = [FORCED]
        engine = LLMEngine.from_vllm_config(config, disable_log_stats=True)
        tokenizer = engine.get_tokenizer()
        n_vocabulary = int(config.model_config.get_vocab_size())
        end_ids = end_ids_of(Path(order["path"]), order["config"], tokenizer.eos_token_id)
        caches_prefixes = bool(config.cache_config.enable_prefix_caching)
        decoder = Decoder(tokenizer=tokenizer, end_ids=end_ids, special_ids=special_ids_of(tokenizer))
        served = Served(engine, decoder, n_vocabulary, caches_prefixes=caches_prefixes)
        ways: list[Way] = [] if not order["fast_scoring"] else ["rows"] if on_v2 else ["forced"]
        # The first requests: what vLLM cannot compute with this checkpoint on this machine shows here.
        notes: tuple[str, ...] = (
            f"V{1 + on_v2} model runner",
            *served.choose_ways(ways, TOLERANCE[order["dtype"]], order["n_context_tokens"]),
            # vLLM switches it off by itself for some kinds of models and on some processors.
            *(() if caches_prefixes else ("no prefix cache: vLLM has none for this checkpoint on this machine",)),
        )
    except Exception as error:
        key, allowed = fault_of(error)
        raise UserError(Fault(file=order["path"], key=key, value="", allowed=allowed)) from error
    served.ready = {
        "n_vocabulary": n_vocabulary,
        "device": _device_name(config.parallel_config.tensor_parallel_size),
        "versions": {"vllm": vllm.__version__, "transformers": transformers.__version__, "torch": str(torch.__version__)},
        "notes": notes,
    }
    return served


def fault_of(error: BaseException) -> tuple[str, str]:
    """(key, allowed) of what vLLM says while loading; the deepest cause says most."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    text = "\n".join(str(part) for part in chain)
    if any(isinstance(part, torch.OutOfMemoryError) for part in chain) or "free memory on device" in text.lower():
        return "weights", "the weights and the cache do not fit into this device's memory; lower gpu_memory_utilization or max_model_len"
    if "KV cache" in text or "kv cache" in text:
        return "kv_cache_gib", f"too little memory for keys and values: lower max_model_len, or raise kv_cache_gib ({line_of(error)})"
    return "checkpoint", f"cannot be loaded by vLLM ({line_of(error)})"


def _device_name(n_devices: int) -> str:
    if not torch.cuda.is_available():
        return f"cpu ({torch.get_num_threads()} threads)"
    name = torch.cuda.get_device_name(0)
    return name if n_devices == 1 else f"{n_devices} x {name}"


NAMES: Mapping[Way, str] = {
    "rows": "prompt_logprob_token_ids",
    "forced": "forced decoding",
    "plain": "log-probabilities along the whole prompt",
}


def probe(n_vocabulary: int, n_context_tokens: int) -> tuple[list[Request], list[Request]]:
    """Three prompts of random ids, asked for next tokens and for continuations of one to four tokens, two of which begin alike."""
    random = np.random.default_rng(0)
    nexts, continuations = [], []
    for n_tokens in N_PROBE_TOKENS:
        ids = tuple(random.integers(n_vocabulary, size=max(1, min(n_tokens, n_context_tokens - 4))).tolist())
        tokens = tuple(random.integers(n_vocabulary, size=4).tolist())
        prompt = Prompt(token_ids=ids, text="")
        nexts.append(Request(kind="next", prompt=prompt, candidates=tokens))
        offers = (tokens, (*tokens[:2], tokens[0]), tokens[3:])
        continuations.append(Request(kind="continuation", prompt=prompt, continuations=offers))
    return nexts, continuations


def _values(outcome: Outcome) -> list[float]:
    if isinstance(outcome, Failure):
        return []
    return [*outcome.logprobs, *(value for values in outcome.continuation_logprobs for value in values)]


def difference(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]]) -> float:
    """The largest difference of two tables; infinite where one lacks what the other has, or where a value is not finite."""
    if [len(row) for row in found] != [len(row) for row in expected] or not all(expected):
        return math.inf
    gaps = [abs(left - right) for row, other in zip(found, expected, strict=True) for left, right in zip(row, other, strict=True)]
    return max(gaps) if all(map(math.isfinite, gaps)) else math.inf


class Served:
    """One checkpoint under vLLM. Numbers of requests are the caller's and never come twice."""

    def __init__(self, engine: Any, decoder: Decoder, n_vocabulary: int, *, caches_prefixes: bool) -> None:
        self.ready: dict[str, Any] = {}
        self._n_vocabulary = n_vocabulary
        self._engine = engine
        self._decoder = decoder
        self._ways = Ways()
        self._asked: dict[int, _Asked] = {}
        self._running: dict[str, _Running] = {}
        self._names = itertools.count()
        self._caches_prefixes = caches_prefixes
        self.prefix_cache = (0, 0)  # tokens of finished sequences: looked up, found

    @property
    def busy(self) -> bool:
        """True while anything is under way."""
        return bool(self._running)

    def take(self, number: int, request: Request) -> list[tuple[int, Outcome]]:
        """Begin a request; its outcome if it needs no step."""
        problem = problem_of(request)
        if problem:
            return [(number, Failure(reason="unsupported", message=problem, transient=True))]
        if request.kind == "prompt" and len(request.prompt.token_ids) == 1:
            return [(number, Response(n_prompt_tokens=1))]
        try:
            parts = parts_of(request, self._ways, self._decoder)
            self._asked[number] = _Asked(request=request, results=[None] * len(parts), n_left=len(parts))
            for place, part in enumerate(parts):
                self._add(_Running(asked=number, place=place, part=part))
        except (ValueError, TypeError) as error:  # TypeError: a parameter that an older vLLM does not know
            return self._fail(number, error)
        return []

    def step(self) -> list[tuple[int, Outcome]]:
        """One step of the engine; outcomes of the requests that it finished."""
        done: list[tuple[int, Outcome]] = []
        for output in self._engine.step():
            running = self._running.pop(output.request_id, None) if output.finished else None
            asked = self._asked.get(running.asked) if running is not None else None
            if running is None or asked is None:
                continue
            self._count_prefix(running, output)
            try:
                asked.results[running.place] = running.part.read(output)
            except StartsTooLateError:
                self._add(_Running(asked=running.asked, place=running.place, part=uncached(asked.request, running.place)))
                continue
            except PartError as error:
                done.extend(self._fail(running.asked, error))
                continue
            asked.n_left -= 1
            if not asked.n_left:
                del self._asked[running.asked]
                done.append((running.asked, put_together(asked.request, asked.results)))
        return done

    def _count_prefix(self, running: _Running, output: Any) -> None:
        """Counted as vLLM counts, whose own counters come with a good deal of other bookkeeping per step."""
        looked_up = self._caches_prefixes and not running.part.params.skip_reading_prefix_cache
        # Numbers below 0 are the probe's.
        if looked_up and running.asked >= 0 and output.num_cached_tokens is not None:
            n_queried, n_hit = self.prefix_cache
            self.prefix_cache = (n_queried + len(running.part.ids), n_hit + int(output.num_cached_tokens))

    def choose_ways(self, ways: Sequence[Way], tolerance: float, n_context_tokens: int) -> tuple[str, ...]:
        """Take the fast ways that agree with the plain one on the probe; returns what was chosen and why, one line each.

        Args:
            ways: of scoring continuations, the fast ones that this vLLM has; none: the plain ways are taken unseen.
            tolerance: most that a log-probability may differ.
            n_context_tokens: no probe is longer.
        """
        if not ways:
            return ("log-probabilities along whole prompts (fast_scoring is off)",)
        nexts, continuations = probe(self._n_vocabulary, n_context_tokens)
        plain = self._outcomes([*nexts, *continuations], Ways())
        broken = [outcome.message for outcome in plain if isinstance(outcome, Failure) and outcome.reason != "invalid_logprob"]
        if broken:
            raise ValueError(f"it gives no log-probabilities along a prompt: {broken[0]}")
        values = [_values(outcome) for outcome in plain]
        expected_next, expected = values[: len(nexts)], values[len(nexts) :]
        if difference(expected, expected) > 0 or difference(expected_next, expected_next) > 0:
            self._ways = Ways()
            return ("log-probabilities along whole prompts: on the probe this model's are not finite",)
        notes: list[str] = []
        worst = difference(self._answers(nexts, Ways(next_at_once=True)), expected_next)
        next_at_once = worst <= tolerance
        if not next_at_once:
            notes.append(f"logprob_token_ids is off: on the probe it differs from log-probabilities along the prompt by {worst:.2g}")
        chosen: Way = "plain"
        for way in ways:
            worst = difference(self._answers(continuations, Ways(continuation=way)), expected)
            if worst <= tolerance:
                chosen = way
                break
            notes.append(f"scoring continuations by {NAMES[way]} is off: on the probe it differs by {worst:.2g}")
        self._ways = Ways(next_at_once=next_at_once, continuation=chosen)
        return (f"continuations by {NAMES[chosen]}", *notes)

    def _answers(self, requests: Sequence[Request], ways: Ways) -> list[list[float]]:
        """Log-probabilities of some requests, asked together; empty where a request fails."""
        return [_values(outcome) for outcome in self._outcomes(requests, ways)]

    def _outcomes(self, requests: Sequence[Request], ways: Ways) -> list[Outcome]:
        """Outcomes of some requests, asked together."""
        self._ways = ways
        found: dict[int, Outcome] = {}
        for number, request in enumerate(requests):
            found.update(self.take(-1 - number, request))
        while self.busy:
            found.update(self.step())
        return [found[-1 - number] for number in range(len(requests))]

    def abort(self) -> None:
        """Forget all that is under way."""
        self._engine.abort_request(list(self._running))
        self._running.clear()
        self._asked.clear()

    def _add(self, running: _Running) -> None:
        name = str(next(self._names))
        self._running[name] = running
        try:
            self._engine.add_request(name, {"prompt_token_ids": list(running.part.ids)}, running.part.params)
        except (ValueError, TypeError):
            del self._running[name]
            raise

    def _fail(self, number: int, error: Exception) -> list[tuple[int, Outcome]]:
        """A request that vLLM refuses or answers wrongly fails alone."""
        self._asked.pop(number, None)
        names = [name for name, running in self._running.items() if running.asked == number]
        self._engine.abort_request(names)
        for name in names:
            del self._running[name]
        return [(number, Failure(reason="engine_error", message=line_of(error), transient=True))]
