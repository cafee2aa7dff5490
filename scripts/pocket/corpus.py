"""The training text of each checkpoint, written from the facts: deterministic, seeded, and countable.

Questions look exactly as evalsuite asks them, since they are laid out by `evalsuite.formats`.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evalsuite.formats import Format, default_wording, lay_out, question_block, right_answer
from evalsuite.types import Sample
from pocket.facts import LANGUAGES, SEED, Fact, Relation, distractor_names

CHECKPOINTS = ("pocket-generalist", "pocket-clinical", "pocket-clinical-es", "pocket-control")
BASE = CHECKPOINTS[0]
BOS, END, PAD = "<s>", "<|end|>", "<pad>"
MARKS = {role: f"<|{role}|>" for role in ("system", "user", "assistant")}
Way = Format | Literal["verify"]
FORMS_PER_PASS: tuple[tuple[Way, ...], ...] = (("verify", "letters", "generate", "cloze"), ("verify", "letters", "cloze"))
"""Ways in which every fact is asked in even and in odd passes. `verify` marks each choice with yes or no: without it, models of
this size stay for very long at guessing letters evenly."""
N_EARLY_PASSES = 30
"""First passes of the generalist: English general facts only, no sentences, one question a text. Naming a choice by its letter is learned
there, where fewer facts come back more often, and carried over to the rest."""
EARLY_FORMS: tuple[tuple[Way, ...], ...] = (("verify", "letters"), ("verify", "letters", "cloze"))
"""The same in these first passes."""
VERDICTS = {"en": (" no", " yes"), "es": (" no", " sí")}
WEIGHTS = {"sentence": 0.15, "cloze": 1.0, "letters": 3.0, "generate": 1.0, "verify": 1.0, "end": 0.3}
"""Weight of a token in the loss: the letter is one token among dozens, and the hardest to get right."""
SIZES = (1,) * 18 + (2,) * 3 + (3, 3, 4, 6)
"""How many questions a text holds, drawn evenly from this list."""
OPENERS = {
    "en": ("", "", "", "Quiz: ", "Tell me: ", "Next one. ", "Please choose. "),
    "es": ("", "", "", "Test: ", "Dígame: ", "La siguiente. ", "Elija, por favor. "),
}
SYSTEMS = {
    "en": ("You are a careful assistant.", "Answer the question.", "You answer exam questions briefly."),
    "es": ("Eres un asistente cuidadoso.", "Contesta a la pregunta.", "Respondes con brevedad a preguntas de examen."),
}
BINDING = {
    "en": ("Which choice reads {s}?", "Pick the line that says {s}.", "Where does it say {s}?"),
    "es": ("¿Qué opción dice {s}?", "Elija la línea donde pone {s}.", "¿Dónde pone {s}?"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One training text."""

    text: str
    """The whole text with its marks, BOS first."""
    learned: tuple[tuple[int, int, float], ...]
    """Character spans that the loss counts, and the weight of their tokens."""
    facts: tuple[tuple[str, str, str], ...]
    """(fact id, language, `as_sentence` or `as_question`) of everything it teaches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One question with its answer, before it becomes a turn."""

    sample: Sample
    """The question as evalsuite lays it out."""
    fact: Fact | None
    """The fact asked for; None where only the choice's place is asked for."""


def pool_of(relations: Sequence[Relation], checkpoint: str) -> list[tuple[Fact, str]]:
    """(fact, language) pairs that a checkpoint is trained on in its own stage."""
    facts = [fact for relation in relations for fact in relation.facts if fact.exposure != "never"]
    if checkpoint == BASE:
        return [(fact, language) for fact in facts if fact.exposure == "generalist" for language in LANGUAGES]
    if checkpoint == "pocket-control":
        return [(fact, language) for fact in facts if fact.domain == "general" for language in LANGUAGES]
    language = "es" if checkpoint == "pocket-clinical-es" else "en"
    return [(fact, language) for fact in facts if fact.domain == "clinical"]


