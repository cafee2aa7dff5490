"""Tokenizers behind one small face: text to ids, nothing added, nothing cut."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Protocol

from evalsuite import bytetext
from evalsuite.errors import Fault, UserError
from evalsuite.prompts.pieces import Kept, Seams, parts_of, seams_of
from evalsuite.prompts.tokenizer_classes import read_tokenizer

OPEN, CLOSE = "\ufdd0", "\ufdd1"
"""Marks around text of a message that spells a control token. Unicode noncharacters: never part of a text."""
_MARKED = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}|[{OPEN}{CLOSE}]")


class TextEncoder(Protocol):
    """What the renderer needs of a tokenizer."""

    @property
    def bos_id(self) -> int | None:
        """Id of the token that starts a text; None if there is none."""
        ...

    @property
    def bos_text(self) -> str:
        """How that token is spelled; empty if there is none."""
        ...

    @property
    def adds_bos(self) -> bool:
        """True if the tokenizer puts it in front of every text by itself."""
        ...

    @property
    def eos_id(self) -> int | None:
        """Id of the token that ends a text."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """Id that stands for what the vocabulary lacks."""
        ...

    @property
    def control(self) -> re.Pattern[str] | None:
        """Matches text that would be read as a control token; None if no text can be."""
        ...

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids; control tokens that are spelled out become control tokens. Nothing is added or cut."""
        ...

    def encode_as_text(self, text: str) -> tuple[int, ...]:
        """Ids; control tokens that are spelled out stay ordinary text."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ByteEncoder:
    """UTF-8 bytes, for the stub engine."""

    bos_id: int | None = bytetext.BOS
    bos_text: str = "<|bos|>"
    adds_bos: bool = True
    eos_id: int | None = bytetext.EOS
    unknown_id: int | None = None
    control: re.Pattern[str] | None = None

    def encode(self, text: str) -> tuple[int, ...]:
        """One id per byte."""
        return bytetext.encode(text)

    def encode_as_text(self, text: str) -> tuple[int, ...]:
        """One id per byte."""
        return bytetext.encode(text)


@dataclass(frozen=True, kw_only=True)
class CheckpointEncoder:
    """A checkpoint's own tokenizer."""

    tokenizer: Any = field(repr=False)
    """transformers tokenizer."""
    bos_id: int | None
    bos_text: str
    adds_bos: bool
    eos_id: int | None
    unknown_id: int | None
    control: re.Pattern[str] | None
    seams: Seams | None = None
    """Where texts may be cut without a change of ids; None: nowhere."""
    kept: Kept = field(init=False, repr=False, compare=False)
    """Ids of the parts of texts that were read before."""

    def __post_init__(self) -> None:
        """Start with nothing kept."""
        object.__setattr__(self, "kept", Kept(encode=partial(self._ids, as_text=False)))

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids with control tokens recognised."""
        if self.seams is None:
            return self._ids(text, as_text=False)
        parts = parts_of(text, self.seams)
        return self.kept.ids(text) if len(parts) == 1 else tuple(chain.from_iterable(map(self.kept.ids, parts)))

    def encode_as_text(self, text: str) -> tuple[int, ...]:
        """Ids with control tokens taken as text."""
        return self._ids(text, as_text=True)

    def _ids(self, text: str, *, as_text: bool) -> tuple[int, ...]:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return tuple(self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=as_text))
        if backend.encode_special_tokens != as_text:
            backend.encode_special_tokens = as_text
        # Without offsets, which nobody reads: the same ids in three quarters of the time of `encode`.
        return tuple(backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    @property
    def special_tokens(self) -> Mapping[str, str]:
        """What the tokenizer calls its special tokens, for the template."""
        return {name: str(token) for name, token in self.tokenizer.special_tokens_map.items() if isinstance(token, str)}


def open_tokenizer(model: str, path: str) -> CheckpointEncoder:
    """A checkpoint's tokenizer from a local folder; never asks the hub, never runs the checkpoint's code.

    Truncation and padding that a tokenizer.json may carry are switched off: a prompt is never cut.

    Raises:
        UserError: it cannot be read.
    """
    try:
        tokenizer = read_tokenizer(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise UserError(Fault(file=f"model {model}", key="tokenizer", value=path, allowed=f"cannot be read: {reason}")) from None
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
    bos = tokenizer.bos_token_id
    by_default = list(tokenizer.encode("x"))
    special = sorted({token.content for token in tokenizer.added_tokens_decoder.values() if token.special}, key=len, reverse=True)
    return CheckpointEncoder(
        tokenizer=tokenizer,
        bos_id=bos,
        bos_text=str(tokenizer.bos_token) if bos is not None else "",
        adds_bos=bos is not None and (by_default[:1] == [bos] or bool(getattr(tokenizer, "add_bos_token", False))),
        eos_id=tokenizer.eos_token_id,
        unknown_id=tokenizer.unk_token_id,
        control=re.compile("|".join(map(re.escape, special))) if special else None,
        seams=None if backend is None else seams_of(backend.get_added_tokens_decoder().values()),
    )


def mark(text: str, control: re.Pattern[str] | None) -> str:
    """Mark text that spells control tokens, so that no sample can speak the template's marks.

    Noncharacters that are already there are dropped.
    """
    if OPEN in text or CLOSE in text:
        text = text.replace(OPEN, "").replace(CLOSE, "")
    return control.sub(f"{OPEN}\\g<0>{CLOSE}", text) if control else text


def unmark(text: str) -> str:
    """The text as people read it."""
    return text.replace(OPEN, "").replace(CLOSE, "")


def encode_marked(encoder: TextEncoder, text: str) -> tuple[int, ...]:
    """Ids of a text in which marked parts are ordinary text whatever they spell."""
    if OPEN not in text and CLOSE not in text:
        return encoder.encode(text)
    pieces = _MARKED.split(text)
    ids = list(encoder.encode(pieces[0]))
    for position, piece in enumerate(pieces[1:], start=1):
        if piece:
            ids.extend(encode_inner(encoder, piece, as_text=position % 2 == 1))
    return tuple(ids)


def encode_inner(encoder: TextEncoder, text: str, *, as_text: bool = False) -> tuple[int, ...]:
    """Ids of a text as it stands in the middle of another.

    Encoded after a line break, which is cut off again, since SentencePiece vocabularies put a space in front of what
    starts a text.
    """
    encode = encoder.encode_as_text if as_text else encoder.encode
    head, whole = encode("\n"), encode("\n" + text)
    return whole[len(head) :] if whole[: len(head)] == head else encode(text)
