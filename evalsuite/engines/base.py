"""What an engine is: token ids in, outcomes out, in any order, each as soon as it is known.

An engine serves one loaded checkpoint. It never changes a condition: what it cannot do as asked comes back as a
`Failure` (DESIGN 2.4). It renders nothing, tokenizes nothing and caches nothing that outlives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
