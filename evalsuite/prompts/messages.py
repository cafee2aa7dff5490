"""The renderer of a server that renders by itself: the conversation is sent as it is, and no token of it is known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.config import Prompting
from evalsuite.errors import Fault, UserError
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.prompts.conversations import fold_system
from evalsuite.prompts.opening import open_renderer
from evalsuite.prompts.renderer import Renderer
from evalsuite.types import Message, Prompt


def renderer_for(checkpoint: Checkpoint, chat: ChatEntry, prompting: Prompting) -> Renderer | MessagesRenderer:
    """What renders for a model: `open_renderer`'s, or the conversation itself for a server that renders by itself.

    Raises:
        UserError: as `open_renderer`.
    """
    if checkpoint.takes == "messages":
        return MessagesRenderer(model=checkpoint.name, chat=chat)
    return open_renderer(checkpoint, chat, prompting)


@dataclass(frozen=True, kw_only=True, slots=True)
class MessagesRenderer:
    """Stands where `Renderer` stands for models whose tokenizer is here. Made by `renderer_for`."""

    model: str
    """Registry name."""
    chat: ChatEntry
    """The model's chat entry; only `system: fold` means anything for a server that renders."""

    def render(self, messages: Sequence[Message], *, joint: str = " ") -> Prompt:
        """The conversation itself; the text is for people and shows each turn under its role.

        Raises:
            ValueError: the conversation does not end with a user turn.
        """
        del joint
        if not messages or messages[-1].role != "user":
            raise ValueError("a conversation to be rendered ends with a user turn")
        sent = fold_system(messages) if self.chat.system == "fold" else tuple(messages)
        return Prompt(token_ids=(), text="\n\n".join(f"[{message.role}]\n{message.text}" for message in sent), messages=sent)

    @property
    def chats(self) -> bool:
        """Always: the server applies a chat template."""
        return True

    def render_own(self, text: str, turns: Sequence[Message], *, scored: bool) -> tuple[Prompt, str]:
        """The conversation that another framework decided, or its text as one user turn; nothing is cut off.

        Raises:
            UserError: it ends with words put into the model's mouth, which no chat server takes, or is to be scored.
        """
        if scored:
            raise self._fault("log-likelihood")
        if turns and turns[-1].role != "user":
            raise self._fault("text that opens the answer")
        return self.render(turns or [Message(role="user", text=text)]), ""

    def render_whole(self, text: str) -> Prompt:
        """Refused: a text's own log-likelihood is not had from a chat server. Raises UserError."""
        del text
        raise self._fault("log-likelihood")

    def following_ids(self, prompt: Prompt, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Refused likewise. Raises UserError."""
        return self.continuation_ids(prompt, texts)

    def label_ids(self, prompt: Prompt, labels: Sequence[str], *, joint: str = " ") -> tuple[int, ...]:
        """Refused: nobody here knows the server's tokens. Raises UserError."""
        del prompt, labels, joint
        raise self._fault("letters")

    def continuation_ids(self, prompt: Prompt, texts: Sequence[str], joint: str = " ") -> tuple[tuple[int, ...], ...]:
        """Refused likewise. Raises UserError."""
        del prompt, texts, joint
        raise self._fault("cloze")

    def _fault(self, form: str) -> UserError:
        allowed = "a chat server receives whole turns and gives text, no log-probabilities of given tokens; use format: generate"
        return UserError(Fault(file=f"model {self.model}", key="format", value=form, allowed=allowed))
