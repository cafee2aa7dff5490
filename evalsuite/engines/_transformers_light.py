"""What can be said of the transformers engine and its settings without importing it: torch takes seconds."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

from evalsuite.engines._cuda import n_cuda_devices
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.types import Kind

KINDS: frozenset[Kind] = frozenset({"generate", "next", "continuation", "prompt", "embed"})
DTYPES = ("float32", "float16", "bfloat16")
ATTENTION = ("sdpa", "eager")
OPTIONS = ("batch_tokens", "attention", "share_prefixes", "kv_cache_gib", "streams")
LIBRARIES = ("torch", "transformers")
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""In the order of preference; the `.bin` files are read by torch with `weights_only`, so that no code in them runs."""


def check(path: str, settings: EngineSettings) -> tuple[Fault, ...]:
    """Everything that would keep `load` from loading this folder and that is seen without loading it."""
    return (*setting_faults(settings), *_machine_faults(settings), *weight_faults(path))


def kinds_of(path: str) -> frozenset[Kind]:
    """All five, whatever the checkpoint."""
    del path
    return KINDS


def setting_faults(settings: EngineSettings) -> tuple[Fault, ...]:
    """Settings and options that the engine cannot obey on any machine."""
    return tuple(Fault(file="engine", key=key, value=value, allowed=allowed) for key, value, allowed in _setting_faults(settings))


def weight_faults(path: str) -> tuple[Fault, ...]:
    """What keeps a folder from being a checkpoint with whole weights, as far as its files show."""
    try:
        find_weights(Path(path))
    except UserError as error:
        return error.faults
    return ()


def find_weights(folder: Path) -> Path:
    """The weights file, or the index of its shards; every shard is there.

    Raises:
        UserError: no checkpoint, no weights, a shard that is missing, or an adapter.
    """
    if not folder.is_dir():
        raise _fault(folder, "", "no such folder; a checkpoint is a local folder with config.json, weights and tokenizer")
    if not (folder / "config.json").is_file():
        raise _fault(folder, "config.json", "missing; this folder is no checkpoint")
    if (folder / "adapter_config.json").is_file():
        # transformers applies an adapter or not, depending on whether peft is installed: two models under one name.
        raise _fault(folder, "adapter_config.json", "adapters are not applied; merge it into the weights and remove this file")
    weights = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    if weights is None:
        raise _fault(folder, "model.safetensors", "no weights in this folder; copy or fetch them again")
    if weights.suffix == ".json":
        try:
            shards = sorted(set(json.loads(weights.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _fault(folder, weights.name, "not a valid index of weight files") from error
        missing = [name for name in shards if not (folder / name).is_file()]
        if missing:
            raise _fault(folder, weights.name, f"{len(missing)} of {len(shards)} weight files are missing, first {missing[0]}")
    return weights


def _fault(folder: Path, key: str, allowed: str) -> UserError:
    return UserError(Fault(file=str(folder), key=key, value="", allowed=allowed))


def _setting_faults(settings: EngineSettings) -> Iterator[tuple[str, str, str]]:
    """(key, value, allowed) of each fault."""
    for name, value in settings.options.items():
        if name not in OPTIONS:
            yield name, str(value), nearest(name, OPTIONS)
        if name == "attention" and value not in ATTENTION:
            yield name, str(value), "sdpa or eager"
        if name in ("batch_tokens", "streams") and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            yield name, str(value), "a whole number of 1 or more"
        if name == "share_prefixes" and not isinstance(value, bool):
            yield name, str(value), "true or false"
        if name == "kv_cache_gib" and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
            yield name, str(value), "a number above 0"
    if settings.tensor_parallel != 1:
        yield "tensor_parallel", str(settings.tensor_parallel), "the transformers engine uses one device; only 1"
    if settings.dtype not in (*DTYPES, "auto"):
        yield "dtype", settings.dtype, nearest(settings.dtype, [*DTYPES, "auto"])
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", settings.device):
        yield "device", settings.device, "auto, cpu, cuda or cuda:N"
    if settings.max_model_len is not None and settings.max_model_len < 1:
        yield "max_model_len", str(settings.max_model_len), "1 or more"


def _machine_faults(settings: EngineSettings) -> Iterator[Fault]:
    """What this machine lacks: a library, the driver, a GPU of that number, or a torch that can use it."""
    for library in LIBRARIES:
        if importlib.util.find_spec(library) is None:
            allowed = f"needs the library `{library}`, which is not installed"
            yield Fault(file="engine", key="name", value=settings.name, allowed=allowed)
    if not re.fullmatch(r"cuda(:\d+)?", settings.device):
        return
    index, n_devices = int(settings.device.partition(":")[2] or 0), n_cuda_devices()
    if index >= n_devices:
        allowed = f"this machine has {n_devices} CUDA devices (as `nvidia-smi -L` and $CUDA_VISIBLE_DEVICES say)"
        yield Fault(file="engine", key="device", value=settings.device, allowed=allowed)
    elif _torch_is_without_cuda():
        allowed = "the installed torch is built without CUDA; install one with it, or take device: cpu"
        yield Fault(file="engine", key="device", value=settings.device, allowed=allowed)


def _torch_is_without_cuda() -> bool:
    """True only if torch says so in its own list of versions, read as text; in doubt loading will tell."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    versions = Path(found.origin).with_name("version.py")
    return versions.is_file() and re.search(r"^cuda\b.*= None$", versions.read_text(encoding="utf-8"), re.MULTILINE) is not None
