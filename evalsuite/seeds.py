"""Seeds of every random choice, derived from what is being chosen, so that they do not depend on order or machine."""

from __future__ import annotations

import hashlib


def derive_seed(study_seed: int, *parts: str | int) -> int:
    """A seed in [0, 2**63) from the study's seed and the names of what is being decided.

    sha256 over length-prefixed parts: stable across Python versions and processes, unlike `hash`.
    """
    named = [str(part).encode() for part in (study_seed, *parts)]
    content = b"".join([len(data).to_bytes(4, "big") + data for data in named])
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 1
