"""Calls to one server: paced, repeated where repeating can help, stopped where no further call can; its words judged by code only.

Nothing of what a server says in an error is passed on but its codes: a message may quote the prompt, or the key.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np

from evalsuite.errors import Fault, UserError
from evalsuite.models.endpoints import EndpointEntry, is_loopback
from evalsuite.types import Failure

N_ATTEMPTS = 6
"""Times that one call is made before its request fails for this run."""
BACKOFF_S = 0.5
"""Seconds before the second attempt; doubled before each further one, times a seeded draw from 0.5 to 1.5."""
LONGEST_BACKOFF_S = 60.0
"""Seconds that a repeat waits at most of its own accord."""
LONGEST_HOLD_S = 300.0
"""Seconds that a server may ask to wait; one that asks for more is out of quota, and the run stops."""
N_LOST = 20
"""Requests in a row without any answer after which the server counts as gone and the run stops."""
REPEATED = (429, 500, 502, 503, 504)
"""Status codes after which the same call may well succeed."""
FILTERS = ("content_filter", "content_policy_violation", "moderation", "responsible_ai_policy_violation")
OUT_OF_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "quota_exceeded")
TOO_LONG = re.compile(r"context_length|maximum context|context window|max_model_len|too many tokens|prompt is too long", re.IGNORECASE)


class Unfit(Exception):
    """A call or an answer that makes its request a failure."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


class Stopped(Exception):
    """The run was given up while this call waited."""


def engine_error(message: str, *, transient: bool = True) -> Unfit:
    """A fault of the server's, as the failure of one request."""
    return Unfit(Failure(reason="engine_error", message=message, transient=transient))


@dataclass(slots=True)
class Pace:
    """When the next call may start: shared by all threads."""

    interval_s: float
    """Seconds between two starts; 0: none."""
    stop: threading.Event
    """Set when the run is given up: nobody waits on."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: float = 0.0
    _held_until: float = 0.0

    def wait(self) -> None:
        """Wait for a place of one's own. Raises Stopped."""
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + self.interval_s
        self.sleep(at - time.monotonic())
        # The server may have asked for a pause, and for a longer one, in the meantime.
        while (left_s := self._held_until - time.monotonic()) > 0:
            self.sleep(left_s)

    def hold(self, seconds: float) -> None:
        """Nobody starts for so many seconds."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait. Raises Stopped."""
        if self.stop.wait(max(0.0, seconds)):
            raise Stopped


@dataclass(slots=True)
class Counts:
    """What was called and what it cost; shared by all threads."""

    n_calls: int = 0
    """Answers received, of any status."""
    n_repeats: int = 0
    """Calls that were made again."""
    n_prompt_tokens: int = 0
    """Prompt tokens as the server counts them, of all its answers."""
    n_output_tokens: int = 0
    """Output tokens likewise."""
    served_as: set[str] = field(default_factory=set)
    """What the server said that it is: model, and system fingerprint where it gives one."""


