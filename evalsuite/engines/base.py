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


@runtime_checkable
class Metered(Protocol):
    """An engine that is paid by use."""

    @property
    def spent(self) -> Spent:
        """What was used so far."""
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
