"""What every perturbation promises, in one table, and what it says of a process: the same everywhere.

Run as a program it prints a digest of what each entry makes of some samples, for a comparison between processes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evalsuite import perturbations
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.plugins import load_specs
from evalsuite.types import Sample

SPECS: dict[str, PerturbationSpec] = load_specs(perturbations)


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """What holds for a perturbation with these options, on every sample that it does not refuse."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """As in study.yaml."""
    stem: Literal["kept", "numbers", "contained", "shortened", "replaced"] = "kept"
    """Passage and stem stand as they were; their numbers do; all their words do, in order, among others; nothing but some of their words
    does; or nothing need to."""
    choices: Literal["kept", "moved", "fewer", "one replaced", "one added", "right one unlisted", "verdicts"] = "kept"
    """What becomes of the choices' texts; `moved`: the same ones in another order."""
    uses_key: str = ""
    """What the shown text or the order of choices may tell of the key; empty: nothing, whatever the key is."""
    again: Literal["same", "refused", ""] = ""
    """What a second application to its own result does; empty: makes something else."""


PROMISES: tuple[tuple[str, Promise], ...] = (
    ("none", Promise(again="same")),
    # meaning-preserving: choices
    ("shuffle_choices", Promise(options={"variants": 3}, choices="moved")),
    ("cyclic_shift", Promise(choices="moved")),
    ("cyclic_shift", Promise(options={"shifts": [1, 3]}, choices="moved")),
    ("gold_at", Promise(options={"slot": "first"}, choices="moved", uses_key="the place", again="same")),
    ("gold_at", Promise(options={"slot": "last"}, choices="moved", uses_key="the place", again="same")),
    ("gold_at", Promise(options={"slot": 1}, choices="moved", uses_key="the place", again="same")),
    *(("labels", Promise(options={"style": style}, again="same")) for style in ("numbers", "lower", "greek", "roman", "none")),
    # meaning-preserving: text
    ("whitespace", Promise(options={"variants": 2}, stem="numbers")),
    ("typos", Promise(options={"variants": 2}, stem="numbers")),
    ("ocr_noise", Promise(options={"variants": 2}, stem="numbers")),
    ("reformat", Promise(stem="numbers", again="refused")),
    ("irrelevant_sentence", Promise(stem="contained")),
    ("sentence_order", Promise(stem="numbers")),
    # target-changing
    *(
        ("none_of_the_others", Promise(options=options, choices="one replaced", uses_key="which choice is replaced", again="refused"))
        for options in ({}, {"place": "last"})
    ),
    ("none_added", Promise(choices="one added", again="refused")),
    ("none_added", Promise(options={"text": "do_not_know"}, choices="one added", again="refused")),
    ("drop_distractor", Promise(choices="fewer", uses_key="what is never dropped")),
    ("drop_distractor", Promise(options={"n": 2}, choices="fewer", uses_key="what is never dropped")),
    ("true_false", Promise(stem="contained", choices="verdicts", uses_key="which choice is proposed")),
    ("true_false", Promise(options={"shown": "right"}, stem="contained", choices="verdicts", uses_key="which choice is proposed")),
    ("true_false", Promise(options={"shown": "wrong"}, stem="contained", choices="verdicts", uses_key="which choice is proposed")),
    ("negated", Promise(stem="contained", choices="fewer", uses_key="which choices are kept", again="refused")),
    ("choices_only", Promise(stem="replaced", again="same")),
    ("without_evidence", Promise(stem="shortened", again="refused")),
    # two steps
    ("compose", Promise(options={"steps": ["cyclic_shift", {"name": "labels", "style": "numbers"}]}, choices="moved")),
    ("compose", Promise(options={"steps": ["typos", "choices_only"], "variants": 3}, stem="replaced")),
    ("compose", Promise(options={"steps": ["drop_distractor", "none_added"]}, choices="one added", uses_key="what is never dropped")),
    ("ask_again", Promise(options={"then": "none"}, again="refused")),
    ("ask_again", Promise(options={"then": {"name": "cyclic_shift", "shifts": [1]}}, choices="moved", again="refused")),
    ("are_you_sure", Promise(again="refused")),
    ("suggestion", Promise(uses_key="what is suggested", again="refused")),
    ("suggestion", Promise(options={"by": "guideline"}, uses_key="what is suggested", again="refused")),
    ("suggestion", Promise(options={"right": True}, uses_key="what is suggested", again="refused")),
    # several prompts, contracts
    ("prompts", Promise(options={"systems": 1, "templates": 1}, again="same")),
    *(
        ("contract", Promise(options={"form": form}, again="same"))
        for form in ("letter", "json", "sentence", "other_language", "tag", "words", "text")
    ),
    ("contract", Promise(options={"form": "refuse"}, choices="one added", again="refused")),
    ("gold_absent", Promise(choices="right one unlisted", uses_key="the choice that is taken out", again="refused")),
    # adversarial
    *(
        ("planted_instruction", Promise(options={"wording": wording}, stem="contained", uses_key="what is asked for", again="refused"))
        for wording in ("ignore", "system_note", "comment", "order")
    ),
    ("authority_claim", Promise(stem="contained", uses_key="what is claimed", again="refused")),
    ("authority_claim", Promise(options={"right": True}, stem="contained", uses_key="what is claimed", again="refused")),
    *(("unicode", Promise(options={"kind": kind}, stem="numbers")) for kind in ("confusables", "zero_width", "both")),
    ("long_record", Promise(stem="contained")),
)
"""(plugin, what it promises), every plugin at least once. What is not declared here does not pass."""


