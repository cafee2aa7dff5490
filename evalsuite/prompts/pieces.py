"""Texts cut where their tokenizer cuts them anyway, so that what many prompts share is tokenized once.

A tokenizer takes added tokens out of a text before anything else; what stands between two of them is normalised, split and merged by itself
(`tokenizers`, `AddedVocabulary.extract_and_normalize`). So a text may be cut in front of such a token: the ids of the parts, one after the
other, are the ids of the whole. Each part but the first begins with the token, since some tokenizers treat the very start of a text
differently. With a chat template that is a part per turn: a system prompt, an exemplar and the template's own marks are tokenized once for
all prompts that hold them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

N_BYTES = 1 << 26
"""Most memory of what is kept, by the estimate below."""
_PER_ID, _PER_CHARACTER = 40, 4
"""Bytes: a place in a tuple and a number; the widest characters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seams:
    """Where a tokenizer's texts may be cut."""

    tokens: re.Pattern[str]
    """Matches what the tokenizer takes out of a text first, the longest where several begin."""
    plain: frozenset[str]
    """Those of them that take nothing of their surroundings with them: in front of these a text may be cut."""


@dataclass(slots=True)
class Kept:
    """Ids of parts of texts, the last used last; what was not used for the longest time makes room."""

    encode: Callable[[str], tuple[int, ...]]
    n_bytes: int = N_BYTES
    found: dict[str, tuple[int, ...]] = field(default_factory=dict)
    n_held: int = 0

    def ids(self, part: str) -> tuple[int, ...]:
        """The part's ids."""
        ids = self.found.pop(part, None)
        if ids is None:
            ids = self.encode(part)
            size = _size(part, ids)
            # Of a text that would take the place of many others no second one is expected.
            if 16 * size > self.n_bytes:
                return ids
            self.n_held += size
            while self.n_held > self.n_bytes:
                oldest = next(iter(self.found))
                self.n_held -= _size(oldest, self.found.pop(oldest))
        self.found[part] = ids
        return ids


def _size(part: str, ids: tuple[int, ...]) -> int:
    return _PER_CHARACTER * len(part) + _PER_ID * len(ids)


def seams_of(added: Iterable[Any]) -> Seams | None:
    """Where texts may be cut; None: nowhere.

    Args:
        added: the tokenizer's added tokens (`tokenizers.AddedToken`).
    """
    # Normalised ones are looked for later, within what stands between the others.
    first = [token for token in added if token.content and not token.normalized]
    plain = frozenset(token.content for token in first if not (token.lstrip or token.rstrip or token.single_word))
    if not plain:
        return None
    longest_first = sorted((token.content for token in first), key=len, reverse=True)
    return Seams(tokens=re.compile("|".join(map(re.escape, longest_first))), plain=plain)


def parts_of(text: str, seams: Seams) -> list[str]:
    """The text, cut in front of every token where that changes no id."""
    starts = [found.start() for found in seams.tokens.finditer(text) if found.start() and found.group() in seams.plain]
    return [text[start:end] for start, end in zip([0, *starts], [*starts, len(text)], strict=True)]
