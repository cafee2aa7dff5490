"""Any OpenAI-compatible server as an engine: token ids to completions servers, messages to chat servers.

The server is on its own machine with its own weights, template (chat) and defaults: what answers is known by address and name
only, and is never pinned. What can be checked is: that the server read the prompt that was sent, kept to the limits, and, of
vLLM, that its two ways to a log-probability agree. Calls run in threads; outcomes are handed over one by one as they arrive.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import httpx2

from evalsuite.engines import _openai_answers as answers
from evalsuite.engines._limits import Limits, n_tokens_needed, refusal
from evalsuite.engines._openai_calls import Caller, Stopped, Unfit, identifier, server_fault, whole
from evalsuite.engines._openai_light import kinds_with, read_config, read_endpoint, read_key, special_ids
from evalsuite.engines.base import EngineInfo, EngineSettings, Spent
from evalsuite.errors import UserError
from evalsuite.models.endpoints import EndpointEntry
from evalsuite.types import Failure, Kind, Outcome, Prompt, Request, Response

UNBOUNDED = 2**31 - 1
"""Context of a server that does not say; nothing is refused on its behalf."""
GRACE_S = 10.0
"""Seconds that calls under way get to end when the run stops: what they bring is paid for."""
AGREEMENT = 0.05
"""How far vLLM's two ways to one log-probability may lie apart: half precision in different batches."""

