"""Ways of writing one and the same question: its headers, what separates them, how choices are listed. Templates are drawn from a grammar.

Source: the idea and the rule that line breaks are consistent are those of Sclar et al. 2023 (arXiv 2310.11324); the values are those of
Jeong et al. 2024 (arXiv 2411.04118, `sample_llm_prompt_template` of their code). Two things are ours. Words stand in the language of the
question. An answer is the bare label, in brackets only where the template's labels stand in brackets on both sides: "(A)", but "A" for
"A." and "A)", whose marks belong to a list. Where a label is scored as next token it is always bare, since many vocabularies have tokens
such as "(A", in which the bracket of a prompt and the label behind it would merge; so do Jeong et al. in their mode `logprob`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from evalsuite.seeds import derive_seed

Casing = Literal["as_is", "title", "upper", "lower", "heading", "bold"]
"""What is done to a header: nothing, capitals for words or for all, small letters, `### ` before it, `**` around it."""

SEPARATORS = (": ", " : ", " :: ", ":\n", "= ", " = ", " == ", "=\n", " - ", " -- ", " --- ", "\n", "\n\n")
SPACINGS = ("\n", "\n\n", " || ", " ")
OPTION_SPACINGS = ("\n", "\n\n", "; ", ";\n", ";\n\n", " || ", " ", ", ")
CASINGS: tuple[Casing, ...] = ("as_is", "title", "upper", "lower", "heading", "bold")
OPTION_HEADERS: tuple[Literal["none", "options", "choices"], ...] = ("none", "options", "choices")
ANSWER_HEADERS: tuple[Literal["noun", "sentence"], ...] = ("noun", "sentence")
LABEL_FORMS = ("({})", "{}.", "{})", "{} )", "[{}]", "<{}>")

_ENCLOSING = frozenset({"({})", "[{}]", "<{}>"})
_OPTIONS = {
    "options": {"en": "Options", "es": "Opciones", "fr": "Options "},
    "choices": {"en": "Choices", "es": "Alternativas", "fr": "Propositions "},
}
# French sets a blank before the colon.
_NOUN = {"en": "Answer", "es": "Respuesta", "fr": "Réponse "}
_SENTENCE = {"en": "The answer is", "es": "La respuesta es", "fr": "La réponse est "}

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """How a question is written. The field's defaults are the layout where no template is set."""

    name: str = "default"
    """`default`, or `t` and the number of the draw."""
    separator: str = ": "
    """Between a header and what it heads."""
    spacing: str = "\n"
    """Between passage, question, choices and answer."""
    option_spacing: str = "\n"
    """Between two choices."""
    casing: Casing = "as_is"
    """How headers are written."""
    question_header: bool = True
    """Whether the question has a header."""
    option_header: Literal["none", "options", "choices"] = "none"
    """Header of the choices."""
    answer_header: Literal["noun", "sentence"] = "noun"
    """`noun`: "Answer"; `sentence`: "The answer is"."""
    label: str = "{}."
    """How a choice's label is listed; `{}` stands for it."""


DEFAULT = Template()


def sampled_template(number: int) -> Template:
    """A template drawn from the grammar: the same for the same number, in every study and on every machine.

    Each part is uniform among its values. A spacing without line break is drawn together with separators that have none either.

    Args:
        number: of the draw, at least 0; the name is `t` and this number.
    """

    def drawn(part: str, values: Sequence[T]) -> T:
        return values[derive_seed(number, "prompt_template", part) % len(values)]

    spacing = drawn("spacing", SPACINGS)
    broken = "\n" in spacing
    return Template(
        name=f"t{number}",
        spacing=spacing,
        separator=drawn("separator", [text for text in SEPARATORS if broken or "\n" not in text]),
        option_spacing=drawn("option_spacing", [text for text in OPTION_SPACINGS if broken or "\n" not in text]),
        casing=drawn("casing", CASINGS),
        question_header=drawn("question_header", (False, True)),
        option_header=drawn("option_header", OPTION_HEADERS),
        answer_header=drawn("answer_header", ANSWER_HEADERS),
        label=drawn("label", LABEL_FORMS),
    )


def candidate_templates(n_sampled: int) -> tuple[Template, ...]:
    """The default, then so many drawn templates `t0`, `t1`, ...; a draw that repeats an earlier template is left out, its number with it.

    Args:
        n_sampled: templates beside the default, at least 0.
    """
    found, known, number = [DEFAULT], {DEFAULT}, 0
    while len(found) <= n_sampled:
        template = sampled_template(number)
        if replace(template, name="default") not in known:
            known.add(replace(template, name="default"))
            found.append(template)
        number += 1
    return tuple(found)


def header(word: str, template: Template) -> str:
    """A header as the template writes it, without its separator; empty for an empty word.

    White space at the word's end stays only before a colon, where French wants it.
    """
    core = word.rstrip()
    if not core:
        return ""
    tail = word[len(core) :] if template.separator.startswith(":") else ""
    match template.casing:
        case "title":
            core = core.title()
        case "upper":
            core = core.upper()
        case "lower":
            core = core.lower()
        case "heading":
            core = f"### {core}"
        case "bold":
            core = f"**{core}**"
        case "as_is":
            pass
    return core + tail


