"""Characters that act instead of being seen; texts come from people's files and from models."""

from __future__ import annotations

import re

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Controls (but line feed and tab), bidirectional marks, lone surrogates."""


def visible(text: str) -> str:
    """Text with each of them written as U+XXXX."""
    return CONTROLS.sub(lambda found: f"U+{ord(found[0]):04X}", text)
