"""Who says what, before any template; and what differs between two rendered prompts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal

from evalsuite.errors import Fault
from evalsuite.formats import Layout
from evalsuite.models import ChatEntry
from evalsuite.types import Message, Prompt

BREAK = "\n\n"
"""What stands between instruction, exemplars and question within one turn, and between turns without a template."""


def conversation(
    instruction: str,
    shots: Sequence[tuple[Layout, str]],
    layout: Layout,
    system: str | None = None,
    shots_as: Literal["turns", "text"] | str = "turns",
) -> tuple[Message, ...]:
    """Messages that ask one sample.

    Args:
        instruction: stands once, at the start of the first user turn; empty: none.
        shots: exemplars in order, each a layout and its right answer.
        layout: the sample.
        system: text of the system turn; None: no system turn.
        shots_as: `turns`: each exemplar is a user and an assistant turn; `text`: all stand in the one user turn.

    Raises:
        ValueError: `shots_as` is neither.
    """
    if shots_as not in ("turns", "text"):
        raise ValueError(f"shots_as = {shots_as}: turns or text")
    messages = [] if system is None else [Message(role="system", text=system)]
    opening = [instruction] if instruction else []
    if shots_as == "text":
        blocks = [*opening, *(f"{shot.user}{shot.joint}{answer}" for shot, answer in shots), layout.user]
        return (*messages, Message(role="user", text=BREAK.join(blocks)))
    for shot, answer in shots:
        messages.append(Message(role="user", text=BREAK.join([*opening, shot.user])))
        messages.append(Message(role="assistant", text=answer))
        opening = []
    return (*messages, Message(role="user", text=BREAK.join([*opening, layout.user])))


def fold_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same conversation with system text at the head of the first user turn; an empty system text vanishes."""
    spoken = [message for message in messages if message.role != "system"]
    system = BREAK.join(message.text for message in messages if message.role == "system" and message.text)
    if not system or not spoken:
        return tuple(spoken)
    return (Message(role=spoken[0].role, text=f"{system}{BREAK}{spoken[0].text}"), *spoken[1:])


def plain_text(messages: Sequence[Message], joint: str) -> str:
    """A conversation without template: question, joint and answer, then an empty line and the next question."""
    parts = []
    for position, message in enumerate(fold_system(messages)):
        before = "" if position == 0 else joint if message.role == "assistant" else BREAK
        parts.append(f"{before}{message.text}")
    return "".join(parts)


def check_letters(chat: ChatEntry, model: str = "") -> Fault | None:
    """Fault if the next token cannot be a letter: a thinking model speaks its thoughts first (DESIGN 2.5).

    Args:
        chat: the model's chat entry.
        model: registry name, for the fault.
    """
    if chat.thinking is None:
        return None
    key = f"models.{model}.chat.thinking" if model else "chat.thinking"
    allowed = "letters are refused for a model that thinks before it answers; use format: generate"
    return Fault(file="models.yaml", key=key, value=" … ".join(chat.thinking), allowed=allowed)


def pair_difference(prompt_a: Prompt, prompt_b: Prompt, *, names: tuple[str, str] = ("a", "b"), n_lines: int = 40) -> str:
    """What differs between the rendered prompts of a pair, as a unified diff without context.

    Holds text of the sample: not for restricted tasks.

    Args:
        prompt_a: prompt of the pair's first model.
        prompt_b: prompt of its second.
        names: what the two are called.
        n_lines: most lines; the rest is counted.

    Returns:
        The diff, empty if the texts are equal.
    """
    if prompt_a.text == prompt_b.text:
        return ""
    a, b = prompt_a.text.split("\n"), prompt_b.text.split("\n")
    lines = list(difflib.unified_diff(a, b, fromfile=names[0], tofile=names[1], n=0, lineterm=""))
    left_out = len(lines) - n_lines
    return "\n".join(lines[:n_lines] + ([f"({left_out} more lines)"] if left_out > 0 else []))