def label_of(name: str, promise: Promise) -> str:
    """A plugin with its options, for people."""
    return f"{name} {json.dumps(promise.options)}" if promise.options else name


def built(name: str, promise: Promise) -> Perturb:
    """The map of an entry."""
    spec = SPECS[name]
    return spec.build(spec.options.model_validate(dict(promise.options)))


def preserved(name: str, promise: Promise) -> bool:
    """Whether an entry preserves the meaning."""
    return SPECS[name].preserves(SPECS[name].options.model_validate(dict(promise.options)))


VIGNETTE = {
    "en": "A 67-year-old woman comes to the clinic with chest pain of 3 hours. She has smoked 20 cigarettes a day for 30 years. Her blood "
    "pressure is 150/90 mm Hg and her temperature 37.8 °C. An ECG shows ST elevation of 2.5 mm. She takes 5 mg of ramipril. Which is the "
    "best next step?",
    "es": "Mujer de 67 años que acude a la consulta por dolor torácico de 3 horas. Ha fumado 20 cigarrillos al día durante 30 años. La "
    "presión arterial es de 150/90 mm Hg y la temperatura de 37,8 °C. El ECG muestra una elevación del ST de 2,5 mm. Toma 5 mg de "
    "ramipril. ¿Cuál es la actitud más adecuada?",
}
CHOICES = {
    "en": ("Aspirin 300 mg", "Warfarin", "Observation for 24 hours", "Vitamin B12", "Coronary angiography"),
    "es": ("Ácido acetilsalicílico 300 mg", "Warfarina", "Observación durante 24 horas", "Vitamina B12", "Coronariografía"),
}


ABSTRACT = "METHODS: 120 patients were followed for 2 years.\nRESULTS: 31 of them died.\nCONCLUSIONS: Mortality was high."
"""A passage whose deciding part is marked by its labels."""


def fixed_samples() -> tuple[Sample, ...]:
    """Some samples that are the same in every process."""
    return tuple(
        Sample(id=f"{language}:{number}", group=f"g{number}", question=VIGNETTE[language], choices=CHOICES[language][:n], targets=(target,),
               language=language, context=ABSTRACT if number == 1 else "")
        for language in ("en", "es")
        for number, (n, target) in enumerate([(4, 0), (4, 3), (5, 2), (2, 1), (3, 1)])
    )  # fmt: skip


def told(made: tuple[Sample, ...] | Refusal) -> str:
    """What a map made, as one text."""
    return repr(made)


def digests(seed: int = 5) -> dict[str, str]:
    """Each entry to a digest of what it makes of the fixed samples."""
    found = {}
    for name, promise in PROMISES:
        perturb = built(name, promise)
        text = "\n".join(told(perturb(sample, seed)) for sample in fixed_samples())
        found[label_of(name, promise)] = hashlib.sha256(text.encode()).hexdigest()
    return found


if __name__ == "__main__":
    print(json.dumps(digests()))
