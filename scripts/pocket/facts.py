"""The facts that the pocket checkpoints may learn, read from the YAML files beside this module, and who sees which.

Everything here is pure and seeded: the same files give the same facts, exposures and uses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

Domain = Literal["clinical", "general"]
Exposure = Literal["generalist", "clinical", "never"]
Use = Literal["test", "format", "exemplar"]

LANGUAGES = ("en", "es")
SEED = 20251121
BLOCK = 4
"""Never-seen facts share their four choices within blocks of this size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Templates:
    """The ways in which one relation is said in one language; `{s}`/`{S}` subject, `{a}`/`{A}` answer."""

    sentences: tuple[str, ...]
    """Statements for training."""
    questions: tuple[str, ...]
    """Questions for training."""
    held_out: tuple[str, ...]
    """Questions for evaluation only, never trained for any fact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One true fact: a subject, a relation, an answer."""

    id: str
    """`<relation>-<subject slug>`, unique."""
    relation: str
    """Name of the relation."""
    domain: Domain
    """`clinical` or `general`."""
    subject: tuple[str, str]
    """Subject in English and in Spanish."""
    answer: tuple[str, str]
    """Answer in English and in Spanish."""
    also_true: tuple[str, ...]
    """English answers of the relation that could be defended for this subject and are never its distractors."""
    exposure: Exposure
    """`generalist`: every checkpoint has seen it; `clinical`: only the clinical continuations; `never`: none."""
    use: Use
    """`test` and `format` questions are evaluated; `exemplar` questions serve as shots."""

    def said(self, template: str, language: str) -> str:
        """A template filled with this fact's names in a language."""
        place = LANGUAGES.index(language)
        subject, answer = self.subject[place], self.answer[place]
        filled = template.replace("{s}", subject).replace("{S}", subject[0].upper() + subject[1:])
        filled = filled.replace("{a}", answer).replace("{A}", answer[0].upper() + answer[1:])
        return filled.replace(" de el ", " del ").replace(" a el ", " al ") if language == "es" else filled


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """One relation with its templates by language and its facts."""

    name: str
    """Unique name."""
    domain: Domain
    """`clinical` or `general`."""
    templates: dict[str, Templates]
    """By language; a never-seen relation has held-out questions in English only."""
    facts: tuple[Fact, ...]
    """In file order."""


def slug(text: str) -> str:
    """Lower-case ASCII letters and digits joined by hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def load_relations(folder: Path | None = None) -> tuple[Relation, ...]:
    """All relations of `clinical.yaml`, `general.yaml` and `unseen.yaml`.

    Who sees a fact is drawn with a fixed seed: a third of each clinical relation (at least four facts) goes to the
    generalist, and of those one or two become exemplars; of each general relation about a tenth become exemplars
    and about a quarter go to the format task.
    """
    folder = folder or Path(__file__).parent
    relations: list[Relation] = []
    for file, domain in (("clinical", "clinical"), ("general", "general"), ("unseen", None)):
        for number, raw in enumerate(yaml.safe_load((folder / f"{file}.yaml").read_text(encoding="utf-8"))):
            rng = np.random.default_rng([SEED, len(relations), number])
            relations.append(_relation(raw, raw.get("domain", domain), file == "unseen", rng))
    return tuple(relations)


def _relation(raw: dict[str, object], domain: Domain, unseen: bool, rng: np.random.Generator) -> Relation:
    if unseen:
        templates = {"en": Templates(sentences=(), questions=(), held_out=tuple(raw["held_out"]))}  # type: ignore[arg-type]
    else:
        templates = {
            language: Templates(**{kind: tuple(texts) for kind, texts in raw[language].items()})  # type: ignore[attr-defined]
            for language in LANGUAGES
        }
    rows = [[cell.strip() for cell in line.split("|")] for line in str(raw["facts"]).strip().splitlines()]
    exposures, uses = _draw(len(rows), domain, unseen, rng)
    facts = []
    for row, exposure, use in zip(rows, exposures, uses, strict=True):
        subject, answer = row[0], row[1]
        spanish = row[2:4] if len(row) > 2 else row[:2]
        also_true = tuple(part.strip() for part in row[4].split(";")) if len(row) > 4 else ()
        fact = Fact(
            id=f"{raw['name']}-{slug(subject)}",
            relation=str(raw["name"]),
            domain=domain,
            subject=(subject, spanish[0]),
            answer=(answer, spanish[1]),
            also_true=also_true,
            exposure=exposure,
            use=use,
        )
        facts.append(fact)
    return Relation(name=str(raw["name"]), domain=domain, templates=templates, facts=tuple(facts))


def _draw(n_facts: int, domain: Domain, unseen: bool, rng: np.random.Generator) -> tuple[list[Exposure], list[Use]]:
    """Exposure and use of a relation's facts, in file order."""
    order = rng.permutation(n_facts)
    exposures: list[Exposure] = ["never" if unseen else "generalist" if domain == "general" else "clinical"] * n_facts
    uses: list[Use] = ["test"] * n_facts
    if unseen:
        return exposures, uses
    if domain == "clinical":
        for place in order[: max(4, round(n_facts / 3))]:
            exposures[place] = "generalist"
    n_exemplars = 1 + (n_facts >= 20)
    for place in order[:n_exemplars]:
        uses[place] = "exemplar"
    if domain == "general":
        for place in order[n_exemplars : n_exemplars + round(0.28 * n_facts)]:
            uses[place] = "format"
    return exposures, uses


def distractor_names(fact: Fact, pool: Sequence[Fact], language: str) -> list[str]:
    """Wrong answers for a fact: the other answers of its relation in the pool, each once, sorted."""
    place = LANGUAGES.index(language)
    mates = [mate for mate in pool if mate.relation == fact.relation]
    barred = {fact.answer[place]} | {mate.answer[place] for mate in mates if mate.answer[0] in fact.also_true}
    return sorted({mate.answer[place] for mate in mates} - barred)
