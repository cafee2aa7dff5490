"""A small OpenAI-compatible server on this machine that answers exactly, and misbehaves where a test tells it to.

Its language model is a fixed random table over the 258 ids of `evalsuite.bytetext`: the next token depends on the last two.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from evalsuite.bytetext import EOS, N_VOCABULARY, decode, encode

N_CONTEXT_TOKENS = 128
NAME = "served"


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer that a test plants."""

    status: int = 200
    body: Any = None
    """JSON-ready, or bytes as they are."""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hangs_up: bool = False


@dataclass(kw_only=True)
class Fake:
    """What the server was asked, and what it does next."""

    url: str = ""
    calls: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    """(path, body, headers in lower case) of every post."""
    planted: list[Said] = field(default_factory=list)
    """Answered first, one per post, before the server is sound again."""
    spoils: Callable[[str, dict[str, Any], dict[str, Any]], Said | dict[str, Any]] | None = None
    """(path, body, sound answer) -> what is said instead."""
    delay_s: float = 0.0
    """Of every sound answer."""
    most_at_once: int = 0
    """Posts that were under way at once, at most."""
    n_now: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def bodies(self) -> list[dict[str, Any]]:
        """What was posted."""
        return [body for _, body, _ in self.calls]


def logprobs_after(ids: Sequence[int]) -> list[float]:
    """Log-probabilities of all ids after a prompt."""
    logits = np.random.default_rng((5, *ids[-2:])).normal(scale=3.0, size=N_VOCABULARY)
    return [float(value) for value in logits - logits.max() - math.log(np.exp(logits - logits.max()).sum())]


def greedy(ids: Sequence[int], n: int, temperature: float = 0.0, seed: int | None = None) -> list[int]:
    """Up to n ids after a prompt, EOS the last."""
    drawn = np.random.default_rng(seed)
    found: list[int] = []
    while len(found) < n and (not found or found[-1] != EOS):
        values = np.array(logprobs_after([*ids, *found]))
        p = np.exp(values / temperature) if temperature else values
        found.append(int(drawn.choice(N_VOCABULARY, p=p / p.sum())) if temperature else int(values.argmax()))
    return found


def completion(body: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's answer to /completions."""
    ids = body["prompt"]
    new = greedy(ids, body["max_tokens"], body["temperature"], body.get("seed"))
    ended = new[-1] == EOS
    text = decode([token for token in new if token != EOS])
    for stop in body.get("stop", []):
        if stop in text:
            new = next(new[:n] for n in range(1, len(new) + 1) if stop in decode(new[:n]))
            text, ended = text[: text.index(stop)], True
    choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop" if ended else "length", "token_ids": new}
    choice["prompt_token_ids"] = ids
    if "logprob_token_ids" in body:
        values = logprobs_after(ids)
        assert len(body["logprob_token_ids"]) <= 20
        choice["logprobs"] = {"top_logprobs": [{f"token_id:{token}": values[token] for token in body["logprob_token_ids"]}]}
    if "prompt_logprobs" in body:
        rows = [row_along(logprobs_after(ids[:n]), ids[n], body["prompt_logprobs"]) for n in range(1, len(ids))]
        choice["prompt_logprobs"] = [None, *rows]
    return {"model": NAME, "choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": len(new)}}


def row_along(values: Sequence[float], token: int, n_likeliest: int) -> dict[str, Any]:
    """vLLM's entry of one place of a prompt: its token, ranked by how many are at least as likely, then the likeliest, ranked 1, 2, …"""
    row = {str(token): {"logprob": values[token], "rank": sum(value >= values[token] for value in values)}}
    likeliest = sorted(range(len(values)), key=lambda other: -values[other])[:n_likeliest]
    return row | {str(other): {"logprob": values[other], "rank": rank} for rank, other in enumerate(likeliest, 1)}


def chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to /chat/completions: the last letter of the question's first line."""
    question = body["messages"][-1]["content"]
    words = f"The answer is {question.splitlines()[0][-1]}."
    usage = {"prompt_tokens": len(encode(question)) // 4, "completion_tokens": 5}
    choice = {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
    return {"model": f"{NAME}-2026-01-01", "choices": [choice], "usage": usage}


@contextmanager
def serve() -> Iterator[Fake]:
    """A server on a free port of this machine."""
    fake = Fake()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            if self.path == "/version":
                return self.say(Said(body={"version": "0.99.0"}))
            cards = {"data": [{"id": NAME, "owned_by": "vllm", "max_model_len": N_CONTEXT_TOKENS}]}
            return self.say(Said(body=cards) if self.path == "/v1/models" else Said(status=404))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with fake.lock:
                fake.calls.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
                said = fake.planted.pop(0) if fake.planted else None
                fake.n_now += 1
                fake.most_at_once = max(fake.most_at_once, fake.n_now)
            try:
                self.say(said or self.sound(body))
            finally:
                with fake.lock:
                    fake.n_now -= 1

        def sound(self, body: dict[str, Any]) -> Said:
            time.sleep(fake.delay_s)
            content = chat(body) if self.path == "/v1/chat/completions" else completion(body)
            made = fake.spoils(self.path, body, content) if fake.spoils else content
            return made if isinstance(made, Said) else Said(body=made)

        def say(self, said: Said) -> None:
            time.sleep(said.delay_s)
            if said.hangs_up:
                self.close_connection = True
                self.connection.close()
                return
            data = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            try:
                self.send_response(said.status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **said.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True  # the caller has given up

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
