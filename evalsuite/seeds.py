"""Seeds of every random choice, derived from what is being chosen, so that they do not depend on order or machine."""

from __future__ import annotations

import hashlib


def derive_seed(study_seed: int, *parts: str | int) -> int:
    """A seed in [0, 2**63) from the study's seed and the names of what is being decided.

    sha256 over length-prefixed parts: stable across Python versions and processes, unlike `hash`.
    """
    digest = hashlib.sha256()
    for part in (study_seed, *parts):
        data = str(part).encode()
        digest.update(len(data).to_bytes(4, "big"))
        digest.update(data)
    return int.from_bytes(digest.digest()[:8], "big") >> 1
