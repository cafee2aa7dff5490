"""One model, looked at closely without loading it: files, architecture, chat template, memory."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from evalsuite.config import Prompting
from evalsuite.errors import UserError
from evalsuite.listings.gpus import Gpus
from evalsuite.models import Checkpoint, ModelEntry, find_checkpoint
from evalsuite.models.placement import Need, Placement, need_of, place
from evalsuite.prompts import renderer_for
from evalsuite.types import Tell

THINKING = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<unused94>", "<unused95>"),
    ("<|channel|>analysis", "<|end|>"),
    ("◁think▷", "◁/think▷"),
)
"""Marks around what open-weight models think before they answer: Qwen and DeepSeek, Mistral, Seed, others, MedGemma, gpt-oss, Kimi."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What was found out about one model."""

    lines: tuple[str, ...]
    """A block for a terminal; the first line names the model and says whether it can be used."""
    usable: bool
    """False: something named in the block has to be mended first."""
    is_here: bool
    """True if its files are on this machine, or a server has them."""


def check_model(name: str, entry: ModelEntry, gpus: Gpus, tell: Tell) -> Checked:
    """Look at one model; the hub is not asked.

    Args:
        name: registry name.
        entry: its entry.
        gpus: those that it would run on; none: memory is stated and nothing is concluded from it.
        tell: told of progress in hashing the weights.
    """
    rows: list[tuple[str, str]] = []
    wrong: list[str] = []
    try:
        checkpoint: Checkpoint | None = find_checkpoint(name, entry, offline=True, tell=tell)
    except UserError as error:
        checkpoint = None
        wrong.extend(str(fault) for fault in error.faults)
    rows.append(("weights", _origin(name, entry, checkpoint)))
    if entry.repo:
        rows.append(("gated", "not known" if entry.gated is None else "yes: accept its licence on the hub" if entry.gated else "no"))
    if checkpoint is not None:
        for key, look in (("architecture", _architecture), ("chat", _chat)):
            text, faults = look(entry, checkpoint)
            rows.extend([(key, text)] if text else [])
            wrong.extend(faults)
    if entry.endpoint is None and not entry.is_stub:
        texts, faults = _memory(entry, checkpoint, gpus)
        rows.extend(texts)
        wrong.extend(faults)
    if checkpoint is None and not entry.repo and not entry.path and entry.endpoint is None:
        rows.append(("supply", _to_supply(name, entry)))
    head = f"{name}: {'usable' if not wrong else 'cannot be used as it is'}"
    rows.extend(("wrong", line) for line in wrong)
    return Checked(lines=(head, *(f"  {key:13}{text}" for key, text in rows)), usable=not wrong, is_here=checkpoint is not None)


def _origin(name: str, entry: ModelEntry, checkpoint: Checkpoint | None) -> str:
    mark = "" if checkpoint is None else f"; fingerprint {checkpoint.fingerprint[:12]}"
    if entry.endpoint is not None:
        return f"{entry.endpoint.model} at {entry.endpoint.host}, which cannot be pinned{mark}"
    if entry.path:
        return f"{entry.path}, pinned by its contents{mark}"
    if not entry.repo:
        return "none are named"
    pinned = f"pinned to {entry.revision[:12]}" if entry.revision else f"not pinned (evalsuite models pin {name})"
    seen = "" if entry.verified else ", an id that was not seen printed in a source"
    here = "not here" if checkpoint is None else f"in the local cache at {str(checkpoint.revision)[:12]}"
    return f"{entry.repo}{seen}: {pinned}, {here}{mark}{_format_of(checkpoint)}"


def _format_of(checkpoint: Checkpoint | None) -> str:
    if checkpoint is None or any(file.endswith(".safetensors") for file in checkpoint.files):
        return ""
    return "; .bin, read with weights_only"


def _architecture(entry: ModelEntry, checkpoint: Checkpoint) -> tuple[str, list[str]]:
    if not checkpoint.config or entry.endpoint is not None:
        return "", []
    names = checkpoint.config.get("architectures") or []
    name = str(names[0]) if names else "not named in config.json"
    known = {"transformers": _known_to_transformers(checkpoint.config), "vllm": _known_to_vllm(name)}
    words = {True: "known to {}", False: "unknown to {}", None: "{}is not installed"}
    parts = [words[is_known].format(f"{engine} {_version(engine)}") for engine, is_known in known.items()]
    own_code = "auto_map" in checkpoint.config
    if own_code:
        runs = "run, as" if entry.serving.trust_remote_code else "not run, unless"
        parts.append(f"it brings code of its own, which is {runs} serving.trust_remote_code says so")
    allowed = any(known.values()) or (own_code and entry.serving.trust_remote_code)
    return f"{name}: {', '.join(parts)}", [] if allowed else [f"no engine here knows the architecture {name}"]


def _known_to_transformers(config: Mapping[str, Any]) -> bool | None:
    if importlib.util.find_spec("transformers") is None:
        return None
    from transformers import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING


def _known_to_vllm(architecture: str) -> bool | None:
    """Looked up in the text of vLLM's registry: importing vLLM takes many seconds."""
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:
        return None
    registry = Path(found.origin).parent / "model_executor" / "models" / "registry.py"
    return registry.is_file() and f'"{architecture}"' in registry.read_text(encoding="utf-8")


