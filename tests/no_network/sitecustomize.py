"""Refuses every connection that leaves this machine.

`tests/conftest.py` imports this file for the test process and puts its folder on PYTHONPATH, so that every Python that a
test starts imports it too, before anything else runs there.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any


def is_local(address: Any) -> bool:
    """True for loopback addresses, `localhost`, the empty host and addresses that are no (host, port), such as Unix sockets."""
    if not isinstance(address, tuple):
        return True
    host = address[0]
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in ("", "localhost", None):
        return True
    try:
        return ipaddress.ip_address(str(host).split("%", 1)[0]).is_loopback
    except ValueError:
        return False


class OutsideConnectionError(RuntimeError):
    """A test reached for the network. No OSError, because libraries take those for a passing fault and go on."""


class GuardedSocket(socket.socket):
    """A socket that connects and sends to this machine only."""

    def connect(self, address: Any, /) -> None:
        refuse_outside(address)
        super().connect(address)

    def connect_ex(self, address: Any, /) -> int:
        refuse_outside(address)
        return super().connect_ex(address)

    def sendto(self, data: Any, *rest: Any) -> int:
        refuse_outside(rest[-1])
        return super().sendto(data, *rest)


def refuse_outside(address: Any) -> None:
    """Raise OutsideConnectionError unless the address is on this machine."""
    if not is_local(address):
        raise OutsideConnectionError(f"tests use no network, but {address[0]!r} was asked for")


def guard() -> None:
    """Put the guards in place; a second call changes nothing."""
    if getattr(socket, "guarded_for_tests", False):
        return
    resolve = socket.getaddrinfo

    def resolve_locally(host: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_outside((host,))
        return resolve(host, *args, **kwargs)

    socket.socket = GuardedSocket  # type: ignore[misc]
    socket.SocketType = GuardedSocket  # type: ignore[assignment]
    socket.getaddrinfo = resolve_locally
    socket.guarded_for_tests = True  # type: ignore[attr-defined]


guard()
