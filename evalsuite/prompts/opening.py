"""Opening the renderer of a model: its tokenizer, its chat template, and what probing tells of the template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evalsuite.config import Prompting
from evalsuite.errors import Fault, UserError
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.prompts.encoders import ByteEncoder, CheckpointEncoder, TextEncoder, open_tokenizer
from evalsuite.prompts.renderer import Renderer, template_fault
from evalsuite.types import Message

if TYPE_CHECKING:
    from evalsuite.prompts.templates import ChatTemplate

_PROBE_USER, _PROBE_SYSTEM, _PROBE_ANSWER = "Zqx-question", "Zqx-system", "Zqx-answer"


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
        raise UserError(template_fault(checkpoint.name, chat, f"cannot render a question: {error}")) from None
    if _PROBE_USER not in probe:
        raise UserError(template_fault(checkpoint.name, chat, "leaves the question out"))
    between = _between(template, probe)
    if between.strip() and template.render([Message(role="user", text=_PROBE_USER)], add_generation_prompt=False) == probe:
        raise UserError(template_fault(checkpoint.name, chat, "does not open the assistant's turn (it ignores add_generation_prompt)"))
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
            raise UserError(template_fault(checkpoint.name, chat, "is no readable file; own, plain, or a Jinja file")) from None
    source = _own_source(encoder)
    if not source:
        advice = "the checkpoint has no chat template: set chat.template to plain, or to a Jinja file"
        raise UserError(template_fault(checkpoint.name, chat, advice))
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
