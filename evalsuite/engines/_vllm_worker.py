"""The process in which vLLM runs; started by `evalsuite.engines.vllm` as `python -m evalsuite.engines._vllm_worker FD`.

Messages are JSON over a socket. It receives {"load": {...}} once, then {"ask": [[id, request], ...]} or {"abort": true}; it sends
{"ready": {...}} or {"fault": {...}} once, then {"done": [[id, outcome], ...], "prefix_cache": [queried, hit]} as requests finish, or
{"broken": line}.
It ends when the socket closes, which also happens when the process that started it is killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson

from evalsuite.engines.base import EngineSettings
from evalsuite.errors import Fault, UserError
from evalsuite.types import Failure, Outcome, Prompt, Request, Response, Sampling

N_LINE = 240
"""Most characters of an error that are passed on."""

FIELDS = {kind: tuple(field.name for field in dataclasses.fields(kind) if field.name != "vector") for kind in (Response, Failure)}
"""What is sent of an outcome. No vector, which is bytes: vLLM is never asked for one."""


def main() -> None:
    """Load, then answer until the socket closes."""
    socket = Connection(int(sys.argv[1]))
    letters: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    # Reading in a thread: the other side never waits for a step to end, and its death is seen while a checkpoint is being loaded.
    threading.Thread(target=_read, args=(socket, letters), daemon=True).start()
    try:
        served = _load(letters.get()["load"])
    except UserError as error:
        _send(socket, {"fault": error.faults[0]})
        return
    _send(socket, {"ready": served.ready})
    try:
        _serve(served, socket, letters)
    except Exception as error:
        _send(socket, {"broken": line_of(error)})
        raise


def _load(order: dict[str, Any]) -> Any:
    """The loaded engine. Raises UserError."""
    # First what takes less time. vLLM leaves weights that it does not find as they are, and would score noise.
    from evalsuite.engines._checkpoint import check_checkpoint

    compared = check_checkpoint(Path(order["path"]), EngineSettings(**order["settings"]))
    try:
        from evalsuite.engines._vllm_loaded import load_engine
    except Exception as error:
        key, allowed = import_fault(error)
        raise UserError(Fault(file="engine", key=key, value="", allowed=allowed)) from error
    served = load_engine(order)
    if not compared:
        served.ready["notes"] += ("names and shapes of the quantised weights were not compared with config.json",)
    return served


def import_fault(error: BaseException) -> tuple[str, str]:
    """(key, allowed) of what keeps vLLM from being imported."""
    culprits = [name for name in ("torchvision", "torchaudio", "torchcodec") if name in _texts(error)]
    if culprits:
        allowed = f"{culprits[0]} is built for another torch; remove it: pip uninstall torchvision torchaudio torchcodec"
        return "vllm", allowed
    return "vllm", f"cannot be imported ({line_of(error)})"


def line_of(error: BaseException) -> str:
    """An error in one line: the beginning of what it says, or its class where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Advice about the hub would send the user the wrong way: only local files are ever read here.
    said = " ".join(line for line in lines if "hugging" not in line.lower())
    return f"{type(error).__name__}: {said[:N_LINE]}" if said else type(error).__name__


def _texts(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def _read(socket: Connection, letters: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass messages on; the end of the socket ends the process at once, whatever it is doing."""
    try:
        while True:
            letters.put(orjson.loads(socket.recv_bytes()))
    except (EOFError, OSError):
        os._exit(0)


def _send(socket: Connection, message: dict[str, Any]) -> None:
    socket.send_bytes(orjson.dumps(message))


def _serve(served: Any, socket: Connection, letters: queue.SimpleQueue[dict[str, Any]]) -> None:
    while True:
        for letter in _arrived(letters, wait=not served.busy):
            if "abort" in letter:
                served.abort()
                continue
            done = [answer for number, fields in letter["ask"] for answer in served.take(number, request_from(fields))]
            _send_done(socket, done, served)
        _send_done(socket, served.step() if served.busy else [], served)


def _send_done(socket: Connection, done: list[tuple[int, Outcome]], served: Any) -> None:
    if done:
        answers = [(number, outcome_fields(outcome)) for number, outcome in done]
        _send(socket, {"done": answers, "prefix_cache": served.prefix_cache})


def _arrived(letters: queue.SimpleQueue[dict[str, Any]], *, wait: bool) -> Iterator[dict[str, Any]]:
    if wait:
        yield letters.get()
    with contextlib.suppress(queue.Empty):
        while True:
            yield letters.get_nowait()


def request_fields(request: Request) -> dict[str, Any]:
    """What the engine's process must know of a request. The prompt's text is not sent."""
    return {
        "kind": request.kind,
        "ids": request.prompt.token_ids,
        "sampling": request.sampling,
        "candidates": request.candidates,
        "continuations": request.continuations,
        "greedy": request.greedy,
        "moments": request.moments,
    }


def request_from(fields: dict[str, Any]) -> Request:
    """The request again, without its text."""
    sampling = fields["sampling"]
    return Request(
        kind=fields["kind"],
        prompt=Prompt(token_ids=tuple(fields["ids"]), text=""),
        sampling=None if sampling is None else Sampling(**{**sampling, "stop": tuple(sampling["stop"])}),
        candidates=tuple(fields["candidates"]),
        continuations=tuple(map(tuple, fields["continuations"])),
        greedy=fields["greedy"],
        moments=fields["moments"],
    )


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON mapping."""
    return {name: getattr(outcome, name) for name in FIELDS[type(outcome)]}


def outcome_from(fields: dict[str, Any]) -> Outcome:
    """An outcome from its JSON mapping; only a failure has the field `reason`."""
    if "reason" in fields:
        return Failure(**fields)
    listed = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    continuations = tuple(map(tuple, fields["continuation_logprobs"]))
    return Response(**{**fields, **listed, "continuation_logprobs": continuations})


if __name__ == "__main__":
    main()
