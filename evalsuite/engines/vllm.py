"""Checkpoints through vLLM, on GPUs or a CPU, token ids in: every kind of request but `embed`.

vLLM runs in a process of its own, started anew for each checkpoint and ended by `close`: all memory comes back, whatever vLLM
still holds; an interrupted run leaves nothing behind; and vLLM's changes to the process it lives in (thread counts, `torch`
functions, environment) touch nobody else. This module imports nothing heavy. What is asked of vLLM stands in `_vllm_asking`.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from evalsuite.engines._limits import Limits, refusal
from evalsuite.engines._vllm_light import (
    KINDS,
    check_weights,
    dtype_of,
    installed,
    is_cpu_build,
    machine_faults,
    n_context_tokens_of,
    quantisation_of,
    read_config,
    setting_faults,
    text_part,
)
from evalsuite.engines._vllm_worker import outcome_from, request_fields
from evalsuite.engines.base import EngineInfo, EngineSettings, PrefixCache
from evalsuite.errors import Fault, UserError
from evalsuite.types import Kind, Outcome, Request

MAX_NUM_SEQS = {"cpu": 128, "cuda": 512}
"""Default of the option `max_num_seqs`: sequences at once."""

N_BATCH_TOKENS = {"cpu": 4096, "cuda": 8192}
"""Default of the option `batch_tokens`: tokens per step."""

KV_CACHE_GIB_ON_CPU = 1.0
"""Default of the option `kv_cache_gib` on a CPU; on GPUs vLLM takes what `gpu_memory_utilization` leaves."""

N_AT_ONCE = 2
"""Sequences in the engine's hands, for each that it can compute at once: enough that it never waits, few enough for any memory."""

N_PER_LETTER = 32
"""Requests sent together."""

PATIENCE_S = 10.0
"""How long a process may take to end by itself."""

ENVIRONMENT = {
    # Nothing calls home, nothing is fetched: checkpoints are local folders.
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    # On some GPUs FlashInfer looks for kernels on a server of its makers.
    "FLASHINFER_CUBINS_REPOSITORY": "http://127.0.0.1:9",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    # The engine in this very process: one process less, one import less, and nothing that could outlive it.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    # One token more than the context, which is drawn and never fed: `next` after a prompt that fills the context.
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TOKENIZERS_PARALLELISM": "false",
}


def load(path: str, settings: EngineSettings) -> VllmEngine:
    """Load a checkpoint from a local folder.

    Options: `gpu_memory_utilization`, `kv_cache_gib`, `enforce_eager`, `max_num_seqs`, `batch_tokens`, `fast_scoring` (see `_vllm_light`).

    Raises:
        UserError: an option or setting that is not known, no vLLM that is supported, or a folder that vLLM cannot load.
    """
    faults = (*setting_faults(settings), *machine_faults(settings))
    if faults:
        raise UserError(faults)
    return VllmEngine(order_of(Path(path), settings), settings)


