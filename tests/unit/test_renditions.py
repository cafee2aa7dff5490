"""`tasks show --perturbation` shows what a run would ask under a perturbation, refusals and second turns too."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from evalsuite.cli import main
from evalsuite.errors import UserError
from evalsuite.listings import Showing, perturbation_spec_lines, task_card_lines

TASK = "pocket_clinical_en"
STUDY = """study: s
question: What is sent?
models: [pocket-clinical, pocket-generalist]
tasks: [pocket_clinical_en]
seed: 5
strategies: [{id: written, name: zero_shot, format: generate}]
perturbations: [none, {id: twice, name: shuffle_choices, variants: 2}, {id: json, name: contract, form: json}]
"""


def shown(**chosen: object) -> str:
    return "\n".join(task_card_lines(TASK, Showing(**chosen)))  # type: ignore[arg-type]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY, encoding="utf-8")
    return file


def test_every_rendition_is_shown_with_its_number(study: Path) -> None:
    text = shown(study=study, perturbation="twice")
    assert ["twice, rendition 0" in text, "twice, rendition 1" in text, "rendition 2" in text] == [True, True, False]
    assert text.count("right: scurvy") == 2


def test_a_contract_stands_in_the_prompt_of_words_and_of_tokens(study: Path) -> None:
    plain = shown(study=study, perturbation="json", form="generate")
    sent = shown(study=study, perturbation="json", model="pocket-clinical", strategy="written", tokens=False)
    assert '"answer"' in plain
    assert '"answer"' in sent


def test_what_needs_written_answers_is_shown_as_it_would_be_asked(study: Path) -> None:
    """Letters never ask under a contract: their prompt would not say what form the answer has."""
    two = STUDY.replace("[{id: written", "[{id: letters, name: zero_shot, format: letters}, {id: written")
    study.write_text(two, encoding="utf-8")
    for text in (shown(perturbation="gold_absent"), shown(perturbation="gold_absent", model="pocket-clinical", tokens=False)):
        assert "answer with the word NONE" in text
    sent = shown(study=study, perturbation="json", model="pocket-clinical", tokens=False)
    assert "strategy written, format generate, json" in sent
    for text in (sent, shown(study=study, perturbation="json"), shown(study=study, perturbation="json", strategy="written")):
        assert '"answer"' in text
    assert "format letters, twice" in shown(study=study, perturbation="twice")
    assert "format reasoned" in shown(strategy="cot")


def test_a_second_turn_is_shown_behind_the_first(study: Path) -> None:
    for text in (shown(perturbation="are_you_sure"), shown(perturbation="are_you_sure", model="pocket-clinical", tokens=False)):
        first, second = text.split("then, after the answer:")
        assert "Are you sure?" not in first
        assert "Are you sure?" in second


def test_a_refusal_is_told() -> None:
    assert "refused by without_evidence: the data mark no deciding part" in shown(perturbation="without_evidence")


def test_an_unknown_name_and_missing_options_are_faults(study: Path) -> None:
    with pytest.raises(UserError, match="did you mean typos"):
        shown(perturbation="typo")
    with pytest.raises(UserError, match="slot"):
        shown(perturbation="gold_at")


def test_the_list_says_what_each_asks() -> None:
    lines = perturbation_spec_lines()
    at = lines.index(next(line for line in lines if line.startswith("gold_absent:")))
    assert lines[at + 1].strip() == "instruction-guided; target-changing; words in en, es"
    told = CliRunner().invoke(main, ["perturbations", "list"])
    assert told.exit_code == 0
    assert "typos:" in told.output
