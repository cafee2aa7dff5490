"""What an engine is: token ids in, outcomes out, in any order, each as soon as it is known.

An engine serves one loaded checkpoint. It never changes a condition: what it cannot do as asked comes back as a
`Failure` (DESIGN 2.4). It renders nothing, tokenizes nothing and caches nothing that outlives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from evalsuite.types import Kind, Outcome, Request


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    """Where and how a checkpoint is loaded; the study's `engine:` over the model's `serving:`."""

    name: str
    """Engine name, the module in `evalsuite/engines`."""
    dtype: str = "auto"
    """float32 | float16 | bfloat16 | auto (the checkpoint's own dtype, float32 on a CPU)."""
    quantisation: str | None = None
    """Name of the checkpoint's quantisation scheme, None if none."""
    device: str = "auto"
    """auto | cpu | cuda | cuda:N."""
    max_model_len: int | None = None
    """Upper bound on prompt plus output tokens; None: the checkpoint's own."""
    tensor_parallel: int = 1
    """GPUs that share one copy of the weights."""
    trust_remote_code: bool = False
    """Run code that the checkpoint brings along; only if models.yaml says so."""
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Further options of that engine, checked by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineInfo:
    """What is loaded, for keys and for the manifest."""

    name: str
    """Engine name."""
    dtype: str
    """The dtype in use, never `auto`."""
    quantisation: str | None
    """The quantisation in use."""
    device: str
    """Device name for people, e.g. `cpu (2 threads)` or `NVIDIA H100`."""
    n_context_tokens: int
    """Most tokens of prompt plus output that it accepts."""
    versions: Mapping[str, str]
    """Versions of the libraries that compute."""
    notes: tuple[str, ...] = ()
    """How it computes where there is a choice, one line each, e.g. that a fast way was found wrong and is off; for the manifest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What an engine that is paid by use has used since it was opened, answers that became failures included."""

    n_calls: int
    """Calls that were answered."""
    n_repeats: int
    """Calls that were made again."""
    n_prompt_tokens: int
    """Prompt tokens as the server counts them."""
    n_output_tokens: int
    """Output tokens likewise."""
    cost_usd: float | None
    """US dollars at the stated price, None if none is stated."""
    served_as: tuple[str, ...]
    """What the server called what answered; more than one: it changed on the way."""

    def plus(self, other: Spent) -> Spent:
        """Both together; of the same server, so that both have a price or neither."""
        return Spent(
            n_calls=self.n_calls + other.n_calls,
            n_repeats=self.n_repeats + other.n_repeats,
            n_prompt_tokens=self.n_prompt_tokens + other.n_prompt_tokens,
            n_output_tokens=self.n_output_tokens + other.n_output_tokens,
            cost_usd=None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd,
            served_as=tuple(sorted({*self.served_as, *other.served_as})),
        )


@runtime_checkable
class Metered(Protocol):
    """An engine that is paid by use."""

    @property
    def spent(self) -> Spent:
        """What was used so far."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PrefixCache:
    """How often the beginning of a prompt was known already, since an engine was opened."""

    n_queried_tokens: int
    """Prompt tokens of the sequences that were looked up in the cache. A request of several sequences (one per continuation) counts
    with each; sequences that must be computed whole, such as log-probabilities along a prompt, are not looked up and count nowhere."""
    n_hit_tokens: int
    """Of those, tokens that were found there and not computed again."""

    @property
    def hit_rate(self) -> float | None:
        """Share of the queried tokens that were found, in [0, 1]; None if nothing was looked up."""
        return self.n_hit_tokens / self.n_queried_tokens if self.n_queried_tokens else None

    def plus(self, other: PrefixCache) -> PrefixCache:
        """Both together."""
        n_queried_tokens = self.n_queried_tokens + other.n_queried_tokens
        return PrefixCache(n_queried_tokens=n_queried_tokens, n_hit_tokens=self.n_hit_tokens + other.n_hit_tokens)


@runtime_checkable
class CachesPrefixes(Protocol):
    """An engine that keeps what it computed for the beginnings of prompts, and says how often that helped."""

    @property
    def prefix_cache(self) -> PrefixCache:
        """What was looked up and found so far, abandoned requests included."""
        ...


class Engine(Protocol):
    """One loaded checkpoint. Not thread-safe; used as a context manager by `engines.open_engine`."""

    @property
    def info(self) -> EngineInfo:
        """What is loaded."""
        ...

    @property
    def kinds(self) -> frozenset[Kind]:
        """Request kinds that it supports; any other comes back as Failure(`unsupported`, transient: another engine may know it)."""
        ...

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Outcome]]:
        """Answer requests: yields (index into `requests`, outcome) exactly once per request, as each is known.

        Requests arrive sorted so that neighbours share prefixes. A fault that concerns one request becomes its
        Failure; only a broken engine raises.
        """
        ...

    def close(self) -> None:
        """Give all memory back. Idempotent."""
        ...
