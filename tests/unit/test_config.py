"""study.yaml: what is accepted, and how each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalsuite.config import load_study, study_as_yaml
from evalsuite.errors import UserError

GOOD = {
    "study": "pilot",
    "question": '"Does it?"',
    "models": "[a, b]",
    "tasks": "[medqa, {name: pubmedqa, limit: 20}]",
}


def written(tmp_path: Path, **changes: str) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text("\n".join(f"{key}: {value}" for key, value in {**GOOD, **changes}.items()), encoding="utf-8")
    return file


def fault_of(tmp_path: Path, **changes: str) -> str:
    with pytest.raises(UserError) as caught:
        load_study(written(tmp_path, **changes))
    assert len(caught.value.faults) == 1, caught.value
    line = str(caught.value)
    assert "\n" not in line
    assert str(tmp_path / "study.yaml") in line
    return line


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"study": "reports/pilot"}, ["study", "'reports/pilot'"]),
        ({"study": "../x"}, ["study", "'../x'", "no path"]),
        ({"replicates": "3"}, ["replicates", "3", "temperature 0"]),
        ({"analysis": "{alpha: 1.5}"}, ["analysis.alpha", "1.5", "0.5"]),
        ({"analysis": "{alpha: 0}"}, ["analysis.alpha", "greater than 0"]),
        ({"analysis": "{correction: bonferoni}"}, ["analysis.correction", "'holm'"]),
        ({"pairs": "[[a, c]]"}, ["pairs", "c is not among"]),
        ({"pairs": "[[a, a]]"}, ["pairs", "two different"]),
        ({"models": "[]"}, ["models", "at least 1"]),
        ({"models": "[a, a]"}, ["models", "a", "once"]),
        ({"strategies": "[few_shot, few_shot]"}, ["strategies", "`id`"]),
        ({"tasks": "[{name: medqa, limit: 0}]"}, ["tasks.0.limit", "0"]),
        ({"modles": "[a]"}, ["modles", "unknown key"]),
        ({"engine": "{dtype: int3}"}, ["engine.dtype", "'int3'", "bfloat16"]),
        ({"prompting": "{date: yesterday}"}, ["prompting.date", "'yesterday'"]),
    ],
)
def test_each_mistake_is_one_line_with_file_key_value_and_what_is_allowed(tmp_path: Path, changes: dict[str, str], told: list[str]) -> None:
    line = fault_of(tmp_path, **changes)
    for part in told:
        assert part in line, line


def test_all_mistakes_of_a_file_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_study(written(tmp_path, study="a/b", analysis="{alpha: 2, margin: -1}", foo="1"))
    assert len(caught.value.faults) == 4


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"study: [", "not valid YAML"),
        (b"study: a\nstudy: b\n", "stands twice"),
        ("question: ¿Es así?".encode("latin-1"), "must be UTF-8"),
        (b"- a\n", "must be a mapping"),
        (b"", "must be a mapping"),
    ],
)
def test_what_is_no_yaml_mapping_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_study(file)
    assert told in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_study(tmp_path / "nothing.yaml")


def test_the_study_as_run_reads_back_to_the_same_study(tmp_path: Path) -> None:
    study = load_study(
        written(
            tmp_path,
            strategies="[zero_shot, {id: fs, name: few_shot, shots: 3}]",
            engine="{name: vllm, dtype: float32, batch: 7}",
            data="{medqa: here}",
            pairs="[[a, b]]",
        )
    )
    assert study.data["medqa"] == (tmp_path / "here").resolve()
    file = tmp_path / "again.yaml"
    file.write_text(study_as_yaml(study), encoding="utf-8")
    assert load_study(file) == study


def test_the_engine_of_a_study_keeps_its_options(tmp_path: Path) -> None:
    study = load_study(written(tmp_path, engine="{name: vllm, batch: 7}"))
    assert study.engine.options == {"batch": 7}