def order_of(folder: Path, settings: EngineSettings) -> dict[str, Any]:
    """What the engine's process is told to load; `arguments` are those of vLLM's `EngineArgs`.

    Raises:
        UserError: a folder that holds no checkpoint, or one that does not fit the settings.
    """
    on_cpu = is_cpu_build(*(installed() or ("", "")))
    load_format = check_weights(folder)
    config = read_config(folder)
    n_context_tokens = n_context_tokens_of(folder, config, settings)
    device = "cpu" if on_cpu else "cuda"
    # longrope: vLLM takes the long factors as soon as the limit is above the short one's, so one more token could change them all.
    n_more = 0 if "longrope" in str(text_part(config).get("rope_parameters", text_part(config).get("rope_scaling"))) else 1
    dtype = dtype_of(folder, config, settings, on_cpu=on_cpu)
    options = settings.options
    arguments: dict[str, Any] = {
        "model": str(folder),
        "tokenizer_mode": "hf",
        "load_format": load_format,
        "dtype": dtype,
        "max_model_len": n_context_tokens + n_more,
        "tensor_parallel_size": settings.tensor_parallel,
        "trust_remote_code": settings.trust_remote_code,
        "enforce_eager": options.get("enforce_eager", on_cpu),
        "max_num_seqs": options.get("max_num_seqs", MAX_NUM_SEQS[device]),
        "max_num_batched_tokens": options.get("batch_tokens", N_BATCH_TOKENS[device]),
        "enable_prefix_caching": True,
        "logprobs_mode": "raw_logprobs",
        "max_logprobs": 128,
        # Its sampling defaults are not ours; its stop ids are read by us.
        "generation_config": "vllm",
        "seed": 0,
        "disable_log_stats": True,
    }
    if on_cpu:
        # vLLM's default on CPUs is 128 tokens: prompts of that length would share nothing with each other. Cloze: 2.4 times faster.
        arguments["block_size"] = 32
    if "gpu_memory_utilization" in options:
        arguments["gpu_memory_utilization"] = options["gpu_memory_utilization"]
    kv_cache_gib = options.get("kv_cache_gib", KV_CACHE_GIB_ON_CPU if on_cpu else None)
    if kv_cache_gib is not None:
        arguments["kv_cache_memory_bytes"] = int(float(kv_cache_gib) * 2**30)
    return {
        "path": str(folder),
        "settings": settings,
        "arguments": arguments,
        "config": config,
        "dtype": dtype,
        "quantisation": quantisation_of(folder, config, settings),
        "n_context_tokens": n_context_tokens - (1 - n_more),
        "fast_scoring": bool(options.get("fast_scoring", True)),
    }


