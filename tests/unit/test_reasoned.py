"""Outputs that reason before they answer: what is read out of them, leniently and under the contract, and the contract itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.answers import read_lenient, read_quantity, read_reasoned, read_reasoned_strict, taken_apart
from evalsuite.formats import WORDINGS, Wording, default_wording, lay_out, quantity_wording, right_answer, several_wording
from evalsuite.tasks import find_tasks
from evalsuite.types import Quantity, Sample

REPOSITORY = Path(__file__).resolve().parents[2]
TASKS = find_tasks(REPOSITORY / "tasks")
THINK = ("<think>", "</think>")

EN = Sample(
    id="en",
    group="g",
    question="A 54-year-old man has crushing chest pain and ST elevation in II, III and aVF. Which artery is most likely occluded?",
    choices=("Left anterior descending artery", "Left circumflex artery", "Right coronary artery", "Left main coronary artery"),
    targets=(2,),
)
ES = Sample(
    id="es",
    group="g",
    question="Una mujer de 30 años consulta por diplopía y ptosis que empeoran por la tarde. ¿Cuál es el diagnóstico más probable?",
    choices=("Botulismo", "Miastenia gravis", "Esclerosis múltiple", "Síndrome de Eaton-Lambert"),
    targets=(1,),
    language="es",
)
FR = Sample(
    id="fr",
    group="g",
    question="Quelle carence entraîne une encéphalopathie de Wernicke ?",
    choices=("Vitamine A", "Vitamine B1", "Vitamine C", "Vitamine D"),
    targets=(1,),
    language="fr",
)
SEVERAL = Sample(
    id="several",
    group="g",
    question="Parmi les médicaments suivants, lesquels sont des bêtabloquants ?",
    choices=("Aténolol", "Amlodipine", "Bisoprolol", "Ramipril", "Propranolol"),
    targets=(0, 2, 4),
    language="fr",
)
LABELS = Sample(id="labels", group="g", question="Does aspirin lower the risk of stroke?", choices=("yes", "no", "maybe"), targets=(0,))
RATE = Sample(
    id="rate",
    group="g",
    question="What is the creatinine clearance in mL/min?",
    references=("63.2",),
    quantity=Quantity(form="number", low=60.04, high=66.36, unit="mL/min"),
)
TASA = Sample(
    id="tasa",
    group="g",
    question="¿Cuál es el aclaramiento de creatinina en mL/min?",
    references=("63,2",),
    quantity=Quantity(form="number", low=60.04, high=66.36, unit="mL/min"),
    language="es",
)
SUMMARY = Sample(id="summary", group="g", question="I have had a cough for weeks ...", references=("What causes a cough?",))
SUMMARISE = TASKS["meqsum"].card.wording or Wording()
KINDS = {
    "en": (EN, WORDINGS["en"]),
    "es": (ES, WORDINGS["es"]),
    "fr": (FR, WORDINGS["fr"]),
    "several": (SEVERAL, several_wording("fr")),
    "labels": (LABELS, TASKS["pubmedqa"].card.wording or Wording()),
    "rate": (RATE, quantity_wording("en")),
    "tasa": (TASA, quantity_wording("es")),
    "summary": (SUMMARY, SUMMARISE),
}

# (kind, output, what is read leniently, what is read strictly); letters for choices, None for nothing.
OUTPUTS = [
    (
        "en",
        (
            "ST elevation in II, III and aVF points to the inferior wall.\n\nA. The LAD supplies the anterior wall, so A is unlikely.\n"
            "B. The circumflex supplies the lateral wall.\nC. The right coronary artery supplies the inferior wall in 85 % of people.\n"
            "D. Left main occlusion gives diffuse changes.\n\nAnswer: C"
        ),
        "C",
        "C",
    ),
    (
        "en",
        (
            "**Step 1: Localise.** Inferior leads.\n**Step 2: Which artery?** The RCA (option C) in most people; B is possible in left "
            "dominance.\n\n**Answer: C**"
        ),
        "C",
        None,
    ),
    ("en", "Inferior leads mean the inferior wall.\n\n### Answer\n\nC. Right coronary artery", "C", None),
    ("en", "Inferior STEMI. That is usually the RCA.\n\nAnswer: C. Right coronary artery", "C", None),
    ("en", "Inferior STEMI. That is usually the RCA.\n\nAnswer: (C)", "C", None),
    ("en", "Inferior STEMI. That is usually the RCA.\n\nThe answer is therefore C.", "C", None),
    (
        "en",
        (
            "At first glance the answer is A, since the LAD is occluded most often. Wait, the inferior leads are not its territory. The "
            "right coronary artery supplies them.\nAnswer: C"
        ),
        "C",
        "C",
    ),
    ("en", "Answer: A\nHmm, let me check again: II, III and aVF are inferior leads, so it must be the RCA.\nAnswer: C", "C", "C"),
    ("en", "The most likely answer is B. No: in right dominance it is C.\n\nFinal answer: **C**", "C", None),
    ("en", "1. Leads II, III, aVF: inferior wall.\n2. Artery: RCA.\n\nFinal Answer: $\\boxed{C}$", "C", None),
    ("en", "We rule out A and D. Between B and C, C is more common.\nAnswer: C\n\nPlease consult a cardiologist.", "C", None),
    ("en", "The answer could be B or C.\n\nAnswer: B or C", None, None),
    ("en", "I cannot decide between these without the right-sided leads.\n\nAnswer: unknown", None, None),
    ("en", "Inferior leads.\nAnswer: C\n\nQuestion: Which nerve is hurt?\nA. Ulnar\nB. Median\nAnswer: A", "C", None),
    ("en", "Inferior leads, so the answer is C.\n\nQuestion: Which nerve?\nA. Ulnar\nB. Median\nAnswer: A", "C", None),
    ("en", "Answer: C", "C", "C"),
    ("en", "  Inferior leads.\nAnswer: C  \n\n", "C", "C"),
    ("en", "Inferior leads.\nAnswer: C.", "C", None),
    ("en", "Inferior leads.\nanswer: c", "C", None),
    ("en", "Inferior leads.\nAnswer: E", None, None),
    ("en", "<think>A? No. Answer: A</think>\nInferior leads.\nAnswer: C", "C", "C"),
    ("en", "<think>It is A.\nAnswer: A\nOr is it", None, None),
    (
        "es",
        (
            "Razonemos. La debilidad que fluctúa y empeora con el uso indica una enfermedad de la unión neuromuscular. El botulismo (A) es "
            "agudo y descendente. La esclerosis múltiple (C) no fluctúa así. En Eaton-Lambert (D) mejora con el ejercicio.\nRespuesta: B"
        ),
        "B",
        "B",
    ),
    ("es", "1. Diplopía y ptosis.\n2. Fatigabilidad.\n\n**Respuesta: B**", "B", None),
    ("es", "Fatigabilidad vespertina.\n\nLa respuesta correcta es la B.", "B", None),
    (
        "es",
        "En principio sería la D. No, espera: en Eaton-Lambert mejora con el ejercicio.\n\nRespuesta final: B. Miastenia gravis",
        "B",
        None,
    ),
    ("es", "Podría ser A o B.\nRespuesta: A o B", None, None),
    ("es", "Fatigabilidad.\nRespuesta: B\n\nPregunta: ¿Qué nervio?\nA. Cubital\nB. Mediano\nRespuesta: A", "B", None),
    (
        "fr",
        (
            "L'encéphalopathie de Wernicke associe confusion, ataxie et troubles oculomoteurs. Elle est due à un déficit en thiamine, "
            "c'est-à-dire en vitamine B1. Les réponses A, C et D sont donc fausses.\nRéponse : B"
        ),
        "B",
        "B",
    ),
    ("fr", "La thiamine est la vitamine B1.\n\n**Réponse : B**", "B", None),
    ("fr", "La thiamine est la vitamine B1.\nRéponse: B", "B", None),
    ("fr", "La thiamine est la vitamine B1. La bonne réponse est donc la B.", "B", None),
    ("several", "A : vrai. B : inhibiteur calcique, faux. C : vrai. D : IEC, faux. E : vrai.\nRéponse : A, C, E", "ACE", "ACE"),
    ("several", "Les bêtabloquants se terminent par -olol.\n\n**Réponse : A, C et E**", "ACE", None),
    ("several", "Les bêtabloquants se terminent par -olol.\nRéponse : ACE", "ACE", None),
    ("labels", "Two trials found fewer strokes, one none. The direction is clear.\nAnswer: A", "A", "A"),
    ("labels", "The trials agree.\n\nAnswer: yes", "A", None),
    ("labels", "One trial says yes (A), the other says no (B). So it is unclear.\nAnswer: C", "C", "C"),
    ("rate", "(140 - 54) x 70 / (72 x 1.32) = 6020 / 95.04 = 63.3\nAnswer: 63.3 mL/min", "63.3", "63.3"),
    ("rate", "Age 54, weight 70 kg, creatinine 1.32 mg/dL.\n(140-54)*70 = 6020; 72*1.32 = 95.04.\n\n**Answer: 63.3 mL/min**", "63.3", None),
    ("rate", "Answer: 60 mL/min\nThat forgot the decimals; 6020 / 95.04 = 63.34.\nAnswer: 63.34", "63.34", "63.34"),
    ("rate", "6020 / 95.04 = 63.3.\nThe creatinine clearance is therefore 63.3 mL/min.", "63.3", None),
    ("rate", "The weight of 70 kg and the age of 54 years are given.\n\nAnswer: cannot be calculated", None, None),
    ("tasa", "(140 - 54) x 70 / 95,04 = 63,3\nRespuesta: 63,3 mL/min", "63.3", "63.3"),
    (
        "summary",
        "The patient coughs at night and asks for the cause.\nSummary: What causes a chronic cough?",
        "What causes a chronic cough?",
        None,
    ),
    ("summary", "She coughs.\n\n**Summary:** What causes a chronic cough?", "What causes a chronic cough?", None),
    ("summary", "She coughs.\n\n**Summary: What causes a chronic cough?**", "What causes a chronic cough?", None),
    ("summary", "Summary: Cough?\nThat is too short.\nFinal summary:\nWhat causes a chronic cough?", "What causes a chronic cough?", None),
    ("summary", "She coughs.\nSummary: What causes a cough?\n\nMessage: My knee hurts\nSummary: Why?", "What causes a cough?", None),
    ("summary", "What causes a chronic cough?", None, None),
    ("summary", "She coughs.\nSummary:", None, None),
]


def letters(sample: Sample, index: int | None, also: tuple[int, ...]) -> str | None:
    return None if index is None else "".join("ABCDEFG"[place] for place in (index, *also))


def read_both(kind: str, output: str, *, cut: bool = False) -> tuple[str | None, str | None]:
    sample, wording = KINDS[kind]
    lenient = read_reasoned(output, sample, wording, thinking=THINK, cut=cut)
    if kind == "summary":
        return lenient.text, None
    strict = read_reasoned_strict(output, sample, wording, thinking=THINK, cut=cut)
    if sample.quantity is not None:
        return lenient.text, strict.text
    return letters(sample, lenient.index, lenient.also), letters(sample, strict.index, strict.also)


@pytest.mark.parametrize(("kind", "output", "lenient", "strict"), OUTPUTS)
def test_what_is_read(kind: str, output: str, lenient: str | None, strict: str | None) -> None:
    assert read_both(kind, output) == (lenient, strict)


CUT = [
    ("en", "ST elevation points to the inferior wall. The right coronary artery (C) supplies it in", None, None),
    ("en", "The most likely answer is A, the LAD. However, the leads are", None, None),
    ("en", "A. The LAD is unlikely.\nB. The circumflex is possible.\nC. The right coronary artery is correct", None, None),
    ("en", "**C. Right coronary artery** supplies", None, None),
    ("en", "C. Right coronary artery\n\nThe reasons are", None, None),
    ("en", "I would choose B because", None, None),
    ("en", "Inferior leads.\nAnswer:", None, None),
    ("es", "La respuesta correcta podría ser la B, pero", None, None),
    ("fr", "La bonne réponse est la B car", None, None),
    ("en", "Therefore the answer is C. To be thorough, we also", "C", None),
    ("en", "Inferior leads.\nAnswer: C\n\nExplanation: the right coronary", "C", None),
    ("en", "Inferior leads.\nAnswer: C", "C", "C"),
    ("several", "Réponse : A, C", None, None),  # E may have followed
    ("several", "Réponse : A, C\n\nExplication : le", "AC", None),
    ("rate", "6020 / 95.04 = 63.3\nAnswer: 63", None, None),  # 63.3, or 633
    ("rate", "The clearance is therefore 63.3 mL/min. Note", None, None),
    ("rate", "Answer: 63.3 mL/min\n\nThis means that", "63.3", None),
    ("summary", "She coughs. The question is what", None, None),
    ("summary", "She coughs.\nSummary: What causes", "What causes", None),  # free text is read as far as it goes, as in `generate`
]


@pytest.mark.parametrize(("kind", "output", "lenient", "strict"), CUT)
def test_what_was_cut_off_is_never_guessed_from_the_reasoning(kind: str, output: str, lenient: str | None, strict: str | None) -> None:
    assert read_both(kind, output, cut=True) == (lenient, strict)


def test_a_last_line_that_answers_settles_what_the_lenient_rules_alone_call_a_conflict() -> None:
    output = "Answer: A\nHmm, let me check again: inferior leads, so it must be the RCA.\nAnswer: C"
    assert read_lenient(output, EN, WORDINGS["en"]).rule == "conflict"
    assert read_both("en", output) == ("C", "C")
    answers = "Answer: 60 mL/min\n6020 / 95.04 = 63.34.\nAnswer: 63.34"
    assert read_quantity(answers, RATE, WORDINGS["en"]).rule == "conflict"
    assert read_both("rate", answers) == ("63.34", "63.34")


PIECES = st.sampled_from(
    ["The answer is A.", "Option B (the circumflex) fits.", "**C**", "Wait, no.", "Answer: A", "Answer: D", "Therefore D.", "", "- A. no"]
)


@given(reasoning=st.lists(PIECES, max_size=8), label=st.sampled_from("ABCD"), cut=st.booleans())
def test_an_output_that_keeps_the_contract_is_read_alike_by_both(reasoning: list[str], label: str, cut: bool) -> None:
    output = "\n".join([*reasoning, f"Answer: {label}"])
    assert read_both("en", output, cut=cut) == (label, label)


@given(reasoning=st.lists(PIECES, max_size=8))
def test_strict_never_reads_what_lenient_does_not(reasoning: list[str]) -> None:
    lenient, strict = read_both("en", "\n".join(reasoning))
    assert strict is None or lenient == strict


@pytest.mark.parametrize(
    ("kind", "output", "reasoning", "n_answers"),
    [
        ("en", "Step 1.\n\nStep 2.  \n\n**Answer: C**\n", "Step 1.\n\nStep 2.", 1),
        ("en", "Answer: C\n\nThe inferior leads.", "The inferior leads.", 1),
        ("en", "Answer: C", "", 1),
        ("en", "Inferior leads, so the answer is C.", "Inferior leads, so the answer is C.", 0),
        ("en", "Inferior.\nAnswer: C\nI checked it.\nAnswer: C", "Inferior.\nI checked it.", 2),
        ("en", "Inferior.\n## Answer\n\nC\n\nI hope this helps.", "Inferior.", 1),
        ("en", "Inferior.\nAnswer: C\n\nQuestion: Next?\nAnswer: D", "Inferior.", 1),
        ("en", "<think>A\nAnswer: A</think>\n\nInferior.\nAnswer: C", "Inferior.", 1),
        ("fr", "La thiamine.\nRéponse : B", "La thiamine.", 1),
        ("several", "A et C.\nRéponse : A, C", "A et C.", 1),
        ("rate", "6020 / 95.04\nAnswer: 63.3 mL/min", "6020 / 95.04", 1),
        ("rate", "Answer: the formula of Cockcroft\n= 63.3\nAnswer: 63.3", "Answer: the formula of Cockcroft\n= 63.3", 1),
        ("summary", "She coughs.\n\nSummary: What causes\na cough?", "She coughs.", 1),
    ],
)
def test_reasoning_is_kept_word_for_word_without_its_answer(kind: str, output: str, reasoning: str, n_answers: int) -> None:
    sample, wording = KINDS[kind]
    written = taken_apart(output, sample, wording, thinking=THINK)
    assert written.reasoning == reasoning
    assert len(written.answers) == n_answers


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_names_the_cue_and_the_right_answer_keeps_it(kind: str) -> None:
    sample, wording = KINDS[kind]
    layout = lay_out(sample, "reasoned", wording)
    contract = layout.user.rsplit("\n", 1)[1]
    assert f'"{wording.answer}:' in contract
    assert layout.joint == "\n"
    line = right_answer(sample, "reasoned", wording)
    assert line.startswith(f"{wording.answer}: ")
    assert read_both(kind, f"Let us see.\n{line}")[0] is not None
    if kind != "summary":
        assert read_both(kind, f"Let us see.\n{line}")[1] is not None


def test_contracts_speak_the_language_of_the_sample_and_say_what_is_asked() -> None:
    contracts = {kind: lay_out(sample, "reasoned", wording).user.rsplit("\n", 1)[1] for kind, (sample, wording) in KINDS.items()}
    assert contracts["en"].endswith('"Answer: X", where X is the letter of the right choice.')
    assert contracts["es"].startswith("Razona paso a paso")
    assert contracts["fr"].startswith("Raisonnez étape par étape")
    assert '"Réponse : X, Y"' in contracts["several"]
    assert contracts["rate"].endswith("with its unit if it has one.")
    assert contracts["tasa"].endswith("con su unidad si la tiene.")
    assert '"Summary:"' in contracts["summary"]
    own = Wording(reasoned='Think, then "{answer}: X".')
    assert lay_out(EN, "reasoned", own).user.endswith('\nThink, then "Answer: X".')


@pytest.mark.parametrize("name", TASKS)
def test_every_task_of_ours_has_a_reasoned_contract_in_its_language(name: str) -> None:
    card = TASKS[name].card
    wording = card.wording or default_wording(card.language)
    kinds = {"text": SUMMARY, "quantity": RATE, "labels": LABELS, "choice": EN}
    sample = replace(kinds[card.kind], language=card.language)
    contract = lay_out(sample, "reasoned", wording).user.rsplit("\n", 1)[1]
    opening = {"en": "hink step by step", "es": "Razona", "fr": "Raisonnez"}[card.language]
    assert opening in contract
    assert f'"{wording.answer}:' in contract
    assert (", Y" in contract) == wording.several