class Caller:
    """Calls one server and nothing else: redirects are not followed, and a server on this machine is reached by no proxy."""

    def __init__(self, endpoint: EndpointEntry, key: str | None) -> None:
        """No call is made yet.

        Args:
            endpoint: the server.
            key: of the account; None: none is sent.
        """
        self.endpoint = endpoint
        self.stop = threading.Event()
        self.counts = Counts()
        self._lock = threading.Lock()
        self._n_lost = 0
        self._over: UserError | None = None
        self._pace = Pace(interval_s=60.0 / endpoint.requests_per_minute if endpoint.requests_per_minute else 0.0, stop=self.stop)
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(endpoint.timeout_s, connect=min(30.0, endpoint.timeout_s)),
            limits=httpx2.Limits(max_connections=endpoint.max_concurrency, max_keepalive_connections=endpoint.max_concurrency),
            follow_redirects=False,
            # Restricted texts may go to this machine: a proxy would carry them off it.
            trust_env=not is_loopback(endpoint.host),
        )

    def close(self) -> None:
        """Wake whoever waits, and close all connections. Idempotent."""
        self.stop.set()
        self._client.close()

    def call(self, path: str, body: Mapping[str, Any] | None, number: int = 0) -> Any:
        """The server's answer to one call.

        Args:
            path: behind the base address; absolute (`/version`): behind the host.
            body: JSON to post; None: get.
            number: of the request, seed of the waiting times.

        Raises:
            Unfit: this call failed, for good or after all attempts.
            UserError: no further call can succeed.
            Stopped: the run was given up.
        """
        trouble = ""
        for attempt in range(N_ATTEMPTS):
            if attempt:
                with self._lock:
                    self.counts.n_repeats += 1
                self._pace.sleep(backoff_s(number, attempt))
            self._pace.wait()
            if self._over is not None:
                raise self._over
            try:
                reply = self._send(path, body)
            except httpx2.TimeoutException:
                trouble = f"no answer within {self.endpoint.timeout_s:g} s"
                continue
            except httpx2.TransportError as error:
                # Its own words may name a proxy with its password.
                trouble = f"connection lost ({type(error).__name__})"
                continue
            except httpx2.RequestError as error:
                raise engine_error(f"the answer cannot be read ({type(error).__name__})") from None
            with self._lock:
                self.counts.n_calls += 1
                self._n_lost = self._n_lost if reply.status_code in REPEATED else 0
            self._heed(reply)
            if reply.status_code == httpx2.codes.OK:
                return self._content(reply)
            trouble = self._judge(reply)
        with self._lock:
            self._n_lost += 1
            lost = self._n_lost >= N_LOST
        if lost:
            raise self._end(f"no longer answers ({trouble})", "see to it, then run again; what was answered is kept in the store")
        raise engine_error(f"{trouble}, {N_ATTEMPTS} times")

    def _send(self, path: str, body: Mapping[str, Any] | None) -> httpx2.Response:
        url = str(httpx2.URL(self.endpoint.url).join(path)) if path.startswith("/") else f"{self.endpoint.url}/{path}"
        return self._client.get(url) if body is None else self._client.post(url, json=body)

    def _content(self, reply: httpx2.Response) -> Any:
        try:
            content = reply.json()
        except (ValueError, RecursionError):
            raise engine_error("the answer is no JSON") from None
        if isinstance(content, dict):
            self._count(content)
        return content

    def _count(self, content: Mapping[str, Any]) -> None:
        usage = content.get("usage")
        names = [name for key in ("model", "system_fingerprint") if (name := identifier(content.get(key)))]
        with self._lock:
            if names and "choices" in content:
                self.counts.served_as.add(" ".join(names))
            if isinstance(usage, dict):
                self.counts.n_prompt_tokens += whole(usage.get("prompt_tokens")) or 0
                self.counts.n_output_tokens += whole(usage.get("completion_tokens")) or 0

    def _heed(self, reply: httpx2.Response) -> None:
        """Hold all calls for as long as the server's headers ask; where that is too long to wait, none is made any more."""
        wait_s = asked_wait_s(reply.headers, failed=reply.status_code in (429, 503), now=time.time())
        if wait_s > LONGEST_HOLD_S:
            self._over = self._end(f"asks to wait {wait_s:.0f} s", "run again then; what was answered is kept in the store")
        elif wait_s > 0:
            self._pace.hold(wait_s)

    def _judge(self, reply: httpx2.Response) -> str:
        """What is wrong with an answer after which the call may be repeated; raises for every other."""
        status = reply.status_code
        code, parameter, text = said(reply)
        note = f"HTTP {status}{f' {code}' if code else ''}"
        if any(name in FILTERS for name in (code, parameter)):
            raise engine_error(f"stopped by the server's content filter ({note})", transient=False)
        if code in OUT_OF_QUOTA or status == 402:
            raise self._end(f"says that the account has no credit left ({note})", "top it up, then run again; what was answered is kept")
        if status in REPEATED:
            return note
        if status == 401:
            wanted = "endpoint.api_key_env names a variable with another key" if self.endpoint.api_key_env else "give endpoint.api_key_env"
            raise self._end(f"does not accept the key ({note})", wanted)
        if status == 403:
            raise self._end(f"does not allow this account to use the model ({note})", "ask its owner, or name another model")
        if status in (404, 405):
            allowed = "endpoint.url ends before /completions or /chat/completions; endpoint.model is its name there"
            raise self._end(f"knows no such model or address ({note})", allowed)
        if 300 <= status < 400:
            raise self._end(f"sends the caller elsewhere ({note})", "redirects are not followed: give the final address as endpoint.url")
        if status in (400, 413, 422) and (TOO_LONG.search(code) or TOO_LONG.search(text)):
            message = f"the server's context does not hold prompt and output ({note})"
            raise Unfit(Failure(reason="too_long", message=message, transient=True))
        if status in (400, 422) and parameter:
            message = f"the server does not obey {parameter} as asked ({note})"
            raise Unfit(Failure(reason="unsupported", message=message, transient=False))
        raise engine_error(f"the server refused the call ({note})")

    def _end(self, what: str, allowed: str) -> UserError:
        return server_fault(self.endpoint, what, allowed)


