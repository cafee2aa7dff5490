"""Ways of asking one sample: pure text, no tokens and no chat template.

Four formats. `letters`: choices are listed under labels and the label is scored by its probability as next token.
`cloze`: choices are not listed; each choice's text is scored as a continuation. `generate`: choices are listed (if any)
and the model writes; `answers` reads what it wrote. `reasoned`: like `generate`, but the model reasons first and its last line
holds the answer. `native` is not laid out here: the task brings its own prompts.

Sources: the letters layout is the field's common one (lm-evaluation-harness `medqa_4options`: question, lettered choices
and "Answer:" on lines of their own); the cloze layout is OLMES' CF (arXiv 2406.08446); the output contract of `generate` is
that of openai/simple-evals ("Answer: $LETTER" on a line of its own), and so is that of `reasoned` ("The last line of your response
should be of the following format ... Think step by step before answering"); to ask for steps without showing any is zero-shot chain
of thought (Kojima et al. 2022, arXiv 2205.11916). The Spanish and French texts are ours, and so are those for several right choices,
quantities and free text.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from typing import Literal

from evalsuite import prompt_templates
from evalsuite.contracts import Contract, asked
from evalsuite.prompt_templates import DEFAULT, Template
from evalsuite.types import Sample

Format = Literal["letters", "cloze", "generate", "reasoned", "native"]
FORMATS: tuple[Format, ...] = ("letters", "cloze", "generate", "reasoned", "native")


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
    reasoned: str = ""
    """Output contract of `reasoned`; `{answer}` stands for the cue. Empty: that of the sample's language and kind of answer."""
    several: bool = False
    """Every right choice is asked for. Only then are several letters read out of an output; otherwise they contradict each other."""
    output: Contract | None = None
    """`generate`: the output contract that stands in for `contract`; None: `contract` itself."""
    choices_first: bool = False
    """Whether the choices stand before passage and stem."""
    template: Template | None = None
    """How headers, choices and answers are written; None: as `prompt_templates.DEFAULT`."""


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
_FIRST_REASON = {
    "en": 'Think step by step before you answer. The last line of your reply must have the form "{answer}: X',
    "es": 'Razona paso a paso antes de contestar. La última línea de tu respuesta debe tener la forma "{answer}: X',
    "fr": 'Raisonnez étape par étape avant de répondre. La dernière ligne de votre réponse doit avoir la forme "{answer}: X',
}
_REASONED = {
    "choice": {
        "en": _FIRST_REASON["en"] + '", where X is the letter of the right choice.',
        "es": _FIRST_REASON["es"] + '", donde X es la letra de la opción correcta.',
        "fr": _FIRST_REASON["fr"] + '", où X est la lettre de la bonne réponse.',
    },
    "several": {
        "en": f'One or more of the choices are right. {_FIRST_REASON["en"]}, Y", that is, the letters of all right choices, separated by '
        "commas.",
        "es": f'Una o varias opciones son correctas. {_FIRST_REASON["es"]}, Y", con las letras de todas las opciones correctas, separadas '
        "por comas.",
        "fr": f'Une ou plusieurs réponses sont exactes. {_FIRST_REASON["fr"]}, Y", avec les lettres de toutes les réponses exactes, '
        "séparées par des virgules.",
    },
    "quantity": {
        "en": _FIRST_REASON["en"] + '", where X is the value asked for, with its unit if it has one.',
        "es": _FIRST_REASON["es"] + '", donde X es el valor que se pide, con su unidad si la tiene.',
        "fr": _FIRST_REASON["fr"] + '", où X est la valeur demandée, avec son unité si elle en a une.',
    },
    "text": {
        "en": 'Think step by step first. Then write "{answer}:" on a new line and, behind it, your answer and nothing else.',
        "es": 'Razona primero paso a paso. Después escribe "{answer}:" en una línea nueva y, a continuación, solo tu respuesta.',
        "fr": 'Raisonnez d\'abord étape par étape. Écrivez ensuite "{answer}:" sur une nouvelle ligne, suivi de votre réponse et de rien '
        "d'autre.",
    },
}

_NOT_LETTERS = {
    "en": (("the letters of", "the numbers of", "the labels of"), ("the letter of", "the number of", "the label of")),
    "es": (("las letras de", "los números de", "los identificadores de"), ("la letra de", "el número de", "el identificador de")),
    "fr": (("les lettres de", "les numéros de", "les identifiants de"), ("la lettre de", "le numéro de", "l'identifiant de")),
}
"""What output contracts call letters, and what they call numbers and other labels instead."""


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


