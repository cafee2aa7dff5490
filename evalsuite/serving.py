"""How a model will be served: the study's engine over the model's entry, `auto` settled; and what may be sent to whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalsuite.cards import TaskCard
from evalsuite.config import Study
from evalsuite.engines import has_cuda
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import Fault, UserError
from evalsuite.models import Checkpoint, ModelEntry
from evalsuite.models.endpoints import EndpointEntry, is_loopback

PACE = ("max_concurrency", "requests_per_minute", "timeout_s")
"""Options of a server that a study may set for all its servers: how they are asked, never who answers."""


def settings_for(study: Study, entry: ModelEntry, checkpoint: Checkpoint) -> EngineSettings:
    """How a checkpoint will be loaded: the study's engine over the model's serving, `auto` settled by what is there.

    `auto` device is CUDA where an NVIDIA driver answers. `auto` dtype is the checkpoint's own on CUDA and float32 on a CPU.
    It is settled here, before anything is loaded, because the dtype is part of every request's key.
    """
    if entry.endpoint is not None:
        return _server_settings(study, entry, entry.endpoint)
    device = study.engine.device
    if device == "auto":
        device = "cuda" if has_cuda() else "cpu"
    dtype: str = study.engine.dtype if study.engine.dtype != "auto" else entry.serving.dtype
    if checkpoint.path.startswith("stub:") or study.engine.name == "stub":
        device, dtype = "cpu", "none"
    elif dtype == "auto":
        dtype = "float32" if device == "cpu" else _own_dtype(checkpoint)
    return EngineSettings(
        name="stub" if checkpoint.path.startswith("stub:") else study.engine.name,
        dtype=dtype,
        quantisation=entry.serving.quantisation,
        device=device,
        max_model_len=entry.serving.max_model_len,
        tensor_parallel=entry.serving.tensor_parallel,
        trust_remote_code=entry.serving.trust_remote_code,
        options=dict(study.engine.options),
    )


def _server_settings(study: Study, entry: ModelEntry, endpoint: EndpointEntry) -> EngineSettings:
    """How a server is asked; which engine the study names for other models makes no difference to it."""
    options: dict[str, Any] = endpoint.as_options()
    for name, value in study.engine.options.items() if study.engine.name == "openai" else ():
        if name in endpoint.__class__.model_fields and name not in PACE:
            allowed = f"decides who answers, and belongs to models.yaml; here may stand {', '.join(PACE)}"
            raise UserError(Fault(file="study.yaml", key=f"engine.{name}", value="", allowed=allowed))
        options[name] = value
    return EngineSettings(
        name="openai",
        # Nobody here can see what the server computes with.
        dtype="unknown",
        quantisation=entry.serving.quantisation,
        device=endpoint.host,
        max_model_len=entry.serving.max_model_len,
        options=options,
    )


def _own_dtype(checkpoint: Checkpoint) -> str:
    """What config.json says the weights are; a guess would compute with other numbers than the study says. Raises UserError."""
    for held in (checkpoint.config, checkpoint.config.get("text_config") or {}):
        named = held.get("dtype") or held.get("torch_dtype")
        if named:
            return str(named)
    allowed = "float32, float16 or bfloat16: config.json does not say what the weights are"
    raise UserError(Fault(file="models.yaml", key=f"models.{checkpoint.name}.serving.dtype", value="auto", allowed=allowed))


def restricted_to_hosts(study: Study, entries: Mapping[str, ModelEntry], cards: Sequence[TaskCard]) -> Iterator[tuple[str, str]]:
    """(host, what is wrong) of every host that would get texts of a restricted task without the study's consent.

    This machine may have them; any other only if `engine.send_restricted_to` names it.

    Args:
        study: the study.
        entries: its models by name.
        cards: its tasks.
    """
    restricted = ", ".join(card.name for card in cards if card.restricted)
    consented = {host.lower() for host in study.engine.send_restricted_to}
    hosts = {entry.endpoint.host: name for name, entry in entries.items() if entry.endpoint is not None}
    for host, model in hosts.items() if restricted else ():
        if not is_loopback(host) and host not in consented:
            yield host, f"{restricted}: restricted, and {model} is answered by this host; name it here only if their terms let it have them"
