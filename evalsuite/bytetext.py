"""Text as bytes: the tokenizer of the stub engine, shared with the renderer. Ids 0 to 255 are UTF-8 bytes."""

from __future__ import annotations

from collections.abc import Sequence

BOS = 256
"""Id that starts a prompt; never part of a text."""

EOS = 257
"""Id that ends an answer; never part of a text."""

N_VOCABULARY = 258
"""Bytes, BOS and EOS."""


def encode(text: str) -> tuple[int, ...]:
    """Ids of a text, one per UTF-8 byte, without BOS or EOS.

    Raises:
        UnicodeEncodeError: the text holds a lone surrogate.
    """
    return tuple(text.encode("utf-8"))


def decode(ids: Sequence[int]) -> str:
    """Text of ids; BOS and EOS are left out, broken UTF-8 becomes U+FFFD.

    Raises:
        ValueError: an id outside [0, 257].
    """
    # Nearly every prompt is one BOS and bytes, and nearly every answer bytes: those need no look at each id.
    try:
        return bytes(ids[1:] if ids and ids[0] == BOS else ids).decode("utf-8", errors="replace")
    except ValueError:
        pass
    if any(not 0 <= token < N_VOCABULARY for token in ids):
        raise ValueError(f"token id outside [0, {N_VOCABULARY - 1}]")
    return bytes(token for token in ids if token < BOS).decode("utf-8", errors="replace")
