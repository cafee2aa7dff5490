"""Output contracts, one file each, listed by hand: exact forms that a model is asked to answer in."""

from __future__ import annotations

from evalsuite.contracts import json_object, letter, other_language, refuse, sentence, tag, text, words
from evalsuite.contracts.base import Contract, Labels, asked

__all__ = ["CONTRACTS", "Contract", "Labels", "asked"]

CONTRACTS: dict[str, Contract] = {
    module.CONTRACT.name: module.CONTRACT for module in (letter, json_object, sentence, other_language, tag, words, text, refuse)
}
"""Every contract by name."""
