"""Seconds that it takes to perturb a data set: twelve perturbations of 2,742 questions on one core.

HEAD-QA's Spanish test split where its data are at hand ($EVALSUITE_DATA), else as many drawn questions that are longer than its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.claims import Claim
from evalsuite import perturbations
from evalsuite.data import load_split, locate
from evalsuite.errors import UserError
from evalsuite.plan import Refused, variants_of
from evalsuite.plugins import load_specs
from evalsuite.tasks import find_tasks
from evalsuite.types import Sample

N_QUESTIONS = 2_742
MOST_S = 20.0
"""Seconds that are promised for all twelve."""

TWELVE: Mapping[str, Mapping[str, Any]] = {
    "shuffle_choices": {"variants": 3},
    "cyclic_shift": {},
    "labels": {"style": "numbers"},
    "none_of_the_others": {},
    "negated": {},
    "true_false": {},
    "whitespace": {},
    "typos": {},
    "ocr_noise": {},
    "irrelevant_sentence": {},
    "sentence_order": {},
    "long_record": {},
}
"""The twelve, with options: those that rewrite texts, which cost most, and some that move choices."""

needs: tuple[str, ...] = ()
"""What is missing for it."""


def measure(n_repeats: int) -> Iterator[Claim]:
    """All twelve over all questions; the median of the repeats, in seconds of this thread."""
    samples, whose = questions()
    specs = load_specs(perturbations)
    totals, slowest = [], ("", 0.0)
    n_shown = n_refused = 0
    for _ in range(n_repeats):
        seconds = {}
        n_shown = n_refused = 0
        for name, options in TWELVE.items():
            perturb = specs[name].build(specs[name].options.model_validate(options))
            started = time.thread_time()
            shown = variants_of(samples, perturb, seed=0)
            seconds[name] = time.thread_time() - started
            n_refused += sum(isinstance(one, Refused) for one in shown)
            n_shown += sum(not isinstance(one, Refused) for one in shown)
        totals.append(sum(seconds.values()))
        slowest = max(seconds.items(), key=lambda item: item[1])
    yield Claim(
        case=f"12 perturbations x {len(samples):,} questions",
        ours=median(totals),
        target=MOST_S,
        at_most=True,
        unit="s",
        detail=f"{whose}; {n_shown:,} renditions, {n_refused:,} refused; slowest {slowest[0]} {slowest[1]:.2f} s; one core",
    )


def questions() -> tuple[Sequence[Sample], str]:
    """The questions, and whose they are."""
    task = find_tasks()["headqa_es"]
    try:
        here = locate(task, "test", {}).path is not None
    except UserError:
        here = False
    if not here:  # the hub is not asked: a benchmark needs no network
        return drawn(), "drawn questions"
    samples = load_split(task, "test", {}).samples
    return (*samples, *samples)[:N_QUESTIONS], "HEAD-QA (es, test), its first questions once more in place of those with images"


def drawn() -> tuple[Sample, ...]:
    """Questions of 40 to 120 words with four choices."""
    rng = np.random.default_rng(0)
    roots, endings = ("pacient", "cardi", "renal", "febr", "dolor", "trat"), ("e", "a", "os", "ica", "iento")
    words = [f"{root}{ending}" for root in roots for ending in endings]
    made = []
    for number in range(N_QUESTIONS):
        sentences = [" ".join(rng.choice(words, size=int(rng.integers(8, 20)))).capitalize() + "." for _ in range(int(rng.integers(4, 7)))]
        stem = f"{' '.join(sentences)} Con 38,5 °C y 120/80 mmHg, ¿qué tratamiento {number} es el correcto?"
        choices = tuple(f"{rng.choice(words)} {number} {letter}" for letter in "kmpt")
        made.append(Sample(id=str(number), group=str(number), question=stem, choices=choices, targets=(number % 4,), language="es"))
    return tuple(made)