Found = tuple[int, Outcome] | BaseException | None
"""What a thread hands over: an outcome, what ends the run, or None when it is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Served:
    """What is known of a server once it is open."""

    limits: Limits
    """What it can take."""
    special: Mapping[str, int]
    """Ids of special tokens by their text; empty for chat servers."""
    versions: Mapping[str, str]
    """Of what computes, as far as it says."""


def load(path: str, settings: EngineSettings) -> OpenAIEngine:
    """Open a server; a vLLM one that takes ids is asked what it serves and whether its log-probabilities are sound (four calls).

    Args:
        path: folder with configuration and tokenizer, for servers that take ids; empty for chat servers.
        settings: its options are those of `EndpointEntry.as_options`.

    Raises:
        UserError: settings that describe no server, a missing key, or a server that is not there or not what it is said to be.
    """
    endpoint = read_endpoint(settings)
    try:
        caller = Caller(endpoint, read_key(endpoint))
    except (httpx2.InvalidURL, ValueError):
        # Of the address, or of a proxy in the environment; neither is quoted, for either may hold a password.
        raise server_fault(endpoint, "cannot be called", "an address, and proxies in the environment, that can be read") from None
    try:
        return OpenAIEngine(caller, settings, _served(caller, path, settings))
    except Unfit as unfit:
        caller.close()
        raise _not_vllm(endpoint, unfit.failure.message) from None
    except BaseException:
        caller.close()
        raise


class OpenAIEngine:
    """See the module. Satisfies `evalsuite.engines.base.Engine` and `Metered`."""

    def __init__(self, caller: Caller, settings: EngineSettings, served: _Served) -> None:
        self._caller = caller
        self._endpoint = caller.endpoint
        self._served = served
        bounded = served.limits.n_context_tokens
        self._info = EngineInfo(
            name="openai",
            dtype=settings.dtype,
            quantisation=settings.quantisation,
            device=f"{self._endpoint.host}, {self._endpoint.model} ({self._endpoint.api}, {self._endpoint.server})",
            n_context_tokens=0 if bounded == UNBOUNDED else bounded,
            versions=served.versions,
        )

    @property
    def info(self) -> EngineInfo:
        """What is served; a context of 0 tokens is one that nobody stated."""
        return self._info

    @property
    def kinds(self) -> frozenset[Kind]:
        """Text from every server; log-probabilities from vLLM alone, and only for ids."""
        return self._served.limits.kinds

    @property
    def spent(self) -> Spent:
        """Calls, tokens and cost so far, by the server's own counts."""
        counts, price = self._caller.counts, self._endpoint.price
        cost = None if price is None else (counts.n_prompt_tokens * price.input + counts.n_output_tokens * price.output) / 1e6
        return Spent(
            n_calls=counts.n_calls,
            n_repeats=counts.n_repeats,
            n_prompt_tokens=counts.n_prompt_tokens,
            n_output_tokens=counts.n_output_tokens,
            cost_usd=cost,
            served_as=tuple(sorted(counts.served_as)),
        )

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._caller.close()

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Outcome]]:
        """Answer requests, at most `max_concurrency` at once, each as its answer arrives.

        Raises:
            UserError: no further call can succeed (key, address, credit, a server that is gone); what had been answered by then
                has been yielded before.
        """
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        n_waiting = 0
        for index, request in enumerate(requests):
            refused = self._refusal(request)
            if refused is not None:
                yield index, refused
            else:
                waiting.put(index)
                n_waiting += 1
        found: queue.SimpleQueue[Found] = queue.SimpleQueue()
        given_up = threading.Event()
        n_threads = min(self._endpoint.max_concurrency, n_waiting)
        for _ in range(n_threads):
            # Daemons: a person who interrupts the run does not wait for a server's last words.
            threading.Thread(target=self._work, args=(requests, waiting, found, given_up), daemon=True).start()
        try:
            yield from self._collect(found, n_threads, given_up)
        finally:
            given_up.set()

    def _collect(self, found: queue.SimpleQueue[Found], n_threads: int, given_up: threading.Event) -> Iterator[tuple[int, Outcome]]:
        """Outcomes as they arrive; what ends the run is raised once the calls under way are over, or their grace is."""
        ended: BaseException | None = None
        while n_threads:
            try:
                item = found.get(timeout=None if ended is None else GRACE_S)
            except queue.Empty:
                break
            if item is None:
                n_threads -= 1
            elif isinstance(item, BaseException):
                ended = ended or item
                given_up.set()
                self._caller.stop.set()
            else:
                yield item
        if ended is not None:
            raise ended

    def _work(
        self, requests: Sequence[Request], waiting: queue.SimpleQueue[int], found: queue.SimpleQueue[Found], given_up: threading.Event
    ) -> None:
        try:
            while not given_up.is_set():
                index = waiting.get_nowait()
                found.put((index, self._outcome(requests[index], index)))
        except (queue.Empty, Stopped):
            pass
        except BaseException as error:  # noqa: BLE001 (the thread that asked raises it)
            found.put(error)
        found.put(None)

    def _refusal(self, request: Request) -> Failure | None:
        """Why a request is not sent at all, or None."""
        limits = self._served.limits
        if self._endpoint.api == "chat":
            if not request.prompt.messages:
                return Failure(reason="unsupported", message="a chat server receives messages, and this prompt has none", transient=True)
            # Its ids are the server's own; the rest is judged as everywhere.
            request = replace(request, prompt=Prompt(token_ids=(0,), text=""))
        refused = refusal(request, limits)
        if refused is not None:
            return refused
        if request.moments:
            return Failure(reason="unsupported", message="servers give no moments over the vocabulary", transient=True)
        n_tokens = n_tokens_needed(request) + 1
        if request.kind != "generate" and n_tokens > limits.n_context_tokens:
            message = f"{n_tokens} tokens with the one that a server always adds, the context holds {limits.n_context_tokens}"
            return Failure(reason="too_long", message=message, transient=True)
        return None

    def _outcome(self, request: Request, number: int) -> Outcome:
        ids = request.prompt.token_ids
        try:
            if request.kind == "generate" and request.sampling is not None:
                path = "chat/completions" if self._endpoint.api == "chat" else "completions"
                body = answers.generation(self._endpoint, request.prompt, request.sampling, self._served.special)
                content = self._caller.call(path, body, number)
                return answers.read_generation(content, self._endpoint, request.prompt, request.sampling)
            if request.kind == "next":
                return Response(logprobs=_next(self._caller, ids, request.candidates, number), n_prompt_tokens=len(ids))
            if request.kind == "prompt":
                return Response(logprobs=_along(self._caller, ids, number)[0], n_prompt_tokens=len(ids))
            scored = [_along(self._caller, (*ids, *more), number, greedy=request.greedy) for more in request.continuations]
            sizes = [len(more) for more in request.continuations]
            return Response(
                continuation_logprobs=tuple(logprobs[-n:] for (logprobs, _), n in zip(scored, sizes, strict=True)),
                continuation_greedy=tuple(all(tops[-n:]) for (_, tops), n in zip(scored, sizes, strict=True)) if request.greedy else (),
                n_prompt_tokens=len(ids),
                n_output_tokens=sum(map(len, request.continuations)),
            )
        except Unfit as unfit:
            return unfit.failure