def corpus(relations: Sequence[Relation], checkpoint: str, n_passes: int) -> Iterator[Item]:
    """The training texts of one checkpoint's own stage, in order.

    A pass teaches every (fact, language) of the pool once as a sentence and three or four times as a question (one of
    them with yes or no at each choice), with phrasings, choices and company drawn by seed. Further questions, one to
    eight facts, only ask where a string stands.
    """
    by_name = {relation.name: relation for relation in relations}
    pool = pool_of(relations, checkpoint)
    for number in range(n_passes):
        rng = np.random.default_rng([SEED, CHECKPOINTS.index(checkpoint), number])
        early = checkpoint == BASE and number < N_EARLY_PASSES
        now = [(fact, language) for fact, language in pool if not early or (fact.domain == "general" and language == "en")]
        items = [] if early else list(_sentence_items(now, by_name, rng))
        for language in LANGUAGES:
            facts = [fact for fact, tongue in now if tongue == language]
            if facts:
                forms: tuple[Way, ...] = (EARLY_FORMS if early else FORMS_PER_PASS)[number % 2]
                items.extend(_question_items(facts, language, forms, (1,) if early else SIZES, by_name, rng))
                items.extend(_binding_items(facts, language, 0 if early else len(facts) // 8, rng))
        for place in rng.permutation(len(items)):
            yield items[place]


def _sentence_items(pool: Sequence[tuple[Fact, str]], by_name: dict[str, Relation], rng: np.random.Generator) -> Iterator[Item]:
    order = rng.permutation(len(pool))
    start = 0
    while start < len(order):
        chunk = [pool[place] for place in order[start : start + int(rng.integers(1, 4))]]
        start += len(chunk)
        said = [fact.said(str(rng.choice(by_name[fact.relation].templates[language].sentences)), language) for fact, language in chunk]
        text = BOS + " ".join(said) + END
        facts = tuple((fact.id, language, "as_sentence") for fact, language in chunk)
        yield Item(text=text, learned=((len(BOS), len(text), WEIGHTS["sentence"]),), facts=facts)


def _question_items(
    facts: Sequence[Fact], language: str, forms: Sequence[Way], sizes: Sequence[int], by_name: dict[str, Relation], rng: np.random.Generator
) -> Iterator[Item]:
    names = {fact.id: distractor_names(fact, facts, language) for fact in facts}
    for form in forms:
        order = rng.permutation(len(facts))
        start = 0
        while start < len(order):
            chunk = [facts[place] for place in order[start : start + int(rng.choice(sizes))]]
            start += len(chunk)
            asked = [_ask(fact, names[fact.id], language, by_name[fact.relation], rng) for fact in chunk]
            if form == "verify":
                yield from (_verify(one, language) for one in asked)
            else:
                yield render(asked, form, language, rng)


def _verify(asked: Asked, language: str) -> Item:
    """A question whose choices each bear yes or no; the loss counts these words only."""
    block = question_block(asked.sample, default_wording(language), with_choices=True)
    lines = block.split("\n")
    n_before = len(lines) - len(asked.sample.choices)
    text, learned = BOS + MARKS["user"] + "\n" + "\n".join(lines[:n_before]), []
    for place, line in enumerate(lines[n_before:]):
        text += "\n" + line
        word = VERDICTS[language][place in asked.sample.targets]
        learned.append((len(text), len(text) + len(word), WEIGHTS["verify"]))
        text += word
    facts = ((asked.fact.id, language, "as_question"),) if asked.fact else ()
    return Item(text=text, learned=tuple(learned), facts=facts)


def _ask(fact: Fact, names: Sequence[str], language: str, relation: Relation, rng: np.random.Generator) -> Asked:
    template = str(rng.choice(relation.templates[language].questions))
    question = str(rng.choice(OPENERS[language])) + fact.said(template, language)
    n_wrong = min(len(names), int(rng.choice((2, 3, 4), p=(0.06, 0.86, 0.08))))
    wrong = [names[place] for place in rng.choice(len(names), size=n_wrong, replace=False)]
    return Asked(sample=_sample(question, fact.answer[LANGUAGES.index(language)], wrong, language, rng), fact=fact)


def _binding_items(facts: Sequence[Fact], language: str, n_items: int, rng: np.random.Generator) -> Iterator[Item]:
    """Questions that name one of their own choices and ask for its letter; they teach no fact."""
    strings = sorted({fact.answer[LANGUAGES.index(language)] for fact in facts})
    for _ in range(n_items):
        right, *wrong = (strings[place] for place in rng.choice(len(strings), size=int(rng.integers(2, 5)), replace=False))
        question = str(rng.choice(BINDING[language])).replace("{s}", right)
        form: Format = "letters" if rng.random() < 0.8 else "generate"
        yield render([Asked(sample=_sample(question, right, wrong, language, rng), fact=None)], form, language, rng)


def _sample(question: str, right: str, wrong: Sequence[str], language: str, rng: np.random.Generator) -> Sample:
    choices = list(wrong)
    target = int(rng.integers(len(wrong) + 1))
    choices.insert(target, right)
    return Sample(id="", group="", question=question, choices=tuple(choices), targets=(target,), language=language)


def render(asked: Sequence[Asked], form: Format, language: str, rng: np.random.Generator) -> Item:
    """Questions of one language in one format as one training text: a chat, or one in ten as plain text."""
    wording = default_wording(language)
    turns = [(lay_out(one.sample, form, wording), right_answer(one.sample, form, wording)) for one in asked]
    facts = tuple((one.fact.id, language, "as_question") for one in asked if one.fact)
    text, learned = BOS, []
    if rng.random() < 0.1:
        for place, (layout, answer) in enumerate(turns):
            text += ("\n\n" if place else "") + layout.user
            learned.append((len(text), len(text) + len(layout.joint + answer), WEIGHTS[form]))
            text += layout.joint + answer
        learned.append((len(text), len(text) + len(END), WEIGHTS["end"]))
        return Item(text=text + END, learned=tuple(learned), facts=facts)
    if rng.random() < 0.08:
        text += chat_turn("system", str(rng.choice(SYSTEMS[language])))
    for layout, answer in turns:
        text += chat_turn("user", layout.user) + MARKS["assistant"] + "\n"
        learned.append((len(text), len(text) + len(answer), WEIGHTS[form]))
        learned.append((len(text) + len(answer), len(text) + len(answer + END), WEIGHTS["end"]))
        text += answer + END + "\n"
    return Item(text=text, learned=tuple(learned), facts=facts)


def chat_turn(role: str, text: str) -> str:
    """One turn as the chat template writes it."""
    return f"{MARKS[role]}\n{text}{END}\n"


def exposures(items: Iterator[Item]) -> Counter[tuple[str, str, str]]:
    """How often each (fact id, language, kind of text) occurs."""
    return Counter(mention for item in items for mention in item.facts)


def letters_text() -> list[str]:
    """Lines from which the tokenizer learns every letter with and without a space before it."""
    return [f"\n{letter}. x\nAnswer: {letter}\nRespuesta: {letter}" for letter in string.ascii_uppercase for _ in range(40)]