def _version(engine: str) -> str:
    for distribution in (engine, f"{engine}-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return ""


def _chat(entry: ModelEntry, checkpoint: Checkpoint) -> tuple[str, list[str]]:
    faults = []
    try:
        renderer_for(checkpoint, entry.chat, Prompting())
    except UserError as error:
        faults = [str(fault) for fault in error.faults]
    if checkpoint.takes == "messages":
        return "rendered by the server", faults
    if entry.is_stub:
        return "the stub's", faults
    source = template_source(Path(checkpoint.path))
    own = "its own template" if source else "the checkpoint has no template"
    named = {"own": own, "plain": f"plain text, as models.yaml says ({own} is not used)" if source else "plain text; " + own}
    marks = [f"{first} … {last}" for first, last in THINKING if first in source]
    declared = entry.chat.thinking
    text = f"{named.get(entry.chat.template, Path(entry.chat.template).name)}; "
    text += f"thinking marks found: {', '.join(marks)}" if marks else "no thinking marks found"
    if declared is not None:
        text += f"; declared: {declared[0]} … {declared[1]}"
    elif marks and entry.chat.template != "plain":
        text += "; chat.thinking is null: letters would be asked of a model that may think first"
    return text, faults


def template_source(folder: Path) -> str:
    """The chat template of a checkpoint as text; empty if it has none."""
    for name in ("chat_template.jinja", "chat_template.json", "tokenizer_config.json"):
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if name.endswith(".jinja"):
            return text
        try:
            held = json.loads(text).get("chat_template")
        except (ValueError, AttributeError):
            continue
        if held:
            return held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)
    return ""


def _memory(entry: ModelEntry, checkpoint: Checkpoint | None, gpus: Gpus) -> tuple[list[tuple[str, str]], list[str]]:
    config = checkpoint.config if checkpoint is not None else {}
    need = need_of(
        config,
        entry.serving.dtype,
        parameters_b=entry.parameters_b,
        folder=Path(checkpoint.path) if checkpoint is not None else None,
        files=checkpoint.files if checkpoint is not None else (),
    )
    if need is None:
        return [("memory", "unknown: neither config.json nor parameters_b says enough")], []
    n_tokens = _n_context_tokens(entry, config)
    per_token = need.memory.kv_per_token_bytes
    source = "estimated from parameters_b" if need.estimated else "from config.json"
    cache = f"cache {per_token / 1024:.3g} KiB a token, {_size(per_token * n_tokens / 2**30)} at {n_tokens} tokens"
    rows = [("memory", f"weights {_size(need.memory.weights)} ({entry.serving.dtype}), {cache}; {source}")]
    if not gpus.n_visible:
        rows.append(("GPUs", f"none here ({gpus.why_none}); --gpus N --memory-gib M asks about other ones"))
        return rows, []
    placement = place(need, n_gpus=gpus.n_visible, gpu_gib=gpus.gib, n_context_tokens=n_tokens)
    text, faults = _fit(entry, need, placement, gpus, n_tokens)
    rows.append(("GPUs", f"{gpus.n_visible} x {gpus.gib:.4g} GiB: {text}"))
    return rows, faults


def _size(gib: float) -> str:
    return f"{gib:.2f} GiB" if gib >= 0.1 else f"{gib * 1024:.1f} MiB"


def _n_context_tokens(entry: ModelEntry, config: Mapping[str, Any]) -> int:
    """Longest prompt plus output: models.yaml's bound and the configuration's own."""
    text = config.get("text_config")
    shape = text if isinstance(text, Mapping) else config
    lengths = [entry.serving.max_model_len, shape.get("max_position_embeddings"), shape.get("n_positions")]
    return min((length for length in lengths if isinstance(length, int) and length > 0), default=4096)


def _fit(entry: ModelEntry, need: Need, placement: Placement, gpus: Gpus, n_tokens: int) -> tuple[str, list[str]]:
    """What to say of the declared degree on these GPUs, and what is wrong with it."""
    declared, smallest = entry.serving.tensor_parallel, placement.smallest
    if smallest is None:
        help_text = " or ".join(placement.would_help) or "nothing that is known here"
        return f"does not fit; would fit with {help_text}", [f"does not fit into {gpus.n_visible} x {gpus.gib:.4g} GiB"]
    other = f"serving.tensor_parallel: {smallest} fits"
    if declared > gpus.n_visible:
        return f"tensor_parallel {declared} as declared needs more GPUs; {other}", [f"tensor_parallel {declared}: {other}"]
    if not need.allows(declared):
        return f"tensor_parallel {declared} does not divide the model; {other}", [f"tensor_parallel {declared}: {other}"]
    per_gpu = need.gib_per_gpu(declared, n_tokens)
    if per_gpu > placement.usable_gib:
        shortage = f"tensor_parallel {declared} as declared needs {per_gpu:.1f} of {placement.usable_gib:.1f} GiB on each; {other}"
        return shortage, [f"tensor_parallel {declared} does not fit: {other}"]
    n_cached = need.n_tokens_beside(declared, placement.usable_gib)
    would_do = f", {smallest} would do" if smallest < declared else ""
    only = " (engine vllm)" if declared > 1 else ""
    return f"tensor_parallel {declared} as declared{only} fits{would_do}; {n_cached} tokens of cache beside the weights", []


def _to_supply(name: str, entry: ModelEntry) -> str:
    """What to write where, for an entry that names no weights."""
    relatives = f"base: {entry.base}, " if entry.base else ""
    fields = f"domain: {entry.domain}, {relatives}comparators: [{', '.join(entry.comparators)}], languages: [{', '.join(entry.languages)}]"
    serving = f"serving: {{dtype: {entry.serving.dtype}, tensor_parallel: {entry.serving.tensor_parallel}"
    serving += f", max_model_len: {entry.serving.max_model_len}}}" if entry.serving.max_model_len else "}"
    size = f"parameters_b: {entry.parameters_b:g}, " if entry.parameters_b else ""
    files = "config.json, a tokenizer and *.safetensors (or *.bin)"
    line = f"models: {{{name}: {{path: FOLDER, {fields}, {size}{serving}}}}}"
    return f"a folder with {files}, named in a models.yaml of your working directory, which wins by name:\n{'':15}{line}"
