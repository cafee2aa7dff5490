"""Loading a checkpoint with transformers, and refusing one that does not fill its model: it would be scored as noise."""

from __future__ import annotations

import importlib.util
from _pickle import UnpicklingError  # nothing is unpickled: the class of torch's refusal to do so
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from evalsuite.engines._transformers_light import find_weights
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import Fault, UserError
from evalsuite.models.transformers_quiet import LOAD_ERRORS, quiet

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A loaded checkpoint and what was found out about it."""

    model: Any
    """The causal language model, in evaluation mode on its device."""
    tokenizer: Any
    """Its tokenizer, used only to decode."""
    device: torch.device
    """Where it lies."""
    n_context_tokens: int
    """Most tokens of prompt plus output."""
    n_vocabulary: int
    """Rows that both the embedding and the output layer have."""
    end_ids: frozenset[int]
    """Ids that end a generation: those of generation_config.json and the tokenizer's."""
    quantisation: str | None
    """Quantisation scheme of the weights, None if none."""
    n_short_rope_tokens: int | None
    """Models with two sets of rotary factors (longrope): the longest sequence that uses the short ones; else None."""


def load_checkpoint(path: str, settings: EngineSettings) -> Checkpoint:
    """Load model and tokenizer from a local folder.

    Args:
        path: the folder.
        settings: those in which `setting_faults` finds nothing.

    Raises:
        UserError: one line for the first thing that is wrong with the folder, the weights or the settings.
    """
    folder = Path(path)
    weights = find_weights(folder)
    device = _device(settings)
    dtype = _dtype(settings, device)
    with quiet():
        config = _read(folder, "config.json", lambda: _config(folder, settings))
        n_context_tokens = _context(folder, config, settings)
        quantisation = _quantisation(folder, config, settings)
        model, info = _read(folder, weights.name, lambda: _model(folder, config, weights, dtype, device, settings))
        _check_filled(folder, weights.name, info)
        tokenizer = _read(folder, "tokenizer", lambda: _tokenizer(folder, settings))
    model.eval().requires_grad_(False)
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    if embeddings is None or head is None:
        raise _fault(folder, "config.json", "no causal language model with an output layer")
    return Checkpoint(
        model=model,
        tokenizer=tokenizer,
        device=device,
        n_context_tokens=n_context_tokens,
        n_vocabulary=min(embeddings.weight.shape[0], head.weight.shape[0]),
        end_ids=_end_ids(model, tokenizer),
        quantisation=quantisation,
        n_short_rope_tokens=_n_short_rope_tokens(config),
    )


def check_checkpoint(folder: Path, settings: EngineSettings) -> bool:
    """Refuse what `load_checkpoint` refuses, reading everything but the values of the weights. For engines that load by other means.

    Returns:
        False if names and shapes of the weights were not compared with the configuration: they are quantised, and how is their
        scheme's own.

    Raises:
        UserError: as `load_checkpoint`.
    """
    weights = find_weights(folder)
    with quiet():
        config = _read(folder, "config.json", lambda: _config(folder, settings))
        _context(folder, config, settings)
        compared = _quantisation(folder, config, settings) is None
        if compared:
            nowhere = torch.device("meta")
            _, info = _read(folder, weights.name, lambda: _model(folder, config, weights, "auto", nowhere, settings))
            _check_filled(folder, weights.name, info)
        _read(folder, "tokenizer", lambda: _tokenizer(folder, settings))
    return compared


def _fault(folder: Path, key: str, allowed: str, value: str = "") -> UserError:
    return UserError(Fault(file=str(folder), key=key, value=value, allowed=allowed))


