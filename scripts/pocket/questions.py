"""The evaluation rows: held-out phrasings only, one JSONL per task and split, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pocket.facts import BLOCK, LANGUAGES, SEED, Fact, Relation, distractor_names

Row = dict[str, Any]


def evaluation_rows(relations: Sequence[Relation]) -> dict[str, list[Row]]:
    """File stem -> rows.

    English and Spanish rows of a fact have the same choices in the same order. Positions of the target are as equal
    as the number of rows allows. Exemplars are questions about facts that every checkpoint has seen in its base stage
    and that no test group holds.
    """
    by_name = {relation.name: relation for relation in relations}
    facts = [fact for relation in relations for fact in relation.facts]
    pools = {domain: [fact for fact in facts if fact.domain == domain and fact.exposure != "never"] for domain in ("clinical", "general")}
    clinical = [fact for fact in pools["clinical"] if fact.use == "test"]
    shown = {domain: [fact for fact in pool if fact.use == "exemplar"] for domain, pool in pools.items()}
    general = [fact for fact in pools["general"] if fact.use == "test"]
    form = [fact for fact in pools["general"] if fact.use == "format"]
    files: dict[str, list[Row]] = {}
    for stem, asked, language, domain in (
        ("clinical_en", clinical, "en", "clinical"),
        ("clinical_es", clinical, "es", "clinical"),
        ("general_en", general, "en", "general"),
        ("format_en", form, "en", "general"),
        ("clinical_en_train", shown["clinical"], "en", "clinical"),
        ("clinical_es_train", shown["clinical"], "es", "clinical"),
        ("general_en_train", shown["general"], "en", "general"),
    ):
        files[stem] = _seen_rows(asked, language, by_name, pools[domain])
    files["unseen_en"] = [row for relation in relations for row in _unseen_rows(relation)]
    return files


def _seen_rows(asked: Sequence[Fact], language: str, by_name: dict[str, Relation], pool: Sequence[Fact]) -> list[Row]:
    """Two rows per fact. The seed does not depend on the language, so that languages share choices and positions."""
    rng = np.random.default_rng([SEED, 1, len(asked), len(pool)])
    n_rows = 2 * len(asked)
    positions = rng.permutation(np.arange(n_rows) % 4)
    rows = []
    for number, fact in enumerate(asked):
        translated = {mate.answer[0]: mate.answer[LANGUAGES.index(language)] for mate in pool if mate.relation == fact.relation}
        names = distractor_names(fact, pool, "en")
        for phrasing in range(2):
            wrong = [translated[names[place]] for place in rng.choice(len(names), size=3, replace=False)]
            target = int(positions[2 * number + phrasing])
            choices = [*wrong[:target], translated[fact.answer[0]], *wrong[target:]]
            question = fact.said(by_name[fact.relation].templates[language].held_out[phrasing], language)
            rows.append(_row(fact, language, phrasing, question, choices, target))
    return rows


def _unseen_rows(relation: Relation) -> list[Row]:
    """Two rows per never-seen fact, balanced.

    Within a block of four facts all rows show the same four answers, so that an answer is the target of exactly a
    quarter of the rows that show it, and each position holds the target equally often.
    """
    if relation.facts[0].exposure != "never":
        return []
    if len(relation.facts) % BLOCK:
        raise ValueError(f"{relation.name}: the number of never-seen facts is no multiple of {BLOCK}")
    rng = np.random.default_rng([SEED, 2, len(relation.facts)])
    order = [relation.facts[place] for place in rng.permutation(len(relation.facts))]
    rows = []
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        for phrasing in range(2):
            positions = rng.permutation(BLOCK)
            for fact, target in zip(block, positions, strict=True):
                others = [mate.answer[0] for mate in block if mate.id != fact.id]
                wrong = [others[place] for place in rng.permutation(BLOCK - 1)]
                choices = [*wrong[:target], fact.answer[0], *wrong[target:]]
                question = fact.said(relation.templates["en"].held_out[phrasing], "en")
                rows.append(_row(fact, "en", phrasing, question, choices, int(target)))
    return rows


def _row(fact: Fact, language: str, phrasing: int, question: str, choices: list[str], target: int) -> Row:
    return {
        "id": f"{fact.id}:{language}:{phrasing}",
        "fact": fact.id,
        "group": f"pocket:{fact.id}",
        "relation": fact.relation,
        "exposure": fact.exposure,
        "phrasing": phrasing,
        "language": language,
        "question": question,
        "choices": choices,
        "answer": target,
    }
