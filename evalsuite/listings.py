"""What exists and whether it can be used here: lines for `list`, `show`, `check` and `doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from evalsuite.config import Prompting
from evalsuite.data import load_split, locate
from evalsuite.engines import ENGINES
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.formats import default_wording, lay_out
from evalsuite.models import ModelEntry, find_checkpoint, load_registry, memory_gib
from evalsuite.plugins import load_specs
from evalsuite.prompts import conversation, open_renderer
from evalsuite.store import Store
from evalsuite.strategies.options import FormatOptions
from evalsuite.tasks import Task, find_tasks
from evalsuite.types import Sample


def _source_of(entry: ModelEntry) -> str:
    return entry.repo or entry.path or "nothing: supply a path"


def model_lines() -> list[str]:
    """One line per model: name, domain, base, size, languages, where it comes from and whether that is pinned."""
    registry = load_registry()
    width = max(len(name) for name in registry)
    lines = []
    for name, entry in sorted(registry.items()):
        pinned = "" if entry.path else f" @ {entry.revision[:12]}" if entry.revision else " (not pinned)" if entry.repo else ""
        size = f"{entry.parameters_b:g}B" if entry.parameters_b else "?"
        base = f"from {entry.base}" if entry.base else ""
        lines.append(
            f"{name:{width}}  {entry.domain:10}  {size:>8}  {','.join(entry.languages):8}  {_source_of(entry)}{pinned}  {base}".rstrip()
        )
    return lines


def _entry(name: str) -> ModelEntry:
    registry = load_registry()
    if name not in registry:
        raise UserError(Fault(file="models.yaml", key="models", value=name, allowed=f"no such model; {nearest(name, registry)}"))
    return registry[name]


def model_card_lines(name: str) -> list[str]:
    """Everything models.yaml says of a model; null is shown as `unknown`."""
    entry = _entry(name)
    lines = [f"{name}   ({entry.file})"]
    for key, value in entry.model_dump(mode="json").items():
        shown = ", ".join(f"{k}: {v}" for k, v in value.items() if v not in (None, [], "")) if isinstance(value, dict) else value
        lines.append(f"  {key:18} {'unknown' if shown is None else shown}")
    return lines


def model_check_lines(names: tuple[str, ...]) -> tuple[list[str], bool]:
    """Whether models can be used here; the second value is False if one cannot."""
    lines: list[str] = []
    complete = True
    for name in names or tuple(load_registry()):
        entry = _entry(name)
        try:
            # Asking the hub for gigabytes is not a check.
            checkpoint = find_checkpoint(name, entry, offline=True)
            open_renderer(checkpoint, entry.chat, Prompting())
        except UserError as error:
            complete = False
            lines.extend(f"{name}: {fault}" for fault in error.faults)
            continue
        lines.append(f"{name}: usable; fingerprint {checkpoint.fingerprint[:12]}{_memory_text(checkpoint.config, entry)}")
    return lines, complete


def _memory_text(config: Mapping[str, Any], entry: ModelEntry) -> str:
    if not config:
        return ""
    memory = memory_gib(config, parameters_b=entry.parameters_b)
    return f"; weights {memory.weights:.2f} GiB, {memory.kv_per_token_bytes / 1024:.0f} KiB of cache a token"


def task_lines() -> list[str]:
    """One line per task: name, kind, language, evaluated split and size, metric, and where its data would be read."""
    tasks = find_tasks()
    width = max(len(name) for name in tasks)
    lines = []
    for name, task in sorted(tasks.items()):
        card = task.card
        n_rows = card.splits[card.split].n_rows
        where = _data_place(task, card.split)
        size = "?" if n_rows is None else str(n_rows)
        lines.append(f"{name:{width}}  {card.kind:7} {card.language}  {card.split}: {size:>6}  {card.metric:16} {where}")
    return lines


def _data_place(task: Task, split: str) -> str:
    try:
        place = locate(task, split, {})
    except UserError:
        return "no data here"
    return place.how


def _task(name: str) -> Task:
    tasks = find_tasks()
    if name not in tasks:
        raise UserError(Fault(file="tasks", key="", value=name, allowed=f"no such task; {nearest(name, tasks)}"))
    return tasks[name]


def task_card_lines(name: str, model: str | None, number: int, form: str) -> list[str]:
    """A task's card and, where its data are and may be shown, one sample as it is asked."""
    task = _task(name)
    card = task.card
    lines = [f"{name}: {card.description}"]
    for key in ("kind", "language", "licence", "citation", "hub_id", "hub_config", "revision", "metric", "metrics", "chance", "restricted"):
        value: Any = getattr(card, key)
        lines.append(f"  {key:12} {'none' if value is None else value}")
    for split, expected in card.splits.items():
        left_out = "".join(f", {n} left out: {reason}" for reason, n in expected.excluded.items())
        role = " (evaluated)" if split == card.split else " (exemplars)" if split == card.exemplar_split else ""
        lines.append(f"  split {split}: {'unknown' if expected.n_rows is None else expected.n_rows} rows{left_out}{role}")
    lines.extend(f"  known issue {issue}: {text}" for issue, text in card.known_issues.items())
    if card.restricted:
        return [*lines, "  samples are restricted and not shown"]
    samples = load_split(task, card.split, {}).samples
    if number >= len(samples):
        raise UserError(Fault(file="command line", key="--sample", value=str(number), allowed=f"0 to {len(samples) - 1}"))
    return [*lines, "", *_sample_lines(task, samples[number], model, form)]