def _read(folder: Path, key: str, load: Any) -> Any:
    """Call `load`; what transformers says about unusable files becomes one line."""
    try:
        return load()
    except torch.OutOfMemoryError as error:
        raise _fault(folder, key, "the weights do not fit into this device's memory") from error
    except UnpicklingError as error:
        # torch's own words would explain how to run what the file holds
        raise _fault(folder, key, "cannot be loaded: damaged, or holds something else than tensors, which is never run") from error
    except LOAD_ERRORS as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # Advice about the hub would send the user the wrong way: only local files are ever read here.
        cause = next((line for line in lines if "hugging" not in line.lower()), "")
        raise _fault(folder, key, f"cannot be loaded ({type(error).__name__}: {cause[:240]})") from error


def _device(settings: EngineSettings) -> torch.device:
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(settings.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(Fault(file="engine", key="device", value=settings.device, allowed=f"this machine has {found} CUDA devices"))
    return device


def _dtype(settings: EngineSettings, device: torch.device) -> torch.dtype | str:
    if settings.dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    return DTYPES[settings.dtype]


def _config(folder: Path, settings: EngineSettings) -> Any:
    return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=settings.trust_remote_code)


def _tokenizer(folder: Path, settings: EngineSettings) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=settings.trust_remote_code)


def _model(
    folder: Path, config: Any, weights: Path, dtype: torch.dtype | str, device: torch.device, settings: EngineSettings
) -> tuple[Any, dict[str, Any]]:
    """The model on its device, and what the loader says about keys. No attention is named: sdpa where the model supports it, else eager."""
    options: dict[str, Any] = {"attn_implementation": settings.options["attention"]} if "attention" in settings.options else {}
    # Loading straight onto the GPU needs accelerate; without it the weights pass through the host's memory.
    straight = device.type != "cpu" and importlib.util.find_spec("accelerate") is not None
    loader: Any = transformers.AutoModelForCausalLM
    model, info = loader.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        device_map={"": device} if straight else None,
        use_safetensors=".safetensors" in weights.name,
        local_files_only=True,
        trust_remote_code=settings.trust_remote_code,
        output_loading_info=True,
        **options,
    )
    return (model if straight or device.type == "cpu" else model.to(device)), info


def _check_filled(folder: Path, weights: str, info: dict[str, Any]) -> None:
    """Every weight of the model came from the file, and every weight of the file has a place in the model."""
    problems = (
        ("missing_keys", "weights of the model are not in the file and would be random"),
        ("mismatched_keys", "weights have another shape than config.json says"),
        ("unexpected_keys", "weights of the file have no place in the model that config.json describes"),
        ("error_msgs", "weights could not be read"),
    )
    for key, line in problems:
        names = sorted(str(name) for name in info[key])
        if names:
            raise _fault(folder, weights, f"{len(names)} {line}, first {names[0]}")


def _context(folder: Path, config: Any, settings: EngineSettings) -> int:
    own = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    if own is None and settings.max_model_len is None:
        raise _fault(folder, "config.json", "says nothing about the context length; give serving.max_model_len in models.yaml")
    return min(length for length in (own, settings.max_model_len) if length is not None)


def _quantisation(folder: Path, config: Any, settings: EngineSettings) -> str | None:
    scheme = getattr(config, "quantization_config", None)
    found = scheme.get("quant_method") if isinstance(scheme, dict) else getattr(scheme, "quant_method", None)
    own = None if found is None else str(getattr(found, "value", found))
    if settings.quantisation is not None and settings.quantisation != own:
        raise _fault(folder, "quantisation", f"the checkpoint's own scheme is {own or 'none'}", settings.quantisation)
    return own


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Stop ids of generation_config.json (transformers falls back to config.json) and the tokenizer's; nothing else of either is used."""
    declared = model.generation_config.eos_token_id if model.generation_config is not None else None
    listed = declared if isinstance(declared, list | tuple) else [declared]
    return frozenset(int(token) for token in (*listed, tokenizer.eos_token_id) if token is not None)


def _n_short_rope_tokens(config: Any) -> int | None:
    rope = getattr(config.get_text_config(decoder=True), "rope_parameters", None)
    if not isinstance(rope, dict) or rope.get("rope_type") != "longrope":
        return None
    return int(rope["original_max_position_embeddings"])
