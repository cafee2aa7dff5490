"""Small hand-written questions with hand-written reasoning, for prompts that are kept as text. Not medical advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalsuite.types import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Bank:
    """A question, the pool of its exemplars and what a model writes about them."""

    asked: Sample
    """The question that is evaluated."""
    pool: tuple[Sample, ...]
    """The exemplar pool."""
    chains: Mapping[str, str]
    """Sample id to what the model writes when asked to reason: right, or wrong where the id ends in `wrong`."""


def _pool(language: str, rows: Sequence[tuple[str, str, tuple[str, ...], int, str]]) -> tuple[tuple[Sample, ...], dict[str, str]]:
    samples = tuple(
        Sample(id=name, group=f"pool:{name}", question=question, choices=choices, targets=(target,), language=language)
        for name, question, choices, target, _ in rows
    )
    return samples, {name: written for name, _, _, _, written in rows}


_ENGLISH = _pool(
    "en",
    [
        (
            "insulin",
            "Which organ makes insulin?",
            ("Pancreas", "Spleen", "Thyroid", "Adrenal gland"),
            0,
            "Insulin is made by the beta cells of the islets of Langerhans, which lie in the pancreas.\nAnswer: A",
        ),
        (
            "scurvy",
            "A sailor has bleeding gums and poor wound healing after months without fresh fruit. Which vitamin does he lack?",
            ("Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin K"),
            2,
            (
                "Bleeding gums and poor healing point to weak collagen.\n\n1. Collagen needs vitamin C.\n2. Fresh fruit brings it.\n\n"
                "**Answer: C**"
            ),
        ),
        (
            "gout",
            "A 50-year-old man has a hot, swollen big toe after a feast. Which crystals are found in the joint?",
            ("Calcium pyrophosphate", "Monosodium urate", "Cholesterol", "Hydroxyapatite"),
            1,
            "An acute attack in the big toe is typical of gout. Its crystals are needle-shaped monosodium urate.\nAnswer: B",
        ),
        (
            "ankle-wrong",
            "A 40-year-old woman has a hot, swollen ankle after a flight. What is done first?",
            ("Joint aspiration", "Antibiotics", "Cast", "Surgery"),
            0,
            "After a flight one thinks of infection.\nAnswer: B",
        ),
        (
            "iron",
            "A young woman with heavy periods is pale and tired. Which laboratory value is most likely low?",
            ("Ferritin", "Calcium", "Potassium", "Bilirubin"),
            0,
            "Heavy periods lead to a loss of iron; ferritin falls first. The answer is A.",
        ),
        (
            "knee",
            "A 70-year-old man has a hot, swollen knee; the joint holds rhomboid crystals. Which disease has he?",
            ("Gout", "Pseudogout", "Septic arthritis", "Reactive arthritis"),
            1,
            "Rhomboid, positively birefringent crystals are calcium pyrophosphate, as in pseudogout. Gout would show needles.\nAnswer: B",
        ),
    ],
)
_SPANISH = _pool(
    "es",
    [
        (
            "insulina",
            "¿Qué órgano produce la insulina?",
            ("Páncreas", "Bazo", "Tiroides", "Glándula suprarrenal"),
            0,
            "La insulina la producen las células beta de los islotes de Langerhans, que están en el páncreas.\nRespuesta: A",
        ),
        (
            "gota",
            "Un varón de 50 años presenta dolor agudo, calor y tumefacción en el primer dedo del pie. ¿Qué cristales se encuentran?",
            ("Pirofosfato cálcico", "Urato monosódico", "Colesterol", "Hidroxiapatita"),
            1,
            "La artritis aguda del primer dedo es típica de la gota, y sus cristales son de urato monosódico.\n\n**Respuesta: B**",
        ),
        (
            "tobillo-wrong",
            "Una mujer de 40 años presenta dolor y tumefacción en el tobillo tras un viaje. ¿Qué se hace primero?",
            ("Artrocentesis", "Antibióticos", "Férula", "Cirugía"),
            0,
            "Tras un viaje se piensa en una infección.\nRespuesta: B",
        ),
        (
            "hierro",
            "Una mujer joven con menstruaciones abundantes está pálida y cansada. ¿Qué valor estará bajo?",
            ("Ferritina", "Calcio", "Potasio", "Bilirrubina"),
            0,
            "La pérdida de sangre agota el hierro, y lo primero que baja es la ferritina.\nRespuesta: A",
        ),
    ],
)

BANKS: dict[str, Bank] = {
    "en": Bank(
        asked=Sample(
            id="asked",
            group="asked",
            question="A 64-year-old man has a hot, swollen big toe. Which drug treats the acute attack?",
            choices=("Allopurinol", "Colchicine", "Probenecid", "Febuxostat"),
            targets=(1,),
        ),
        pool=_ENGLISH[0],
        chains=_ENGLISH[1],
    ),
    "es": Bank(
        asked=Sample(
            id="preguntada",
            group="preguntada",
            question="Un varón de 64 años presenta dolor agudo y tumefacción en el primer dedo del pie. ¿Qué fármaco trata el ataque?",
            choices=("Alopurinol", "Colchicina", "Probenecid", "Febuxostat"),
            targets=(1,),
            language="es",
        ),
        pool=_SPANISH[0],
        chains=_SPANISH[1],
    ),
}
"""By language."""
