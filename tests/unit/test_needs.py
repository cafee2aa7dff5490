"""What a perturbation needs of a strategy: cells that cannot be asked are left out, told, and refused where the analysis rests on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from evalsuite import strategies
from evalsuite.cards import Split, TaskCard
from evalsuite.errors import UserError
from evalsuite.needs import unmet_needs
from evalsuite.plan import Plan, Selection
from evalsuite.plugins import load_specs
from evalsuite.preview import check_study, first_requests, preview, preview_lines
from evalsuite.prompts import renderer_for
from evalsuite.refusals import left_out_lines, perturbation_lines, refusals_of
from evalsuite.resolve import resolve
from evalsuite.types import Need
from tests.planted import Project, make_project

CARD = TaskCard(
    name="t", kind="choice", description="-", language="en", licence="MIT", citation="-", splits={"test": Split(n_rows=None)},
    split="test", exemplar_split="train", metric="accuracy", metrics=("accuracy",), chance=0.25,
)  # fmt: skip
SPECS = load_specs(strategies)
ALL: frozenset[Need] = frozenset({"written", "listed", "dialogue", "drawn_exemplars", "own_prompt"})


@pytest.mark.parametrize(
    ("name", "options", "lacks"),
    [
        ("zero_shot", {"format": "letters"}, {"written", "drawn_exemplars"}),
        ("zero_shot", {"format": "cloze"}, {"written", "listed", "drawn_exemplars"}),
        ("zero_shot", {"format": "generate"}, {"drawn_exemplars"}),
        ("zero_shot", {"format": "generate", "selection": "per_model"}, {"drawn_exemplars", "own_prompt"}),
        ("few_shot", {"format": "generate", "shots": 2}, set()),
        ("few_shot", {"format": "generate", "shots": 2, "exemplars": "random"}, set()),
        ("few_shot", {"format": "generate", "shots": 2, "exemplars": "knn"}, {"drawn_exemplars"}),
        ("cot", {"shots": 2}, {"written", "drawn_exemplars"}),
        ("self_consistency", {"reasoning": False, "samples": 3}, {"dialogue", "drawn_exemplars"}),
        ("choice_shuffle", {"format": "generate", "ensemble": 3}, {"written", "dialogue", "drawn_exemplars"}),
    ],
)
def test_what_each_strategy_lacks(name: str, options: dict[str, object], lacks: set[Need]) -> None:
    built = SPECS[name].build(SPECS[name].options.model_validate(options))
    found = unmet_needs({"p": ALL, "none": frozenset()}, {"s": built}, [CARD])
    assert found == ({("t", "s", "p"): frozenset(lacks)} if lacks else {})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    made.models(base="stub:first", tuned="stub:first")
    monkeypatch.chdir(tmp_path)
    return made


def planned(project: Project, perturbations: str, **changes: str) -> Plan:
    strategies_ = "[{id: letters, name: zero_shot, format: letters}, {id: written, name: zero_shot, format: generate}]"
    return resolve(project.study(models="[base, tuned]", strategies=strategies_, perturbations=perturbations, **changes))


def faults(project: Project, perturbations: str, **changes: str) -> Sequence[str]:
    with pytest.raises(UserError) as raised:
        planned(project, perturbations, **changes)
    return [str(fault) for fault in raised.value.faults]


def test_cells_that_cannot_be_asked_are_left_out_and_told(project: Project) -> None:
    plan = planned(project, "[none, {name: contract, form: letter}]")
    cells = {(cell.strategy, cell.perturbation) for cell in plan.cells("base")}
    assert cells == {("letters", "none"), ("written", "none"), ("written", "contract")}
    why = "answers that are written in one go (format: generate, no reasoning, no shuffled ensemble)"
    assert left_out_lines(plan) == [f"not asked under letters, which lacks {why}: contract"]
    assert any(line.strip() == left_out_lines(plan)[0] for line in check_study(plan.file, Selection()))


def test_a_primary_cell_that_cannot_be_asked_is_a_fault(project: Project) -> None:
    told = faults(project, "[none, {name: contract, form: letter}]", analysis="{primary: {strategy: letters, perturbation: contract}}")
    assert len(told) == 1
    assert "analysis.primary" in told[0]
    assert "letters, contract" in told[0]
    assert "format: generate" in told[0]


def test_a_secondary_cell_that_cannot_be_asked_is_a_fault(project: Project) -> None:
    told = faults(project, "[none, {name: contract, form: letter}]", analysis="{secondary: {perturbations: [contract]}}")
    assert [line for line in told if "analysis.secondary" in line]


def test_a_perturbation_that_no_strategy_can_ask_is_a_fault(project: Project) -> None:
    strategies_ = "[{id: shuffled, name: choice_shuffle, format: letters, ensemble: 3}]"
    with pytest.raises(UserError) as raised:
        resolve(project.study(models="[base, tuned]", strategies=strategies_, perturbations="[none, are_you_sure]"))
    assert ["a second turn (no ensemble)" in str(fault) for fault in raised.value.faults] == [True]


def test_refusals_are_counted_by_reason_and_told(project: Project) -> None:
    rows = (project.folder / "tasks" / "planted" / "planted.jsonl").read_text(encoding="utf-8").splitlines()
    rows[0] = rows[0].replace("thing 0000-t", "Both A and B")
    (project.folder / "tasks" / "planted" / "planted.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    plan = planned(project, "[none, {name: shuffle_choices, variants: 2}, are_you_sure]")
    reason = "a choice refers to others by label or place"
    assert refusals_of(plan) == {"planted": {"shuffle_choices": {reason: 1}}}
    assert perturbation_lines(plan) == [
        "all 200 samples of planted, once each: none, are_you_sure",
        f"shuffle_choices on planted: 199 samples in 398 renditions, 1 refused (1 {reason})",
    ]
    lines = preview_lines(preview(plan.file, Selection(), project.store))
    assert "second turns: at most 400 more requests of each model, not counted above, since what is sent holds its first answers" in lines


def test_a_study_without_perturbations_is_told_nothing_of_them(project: Project) -> None:
    plan = planned(project, "[none]")
    assert perturbation_lines(plan) == []
    assert plan.unmet == {}


def test_every_prompt_of_several_is_rendered_before_anything_loads(project: Project) -> None:
    """A template that cannot be asked may be any of them."""
    plan = planned(project, "[none, {name: prompts, systems: 1, templates: 2}]")
    model = plan.models["base"]
    renderer = renderer_for(model.checkpoint, model.entry.chat, plan.study.prompting)
    asked = list(first_requests(plan, model, renderer, n_samples=1, faults=[]))
    manners = [item.sample.manner for item, _ in asked if item.cell.strategy == "written" and item.cell.perturbation == "prompts"]
    assert len(manners) == len(set(manners)) == 6
    assert [item.cell.strategy for item, _ in asked if item.cell.perturbation == "none"] == ["letters", "written"]
