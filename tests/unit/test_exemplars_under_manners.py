"""Exemplars that reason, under another template: their answer line is the one that the prompt asks for."""

from __future__ import annotations

import pytest

from evalsuite import formats
from evalsuite.prompt_templates import candidate_templates
from evalsuite.strategies.manners import wording_under
from evalsuite.types import Manner, Quantity, Sample

CHOICE = Sample(id="p", group="p", question="Which?", choices=("x", "y"), targets=(1,))
AMOUNT = Quantity(form="number", low=12, high=13, unit="mg")
NUMBER = Sample(id="p", group="p", question="How much?", references=("12.5 mg",), quantity=AMOUNT)
NUMBERS = [int(template.name.removeprefix("t")) for template in candidate_templates(12)[1:]]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("sample", [CHOICE, NUMBER])
def test_the_last_line_is_the_templates(sample: Sample, number: int) -> None:
    default = formats.default_wording("en")
    under = wording_under(Manner(template=number), default)
    chain = f"It says Answer: A first.\n{formats.right_answer(sample, 'reasoned', default)}"
    said = formats.ending_under_template(chain, sample, under)
    assert said == f"It says Answer: A first.\n{formats.right_answer(sample, 'reasoned', under)}"
    assert formats.ending_under_template(said, sample, under) == said


def test_other_words_stay() -> None:
    default = formats.default_wording("en")
    under = wording_under(Manner(template=NUMBERS[0]), default)
    assert formats.ending_under_template("Thought.\nAnswer: B", CHOICE, default) == "Thought.\nAnswer: B"
    assert formats.ending_under_template("It is B.", CHOICE, under) == "It is B."
