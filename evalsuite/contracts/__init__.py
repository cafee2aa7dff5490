"""Output contracts, one file each, listed by hand: exact forms that a model is asked to answer in."""

from __future__ import annotations

from evalsuite.contracts.base import Contract, Labels
from evalsuite.contracts.letter import CONTRACT as LETTER

__all__ = ["CONTRACTS", "Contract", "Labels"]

CONTRACTS: dict[str, Contract] = {contract.name: contract for contract in (LETTER,)}
"""Every contract by name."""
