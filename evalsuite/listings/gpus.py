"""The GPUs of this machine, asked of the driver: no heavy import."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from evalsuite.engines import n_cuda_devices
from evalsuite.errors import Fault, UserError

_TIMEOUT_S = 2.0
"""`doctor` answers within three seconds, also where a driver hangs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpus:
    """GPUs that one process may use."""

    names: tuple[str, ...]
    """Names of all that the driver lists, or of those that are only supposed."""
    n_visible: int
    """How many of them $CUDA_VISIBLE_DEVICES leaves."""
    gib: float
    """Memory of the smallest, in GiB; 0 if there is none."""
    driver: str
    """Version of the driver; empty if there is none or it was only supposed."""
    why_none: str = ""
    """Why there is none."""


def asked_gpus(n_gpus: int | None, gib: float | None) -> Gpus:
    """GPUs that a person asks about, or those of this machine.

    Raises:
        UserError: a number without a size, and none here to take it from.
    """
    if n_gpus is None and gib is None:
        return found()
    here = Gpus(names=(), n_visible=0, gib=0.0, driver="") if n_gpus and gib else found()
    n_gpus, gib = n_gpus or here.n_visible or 1, gib or here.gib
    if not gib:
        raise UserError(Fault(file="command line", key="--memory-gib", value="", allowed="the memory of one GPU, e.g. 80: none is here"))
    return Gpus(names=(f"{gib:g} GiB",) * n_gpus, n_visible=n_gpus, gib=gib, driver="")


def found() -> Gpus:
    """GPUs of this machine."""

    def none(why: str) -> Gpus:
        return Gpus(names=(), n_visible=0, gib=0.0, driver="", why_none=why)

    program = shutil.which("nvidia-smi")
    if program is None:
        return none("no nvidia-smi")
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        # A program found on the PATH and fixed arguments.
        done = subprocess.run(query, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return none("nvidia-smi does not answer")
    if done.returncode:
        return none("nvidia-smi finds no driver")
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.count(",") == 2]
    sizes = [float(size) / 1024 for _, size, _ in rows if size.replace(".", "", 1).isdecimal()]
    if not rows or len(sizes) < len(rows):
        return none("nvidia-smi lists no GPU with memory of its own")
    n_visible = n_cuda_devices()
    why = "" if n_visible else "$CUDA_VISIBLE_DEVICES leaves none of them"
    return Gpus(names=tuple(name for name, _, _ in rows), n_visible=n_visible, gib=min(sizes), driver=rows[0][2], why_none=why)