def reasoned_contract(sample: Sample, wording: Wording) -> str:
    """Output contract of `reasoned` for a sample: the wording's own, else that of its language (English where we have none) and kind."""
    kind = "quantity" if sample.quantity is not None else "text"
    if sample.choices:
        kind = "several" if wording.several else "choice"
    return _filled(wording.reasoned or _REASONED[kind].get(sample.language, _REASONED[kind]["en"]), sample, wording)


def written_contract(sample: Sample, wording: Wording) -> str:
    """Output contract of `generate` for a sample with choices or a quantity.

    Raises:
        ValueError: the wording's output contract has no words in the sample's language, which only a programming error can bring here.
    """
    if wording.output is None:
        return _filled(wording.contract, sample, wording)
    words = asked(wording.output, sample, labels_of(sample))
    if words is None:
        raise ValueError(f"sample {sample.id}: contract {wording.output.name} has no words in {sample.language}")
    return words


def _filled(contract: str, sample: Sample, wording: Wording) -> str:
    """An output contract with the answer line as the template has it and its labels called what they are."""
    listed = sample.labels[: len(sample.labels) - sample.n_unlisted]
    if not all(len(label) == 1 and label.isalpha() for label in listed):
        numbers = all(label.isdecimal() for label in listed)
        for letters, others, rest in _NOT_LETTERS.get(sample.language, ()):
            contract = contract.replace(letters, others if numbers else rest)
    template = wording.template or DEFAULT
    start = prompt_templates.line_start(answer_word(sample, wording), template)
    if sample.choices:
        said = prompt_templates.cited("X", template), prompt_templates.cited("Y", template)
        contract = contract.replace("{answer}: X, Y", f"{start}{said[0]}, {said[1]}").replace("{answer}: X", f"{start}{said[0]}")
    contract = contract.replace("{answer}: ", start).replace("{answer}:", start.rstrip())
    return contract.replace("{answer}", prompt_templates.header(answer_word(sample, wording), template))


def answer_word(sample: Sample, wording: Wording) -> str:
    """Words of the answer's header."""
    return prompt_templates.answer_word(wording.answer, sample.language, wording.template or DEFAULT)


def answer_cue(sample: Sample, wording: Wording) -> tuple[str, str]:
    """The cue that ends a prompt whose answer follows at once, and what stands between the two where there is no chat template."""
    return prompt_templates.cue(answer_word(sample, wording), wording.template or DEFAULT)


def ending_under_template(text: str, sample: Sample, wording: Wording) -> str:
    """An exemplar's own words, with the answer line that ends them as the template has it; they were written under the default one."""
    if wording.template is None:
        return text
    default = replace(wording, template=None)
    head, line_break, last = text.rpartition("\n")
    if sample.choices:
        was, now = right_answer(sample, "reasoned", default), right_answer(sample, "reasoned", wording)
        return f"{head}{line_break}{now}" if last == was else text
    was, now = (prompt_templates.line_start(answer_word(sample, one), one.template or DEFAULT) for one in (default, wording))
    return f"{head}{line_break}{now}{last.removeprefix(was)}" if last.startswith(was) else text


def read_as_default(text: str, sample: Sample, wording: Wording) -> str:
    """Generated text for a lenient reading, which knows the headers of the default template only."""
    template = wording.template
    if template is None:
        return text
    # Choices without labels are answered by their texts.
    labels = tuple(filter(None, labels_of(sample))) if sample.choices else ()
    found = prompt_templates.answers_as_default(text, answer_word(sample, wording), wording.answer, labels, template)
    return prompt_templates.question_as_default(found, wording.question, template) if template.question_header else found


def contract_as_default(text: str, sample: Sample, wording: Wording) -> str:
    """Generated text, without thoughts, for a strict reading likewise; empty if its last line is not the template's answer line."""
    if wording.template is None:
        return text
    body = text.rstrip()
    head, line_break, last = body.rpartition("\n")
    labels = labels_of(sample) if sample.choices else ()
    kept = prompt_templates.contract_line(last, answer_word(sample, wording), wording.answer, labels, wording.template)
    return "" if kept is None else f"{read_as_default(head, sample, wording)}{line_break}{kept}{text[len(body) :]}"