def server_fault(endpoint: EndpointEntry, what: str, allowed: str) -> UserError:
    """A server that is of no use, as one line for a person."""
    return UserError(Fault(file="models.yaml", key=f"endpoint of {endpoint.model}", value=f"{endpoint.url} {what}", allowed=allowed))


def backoff_s(number: int, attempt: int) -> float:
    """Seconds before an attempt (1, 2, …) of a request, drawn by a generator seeded with both."""
    share = np.random.default_rng((number, attempt)).uniform(0.5, 1.5)
    return float(min(BACKOFF_S * 2.0 ** (attempt - 1) * share, LONGEST_BACKOFF_S))


def asked_wait_s(headers: Mapping[str, str], *, failed: bool, now: float) -> float:
    """Seconds that a server asks to wait; 0 if it does not, or in a form that nobody knows.

    Args:
        headers: of its answer, names in lower case or a mapping that does not mind.
        failed: it refused the call for now; only then `retry-after` counts.
        now: Unix time.
    """
    waits = [0.0]
    if failed:
        waits.append(duration_s(headers.get("retry-after-ms", "")) / 1000)
        waits.append(_until_s(headers.get("retry-after", ""), now))
    for what in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{what}", "").strip() == "0":
            waits.append(duration_s(headers.get(f"x-ratelimit-reset-{what}", "")))
    return max(waits)


def duration_s(text: str) -> float:
    """Seconds of `12`, `1.5s`, `6m0s`, `20ms`, `1h2m`; 0 for anything else."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if "".join(number + unit for number, unit in parts) != text:
        return 0.0
    return sum(float(number) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[unit] for number, unit in parts)


def _until_s(text: str, now: float) -> float:
    """Seconds of a Retry-After header: a number of them, or a date (RFC 9110)."""
    if not text.strip() or re.fullmatch(r"[\d.]+", text.strip()):
        return duration_s(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp() - now)


def said(reply: httpx2.Response) -> tuple[str, str, str]:
    """(code or type, parameter, message) of an error; the first two are plain names or empty, the third is only ever searched."""
    try:
        content = json.loads(reply.content[:100_000])
    except (ValueError, RecursionError):
        return "", "", ""
    error = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return "", "", str(error) if isinstance(error, str) else ""
    code = identifier(error.get("code")) or identifier(error.get("type"))
    return code, identifier(error.get("param")), str(error.get("message", ""))


def identifier(value: object) -> str:
    """A short name as codes are written; empty for anything that could be a sentence or a key."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w.:/@\[\]-]{0,99}", value) and not value.startswith("sk-") else ""


def whole(value: object) -> int | None:
    """A number of tokens; None if it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
