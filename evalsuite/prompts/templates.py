"""Chat templates: Jinja sources as checkpoints carry them, rendered with the study's date.

The environment is that of transformers (`utils/chat_template_utils.py`): sandboxed, trimmed blocks, loop controls,
`raise_exception`, `strftime_now` and the `generation` tag; only the clock is ours. Rendering here rather than there is
what lets the study fix the date for templates that ask the clock.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from evalsuite.types import Message

_MONTHS = ("January February March April May June July August September October November December").split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

STUB_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
"""What `template: own` means for the stub engine, which has no checkpoint."""


class TemplateError(Exception):
    """A template cannot be read, or refuses a conversation; holds no text of a message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatTemplate:
    """A compiled template."""

    compiled: jinja2.Template
    """The template."""
    context: Mapping[str, Any]
    """Special tokens by name, and the date."""

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """Text of a conversation.

        Args:
            messages: the conversation.
            add_generation_prompt: also open the assistant's turn.

        Raises:
            TemplateError: the template refuses the conversation.
        """
        turns = [{"role": message.role, "content": message.text} for message in messages]
        try:
            return self.compiled.render(
                messages=turns, tools=None, documents=None, add_generation_prompt=add_generation_prompt, **self.context
            )
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            # the message of a TemplateError is the template's own; other errors may quote a turn
            said = str(error) if isinstance(error, jinja2.TemplateError) else type(error).__name__
            raise TemplateError(said.replace("\n", " ")[:200]) from None


def open_template(source: str, special_tokens: Mapping[str, str], date: datetime.date) -> ChatTemplate:
    """Compile a template.

    Args:
        source: Jinja source.
        special_tokens: e.g. {"bos_token": "<s>"}; what the tokenizer calls its special tokens.
        date: the day that the template sees as today.

    Raises:
        TemplateError: the source is not valid Jinja.
    """
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = _as_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda pattern: format_date(date, pattern)
    try:
        compiled = environment.from_string(source)
    except jinja2.TemplateError as error:
        raise TemplateError(f"not valid Jinja: {error}".replace("\n", " ")[:200]) from None
    # Jinja chains two mappings here and copies them name by name for every conversation; of one that takes a fraction of the time.
    compiled.globals = dict(compiled.globals)
    return ChatTemplate(compiled=compiled, context={**special_tokens, "date_string": format_date(date, "%d %b %Y")})


def format_date(date: datetime.date, pattern: str) -> str:
    """strftime at midnight with English names whatever the locale, since templates were trained with those."""
    month, day = _MONTHS[date.month - 1], _DAYS[date.weekday()]
    for code, word in (("%B", month), ("%b", month[:3]), ("%A", day), ("%a", day[:3])):
        pattern = pattern.replace(code, word)
    return datetime.datetime.combine(date, datetime.time()).strftime(pattern)


class _Generation(jinja2.ext.Extension):
    """`{% generation %}`, with which templates mark the assistant's words for training: renders what it holds."""

    tags = {"generation"}  # noqa: RUF012 (the base class' own form)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _as_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)
