"""The registry of models, their weights on this machine, and whether those fit into memory."""

from __future__ import annotations

from evalsuite.models.checkpoints import Checkpoint, find_checkpoint
from evalsuite.models.entries import ChatEntry, ModelEntry, ServingEntry
from evalsuite.models.fingerprints import fingerprint
from evalsuite.models.memory import Fit, Memory, fit, memory_gib
from evalsuite.models.registry import default_pairs, load_registry, registry_files

__all__ = [
    "ChatEntry",
    "Checkpoint",
    "Fit",
    "Memory",
    "ModelEntry",
    "ServingEntry",
    "default_pairs",
    "find_checkpoint",
    "fingerprint",
    "fit",
    "load_registry",
    "memory_gib",
    "registry_files",
]
