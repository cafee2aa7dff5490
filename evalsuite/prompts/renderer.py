"""The renderer of one model: conversations to prompts, and the ids of what may follow a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evalsuite.config import Prompting
from evalsuite.errors import Fault, UserError
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.prompts.conversations import check_letters, fold_system, plain_text
from evalsuite.prompts.encoders import (
    OPEN,
    ByteEncoder,
    CheckpointEncoder,
    TextEncoder,
    encode_inner,
    encode_marked,
    mark,
    open_tokenizer,
    unmark,
)
from evalsuite.types import Message, Prompt

if TYPE_CHECKING:
    from evalsuite.prompts.templates import ChatTemplate

_N_CHECKED = 16
"""How many times the short way of `Renderer._following` is checked against the long way before it is trusted."""
_PROBE_USER, _PROBE_SYSTEM, _PROBE_ANSWER = "Zqx-question", "Zqx-system", "Zqx-answer"


@dataclass(frozen=True, kw_only=True)
class Renderer:
    """Renders for one model. Made by `open_renderer`; not thread-safe."""

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
        marked = [Message(role=message.role, text=mark(message.text, self.encoder.control)) for message in messages]
        body = self._body(marked, joint)
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
            marked = [Message(role=turn.role, text=mark(turn.text, self.encoder.control)) for turn in (turns[:-1] if opened else turns)]
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
            raise UserError(_template_fault(self.model, self.chat, f"refuses the conversation: {error}")) from None

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
            raise UserError(_template_fault(self.model, self.chat, f"gives a prompt that does not start with {self.encoder.bos_text}"))
        if n != 1:
            reason = f"gives a prompt with {n} {self.encoder.bos_text}, exactly one is allowed"
            hint = "; if it writes one per turn, use prompting.shots_as: text" if prompt.token_ids[1:2] != (bos,) else ""
            raise UserError(_template_fault(self.model, self.chat, reason + hint))

    def _following(self, prompt: Prompt, suffix: str) -> tuple[int, ...] | None:
        """Ids that follow the prompt when its text goes on with `suffix`; None if the prompt's own ids change.

        The short way tokenizes only the prompt's last line with what follows. It is exact where tokens do not reach across
        a line's start: pre-tokenizers split there, and a BPE sequence is right if each pair of neighbours is (the ids at the
        seam are compared). Checked against the long way for the first prompts, and never used again if they ever differ.
        """
        short = None if self.counts.get("distrusted") else self._short_following(prompt, suffix)
        if short is not None and self.counts.get("checked", 0) >= _N_CHECKED:
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
        start = prompt.text.rstrip().rfind("\n")
        # Almost always there are none, and looking a prompt up takes the hash of all its ids.
        if start < 0 or (self._marked and prompt in self._marked):
            return None
        line = prompt.text[start:]
        head, alone = self.encoder.encode("\n"), self.encoder.encode(line)
        seam = alone[len(head) :]
        if not seam or alone[: len(head)] != head or prompt.token_ids[-len(seam) :] != seam:
            return None
        whole = encode_marked(self.encoder, line + suffix)
        return whole[len(alone) :] if whole[: len(alone)] == alone else None

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _label_fault(self, label: str, reason: str) -> UserError:
        hint = "ask with format: generate or cloze, or give the task other labels"
        return UserError(Fault(file=f"model {self.model}", key="label", value=repr(label), allowed=f"{reason}; {hint}"))


def open_renderer(checkpoint: Checkpoint, chat: ChatEntry, prompting: Prompting) -> Renderer:
    """The renderer of a model.

    Args:
        checkpoint: its files; for the stub engine a `stub:` path, which is read as bytes.
        chat: its chat entry.
        prompting: the study's prompting; only the date is used here.

    Raises:
        UserError: no tokenizer, no template where one is needed, a template that cannot render a question and its answer,
            or a BOS that would not be there exactly once.
    """
    if checkpoint.takes == "messages":
        allowed = "its server renders by itself, so there are no tokens here; `renderer_for` gives what is sent"
        raise UserError(Fault(file=f"model {checkpoint.name}", key="endpoint.api", value="chat", allowed=allowed))
    encoder: TextEncoder = ByteEncoder() if checkpoint.path.startswith("stub:") else open_tokenizer(checkpoint.name, checkpoint.path)
    if chat.template == "plain":
        uses_bos = encoder.adds_bos or _own_writes_bos(encoder, prompting)
        bos: Literal["none", "prefixed"] = "prefixed" if uses_bos else "none"
        return Renderer(model=checkpoint.name, chat=chat, encoder=encoder, template=None, bos=bos, folds_system=True, lead="")
    from evalsuite.prompts.templates import TemplateError, open_template

    special = encoder.special_tokens if isinstance(encoder, CheckpointEncoder) else {}
    try:
        template = open_template(_source(checkpoint, chat, encoder), special, prompting.date)
        probe = template.render([Message(role="user", text=_PROBE_USER)])
    except TemplateError as error:
        raise UserError(_template_fault(checkpoint.name, chat, f"cannot render a question: {error}")) from None
    if _PROBE_USER not in probe:
        raise UserError(_template_fault(checkpoint.name, chat, "leaves the question out"))
    between = _between(template, probe)
    if between.strip() and template.render([Message(role="user", text=_PROBE_USER)], add_generation_prompt=False) == probe:
        raise UserError(_template_fault(checkpoint.name, chat, "does not open the assistant's turn (it ignores add_generation_prompt)"))
    writes_bos = bool(encoder.bos_text) and probe.startswith(encoder.bos_text)
    renderer = Renderer(
        model=checkpoint.name,
        chat=chat,
        encoder=encoder,
        template=template,
        bos="template" if writes_bos else "prefixed" if encoder.adds_bos else "none",
        folds_system=chat.system == "fold" or not _has_system(template),
        lead=between if between.isspace() else "",
    )
    renderer.render([Message(role="user", text=_PROBE_USER)])
    return renderer


def _source(checkpoint: Checkpoint, chat: ChatEntry, encoder: TextEncoder) -> str:
    """Jinja source of the template that the chat entry names."""
    if chat.template != "own":
        try:
            return Path(chat.template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise UserError(_template_fault(checkpoint.name, chat, "is no readable file; own, plain, or a Jinja file")) from None
    source = _own_source(encoder)
    if not source:
        advice = "the checkpoint has no chat template: set chat.template to plain, or to a Jinja file"
        raise UserError(_template_fault(checkpoint.name, chat, advice))
    return source


def _own_source(encoder: TextEncoder) -> str:
    """Jinja source that the checkpoint carries; empty if none."""
    from evalsuite.prompts.templates import STUB_TEMPLATE

    if not isinstance(encoder, CheckpointEncoder):
        return STUB_TEMPLATE
    source = encoder.tokenizer.chat_template
    if isinstance(source, Mapping):
        source = source.get("default")
    return str(source) if source else ""


def _has_system(template: ChatTemplate) -> bool:
    """Whether the template shows a system turn; some raise (Gemma), some silently leave it out."""
    from evalsuite.prompts.templates import TemplateError

    try:
        text = template.render([Message(role="system", text=_PROBE_SYSTEM), Message(role="user", text=_PROBE_USER)])
    except TemplateError:
        return False
    return _PROBE_SYSTEM in text and _PROBE_USER in text


def _between(template: ChatTemplate, probe: str) -> str:
    """What stands between a prompt and the assistant's text where the template writes a finished turn; empty if unknown."""
    from evalsuite.prompts.templates import TemplateError

    turns = [Message(role="user", text=_PROBE_USER), Message(role="assistant", text=_PROBE_ANSWER)]
    try:
        full = template.render(turns, add_generation_prompt=False)
    except TemplateError:
        return ""
    return full.removeprefix(probe).partition(_PROBE_ANSWER)[0] if full.startswith(probe) and _PROBE_ANSWER in full else ""


def _own_writes_bos(encoder: TextEncoder, prompting: Prompting) -> bool:
    """Whether the checkpoint's own chat template starts with the BOS: then the model has learned to read one."""
    from evalsuite.prompts.templates import TemplateError, open_template

    source = _own_source(encoder)
    if not source or not isinstance(encoder, CheckpointEncoder) or not encoder.bos_text:
        return False
    try:
        template = open_template(source, encoder.special_tokens, prompting.date)
        return template.render([Message(role="user", text=_PROBE_USER)]).startswith(encoder.bos_text)
    except TemplateError:
        return False


def _template_fault(model: str, chat: ChatEntry, reason: str) -> Fault:
    return Fault(file=f"model {model}", key="chat.template", value=chat.template, allowed=reason)
