"""MedCalc-Bench: one of 55 clinical calculators, from a patient note; the answer is a number, a date or a gestational age."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from evalsuite.formats import quantity_wording
from evalsuite.tasks import Row, RowError, Split, Task, TaskCard
from evalsuite.types import Quantity, Sample

# The unit that each calculator's question asks for; calculators that are not here ask for a score, a count or a ratio.
UNITS = {
    **dict.fromkeys(("2",), "mL/min"),
    **dict.fromkeys(("3", "9"), "mL/min/1.73 m²"),
    **dict.fromkeys(("5",), "mm Hg"),
    **dict.fromkeys(("6",), "kg/m²"),
    **dict.fromkeys(("7", "44"), "mg/dL"),
    **dict.fromkeys(("10", "61", "62"), "kg"),
    **dict.fromkeys(("11", "56", "57", "58", "59"), "msec"),
    **dict.fromkeys(("22",), "mL/hr"),
    **dict.fromkeys(("24",), "mg"),
    **dict.fromkeys(("26", "39", "63", "65", "66"), "mEq/L"),
    **dict.fromkeys(("30",), "mOsm/kg"),
    **dict.fromkeys(("38",), "L"),
    **dict.fromkeys(("40", "46"), "%"),
    **dict.fromkeys(("49",), "MME"),
    **dict.fromkeys(("60",), "m²"),
}
SPAN = re.compile(r"\('(\d+) weeks?', '(\d+) days?'\)")
# Calculators whose every worked solution is wrong in the same way; see the card.
DOUBTFUL = {"21": "best verbal response", "28": "Glasgow Coma Score is", "46": "0.9"}


def quantity_of(row: Row, calculator: str) -> tuple[Quantity, str]:
    """What counts as right, and the right answer as it is shown."""
    answer, low, high = (str(row[key]).strip() for key in ("Ground Truth Answer", "Lower Limit", "Upper Limit"))
    if row["Output Type"] == "date":
        month, day, year = answer.split("/")
        return Quantity(form="date"), f"{int(month):02d}/{int(day):02d}/{int(year):04d}"
    if calculator == "69":
        span = SPAN.fullmatch(answer)
        if span is None:
            raise RowError("the gestational age is not ('W weeks', 'D days')")
        return Quantity(form="weeks_days"), f"({int(span[1])} weeks, {int(span[2])} days)"
    unit = UNITS.get(calculator, "")
    form = "whole" if row["Output Type"] == "integer" else "number"
    quantity = Quantity(form="whole" if form == "whole" else "number", low=float(low), high=float(high), unit=unit)
    return quantity, f"{answer} {unit}".strip()


def to_sample(row: Row, number: int) -> Sample:
    """A row of the authors' CSV as JSON; the hub holds the numbers of rows and calculators as integers."""
    calculator, note = str(row["Calculator ID"]), row["Patient Note"].strip()
    quantity, right = quantity_of(row, calculator)
    explanation = row.get("Ground Truth Explanation") or ""
    tags = []
    if calculator in DOUBTFUL and DOUBTFUL[calculator] in explanation:
        tags.append("key_doubtful")
    if quantity.form == "number" and quantity.low == quantity.high:
        tags.append("no_tolerance")
    return Sample(
        id=f"{int(row['Row Number']):05d}",
        # A note serves several calculators, and seven pairs or triples of rows are the same: the note is what is drawn.
        group=f"medcalc:{hashlib.sha256(' '.join(note.split()).encode()).hexdigest()[:12]}",
        context=note,
        question=row["Question"].strip(),
        references=(right,),
        quantity=quantity,
        tags=tuple(tags),
        metadata={"calculator": str(row["Calculator Name"]), "category": str(row["Category"]), "note_type": str(row["Note Type"])},
    )


CARD = TaskCard(
    name="medcalc",
    kind="quantity",
    description="A patient note and a question for one of 55 clinical calculators: equations within 5 % of the right number, scores, dates "
    "and gestational ages exactly. Version 1.0.",
    language="en",
    licence="CC BY-SA 4.0",
    citation="Khandekar et al. 2024, MedCalc-Bench: Evaluating Large Language Models for Medical Calculations, NeurIPS Datasets and "
    "Benchmarks, arXiv:2406.12036, github.com/ncbi-nlp/MedCalc-Bench",
    splits={
        "test": Split(n_rows=1047, tagged={"key_doubtful": 56, "no_tolerance": 21}, hub_split="test"),
        "train": Split(n_rows=10053, hub_split="train", counted=False),
    },
    split="test",
    exemplar_split="train",
    metric="within_tolerance",
    metrics=("within_tolerance", "within_tolerance_strict"),
    chance=None,
    aliases=("medcalc_bench_v1_0",),
    hub_id="ncbi/MedCalc-Bench-v1.0",
    known_issues={
        "key_doubtful": "All questions of three calculators have wrong keys by their own worked solutions: the Glasgow Coma Score (20) "
        "counts the verbal response twice, so that 6 exceed the maximum of 15; APACHE II (20) adds the Glasgow Coma Score where 15 minus "
        "it is due; the Framingham risk (16) rounds its exponent and gives a fraction of one decimal as a percentage.",
        "no_tolerance": "The right number is 0, and 5 % of 0 is 0: only 0 counts.",
        "superseded": "The authors corrected labels in later versions (1.2 and on, 1,100 questions); results on this one are not results "
        "on those.",
        "limits": "Checked: no limit is missing, none are swapped, and every right answer lies between its own, negative ones included.",
        "scorer": "The released scorer rounds an answer to a score before it compares, and counts what it cannot extract as wrong; here a "
        "fraction is no score, and an unread answer is `unparsed`, to be counted by the study's rule. Units are read: a number in another "
        "unit that does not convert exactly is not read.",
        "unit_not_asked": "The questions for Framingham, MME and steroid doses name no unit, or only mg; %, MME and mg are taken.",
        "repeated_notes": "979 different notes in 1,047 rows: 55 serve several questions, seven questions stand twice or thrice with "
        "their note; the note is the group. 220 notes are made from a template of a sentence or two.",
        "direct_answer": "The contract asks for the answer alone, as the paper's direct prompt does; published numbers with "
        "reasoning are higher.",
    },
    get_data="test and train: the hub's ncbi/MedCalc-Bench-v1.0, or dataset/{test,train}_data.csv of github.com/ncbi-nlp/MedCalc-Bench at "
    "version 1.0 as JSON lines",
    wording=replace(quantity_wording("en"), context="Patient note"),
)

TASKS = (Task(card=CARD, to_sample=to_sample),)
