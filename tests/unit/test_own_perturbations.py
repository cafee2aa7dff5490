"""Perturbations of one's own: a file in `perturbations/` of the working directory is found, run, reported on again, and its faults told."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from evalsuite.errors import UserError
from evalsuite.listings import perturbation_spec_lines
from evalsuite.perturbations.found import perturbation_specs
from evalsuite.rescoring import report_study
from evalsuite.resolve import resolve
from evalsuite.study import run_study
from tests.planted import make_project

OWN = """
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from evalsuite.perturbations.base import PerturbationSpec, Refusal


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    mark: str = "!"


def build(options):
    def shouted(sample, seed):
        if sample.id == "q0000":
            return Refusal(reason="too quiet")
        return (replace(sample, question=sample.question + options.mark, variant=0),)

    return shouted


SPEC = PerturbationSpec(
    name="{name}", summary="A mark behind the question.", source="ours", family="meaning-preserving", preserves_meaning=True,
    options=Options, build=build,
)
"""


def write(folder: Path, name: str = "shouted", text: str = OWN) -> Path:
    file = folder / "perturbations" / "own.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(textwrap.dedent(text).replace("{name}", name), encoding="utf-8")
    return file


def test_ones_own_is_run_and_reported_on_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path)
    project.models(base=f"stub:key?sheet={project.sheet}", tuned="stub:first")
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    assert any(line.startswith("shouted: A mark") for line in perturbation_spec_lines())
    study = project.study(models="[base, tuned]", perturbations="[none, {name: shouted, mark: ' Now'}]")
    result = run_study(study, store=project.store, out=tmp_path / "out")
    frame = result.scores
    assert frame is not None
    own = frame[(frame.perturbation == "shouted") & (frame.metric == "accuracy") & (frame.model == "tuned")]
    assert (own.status == "refused").sum() == 1
    assert (own.status == "scored").sum() == 199
    before = (tmp_path / "out" / "report.html").read_bytes()
    report_study(tmp_path / "out", store=project.store)
    assert (tmp_path / "out" / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OWN.replace("{name}", "typos").replace('name="typos"', 'name="none"'), "SPEC.name = none"),
        ("SPEC = 3\n", "SPEC = int"),
        ("WORDS = 3\n", "SPEC = missing"),
        ("import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("def broken(:\n", "valid Python"),
    ],
)
def test_faults_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, text=text)
    with pytest.raises(UserError) as raised:
        perturbation_specs()
    assert len(raised.value.faults) == 1
    assert told in str(raised.value.faults[0])
    assert "own.py" in str(raised.value.faults[0])


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("()", "one rendition or more"),
        ("[sample]", "one rendition or more"),
        ("(sample, sample)", "numbers its renditions"),
        ("(replace(sample, id='q'),)", "keeps the sample's id and group"),
        ("(replace(sample, targets=(9,)),)", "`targets` and `suggested` are places"),
        ("(replace(sample, suggested=-1),)", "`targets` and `suggested` are places"),
        ("(replace(sample, targets=()),)", "says in `targets`"),
        ("(replace(sample, labels=('1',)),)", "one entry for each choice"),
        ("(replace(sample, choices=(*sample.choices, 'more')),)", "says in `order`"),
        ("Refusal(reason='')", "a refusal gives a reason"),
        ("sample.question[10_000]", "raised IndexError"),
    ],
)
def test_what_breaks_a_promise_is_one_line_without_text_of_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: str, told: str
) -> None:
    """Else samples would be counted twice, or vanish, before anybody sees it."""
    project = make_project(tmp_path)
    project.models(base="stub:first", tuned="stub:first")
    monkeypatch.chdir(tmp_path)
    write(tmp_path, text=OWN.replace("(replace(sample, question=sample.question + options.mark, variant=0),)", result))
    with pytest.raises(UserError) as raised:
        resolve(project.study(models="[base, tuned]", perturbations="[none, shouted]"))
    (line,) = map(str, raised.value.faults)
    assert line.startswith("perturbation shouted: sample q0001")
    assert told in line
    assert "thing" not in line
