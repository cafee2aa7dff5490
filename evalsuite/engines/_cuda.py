"""Which NVIDIA GPUs this process may use, asked of the driver and not of torch: an answer costs no heavy import."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

TIMEOUT_S = 20.0
"""A driver that hangs longer than this is taken as none."""


def n_cuda_devices() -> int:
    """Number of GPUs that the driver lists and $CUDA_VISIBLE_DEVICES leaves visible; 0 where no driver answers."""
    n_listed, named = _n_listed(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if not n_listed or named is None:
        return n_listed
    n_visible = 0
    for entry in map(str.strip, named.split(",")):
        # CUDA stops at the first entry that is no device; names (GPU-..., MIG-...) are taken on trust.
        index = int(entry) if entry.removeprefix("-").isdecimal() else 0
        if not entry or not 0 <= index < n_listed:
            break
        n_visible += 1
    return n_visible


def has_cuda() -> bool:
    """True where an NVIDIA driver answers and leaves this process a GPU.

    That `nvidia-smi` is there proves nothing: images that run on machines without a GPU carry it too.
    """
    return n_cuda_devices() > 0


@cache
def _n_listed() -> int:
    """GPUs that `nvidia-smi -L` lists; asked once per process, since a driver may take seconds to answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        # Found on the PATH, with a fixed argument: nothing of a person's goes into the command.
        done = subprocess.run([program, "-L"], capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    # Parts of a GPU (MIG) stand below it, indented; messages such as "No devices found" begin otherwise.
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0
