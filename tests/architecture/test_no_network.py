"""No test may reach the network, neither by itself nor through a process that it starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

OUTSIDE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): belongs to nobody, so a missing guard harms nobody


def test_connections_to_other_machines_are_refused() -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="no network"):
        outside.settimeout(1)
        outside.connect((OUTSIDE, 80))
    with pytest.raises(RuntimeError, match="no network"):
        socket.create_connection(("example.org", 80), timeout=1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside, pytest.raises(RuntimeError, match="no network"):
        outside.sendto(b"x", (OUTSIDE, 53))


def test_connections_to_this_machine_are_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()[:2], timeout=5) as client:
        peer, _ = server.accept()
        with peer:
            client.sendall(b"here")
            assert peer.recv(4) == b"here"


def test_processes_that_tests_start_are_guarded_too() -> None:
    code = f"import socket; socket.create_connection(('{OUTSIDE}', 80), timeout=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "OutsideConnectionError" in done.stderr


def test_libraries_are_told_to_stay_offline() -> None:
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    from huggingface_hub import constants

    assert constants.HF_HUB_OFFLINE