def _sample_lines(task: Task, sample: Sample, model: str | None, form: str) -> list[str]:
    card = task.card
    chosen = FormatOptions.model_validate({"format": form}).form_for(card)
    wording = card.wording or default_wording(card.language)
    layout = lay_out(sample, chosen, wording)
    messages = conversation(wording.instruction, [], layout)
    head = f"sample {sample.id}, group {sample.group}, format {chosen}"
    right = ", ".join(sample.choices[target] for target in sample.targets) or " | ".join(sample.references)
    if model is None:
        return [head, "-" * 40, *(message.text for message in messages), "-" * 40, f"right: {right}"]
    entry = _entry(model)
    renderer = open_renderer(find_checkpoint(model, entry), entry.chat, Prompting())
    prompt = renderer.render(messages, joint=layout.joint)
    return [f"{head}, {len(prompt.token_ids)} tokens for {model}", "-" * 40, prompt.text, "-" * 40, f"right: {right}"]


def task_check_lines(names: tuple[str, ...]) -> tuple[list[str], bool]:
    """Whether tasks can be read here; the second value is False if a named task cannot, or any has bad data."""
    lines: list[str] = []
    complete = True
    tasks = find_tasks()
    for name in names or tuple(sorted(tasks)):
        task = _task(name)
        for split in task.card.splits:
            try:
                place = locate(task, split, {})
            except UserError as error:
                lines.append(f"{name}/{split}: {error.faults[0].allowed}")
                complete = complete and not (names and split == task.card.split)
                continue
            if place.path is None:
                lines.append(f"{name}/{split}: on the hub, not read")
                continue
            try:
                data = load_split(task, split, {})
            except UserError as error:
                complete = False
                lines.extend(f"{name}/{split}: {fault}" for fault in error.faults)
                continue
            lines.append(f"{name}/{split}: {len(data.samples)} samples, {len(data.excluded)} left out")
    return lines, complete


def spec_lines(package: ModuleType) -> list[str]:
    """Plugins of a package with their options, defaults and sources."""
    lines = []
    for name, spec in load_specs(package).items():
        lines.append(f"{name}: {spec.summary}")
        for option, info in spec.options.model_fields.items():
            default = "required" if info.is_required() else f"default {info.default!r}"
            lines.append(f"    {option}: {default}")
        if spec.source != "-":
            lines.append(f"    source: {spec.source}")
    return lines


def store_lines(folder: Path) -> tuple[list[str], bool]:
    """What a store holds; the second value is False if a line is damaged or two answers to one key differ."""
    with Store(folder) as store:
        stats = store.stats()
    lines = [
        f"{folder}: {stats.n_answers} answers in {stats.n_files} files",
        f"  {stats.n_transient} keys with nothing but transient failures",
        f"  {stats.n_repeated} repeated, {stats.n_conflicts} of them with another outcome than the one that counts",
        *(f"  damaged line: {place}" for place in stats.damaged),
    ]
    return lines, not stats.damaged and not stats.n_conflicts


def doctor_lines() -> list[str]:
    """This machine: what there is, and what is missing for which command."""
    lines = [
        f"python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} processors ({sys.executable})"
    ]
    lines.append(f"GPUs: {_gpus()}")
    for package, purpose in (
        ("torch", "engine transformers"),
        ("transformers", "tokenizers; engine transformers"),
        ("vllm", "engine vllm"),
        ("lm-eval", "`lm_eval:` tasks"),
        ("datasets", "data from the hub"),
        ("pandas", "statistics"),
        ("matplotlib", "figures"),
    ):
        try:
            lines.append(f"  {package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"  {package} is missing: {purpose} will not work (pip install {package})")
    found = [name for name in ENGINES if name == "stub" or importlib.util.find_spec(name if name != "openai" else "httpx")]
    lines.append(f"engines: {', '.join(found)}")
    for variable in (
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "HF_ENDPOINT",
        "EVALSUITE_DATA",
        "EVALSUITE_TASKS",
        "EVALSUITE_STORE",
        "EVALSUITE_MODELS",
        "EVALSUITE_CACHE",
        "CUDA_VISIBLE_DEVICES",
    ):
        lines.append(f"  {variable} = {os.environ.get(variable, 'not set')}")
    lines.append(f"  HF_TOKEN is {'set' if os.environ.get('HF_TOKEN') else 'not set (gated models cannot be fetched)'}")
    usage = shutil.disk_usage(Path.cwd())
    lines.append(f"disk: {usage.free / 2**30:.0f} GiB free here")
    return lines


def _gpus() -> str:
    if shutil.which("nvidia-smi") is None:
        return "none (no nvidia-smi): models run on the CPU"
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    # A fixed program name and fixed arguments.
    done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    return "; ".join(done.stdout.split("\n")).strip("; ") if done.returncode == 0 else "nvidia-smi does not answer"