def labels_of(sample: Sample) -> tuple[str, ...]:
    """Labels of the shown choices: the sample's own, else A, B, C, ... (at most 26)."""
    if sample.labels:
        return sample.labels
    if len(sample.choices) > len(string.ascii_uppercase):
        raise ValueError(f"{len(sample.choices)} choices, but only 26 letters")
    return tuple(string.ascii_uppercase[: len(sample.choices)])


def question_block(sample: Sample, wording: Wording, *, with_choices: bool) -> str:
    """Passage, stem and, if asked for, the labelled choices, as the template has them."""
    template = wording.template or DEFAULT
    question = wording.question if template.question_header else ""
    parts = [prompt_templates.headed(wording.context, sample.context, template)] if sample.context else []
    parts.append(prompt_templates.headed(question, sample.question, template))
    if with_choices and sample.choices:
        n_listed = len(sample.choices) - sample.n_unlisted
        listed = prompt_templates.listed(labels_of(sample)[:n_listed], sample.choices[:n_listed], sample.language, template)
        parts = [listed, *parts] if wording.choices_first else [*parts, listed]
    return template.spacing.join(parts)


def lay_out(sample: Sample, form: Format, wording: Wording) -> Layout:
    """Lay one sample out for a format; the instruction is not part of it (it stands once per prompt)."""
    spacing = (wording.template or DEFAULT).spacing
    cue, joint = answer_cue(sample, wording)
    if form == "letters":
        block = question_block(sample, wording, with_choices=True)
        return Layout(user=f"{block}{spacing}{cue}", joint=joint, answers=labels_of(sample))
    if form == "cloze":
        block = question_block(sample, wording, with_choices=False)
        return Layout(user=f"{block}{spacing}{cue}", joint=joint, answers=sample.choices)
    if form == "reasoned" or sample.choices or sample.quantity is not None:
        block = question_block(sample, wording, with_choices=bool(sample.choices))
        contract = reasoned_contract(sample, wording) if form == "reasoned" else written_contract(sample, wording)
        # What is asked for is no part of the question, and stands on lines of its own whatever the template.
        before = spacing if "\n" in spacing else "\n"
        return Layout(user=f"{block}{before}{contract}" if contract else block, joint="\n", answers=())
    block = question_block(sample, wording, with_choices=False)
    return Layout(user=f"{block}{spacing}{cue}" if wording.answer else block, joint=joint if wording.answer else " ", answers=())


def lay_out_again(sample: Sample, form: Format, wording: Wording, said: str, *, repeats: bool) -> Layout:
    """Lay a second turn out.

    Args:
        sample: what it asks.
        form: how.
        wording: the words around it.
        said: what the person says first.
        repeats: whether passage, question and choices are shown again; else only what form the answer is to have.
    """
    spacing = (wording.template or DEFAULT).spacing
    if repeats:
        again = lay_out(sample, form, wording)
        return replace(again, user=f"{said}\n\n{again.user}")
    cue, joint = answer_cue(sample, wording)
    if form in ("letters", "cloze"):
        return Layout(user=f"{said}{spacing}{cue}", joint=joint, answers=labels_of(sample) if form == "letters" else sample.choices)
    contract = reasoned_contract(sample, wording) if form == "reasoned" else written_contract(sample, wording)
    return Layout(user=f"{said}\n{contract}" if contract else said, joint="\n", answers=())


def right_answer(sample: Sample, form: Format, wording: Wording) -> str:
    """The right answer as an exemplar's assistant turn says it.

    Raises:
        ValueError: the sample has no target or reference.
    """
    start = prompt_templates.line_start(answer_word(sample, wording), wording.template or DEFAULT)
    if not sample.choices:
        if not sample.references:
            raise ValueError(f"sample {sample.id} has no reference")
        cued = form == "reasoned" or sample.quantity is not None
        return f"{start}{sample.references[0]}" if cued else sample.references[0]
    if not sample.targets:
        raise ValueError(f"sample {sample.id} has no target")
    if form == "cloze":
        return sample.choices[sample.targets[0]]
    labels = [labels_of(sample)[target] for target in sample.targets]
    if form == "letters":
        return ", ".join(labels)
    if form == "generate" and wording.output is not None:
        return wording.output.write(sample, labels_of(sample), sample.targets[0])
    return start + ", ".join(prompt_templates.cited(label, wording.template or DEFAULT) for label in labels)
