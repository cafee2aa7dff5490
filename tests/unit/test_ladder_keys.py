"""The keys `ladder`, `leave_one_out` and `timed` of a study: what is refused, and that they change nothing that is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.config import Study, study_as_yaml
from evalsuite.errors import UserError
from evalsuite.manifest import conditions
from evalsuite.plan import Plan, Selection
from evalsuite.study_checks import Faults, check_analysis

BASE: dict[str, Any] = {
    "study": "s", "question": "Does it?", "models": ["a"], "tasks": ["t"],
    "strategies": [
        "zero_shot", {"id": "few", "name": "few_shot"}, {"id": "whole", "name": "medprompt"}, {"id": "less", "name": "medprompt"},
    ],
}  # fmt: skip


def faults(**changes: Any) -> list[tuple[str, str, str]]:
    collected = Faults(file="study.yaml")
    check_analysis(collected, Study.model_validate(BASE | changes))
    return [(fault.key, fault.value, fault.allowed) for fault in collected.found]


def test_a_ladder_in_order_has_no_fault() -> None:
    assert faults(ladder=["zero_shot", "few", "whole"], leave_one_out=["less", "few"]) == []


@pytest.mark.parametrize(
    ("changes", "key", "value", "said"),
    [
        ({"ladder": ["zero_shot", "fwe"]}, "ladder", "fwe", "few"),
        ({"ladder": ["zero_shot", "few", "few"]}, "ladder", "few", "each name once"),
        ({"ladder": ["few"]}, "ladder", "few", "at least two strategies"),
        ({"leave_one_out": ["less"]}, "leave_one_out", "less", "needs a `ladder`"),
        ({"ladder": ["zero_shot", "whole"], "leave_one_out": ["whole"]}, "leave_one_out", "whole", "the whole of the ladder"),
        ({"ladder": ["zero_shot", "whole"], "leave_one_out": ["lass"]}, "leave_one_out", "lass", "less"),
        ({"ladder": ["zero_shot", "whole"], "leave_one_out": ["less", "less"]}, "leave_one_out", "less", "each name once"),
    ],
)
def test_faults_name_what_is_allowed(changes: dict[str, Any], key: str, value: str, said: str) -> None:
    found = faults(**changes)
    assert [(own_key, own_value) for own_key, own_value, _ in found] == [(key, value)]
    assert said in found[0][2]


def test_the_keys_are_left_out_of_files_where_nothing_is_said_under_them() -> None:
    assert not {"ladder", "leave_one_out", "timed"} & set(yaml.safe_load(study_as_yaml(Study.model_validate(BASE))))
    study = Study.model_validate(BASE | {"ladder": ["zero_shot", "few"], "leave_one_out": ["zero_shot"], "timed": True})
    assert Study.model_validate(yaml.safe_load(study_as_yaml(study))) == study


def test_they_decide_nothing_that_is_asked() -> None:
    study = Study.model_validate(BASE | {"ladder": ["zero_shot", "few"], "leave_one_out": ["zero_shot"], "timed": True})
    plain = Study.model_validate(BASE)
    assert conditions(study) == conditions(plain)
    assert plan_of(study).digest == plan_of(plain).digest
    assert plan_of(plain.model_copy(update={"seed": 1})).digest != plan_of(plain).digest


def plan_of(study: Study) -> Plan:
    """A plan without models and samples: its digest is over the study alone."""
    strategies: dict[str, Any] = {entry.label: None for entry in study.strategies}
    return Plan(
        study=study, file=Path("study.yaml"), selection=Selection(), models={}, pairs=(), tasks={}, strategies=strategies, perturbations={},
        variants={}, statement={"pairs": [], "metrics": {"t": "accuracy"}},
    )  # fmt: skip


def test_values_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises((ValueError, UserError), match="ladder"):
        Study.model_validate(BASE | {"ladder": "zero_shot"})
