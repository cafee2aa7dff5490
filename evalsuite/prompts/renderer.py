"""The renderer of one model: conversations to prompts, and the ids of what may follow a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from evalsuite.errors import Fault, UserError
from evalsuite.models import ChatEntry
from evalsuite.prompts.conversations import check_letters, fold_system, plain_text
from evalsuite.prompts.encoders import (
    OPEN,
    ByteEncoder,
    TextEncoder,
    encode_inner,
    encode_marked,
    mark,
    unmark,
)
from evalsuite.types import Message, Prompt

if TYPE_CHECKING:
    from evalsuite.prompts.templates import ChatTemplate

_N_CHECKED = 16
"""How many times the short way of `Renderer._following` is checked against the long way before it is trusted."""
_N_KEPT, _N_LONGEST = 1024, 400
"""Last lines of which something is kept, and the most characters of such a line: most prompts end with a cue and the template's marks."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class Renderer:
    """Renders for one model. Made by `opening.open_renderer`; not thread-safe."""

    model: str
    """Registry name."""
    chat: ChatEntry
    """The model's chat entry."""
    encoder: TextEncoder = field(repr=False)
    """Its tokenizer."""
    template: ChatTemplate | None = field(repr=False)
    """Its chat template; None: plain text."""
    bos: Literal["none", "template", "prefixed"]
    """`template`: the template writes the BOS; `prefixed`: it is put in front here; `none`: the model has none."""
    folds_system: bool
    """True: system text goes to the head of the first user turn."""
    lead: str
    """White space that the template puts between the opened assistant turn and its text, e.g. Mistral's space."""
    counts: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    """`boundary`: continuations that were tokenized on their own, since they merge with the prompt's end;
    `checked`, `distrusted`: of the short way of finding what follows a prompt."""
    _marked: dict[Prompt, str] = field(default_factory=dict, repr=False, compare=False)
    """Marked text of the few prompts whose messages spell control tokens."""
    _labels: dict[tuple[str, str, tuple[str, ...]], tuple[tuple[int, ...], tuple[int, ...]]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """Of a last line, a gap and labels: the line's own ids, and those of the labels behind it."""
    _lines: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict, repr=False, compare=False)
    """What `_line_ids` gave."""

    def render(self, messages: Sequence[Message], *, joint: str = " ") -> Prompt:
        """Render a conversation that ends with a user turn and open the assistant's turn.

        Text of a message never becomes a control token: a question that spells `<s>` is read as those three characters.

        Args:
            messages: the conversation.
            joint: what stands between question and answer where there is no template (`Layout.joint`).

        Returns:
            The prompt: with exactly one BOS where the model has one; its text shows that BOS.

        Raises:
            ValueError: the conversation does not end with a user turn.
            UserError: the template refuses the conversation, or the number of BOS is not one.
        """
        if not messages or messages[-1].role != "user":
            raise ValueError("a conversation to be rendered ends with a user turn")
        body = self._body([_marked(message, self.encoder.control) for message in messages], joint)
        if self.chat.answer_prefix:
            body += (joint if self.template is None else self.lead) + self.chat.answer_prefix
        return self._as_prompt(body)

    def label_ids(self, prompt: Prompt, labels: Sequence[str], *, joint: str = " ") -> tuple[int, ...]:
        """Ids whose log-probability after the prompt is that of each label.

        Found by tokenizing the prompt's text with the label behind it, joined as the model's template (or, without one,
        `joint`) would: the prompt's ids must stay as they are and exactly one id must follow.

        Args:
            prompt: a prompt of this renderer.
            labels: the labels in shown order.
            joint: `Layout.joint`, used where there is no template.

        Raises:
            UserError: the model thinks first; a label merges with the prompt, splits, or is not in the vocabulary; or two
                labels share an id.
        """
        refusal = check_letters(self.chat, self.model)
        if refusal:
            raise UserError(refusal)
        # bytes: the joint would be a token of its own, and no label would follow the prompt at once
        gap = "" if isinstance(self.encoder, ByteEncoder) else self._gap(joint)
        line = self._last_line(prompt) if self._trusts_lines else None
        named = (line or "", gap, tuple(labels))
        seam, known = self._labels.get(named, ((), ()))
        if seam and prompt.token_ids[-len(seam) :] == seam:
            return known
        ids = self._label_ids(prompt, gap, labels)
        if line is not None and len(line) <= _N_LONGEST and self._line_gives(prompt, gap, labels, ids):
            _keep(self._labels, named, (self._line_ids(line)[1], ids))
        return ids

    def _line_gives(self, prompt: Prompt, gap: str, labels: Sequence[str], ids: Sequence[int]) -> bool:
        """Whether the prompt's last line alone gives these ids, as it then does for every prompt that ends with its ids."""
        short = [self._short_following(prompt, gap + mark(label, self.encoder.control)) for label in labels]
        return short == [(one,) for one in ids]

    def _label_ids(self, prompt: Prompt, gap: str, labels: Sequence[str]) -> tuple[int, ...]:
        """What `label_ids` gives, found for this prompt."""
        ids: list[int] = []
        for label in labels:
            following = self._following(prompt, gap + mark(label, self.encoder.control))
            if following is None:
                raise self._label_fault(label, "merges with the end of the prompt into one token, so it has no probability of its own")
            if len(following) != 1:
                raise self._label_fault(label, f"splits into {len(following)} tokens behind the prompt; exactly one is needed")
            if following[0] == self.encoder.unknown_id:
                raise self._label_fault(label, "is not in the model's vocabulary")
            if following[0] in ids:
                raise self._label_fault(label, f"has the same token as {labels[ids.index(following[0])]!r}")
            ids.append(following[0])
        return tuple(ids)

    @property
    def chats(self) -> bool:
        """True if the model is asked through a chat template."""
        return self.template is not None

    def render_own(self, text: str, turns: Sequence[Message], *, scored: bool) -> tuple[Prompt, str]:
        """Render a prompt whose words another framework decided: exactly as they are, with the model's BOS and template around them.

        Args:
            text: the prompt where the model has no chat template.
            turns: the conversation where it has one (empty: `text` counts); an assistant's turn at the end is left open.
            scored: a continuation will be scored behind it. White space at the end then belongs to the continuation (the rule of
                lm-evaluation-harness, `TemplateLM._encode_pair`), and an empty prompt becomes the model's BOS, or else its EOS.

        Returns:
            The prompt, and the white space that was cut off its end.
        """
        if self.template is None or not turns:
            body = mark(text, self.encoder.control)
        else:
            opened = turns[-1].text if turns[-1].role == "assistant" else ""
            marked = [_marked(turn, self.encoder.control) for turn in (turns[:-1] if opened else turns)]
            body = self._body(marked, " ") + (self.lead + mark(opened, self.encoder.control) if opened else "")
        kept = body.rstrip() if scored else body
        prompt = self._as_prompt(kept) if kept or not scored else Prompt(token_ids=self._opening, text=self._with_bos(""))
        return prompt, body[len(kept) :]

    def render_whole(self, text: str) -> Prompt:
        """A text whose own log-likelihood is wanted, behind the model's BOS or, if it has none, its EOS; no template.

        lm-evaluation-harness puts that token in front too, but leaves the tokenizer's own BOS where there is one: two of them.
        """
        return Prompt(token_ids=(*self._opening, *encode_marked(self.encoder, mark(text, self.encoder.control))), text=text)

    def following_ids(self, prompt: Prompt, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Ids of each text as it continues a prompt of `render_own`, nothing put between; otherwise as `continuation_ids`.

        Raises:
            UserError: a text is empty or gives no token.
        """
        return self._behind(prompt, texts, "")

    def continuation_ids(self, prompt: Prompt, texts: Sequence[str], joint: str = " ") -> tuple[tuple[int, ...], ...]:
        """Ids of each text as it continues the prompt, joined as in `label_ids`.

        Prompt and text are tokenized together and the prompt's ids cut off (the rule of lm-evaluation-harness; white space
        at the joint belongs to the continuation). Where the text's start merges with the prompt's end, that split does not
        exist; the text is then tokenized on its own, so that prompt and continuation still spell the same text, and
        `counts["boundary"]` grows.

        Args:
            prompt: a prompt of this renderer.
            texts: the continuations.
            joint: `Layout.joint`, used where there is no template.

        Raises:
            UserError: a text is empty or gives no token.
        """
        return self._behind(prompt, texts, self._gap(joint))

    def _behind(self, prompt: Prompt, texts: Sequence[str], gap: str) -> tuple[tuple[int, ...], ...]:
        found = []
        for position, text in enumerate(texts):
            ids: tuple[int, ...] | None = ()
            if text.strip():
                suffix = gap + mark(text, self.encoder.control)
                ids = self._following(prompt, suffix)
                if ids is None:
                    self._count("boundary")
                    ids = encode_inner(self.encoder, suffix) if OPEN not in suffix else encode_marked(self.encoder, suffix)
            if not ids:
                where = f"continuation {position + 1} of {len(texts)}"
                raise UserError(Fault(file=f"model {self.model}", key=where, value="", allowed="is empty; a choice needs a text"))
            found.append(ids)
        return tuple(found)

    def _body(self, messages: Sequence[Message], joint: str) -> str:
        if self.template is None:
            return plain_text(messages, joint)
        from evalsuite.prompts.templates import TemplateError

        try:
            return self.template.render(fold_system(messages) if self.folds_system else messages)
        except TemplateError as error:
            raise UserError(template_fault(self.model, self.chat, f"refuses the conversation: {error}")) from None

    def _gap(self, joint: str) -> str:
        """What stands between a prompt of this renderer and the answer."""
        if self.chat.answer_prefix:
            return "" if self.chat.answer_prefix[-1].isspace() else " "
        return joint if self.template is None else self.lead

    @property
    def _opening(self) -> tuple[int, ...]:
        """What stands before a text that has nothing before it: the model's BOS or, if it has none, its EOS."""
        first = self.encoder.bos_id if self.encoder.bos_id is not None else self.encoder.eos_id
        return () if first is None else (first,)

    def _with_bos(self, body: str) -> str:
        return self.encoder.bos_text + body if self.bos == "prefixed" else body

    def _as_prompt(self, body: str) -> Prompt:
        text = self._with_bos(body)
        prompt = Prompt(token_ids=self._encode(text), text=unmark(text))
        self._check_bos(prompt)
        if OPEN in text:
            self._marked[prompt] = text
        return prompt

    def _encode(self, text: str) -> tuple[int, ...]:
        """Ids of a prompt's text. A BOS that the template does not write is put in front as id, as the tokenizer would."""
        if self.bos == "prefixed" and self.encoder.bos_id is not None:
            return (self.encoder.bos_id, *encode_marked(self.encoder, text.removeprefix(self.encoder.bos_text)))
        return encode_marked(self.encoder, text)

    def _check_bos(self, prompt: Prompt) -> None:
        bos = self.encoder.bos_id
        if bos is None or self.bos == "none":
            return
        # where BOS and EOS are one token, ended turns bring it again
        n = prompt.token_ids[:2].count(bos) if bos == self.encoder.eos_id else prompt.token_ids.count(bos)
        if prompt.token_ids[:1] != (bos,):
            raise UserError(template_fault(self.model, self.chat, f"gives a prompt that does not start with {self.encoder.bos_text}"))
        if n != 1:
            reason = f"gives a prompt with {n} {self.encoder.bos_text}, exactly one is allowed"
            hint = "; if it writes one per turn, use prompting.shots_as: text" if prompt.token_ids[1:2] != (bos,) else ""
            raise UserError(template_fault(self.model, self.chat, reason + hint))

    def _following(self, prompt: Prompt, suffix: str) -> tuple[int, ...] | None:
        """Ids that follow the prompt when its text goes on with `suffix`; None if the prompt's own ids change.

        The short way tokenizes only the prompt's last line with what follows. It is exact where tokens do not reach across
        a line's start: pre-tokenizers split there, and a BPE sequence is right if each pair of neighbours is (the ids at the
        seam are compared). Checked against the long way for the first prompts, and never used again if they ever differ.
        """
        short = None if self.counts.get("distrusted") else self._short_following(prompt, suffix)
        if short is not None and self._trusts_lines:
            return short
        ids = self._encode(self._marked.get(prompt, prompt.text) + suffix)
        n = len(prompt.token_ids)
        long = ids[n:] if ids[:n] == prompt.token_ids else None
        if short is not None:
            self._count("checked")
            if short != long:
                self._count("distrusted")
        return long

    def _short_following(self, prompt: Prompt, suffix: str) -> tuple[int, ...] | None:
        """What `_following` gives, from the last line alone; None if that cannot tell."""
        line = self._last_line(prompt)
        if line is None:
            return None
        alone, seam = self._line_ids(line)
        if not seam or prompt.token_ids[-len(seam) :] != seam:
            return None
        whole = encode_marked(self.encoder, line + suffix)
        return whole[len(alone) :] if whole[: len(alone)] == alone else None

    @property
    def _trusts_lines(self) -> bool:
        """Whether the short way has stood its checks: then what follows depends on the last line alone, if its ids end the prompt."""
        return self.counts.get("checked", 0) >= _N_CHECKED and not self.counts.get("distrusted")

    def _last_line(self, prompt: Prompt) -> str | None:
        """The last line that holds more than white space, with the line break before it; None where it does not stand for the prompt."""
        start = prompt.text.rstrip().rfind("\n")
        # Almost always none are marked, and looking a prompt up takes the hash of all its ids.
        return None if start < 0 or (self._marked and prompt in self._marked) else prompt.text[start:]

    def _line_ids(self, line: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids of a line with its line break, and without; the latter empty where the two are not apart."""
        found = self._lines.get(line)
        if found is None:
            head, alone = self.encoder.encode("\n"), self.encoder.encode(line)
            found = alone, alone[len(head) :] if alone[: len(head)] == head else ()
            if len(line) <= _N_LONGEST:
                _keep(self._lines, line, found)
        return found

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _label_fault(self, label: str, reason: str) -> UserError:
        hint = "ask with format: generate or cloze, or give the task other labels"
        return UserError(Fault(file=f"model {self.model}", key="label", value=repr(label), allowed=f"{reason}; {hint}"))


def _marked(message: Message, control: re.Pattern[str] | None) -> Message:
    """The message with its control tokens marked; itself where it spells none."""
    text = mark(message.text, control)
    return message if text == message.text else Message(role=message.role, text=text)


def _keep(found: dict[K, V], key: K, value: V) -> None:
    """Keep what was found; everything is forgotten when there is too much of it."""
    if len(found) >= _N_KEPT:
        found.clear()
    found[key] = value


def template_fault(model: str, chat: ChatEntry, reason: str) -> Fault:
    """What is wrong with a model's chat template."""
    return Fault(file=f"model {model}", key="chat.template", value=chat.template, allowed=reason)