class VllmEngine:
    """One checkpoint in one process of vLLM. See `evalsuite.engines.base.Engine`."""

    def __init__(self, order: dict[str, Any], settings: EngineSettings) -> None:
        self._process: _Process | None = _Process(settings)
        self._numbers = itertools.count()
        self._places: dict[int, int] = {}
        self._prefix_cache = PrefixCache(n_queried_tokens=0, n_hit_tokens=0)
        try:
            self._process.send({"load": order})
            answer = self._process.receive()
        except BaseException:
            self.close()
            raise
        if "fault" in answer:
            self.close()
            raise UserError(Fault(**answer["fault"]))
        ready = answer["ready"]
        self._limits = Limits(kinds=KINDS, n_context_tokens=order["n_context_tokens"], n_vocabulary=ready["n_vocabulary"])
        self._n_at_once = N_AT_ONCE * int(order["arguments"]["max_num_seqs"])
        self._info = EngineInfo(
            name="vllm",
            dtype=order["dtype"],
            quantisation=order["quantisation"],
            device=ready["device"],
            n_context_tokens=order["n_context_tokens"],
            versions=ready["versions"],
            notes=tuple(ready["notes"]),
        )

    @property
    def info(self) -> EngineInfo:
        """What is loaded."""
        return self._info

    @property
    def kinds(self) -> frozenset[Kind]:
        """All but `embed`."""
        return KINDS

    @property
    def prefix_cache(self) -> PrefixCache:
        """As far as answers have come back; see `evalsuite.engines.base.CachesPrefixes`."""
        return self._prefix_cache

    def close(self) -> None:
        """End the process; all memory comes back with it. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Outcome]]:
        """Answer requests, each as it finishes; see the protocol. What is under way when the caller stops listening is aborted.

        Raises:
            RuntimeError: the engine is closed, or vLLM itself is broken.
        """
        process = self._open()
        if self._places:
            # An earlier run was left without being closed.
            self._abort(process)
        waiting = deque(enumerate(requests))
        n_parts: dict[int, int] = {}
        try:
            while waiting or self._places:
                yield from self._hand_over(process, waiting, requests, n_parts)
                if not self._places:
                    continue
                message = process.receive()
                n_queried_tokens, n_hit_tokens = message["prefix_cache"]
                self._prefix_cache = PrefixCache(n_queried_tokens=n_queried_tokens, n_hit_tokens=n_hit_tokens)
                for number, fields in message["done"]:
                    place = self._places.pop(number, None)
                    if place is not None:
                        del n_parts[number]
                        yield place, outcome_from(fields)
        finally:
            if self._places and self._process is process:
                self._abort(process)

    def _hand_over(
        self, process: _Process, waiting: deque[tuple[int, Request]], requests: Sequence[Request], n_parts: dict[int, int]
    ) -> Iterator[tuple[int, Outcome]]:
        """Send requests until the engine has enough to do; yields those that are refused at once."""
        n_under_way = sum(n_parts.values())
        while waiting and n_under_way < self._n_at_once:
            letter: list[tuple[int, dict[str, Any]]] = []
            while waiting and len(letter) < N_PER_LETTER and n_under_way < self._n_at_once:
                place, request = waiting.popleft()
                failure = refusal(request, self._limits)
                if failure is not None:
                    yield place, failure
                    continue
                number = next(self._numbers)
                self._places[number] = place
                n_parts[number] = max(1, len(request.continuations))
                n_under_way += n_parts[number]
                letter.append((number, request_fields(request)))
            if letter:
                process.send({"ask": letter})

    def _abort(self, process: _Process) -> None:
        self._places.clear()
        # If the process is gone there is nothing left to abort.
        with contextlib.suppress(OSError):
            process.send({"abort": True})

    def _open(self) -> _Process:
        if self._process is None:
            raise RuntimeError("the engine is closed")
        return self._process


class _Process:
    """The engine's process and the socket to it."""

    def __init__(self, settings: EngineSettings) -> None:
        own, other = multiprocessing.Pipe()
        self._socket = own
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        # -P: a folder named vllm in the working directory is not imported. A session of its own: Ctrl-C reaches us only.
        command = [sys.executable, "-P", "-m", "evalsuite.engines._vllm_worker", str(other.fileno())]
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=_environment(settings),
                pass_fds=[other.fileno()],
                start_new_session=True,
            )
        finally:
            other.close()

    def send(self, message: dict[str, Any]) -> None:
        """Pass a message on. Raises RuntimeError if the process is gone."""
        try:
            self._socket.send_bytes(orjson.dumps(message))
        except (BrokenPipeError, ConnectionResetError):
            raise self._gone() from None

    def receive(self) -> dict[str, Any]:
        """The next message.

        Raises:
            RuntimeError: the process is gone, or vLLM raised an error that is no request's own.
        """
        try:
            message: dict[str, Any] = orjson.loads(self._socket.recv_bytes())
        except (EOFError, ConnectionResetError):
            raise self._gone() from None
        if "broken" in message:
            raise RuntimeError(f"vLLM is broken: {message['broken']}")
        return message

    def end(self) -> None:
        """Close the socket, at which the process ends; kill it and its children if it does not."""
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=PATIENCE_S)
        # Workers of tensor parallelism are in the same group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._log.close()

    def _gone(self) -> RuntimeError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=PATIENCE_S)
        self._log.seek(0)
        errors = re.findall(r"^(?:\[\w+\]: )?([\w.]*(?:Error|Exception)\b.*)", self._log.read().decode(errors="replace"), re.MULTILINE)
        killed = "; it was killed, often for want of memory" if self._child.returncode == -signal.SIGKILL else ""
        said = f": {errors[-1][:240]}" if errors else ""
        return RuntimeError(f"the process of vLLM ended (exit code {self._child.returncode}{killed}){said}")


def _environment(settings: EngineSettings) -> dict[str, str]:
    """That of this process, with what vLLM must know before it is imported."""
    # Threads that spin while they wait for each other take the time of those that work: measured three times slower on two busy
    # cores, and no slower on idle ones.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **ENVIRONMENT}
    # Wherever this package was imported from, the other process must find it too.
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), root]))
    index = settings.device.partition(":")[2]
    if index:
        visible = [entry for entry in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if entry.strip()]
        environment["CUDA_VISIBLE_DEVICES"] = visible[int(index)] if visible else index
    return environment
