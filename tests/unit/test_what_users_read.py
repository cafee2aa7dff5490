"""Words on the terminal and in the report about strategies: what is listed, planned, refused, shown while it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from evalsuite import perturbations, strategies
from evalsuite.conclude import prompt_differences
from evalsuite.errors import UserError
from evalsuite.listings.tasks import spec_lines
from evalsuite.plan import Plan, Selection
from evalsuite.plugins import load_specs
from evalsuite.preview import check_study, preview, preview_lines
from evalsuite.progress import told
from evalsuite.runner import ModelRun

STUDY = Path(__file__).resolve().parents[2] / "studies" / "pocket_medprompt_ablation.yaml"


def test_every_option_of_every_strategy_is_explained_once() -> None:
    lines = spec_lines(load_specs(strategies))
    text = "\n".join(lines)
    for spec in load_specs(strategies).values():
        for option, info in spec.options.model_fields.items():
            assert info.description, option
            assert sum(line.startswith((f"{option}:", f"{option} (")) for line in lines) >= 1
    assert max(map(len, lines)) <= 150
    assert "exemplars (medprompt): fixed, random, knn. Which exemplars" in text
    assert sum(line.startswith("embedder") for line in lines) == 1
    assert "normalisation: raw, token, byte, unconditional. `cloze` only" in text
    assert "reasoning true" in text
    assert "None" not in text
    assert any(line.startswith("variants (shuffle_choices): ") for line in spec_lines(load_specs(perturbations)))


def test_the_plan_says_what_it_cannot_count(tmp_path: Path) -> None:
    text = STUDY.read_text()
    file = tmp_path / "study.yaml"
    extra = "  - {id: by_self, name: few_shot, shots: 2, exemplars: knn, embedder: self}\nladder:"
    extra = extra.replace("ladder:", "  - {id: lent, name: cot, shots: 2, cot_from: pocket-control, chain_attempts: 3}\nladder:")
    file.write_text(text.replace("ladder:", extra, 1))
    lines = preview_lines(preview(file, Selection(limit=4), tmp_path / "store"))
    pool = "for each question of the exemplar pool (44 of pocket_clinical_en)"
    asked = "chains of thought are asked first, not counted above: of"
    assert f"random_cot, knn_cot, medprompt, without_knn: {asked} each model at most 1 {pool}" in lines
    assert f"lent: {asked} pocket-control at most 3 {pool}" in lines
    assert any(line.startswith("by_self: hidden states are asked first, not counted above: of each model one") for line in lines)
    stand_ins = next(line for line in lines if "the exemplars are not known yet" in line)
    assert stand_ins.startswith("random_cot, knn_cot, medprompt, without_knn, without_cot, by_self, lent: ")


def test_a_plan_that_counts_everything_says_nothing_more(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "study: plain\nquestion: Which one?\nmodels: [pocket-clinical, pocket-generalist]\ntasks: [pocket_clinical_en]\n"
        "strategies: [zero_shot, few_shot, {id: drawn, name: few_shot, exemplars: random}]\n"
    )
    assert preview(file, Selection(limit=4), tmp_path / "store").uncounted == ()


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("name: cot, shots: 2, cot_from: nobody", "strategies.cot.cot_from = nobody: no such model"),
        (
            "name: zero_shot, selection: per_model, validation: train, prompt_from: nobody",
            "strategies.zero_shot.prompt_from = nobody: no such",
        ),
    ],
)
def test_an_unknown_lender_is_told_by_its_key(option: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "study: lent\nquestion: Which one?\nmodels: [pocket-clinical, pocket-generalist]\ntasks: [pocket_clinical_en]\n"
        f"strategies: [{{{option}}}]\nanalysis: {{primary: {{strategy: {option.split()[1].rstrip(',')}}}}}\n"
    )
    with pytest.raises(UserError) as caught:
        check_study(file, Selection())
    assert key in str(caught.value)


def test_preparations_are_shown_as_such() -> None:
    run = ModelRun(model="m", n_items=0, n_wanted=44, n_asked=4)
    assert told(run, 4, 2.0) == "m: preparing prompts, 4/44 asked (2/s, 20 s left)"
    assert told(replace(run, n_items=420, preparing=True), 4, 2.0).startswith("m: preparing prompts, ")
    assert told(replace(run, n_items=420), 4, 2.0).startswith("m: 0/420 samples, ")


def test_prompts_of_a_pair_differ_from_the_second_model_to_the_first() -> None:
    plan: Any = SimpleNamespace(pairs=(("clinical", "general"),), tasks={"exam": None}, primary_strategy="cot")
    found = prompt_differences(cast(Plan, plan), {("exam", "cot"): {"clinical": "same\nown", "general": "same\nother"}})
    assert found[("clinical", "general"), "exam"].split("\n")[:2] == ["--- general", "+++ clinical"]