def headed(word: str, text: str, template: Template) -> str:
    """A text under its header; the text alone for an empty word."""
    return f"{header(word, template)}{template.separator}{text}" if word.strip() else text


def listed(labels: Sequence[str], choices: Sequence[str], language: str, template: Template) -> str:
    """The choices under their labels and, if the template has one, their header; a choice whose label is empty stands alone."""
    items = [f"{template.label.format(label)} {choice}" if label else choice for label, choice in zip(labels, choices, strict=True)]
    words = _OPTIONS.get(template.option_header, {})
    return headed(words.get(language, words.get("en", "")), template.option_spacing.join(items), template)


def answer_word(noun: str, language: str, template: Template) -> str:
    """The words of the answer's header.

    Args:
        noun: the wording's cue; a task's own cue has no sentence and stays.
        language: ISO 639-1; English where we have no words.
        template: the template.
    """
    own = language if language in _NOUN else "en"
    return _SENTENCE[own] if template.answer_header == "sentence" and noun == _NOUN[own] else noun


def cue(word: str, template: Template) -> tuple[str, str]:
    """The answer's header with its separator, and the blanks at its end: they belong to what follows, a line break does not.

    With the blank in the prompt, vocabularies that join blank and letter would have no token for the letter alone.
    """
    whole = f"{header(word, template)}{template.separator}"
    kept = whole.rstrip(" ")
    return kept, whole[len(kept) :]


def cited(label: str, template: Template) -> str:
    """A label as an answer names it: in the brackets that enclose it where it is listed, else bare."""
    return template.label.format(label) if template.label in _ENCLOSING else label


def line_start(word: str, template: Template) -> str:
    """What a written answer's line begins with: the answer's header and the separator, of which line breaks become a blank."""
    separator = template.separator
    if "\n" in separator:
        separator = f"{separator.rstrip()} "
    return f"{header(word, template)}{separator}"


def answers_as_default(text: str, word: str, noun: str, labels: Sequence[str], template: Template) -> str:
    """A generated text with the template's answer lines put as the default layout has them, for readers that know only that.

    Case and white space around the separator do not matter. Only lines count that begin with the header and the separator and go on with a
    label, or with anything where there are none.

    Args:
        text: as generated.
        word: words of the answer's header.
        noun: the wording's cue.
        labels: labels of the choices; empty: whatever follows is the answer.
        template: the template.
    """
    if not labels:
        return re.sub(_line_pattern(word, template) + r"(?=\S)", lambda _: f"{noun}: ", text, flags=re.MULTILINE | re.IGNORECASE)
    ordered = sorted(labels, key=len, reverse=True)
    names = "|".join(re.escape(label) for label in ordered)
    cited_names = "|".join(re.escape(cited(label, template)) for label in ordered)
    # Labels in angle brackets are told one by one, but not in a list.
    several = rf"(?-i:(?P<first>{cited_names})(?P<more>(?:, ?(?:{cited_names}))+)(?![^\W_]))?+"
    start = _line_pattern(word, template) + rf"(?=[(\[<]?(?:{names})(?!\w))" + several
    bare = {cited(label, template): label for label in labels}

    def put(found: re.Match[str]) -> str:
        listed_labels = [found["first"], *re.split(", ?", found["more"])[1:]] if found["first"] else []
        return f"{noun}: {', '.join(bare[label] for label in listed_labels)}"

    return re.sub(start, put, text, flags=re.MULTILINE | re.IGNORECASE)


def question_as_default(text: str, word: str, template: Template) -> str:
    """A generated text with the template's question headers put as the default layout has them: where a model invents the next question.

    A template whose separator is white space alone leaves no sign by which a header could be told from a word.
    """
    if not word.strip() or not template.separator.strip():
        return text
    return re.sub(_line_pattern(word, template), lambda _: f"{word}: ", text, flags=re.MULTILINE | re.IGNORECASE)


def _line_pattern(word: str, template: Template) -> str:
    """The beginning of a line that is a header with its separator."""
    sign = template.separator.strip()
    gap = rf"[ \t]*+{re.escape(sign)}\s*+" if sign else r"\s++"
    return rf"^[ \t]*+{re.escape(header(word, template).strip())}{gap}"


def contract_line(line: str, word: str, noun: str, labels: Sequence[str], template: Template) -> str | None:
    """The template's answer line as the default layout has it; None if the line is not exactly that.

    Args:
        line: the line, without white space at its end.
        word: words of the answer's header.
        noun: the wording's cue.
        labels: labels of the choices, which must then stand as the template cites them; empty: whatever follows is the answer.
        template: the template.
    """
    start = line_start(word, template)
    if not line.startswith(start):
        return None
    said = line.removeprefix(start)
    if labels:
        bare = {cited(label, template): label for label in labels}
        parts = said.split(", ")
        if any(part not in bare for part in parts):
            return None
        said = ", ".join(bare[part] for part in parts)
    return f"{noun}: {said}"