def _next(caller: Caller, ids: Sequence[int], candidates: Sequence[int], number: int = 0) -> tuple[float, ...]:
    """Log-probabilities of given next tokens, in as many calls as the server's limit asks for."""
    wanted = sorted(set(candidates))
    found: dict[int, float] = {}
    for start in range(0, len(wanted), answers.N_IDS):
        part = wanted[start : start + answers.N_IDS]
        found |= answers.read_next(caller.call("completions", answers.next_tokens(caller.endpoint, ids, part), number), ids, part)
    return tuple(found[token] for token in candidates)


def _along(caller: Caller, ids: Sequence[int], number: int = 0, *, greedy: bool = False) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    """Along a prompt, from its second token on: log-probabilities, and (greedy) whether greedy decoding takes each token."""
    content = caller.call("completions", answers.along(caller.endpoint, ids, greedy=greedy), number)
    return answers.read_along(content, ids, greedy=greedy)


def _served(caller: Caller, path: str, settings: EngineSettings) -> _Served:
    """What the server can take; vLLM is asked, of others only what is written here is known."""
    endpoint = caller.endpoint
    kinds = kinds_with(path, settings)
    versions = {"httpx2": version("httpx2")}
    if endpoint.api == "chat":
        limits = Limits(kinds=kinds, n_context_tokens=settings.max_model_len or UNBOUNDED, n_vocabulary=1)
        return _Served(limits=limits, special={}, versions=versions)
    config = read_config(path)
    lengths = [settings.max_model_len, whole(config.get("max_position_embeddings"))]
    if endpoint.server == "vllm":
        lengths.append(_vllm_length(caller))
        _check_vllm(caller, int(config["vocab_size"]))
        versions["vllm"] = _vllm_version(caller)
    limits = Limits(kinds=kinds, n_context_tokens=min((n for n in lengths if n), default=UNBOUNDED), n_vocabulary=int(config["vocab_size"]))
    return _Served(limits=limits, special=special_ids(path), versions=versions)


def _vllm_length(caller: Caller) -> int | None:
    """Context as the server states it. UserError where it does not serve the model."""
    listed = caller.call("models", None)
    cards: Any = listed.get("data") if isinstance(listed, dict) else None
    known = {card.get("id"): card for card in cards if isinstance(card, dict)} if isinstance(cards, list) else {}
    if caller.endpoint.model not in known:
        names = ", ".join(sorted(filter(None, map(identifier, known)))) or "none"
        raise _not_vllm(caller.endpoint, f"serves no model of this name; it serves: {names}")
    return whole(known[caller.endpoint.model].get("max_model_len"))


def _vllm_version(caller: Caller) -> str:
    """The server's version; `unknown` where something in between hides that address."""
    try:
        content = caller.call("/version", None)
    except (Unfit, UserError):
        return "unknown"
    stated = content.get("version") if isinstance(content, dict) else None
    return stated if isinstance(stated, str) and len(stated) < 50 else "unknown"


def _check_vllm(caller: Caller, n_vocabulary: int) -> None:
    """Two ways to the same log-probabilities must agree; they do not where another server, or another mode of it, answers.

    A server that returns raw logits, or does not know `logprob_token_ids`, is found out here and not in the results.
    """
    ids = [token % n_vocabulary for token in (33, 36, 39, 42)]
    by_prompt, _ = _along(caller, ids)
    by_next = [_next(caller, ids[:n], [ids[n]])[0] for n in (1, 2, 3)]
    if max(abs(a - b) for a, b in zip(by_prompt, by_next, strict=True)) > AGREEMENT:
        raise _not_vllm(caller.endpoint, "gives two different log-probabilities for one token (started with --logprobs-mode?)")


def _not_vllm(endpoint: EndpointEntry, what: str) -> UserError:
    allowed = "a running vLLM server of this model is needed; `server: other` for any other server, which is then asked for text only"
    return server_fault(endpoint, what, allowed)
