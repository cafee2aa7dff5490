"""Ways of asking one sample: pure text, no tokens and no chat template.

Three formats. `letters`: choices are listed under labels and the label is scored by its probability as next token.
`cloze`: choices are not listed; each choice's text is scored as a continuation. `generate`: choices are listed (if any)
and the model writes; `answers` reads what it wrote. `native` is not laid out here: the task brings its own prompts.

Sources: the letters layout is the field's common one (lm-evaluation-harness `medqa_4options`: question, lettered choices
and "Answer:" on lines of their own); the cloze layout is OLMES' CF (arXiv 2406.08446); the output contract of `generate` is
that of openai/simple-evals ("Answer: $LETTER" on a line of its own). The Spanish and French texts are ours.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from typing import Literal

from evalsuite.types import Sample

Format = Literal["letters", "cloze", "generate", "native"]
FORMATS: tuple[Format, ...] = ("letters", "cloze", "generate", "native")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """The words around a sample. A task's card may replace any of them; empty means: leave out."""

    instruction: str = ""
    """Stands once, at the start of the first user turn."""
    context: str = "Context"
    """Label of the passage."""
    question: str = "Question"
    """Label of the stem; empty shows the stem bare."""
    answer: str = "Answer"
    """Cue after the question, and first word of the output contract."""
    contract: str = ""
    """Output contract of `generate` for choices and quantities; `{answer}` stands for the cue."""
    several: bool = False
    """Every right choice is asked for. Only then are several letters read out of an output; otherwise they contradict each other."""


WORDINGS: dict[str, Wording] = {
    "en": Wording(
        contract='Answer with one line of the form "{answer}: X", where X is the letter of the right choice.',
    ),
    "es": Wording(
        context="Contexto",
        question="Pregunta",
        answer="Respuesta",
        contract='Contesta con una sola línea de la forma "{answer}: X", donde X es la letra de la opción correcta.',
    ),
    # French sets a blank before the colon.
    "fr": Wording(
        context="Contexte ",
        question="Question ",
        answer="Réponse ",
        contract='Répondez par une seule ligne de la forme "{answer}: X", où X est la lettre de la bonne réponse.',
    ),
}
"""Default wording by language."""

_SEVERAL = {
    "en": 'One or more of the choices are right. Answer with one line of the form "{answer}: X, Y", that is, the letters of all right '
    "choices, separated by commas.",
    "es": 'Una o varias opciones son correctas. Contesta con una sola línea de la forma "{answer}: X, Y", con las letras de todas las '
    "opciones correctas, separadas por comas.",
    "fr": 'Une ou plusieurs réponses sont exactes. Répondez par une seule ligne de la forme "{answer}: X, Y", avec les lettres de toutes '
    "les réponses exactes, séparées par des virgules.",
}
_QUANTITY = {
    "en": 'Answer with one line of the form "{answer}: X", where X is the value asked for, with its unit if it has one.',
    "es": 'Contesta con una sola línea de la forma "{answer}: X", donde X es el valor que se pide, con su unidad si la tiene.',
    "fr": 'Répondez par une seule ligne de la forme "{answer}: X", où X est la valeur demandée, avec son unité si elle en a une.',
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One sample laid out in one format."""

    user: str
    """Text of the user turn."""
    joint: str
    """What stands between the user's text and the answer where there is no chat template."""
    answers: tuple[str, ...]
    """`letters`: the labels; `cloze`: the choice texts; `generate`: empty."""


def default_wording(language: str) -> Wording:
    """Wording of a language; English where we have none."""
    return WORDINGS.get(language, WORDINGS["en"])


def several_wording(language: str) -> Wording:
    """Wording of a language for tasks whose samples may have several right choices; it does not say how many a sample has."""
    return replace(default_wording(language), contract=_SEVERAL.get(language, _SEVERAL["en"]), several=True)


def quantity_wording(language: str) -> Wording:
    """Wording of a language for tasks that ask for a quantity."""
    return replace(default_wording(language), contract=_QUANTITY.get(language, _QUANTITY["en"]))


def labels_of(sample: Sample) -> tuple[str, ...]:
    """Labels of the shown choices: the sample's own, else A, B, C, ... (at most 26)."""
    if sample.labels:
        return sample.labels
    if len(sample.choices) > len(string.ascii_uppercase):
        raise ValueError(f"{len(sample.choices)} choices, but only 26 letters")
    return tuple(string.ascii_uppercase[: len(sample.choices)])


def question_block(sample: Sample, wording: Wording, *, with_choices: bool) -> str:
    """Passage, stem and, if asked for, the labelled choices, one per line."""
    parts = []
    if sample.context:
        parts.append(f"{wording.context}: {sample.context}" if wording.context else sample.context)
    parts.append(f"{wording.question}: {sample.question}" if wording.question else sample.question)
    if with_choices:
        parts.extend(f"{label}. {choice}" for label, choice in zip(labels_of(sample), sample.choices, strict=True))
    return "\n".join(parts)


def lay_out(sample: Sample, form: Format, wording: Wording) -> Layout:
    """Lay one sample out for a format; the instruction is not part of it (it stands once per prompt)."""
    if form == "letters":
        block = question_block(sample, wording, with_choices=True)
        return Layout(user=f"{block}\n{wording.answer}:", joint=" ", answers=labels_of(sample))
    if form == "cloze":
        block = question_block(sample, wording, with_choices=False)
        return Layout(user=f"{block}\n{wording.answer}:", joint=" ", answers=sample.choices)
    if sample.choices or sample.quantity is not None:
        block = question_block(sample, wording, with_choices=bool(sample.choices))
        contract = wording.contract.replace("{answer}", wording.answer)
        return Layout(user=f"{block}\n{contract}" if contract else block, joint="\n", answers=())
    block = question_block(sample, wording, with_choices=False)
    return Layout(user=f"{block}\n{wording.answer}:" if wording.answer else block, joint=" ", answers=())


def right_answer(sample: Sample, form: Format, wording: Wording) -> str:
    """The right answer as an exemplar's assistant turn says it.

    Raises:
        ValueError: the sample has no target or reference.
    """
    if not sample.choices:
        if not sample.references:
            raise ValueError(f"sample {sample.id} has no reference")
        return sample.references[0] if sample.quantity is None else f"{wording.answer}: {sample.references[0]}"
    if not sample.targets:
        raise ValueError(f"sample {sample.id} has no target")
    if form == "cloze":
        return sample.choices[sample.targets[0]]
    labels = ", ".join(labels_of(sample)[target] for target in sample.targets)
    return labels if form == "letters" else f"{wording.answer}: {labels}"
