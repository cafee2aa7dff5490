"""Reading numbers, dates and spans: the golden table, units, properties, and the metric that scores them."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite import formats
from evalsuite.answers import read_quantity, read_quantity_strict
from evalsuite.answers.numbers import number_of
from evalsuite.answers.spans import dates_in, spans_in
from evalsuite.answers.units import factor, unit_at
from evalsuite.cards import Split, TaskCard, TaskKind
from evalsuite.data import content_hash
from evalsuite.metrics import METRICS, score
from evalsuite.soundness import sample_faults
from evalsuite.strategies.options import FormatOptions
from evalsuite.types import Answer, Quantity, Reading, Sample

GOLDEN = Path(__file__).parent.parent / "golden" / "quantities.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


def asking(form: str = "number", unit: str = "", language: str = "en", low: float = 1.0, high: float = 2.0, right: str = "1.5") -> Sample:
    limits = {"low": low, "high": high} if form in ("number", "whole") else {}
    quantity = Quantity(form=form, unit=unit, **limits)  # type: ignore[arg-type]
    return Sample(id="s", group="g:1", question="Q", references=(right,), quantity=quantity, language=language)


def read(output: str, **asked: Any) -> str:
    sample = asking(**asked)
    reading = read_quantity(output, sample, formats.quantity_wording(sample.language))
    return reading.text or reading.status


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['id']}-{row['output'][:30]}" for row in ROWS])
def test_golden(row: dict[str, Any]) -> None:
    sample = asking(row["form"], row["unit"], row["language"])
    wording = formats.quantity_wording(row["language"])
    lenient, strict = read_quantity(row["output"], sample, wording), read_quantity_strict(row["output"], sample, wording)
    assert (lenient.text or lenient.status, strict.text or strict.status) == (row["lenient"], row["strict"])
    assert all((reading.status == "scored") == (reading.text is not None) for reading in (lenient, strict))


def test_the_golden_table_is_large_and_mixed() -> None:
    assert len(ROWS) >= 80
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert sum(row["lenient"] == "unparsed" for row in ROWS) >= 20
    assert {row["form"] for row in ROWS} == {"number", "whole", "date", "weeks_days"}
    assert {row["language"] for row in ROWS} == {"en", "es", "fr"}


@pytest.mark.parametrize(
    ("output", "asked", "expected"),
    [
        (
            "CrCl = [(140 - 87) × 48] / (72 × 1.4)\n= 2544/100.8\n= 25.24\n\nSo, the clearance is about 25.24 mL/min.",
            {"unit": "mL/min"},
            "25.24",
        ),
        ("$$BMI = \\frac{70}{1.75^2} = 22.86 \\text{ kg/m}^2$$", {"unit": "kg/m²"}, "22.86"),
        ("Answer: 22.86 kg/m², in the normal range (18.5-24.9).", {"unit": "kg/m²"}, "22.86"),
        ("10 mg of dexamethasone is equivalent to 66.7 mg prednisone.", {"unit": "mg"}, "66.7"),
        ("Body surface area = 1.73 m².", {"unit": "m²"}, "1.73"),
        ("Answer: Patient has 3 criteria met: 1) fever 2) tachycardia 3) leukocytosis", {"form": "whole"}, "3"),
        ("Answer: 2 (temperature > 38°C, heart rate > 90)", {"form": "whole"}, "2"),
        ("Answer: Child-Pugh B8", {"form": "whole"}, "unparsed"),
        ("Answer: minus 6 mEq/L", {"unit": "mEq/L"}, "-6"),
        ("Answer: 1.24:1", {}, "1.24"),
        ("Answer: 9.32 mg/dL (2.33 mmol/L)", {"unit": "mg/dL"}, "9.32"),
        ("Answer: 2.33 mmol/L (9.32 mg/dL)", {"unit": "mg/dL"}, "unparsed"),
        ("Answer: NaN", {}, "unparsed"),
        ("Answer: inf", {}, "unparsed"),
        ("Answer: 1e999", {}, "unparsed"),
        ("Answer: 1/0", {}, "unparsed"),
        ("Answer: " + "9" * 500, {}, "unparsed"),
    ],
)
def test_traps(output: str, asked: dict[str, Any], expected: str) -> None:
    assert read(output, **asked) == expected


def test_the_right_answer_does_not_change_what_is_read() -> None:
    for row in ROWS:
        wording = formats.quantity_wording(row["language"])
        seen = set()
        for low, high, right in ((1.0, 2.0, "1.5"), (0.0, 0.0, "0"), (-9e9, 9e9, "25")):
            sample = asking(row["form"], row["unit"], row["language"], low, high, right)
            seen.add(repr(read_quantity(row["output"], sample, wording)))
        assert len(seen) == 1


@given(
    st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-3),
    st.sampled_from(["", "mL/min", "kg/m²", "mm Hg", "%", "mEq/L", "MME"]),
)
@settings(max_examples=200, deadline=None)
def test_the_contract_is_read_back(value: float, unit: str) -> None:
    right = f"{value:.3f} {unit}".strip()
    sample = asking(unit=unit, low=value - 1, high=value + 1, right=right)
    wording = formats.quantity_wording("en")
    output = formats.right_answer(sample, "generate", wording)
    for reading in (read_quantity(output, sample, wording), read_quantity_strict(output, sample, wording)):
        assert reading.text is not None
        assert math.isclose(float(reading.text), float(f"{value:.3f}"), abs_tol=1e-9)
        assert score(METRICS["within_tolerance"], sample, Answer(reading=reading)).value == 1.0


PIECES = st.sampled_from(
    "Answer: |The answer is |25|.|,|-|1e9| |\n|=|mg|mL/min|%|/|(|)|±|to|weeks|3 days|09/23/2014|\\boxed{|}|^|²|×10|score|<|1.73|:".split(
        "|"
    )
)


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60), st.sampled_from(["number", "whole", "date", "weeks_days"]))
@settings(max_examples=500, deadline=None)
def test_no_output_is_too_odd(output: str, form: str) -> None:
    sample = asking(form, "mg" if form == "number" else "")
    wording = formats.quantity_wording("en")
    lenient, strict = read_quantity(output, sample, wording), read_quantity_strict(output, sample, wording)
    for reading in (lenient, strict):
        assert reading.status in ("scored", "unparsed")
        assert (reading.text is not None) == (reading.status == "scored")
        assert reading.text is None or form in ("date", "weeks_days") or math.isfinite(float(reading.text))
    assert strict.status != "scored" or lenient.text == strict.text


@pytest.mark.parametrize(
    "piece",
    [
        "1 ",
        "1,000,",
        "= 1 ",
        "Answer: 1\n",
        "1 mg/",
        "(1",
        "3 weeks ",
        "the score is 4. ",
        "1e",
        "\\boxed{1} ",
        "1 000 ",
        "> ",
        "09/23/2014 ",
    ],
)
def test_time_grows_with_the_length_only(piece: str) -> None:
    def cost(n_characters: int, form: str) -> float:
        output = (piece * (n_characters // len(piece) + 1))[:n_characters]
        started = time.process_time()
        read_quantity(output, asking(form), formats.quantity_wording("en"))
        return time.process_time() - started

    for form in ("number", "date", "weeks_days"):
        large = cost(60_000, form)
        assert large < 0.5 or large < 10 * cost(15_000, form)
        assert large < 20


@pytest.mark.parametrize(
    ("digits", "en", "es", "fr"),
    [
        ("1,234", 1234, 1.234, 1.234),
        ("1.234", 1.234, None, 1.234),
        ("0,828", 0.828, 0.828, 0.828),
        ("0.828", 0.828, 0.828, 0.828),
        ("1,23", 1.23, 1.23, 1.23),
        ("1.234,5", 1234.5, 1234.5, 1234.5),
        ("1,234.5", 1234.5, 1234.5, 1234.5),
        ("1 234,5", 1234.5, 1234.5, 1234.5),
        ("1,234,567", 1234567, 1234567, 1234567),
        ("1,2,3", None, None, None),
        ("1.2.3", None, None, None),
        ("12", 12, 12, 12),
    ],
)
def test_separators(digits: str, en: float | None, es: float | None, fr: float | None) -> None:
    assert [number_of(digits, language) for language in ("en", "es", "fr")] == [en, es, fr]


def test_units_convert_only_exactly() -> None:
    assert [factor("msec", unit) for unit in ("ms", "s", "min")] == [1, 1000, None]
    assert factor("kg", "lb") == 0.45359237
    assert factor("mg/dL", "mmol/l") is None
    assert factor("mmol/L", "mg/dl") is None
    assert factor("mL/min", "ml/min/1.73m2") is None
    assert factor("mL/min/1.73 m²", "ml/min") == 1
    assert factor("", "%") is None
    for text, spelling in (
        ("5 mg daily", "mg"),
        ("5 mm Hg", "mmhg"),
        ("5 mL/min/1.73 m²", "ml/min/1.73m2"),
        ("5 % of", "%"),
        ("5 mL/hr.", "ml/hr"),
    ):
        found = unit_at(text, 1)
        assert found is not None
        assert found[0] == spelling
    assert unit_at("5 points", 1) is None


def test_dates_and_spans() -> None:
    assert [text for _, _, text in dates_in("02/30/2014, 2014-02-28, March 1, 2014", "en")] == ["02/28/2014", "03/01/2014"]
    assert [text for _, _, text in dates_in("09/10/2014", "en")] == ["09/10/2014"]
    assert [text for _, _, text in dates_in("09/10/2014", "fr")] == ["10/09/2014"]
    assert [text for _, _, text in spans_in("2 weeks, 9 days")] == ["(3 weeks, 2 days)"]
    assert list(spans_in("in 3 to 4.5 weeks")) == []


def test_limits_are_included_and_dates_must_be_equal() -> None:
    metric = METRICS["within_tolerance"]
    sample = asking(low=-0.8694, high=-0.7866)
    values = [
        score(metric, sample, Answer(reading=Reading(status="scored", text=text))).value
        for text in ("-0.8694", "-0.7866", "-0.8695", "0.8")
    ]
    assert values == [1.0, 1.0, 0.0, 0.0]
    due = asking("date", right="09/23/2014")
    assert score(metric, due, Answer(reading=Reading(status="scored", text="09/23/2014"))).value == 1.0
    assert score(metric, due, Answer(reading=Reading(status="scored", text="09/24/2014"))).value == 0.0
    assert score(metric, due, Answer(reading=Reading(status="unparsed"))).value is None
    with pytest.raises(ValueError, match="quantity tasks"):
        score(metric, Sample(id="s", group="g", question="Q", references=("1",)), Answer(reading=Reading(status="scored", text="1")))


def test_what_decides_the_score_is_in_the_content_hash() -> None:
    samples = [asking(), asking(low=0.5), asking(high=3.0), asking(unit="mg"), asking("whole")]
    assert len({content_hash(sample) for sample in samples}) == len(samples)
    plain = Sample(id="s", group="g:1", question="Q", references=("1.5",))
    # hashes of samples without a quantity are those of older score sets
    assert content_hash(plain) == "e71e945f14d2b589"


@pytest.mark.parametrize(
    ("sample", "key"),
    [
        (asking(low=2.0, high=1.0), "quantity"),
        (asking(right="3"), "quantity"),
        (asking(right="about 1.5"), "quantity"),
        (asking(high=math.inf), "quantity"),
        (Sample(id="s", group="g:1", question="Q", references=("1",)), "quantity"),
        (Sample(id="s", group="g:1", question="Q", references=("09/23/2014",), quantity=Quantity(form="date", low=1.0)), "quantity"),
    ],
)
def test_samples_that_no_model_could_get_right_are_faults(sample: Sample, key: str) -> None:
    card = card_of("quantity")
    assert list(sample_faults(asking(), card)) == []
    assert [found for found, _, _ in sample_faults(sample, card)] == [key]


def card_of(kind: TaskKind, wording: formats.Wording | None = None) -> TaskCard:
    return TaskCard(
        name="t", kind=kind, description="-", language="en", licence="-", citation="-", splits={"test": Split(n_rows=None)}, split="test",
        exemplar_split=None, metric="m", metrics=("m",), chance=None, wording=wording,
    )  # fmt: skip


def test_quantities_and_several_choices_are_only_generated() -> None:
    several = card_of("choice", formats.several_wording("fr"))
    assert [FormatOptions().form_for(card) for card in (card_of("quantity"), several, card_of("choice"))] == [
        "generate",
        "generate",
        "letters",
    ]
    for form in ("letters", "cloze"):
        for card, words in ((card_of("quantity"), "a quantity needs"), (several, "several right choices need")):
            with pytest.raises(ValueError, match=words):
                FormatOptions.model_validate({"format": form}).form_for(card)


def test_hamming_gives_part_marks() -> None:
    sample = Sample(id="s", group="g", question="Q", choices=("a", "b", "c", "d"), targets=(0, 2))
    read = {(0, 2): 1.0, (0,): 0.5, (0, 1): 1 / 3, (1,): 0.0, (0, 1, 2, 3): 0.5}
    for named, value in read.items():
        answer = Answer(reading=Reading(status="scored", index=named[0], also=named[1:]))
        assert score(METRICS["hamming"], sample, answer).value == pytest.approx(value)
        assert score(METRICS["accuracy"], sample, answer).value == (1.0 if named == (0, 2) else 0.0)


def test_several_right_choices_need_a_wording_that_asks_for_them() -> None:
    sample = Sample(id="s", group="g:1", question="Q", choices=("a", "b", "c"), targets=(0, 2))
    assert [key for key, _, _ in sample_faults(sample, card_of("choice"))] == ["targets"]
    assert list(sample_faults(sample, card_of("choice", formats.several_wording("en")))) == []
