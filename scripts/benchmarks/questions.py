"""Four-choice questions of about 150 tokens from the facts of the pocket checkpoints; as many different ones as are wanted."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np

from evalsuite import pocket

LETTERS = ("A", "B", "C", "D")

LETTER_TOKENS = tuple(f" {letter}" for letter in LETTERS)

N_CHARACTERS = 340
"""Length at which a question's background ends; with the choices about 150 tokens of the pocket tokenizer."""


N_ORDERS = 5
"""Orders of the choices in which Medprompt asks a question."""

N_WRITTEN = 64
"""Tokens of each generation."""

FORMS = ("letters", "cloze", "five_shot_letters", "medprompt_letters", "generation")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One question as a harness asks it: what is read, and the continuations whose log-probabilities decide."""

    context: str
    """Read."""
    continuations: tuple[str, ...]
    """Scored; each begins with a space. None where text is written."""


def questions(n: int, seed: int, *, form: str) -> list[Asked]:
    """Random questions, different for every seed, so that no cache knows them.

    Args:
        n: how many prompts.
        seed: of the draw.
        form: letters | cloze | five_shot_letters (five exemplars, the same before every question) | medprompt_letters (each question
            under five orders of its choices, behind five exemplars of its own) | generation (as letters, to be answered with a text).

    Raises:
        ValueError: another form.
    """
    if form not in FORMS:
        raise ValueError(f"no form {form!r}")
    lines = (Path(pocket.__file__).parent / "facts.jsonl").read_text(encoding="utf-8").splitlines()
    facts = [(row["relation"], row["subject"]["en"], row["answer"]["en"]) for row in map(json.loads, lines)]
    random = np.random.default_rng(seed)
    if form == "cloze":
        return [_cloze(facts, random) for _ in range(n)]
    if form == "medprompt_letters":
        pool = [_shot(facts, random) for _ in range(n)]
        return [one for _ in range(-(-n // N_ORDERS)) for one in _in_orders(facts, random, pool)][:n]
    if form == "generation":
        return [replace(_lettered(facts, random, ""), continuations=()) for _ in range(n)]
    shots = "".join(_shot(facts, random) for _ in range(5)) if form == "five_shot_letters" else ""
    return [_lettered(facts, random, shots) for _ in range(n)]


Facts = list[tuple[str, str, str]]


def _background(facts: Facts, random: np.random.Generator) -> str:
    text = ""
    while len(text) < N_CHARACTERS:
        relation, subject, answer = facts[int(random.integers(len(facts)))]
        text += f"The {relation} of {subject} is {answer}. "
    return text


def _asked(facts: Facts, random: np.random.Generator) -> tuple[str, list[str], int]:
    """(question, four different choices, place of the right one)."""
    relation, subject, right = facts[int(random.integers(len(facts)))]
    wrong = sorted({answer for _, _, answer in facts} - {right})
    choices = [right, *(wrong[place] for place in random.choice(len(wrong), 3, replace=False))]
    order = random.permutation(4)
    return f"What is the {relation} of {subject}?", [choices[place] for place in order], int(np.argmin(order))


def _cloze(facts: Facts, random: np.random.Generator) -> Asked:
    question, choices, _ = _asked(facts, random)
    return Asked(context=f"{_background(facts, random)}{question}\nAnswer:", continuations=tuple(f" {choice}" for choice in choices))


def _lettered(facts: Facts, random: np.random.Generator, shots: str) -> Asked:
    question, choices, _ = _asked(facts, random)
    context = f"{shots}{_shown(_background(facts, random) + question, choices)}"
    return Asked(context=context, continuations=LETTER_TOKENS)


def _in_orders(facts: Facts, random: np.random.Generator, pool: list[str]) -> list[Asked]:
    """A question behind five of the pool's exemplars, as nearest neighbours would be: its own, the same for all orders of its choices."""
    question, choices, _ = _asked(facts, random)
    shots = "".join(pool[place] for place in random.choice(len(pool), 5, replace=False))
    stem = _background(facts, random) + question
    orders = list(permutations(choices))
    picked = [list(orders[place]) for place in random.choice(len(orders), N_ORDERS, replace=False)]
    return [Asked(context=shots + _shown(stem, order), continuations=LETTER_TOKENS) for order in picked]


def _shot(facts: Facts, random: np.random.Generator) -> str:
    question, choices, place = _asked(facts, random)
    return f"{_shown(_background(facts, random) + question, choices)} {LETTERS[place]}\n\n"


def _shown(question: str, choices: list[str]) -> str:
    listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
    return f"{question}\n{listed}\nAnswer:"
