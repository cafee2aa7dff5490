"""Prompts chosen per model: planted models that know the answers under one prompt alone get exactly that prompt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from evalsuite import runner
from evalsuite.bytetext import decode
from evalsuite.engines.base import EngineInfo
from evalsuite.errors import UserError
from evalsuite.plan import Selection
from evalsuite.preview import check_study, preview, preview_lines
from evalsuite.rescoring import report_study
from evalsuite.results import Result
from evalsuite.study import run_study
from evalsuite.types import Failure, Kind, Outcome, Request, Response

N = {"test": 12, "validation": 10, "train": 30}
PLUGIN = '''
"""Planted questions; written by the tests."""

from evalsuite.tasks import Split, Task, TaskCard
from evalsuite.types import Sample


def to_sample(row, number):
    return Sample(
        id=row["id"], group=row["group"], question=row["question"], choices=tuple(row["options"]), targets=(row["answer"],),
    )


CARD = TaskCard(
    name="planted", kind="choice", description="-", language="en", licence="MIT", citation="-",
    splits={"test": Split(n_rows=None), "validation": Split(n_rows=None), "train": Split(n_rows=None)},
    split="test", exemplar_split="train", metric="accuracy", metrics=("accuracy", "macro_f1"), chance=0.25,
    get_data="Written by the tests.",
)
TASKS = (Task(card=CARD, to_sample=to_sample),)
'''


@dataclass
class Planted:
    """Knows every answer, but only where a prompt holds its sign; is wrong everywhere else."""

    signs: Mapping[str, str]
    """Model path to the text that its prompts must hold; `never` for none."""
    sheet: Mapping[str, str]
    prompts: list[tuple[str, str]] = field(default_factory=list)
    """(model path, prompt) of everything that was asked."""
    fails: str = ""
    """Prompts that hold this text fail."""
    stops_after: int | None = None
    """The machine goes down after so many answers."""

    def open(self, path: str, settings: Any) -> Loaded:
        return Loaded(planted=self, path=path)


@dataclass
class Loaded:
    planted: Planted
    path: str
    kinds: frozenset[Kind] = frozenset({"next", "generate"})

    def __enter__(self) -> Loaded:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(name="stub", dtype="-", quantisation=None, device="none", n_context_tokens=100_000, versions={})

    def close(self) -> None:
        return None

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Outcome]]:
        for number, request in enumerate(requests):
            if self.planted.stops_after is not None and len(self.planted.prompts) >= self.planted.stops_after:
                raise KeyboardInterrupt
            text = decode(request.prompt.token_ids)
            self.planted.prompts.append((self.path, text))
            yield number, self.outcome(text, request)

    def outcome(self, text: str, request: Request) -> Outcome:
        if self.planted.fails and self.planted.fails in text:
            return Failure(reason="engine_error", message="planted", transient=True)
        position, question = max((text.rfind(question), question) for question in self.planted.sheet)
        stem = question.removeprefix("What is ").removesuffix("?")
        places = sorted((text.index(f"{stem}-{letter}", position), f"{stem}-{letter}") for letter in "kmpt")
        right = [choice for _, choice in places].index(self.planted.sheet[question])
        given = right if self.planted.signs[self.path] in text else (right + 1) % 4
        if request.kind == "generate":
            return Response(text=f"Thinking.\nAnswer: {'ABCD'[given]}", finish_reason="stop", n_output_tokens=3)
        return Response(logprobs=tuple(-0.1 if n == given else -9.0 for n in range(len(request.candidates))), n_prompt_tokens=len(text))


@dataclass
class Project:
    folder: Path
    planted: Planted

    def run(self, *strategies: str, models: str = "[base, adapted]", name: str = "chosen", **changes: str) -> Result:
        return run_study(self.study(*strategies, models=models, name=name, **changes), store=self.folder / "store", out=self.folder / "out")

    def study(self, *strategies: str, models: str = "[base, adapted]", name: str = "chosen", **changes: str) -> Path:
        content = {
            "study": name, "question": '"Which prompt?"', "models": models, "tasks": "[planted]",
            "strategies": f"[{', '.join(strategies)}]", "analysis": "{margin: 0.2, n_resamples: 200}", **changes,
        }  # fmt: skip
        file = self.folder / f"{name}.yaml"
        file.write_text("\n".join(f"{key}: {value}" for key, value in content.items()) + "\n", encoding="utf-8")
        return file

    @property
    def facts(self) -> dict[tuple[str, str], Any]:
        rows = json.loads((self.folder / "out" / "preparations.json").read_text(encoding="utf-8"))
        return {(row["model"], row["strategy"]): row["facts"].get("selection") for row in rows}

    def prompts(self, model: str) -> list[str]:
        rows = pq.read_table(self.folder / "out" / "plan.parquet", columns=["model", "prompt"]).to_pylist()
        return [row["prompt"] for row in rows if row["model"] == model]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    task = tmp_path / "tasks" / "planted"
    task.mkdir(parents=True)
    sheet: dict[str, str] = {}
    for split, n in N.items():
        rows = []
        for number in range(n):
            stem = f"{split}{number:02d}"
            choices = [f"{stem}-{letter}" for letter in "kmpt"]
            rows.append({"id": stem, "group": stem, "question": f"What is {stem}?", "options": choices, "answer": number % 4})
            sheet[f"What is {stem}?"] = choices[number % 4]
        (task / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (task / "task.py").write_text(PLUGIN, encoding="utf-8")
    models = {"base": "stub:first?seed=1", "adapted": "stub:first?seed=2"}
    lines = ["models:"]
    for name, path in models.items():
        lines += [f"  {name}:", f"    path: '{path}'", f"    domain: {'generalist' if name == 'base' else 'biomedical'}"]
        lines += [] if name == "base" else ["    base: base"]
    (tmp_path / "models.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # t1 separates by " = ", t4 by " - ": no other of the first six templates does.
    planted = Planted(signs={"stub:first?seed=1": "ANSWER =", "stub:first?seed=2": "**Answer** -"}, sheet=sheet)
    monkeypatch.setattr(runner, "open_engine", planted.open)
    monkeypatch.chdir(tmp_path)
    return Project(folder=tmp_path, planted=planted)


ZERO = "{name: zero_shot, format: letters, selection: per_model, templates: 6}"


def means(result: Result) -> dict[tuple[str, str], float]:
    frame = result.scores
    assert frame is not None
    frame = frame[frame.metric == "accuracy"]
    assert set(frame.status) == {"scored"}
    return {key: float(part.value.mean()) for key, part in frame.groupby(["model", "strategy"])}  # type: ignore[misc]


def test_each_model_is_asked_with_the_prompt_under_which_it_knows_the_answers(project: Project) -> None:
    result = project.run(ZERO, "{name: zero_shot, id: plain, format: letters}")
    assert means(result) == {("base", "zero_shot"): 1, ("adapted", "zero_shot"): 1, ("base", "plain"): 0, ("adapted", "plain"): 0}
    base, adapted = project.facts["base", "zero_shot"], project.facts["adapted", "zero_shot"]
    assert (base["winner"], adapted["winner"]) == (2, 5)
    assert [one["template"] for one in base["candidates"]] == ["default", "t0", "t1", "t2", "t3", "t4", "t5"]
    assert [one["mean"] for one in base["candidates"]] == [0, 0, 1, 0, 0, 0, 0]
    assert [one["mean"] for one in adapted["candidates"]] == [0, 0, 0, 0, 0, 1, 0]
    assert {one["exemplar_seed"] for one in base["candidates"]} == {None}
    assert (base["split"], base["n_validation"], base["metric"], base["lender"]) == ("validation", N["validation"], "accuracy", None)
    assert base["templates"]["t1"]["separator"] == " = "
    # Every candidate is asked every validation question once and no test question; the winner alone meets the test questions.
    for path in project.planted.signs:
        asked = [text for model, text in project.planted.prompts if model == path]
        assert sum("validation" in text for text in asked) == 7 * N["validation"]
        tested = [text for text in asked if "test" in text]
        assert len(tested) == 2 * N["test"]
        assert sum(project.planted.signs[path] in text for text in tested) == N["test"]


def test_requests_of_one_candidate_are_neighbours(project: Project) -> None:
    """So that a prefix is cached: sorted by their tokens, prompts with the same exemplars stand together."""
    few = "{name: few_shot, format: letters, shots: 2, selection: per_model, templates: 2, exemplar_seeds: 3}"
    project.run(few, models="[base]")
    asked = [text for _, text in project.planted.prompts if "validation" in text]
    assert len(asked) == 9 * N["validation"]
    heads = [text[: text.index("validation")] for text in asked]
    assert sum(one != other for one, other in pairwise(heads)) == len(set(heads)) - 1 == 8


def test_ties_go_to_the_first_candidate(project: Project) -> None:
    project.planted.signs = dict.fromkeys(project.planted.signs, "never")
    project.run(ZERO)
    assert {(facts["winner"], one["mean"]) for facts in project.facts.values() for one in facts["candidates"]} == {(0, 0.0)}
    assert all("\nAnswer:" in prompt for prompt in project.prompts("base"))


def test_the_first_of_several_best_candidates_wins(project: Project) -> None:
    project.planted.signs = dict.fromkeys(project.planted.signs, " =")  # t1, t2 and t5
    project.run(ZERO, models="[base]")
    facts = project.facts["base", "zero_shot"]
    assert [one["mean"] for one in facts["candidates"]] == [0, 0, 1, 1, 0, 0, 1]
    assert facts["winner"] == 2


def test_the_base_is_asked_with_the_adapted_models_prompt(project: Project) -> None:
    result = project.run(ZERO.replace("templates", "prompt_from: adapted, templates"))
    assert means(result) == {("base", "zero_shot"): 0, ("adapted", "zero_shot"): 1}
    assert list(project.facts) == [("adapted", "zero_shot")]
    assert project.facts["adapted", "zero_shot"]["lender"] == "adapted"
    for model in ("base", "adapted"):
        assert all("**Answer** -" in prompt for prompt in project.prompts(model))
    asked = [text for path, text in project.planted.prompts if path == "stub:first?seed=1"]
    assert asked
    assert all("validation" not in text for text in asked)


def test_a_model_outside_the_study_may_lend_its_prompt(project: Project) -> None:
    result = project.run(ZERO.replace("templates", "prompt_from: adapted, templates"), models="[base]")
    assert means(result) == {("base", "zero_shot"): 0}
    assert all("**Answer** -" in prompt for prompt in project.prompts("base"))


def test_exemplar_seeds_are_the_inner_loop_and_the_winning_exemplars_are_shown(project: Project) -> None:
    project.run("{name: few_shot, format: letters, shots: 2, exemplar_seed: 5}", models="[base]")
    (shown,) = {text[: text.index("What is test")] for _, text in project.planted.prompts}
    assert shown.count("What is train") == 2
    # A model that knows the answers after the exemplars of seed 5, and in the default layout, alone.
    shutil.rmtree(project.folder / "store")
    project.planted.signs = dict.fromkeys(project.planted.signs, shown)
    few = "{name: few_shot, format: letters, shots: 2, selection: per_model, templates: 1, exemplar_seeds: [3, 5, 8]}"
    result = project.run(few, models="[base]", name="again")
    facts = project.facts["base", "few_shot"]
    assert [(one["template"], one["exemplar_seed"], one["mean"]) for one in facts["candidates"]] == [
        ("default", 3, 0), ("default", 5, 1), ("default", 8, 0), ("t0", 3, 0), ("t0", 5, 0), ("t0", 8, 0),
    ]  # fmt: skip
    assert facts["winner"] == 1
    assert means(result) == {("base", "few_shot"): 1}


@pytest.mark.parametrize("exemplars", ["fixed", "random"])
def test_a_validation_question_is_never_its_own_exemplar(project: Project, exemplars: str) -> None:
    few = f"{{name: few_shot, format: letters, shots: 6, exemplars: {exemplars}, selection: per_model, templates: 1, validation: train}}"
    project.run(few, models="[base]")
    facts = project.facts["base", "few_shot"]
    assert (facts["split"], facts["n_validation"]) == ("train", N["train"])
    tried = [text for _, text in project.planted.prompts if "What is test" not in text]
    assert len(tried) == 2 * N["train"]
    for text in tried:
        names = [part.split("?")[0] for part in text.split("What is ")[1:]]
        assert len(names) == len(set(names)) == 7


def test_the_limit_takes_whole_groups_of_the_validation_split(project: Project) -> None:
    project.run(ZERO.replace("templates", "validation_limit: 4, templates"), models="[base]")
    assert project.facts["base", "zero_shot"]["n_validation"] == 4
    assert sum("validation" in text for _, text in project.planted.prompts) == 7 * 4


def test_questions_of_the_evaluated_split_are_no_validation(project: Project) -> None:
    file = project.folder / "tasks" / "planted" / "validation.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    rows[0]["group"] = "test03"
    rows[1] |= {"question": "What is test05?", "options": [f"test05-{letter}" for letter in "kmpt"]}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    project.run(ZERO, models="[base]")
    assert project.facts["base", "zero_shot"]["n_validation"] == N["validation"] - 2
    assert not any("validation00" in text for _, text in project.planted.prompts)
    # Each test question was asked once: with the winner's prompt.
    assert sum("What is test" in text for _, text in project.planted.prompts) == N["test"]


def test_a_failed_validation_answer_leaves_the_choice_open_until_it_is_repaired(project: Project) -> None:
    project.planted.fails = "validation03"
    result = project.run(ZERO, models="[base]")
    facts = project.facts["base", "zero_shot"]
    assert facts["winner"] is None
    assert {(one["mean"], one["n_failed"]) for one in facts["candidates"]} == {(None, 1)}
    assert result.scores is not None
    assert set(result.scores.status) == {"failed"}
    assert result.scores.value.isna().all()
    assert not any("What is test" in text for _, text in project.planted.prompts)
    project.planted.fails = ""
    project.planted.prompts.clear()
    assert means(project.run(ZERO, models="[base]")) == {("base", "zero_shot"): 1}
    # The seven that failed were asked again, and the winner's test questions.
    assert len(project.planted.prompts) == 7 + N["test"]


def test_what_stops_within_a_selection_goes_on_where_it_was(project: Project) -> None:
    project.planted.stops_after = 25
    with pytest.raises(KeyboardInterrupt):
        project.run(ZERO, models="[base]")
    assert len(project.planted.prompts) == 25
    project.planted.stops_after = None
    assert means(project.run(ZERO, models="[base]")) == {("base", "zero_shot"): 1}
    assert len(project.planted.prompts) == len(set(project.planted.prompts)) == 7 * N["validation"] + N["test"]


@pytest.mark.parametrize("form", ["letters", "generate"])
def test_the_report_is_made_again_without_asking(project: Project, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = project.run(ZERO.replace("letters", form), "{name: few_shot, selection: per_model, templates: 2, shots: 2, format: letters}")
    before = {name: (project.folder / "out" / name).read_bytes() for name in ("scores.parquet", "comparisons.csv", "preparations.json")}

    def refuse(*_: object) -> None:
        raise AssertionError("nothing is loaded to report again")

    monkeypatch.setattr(runner, "open_engine", refuse)
    again = report_study(project.folder / "out", store=project.folder / "store")
    assert result.scores is not None
    assert again.scores is not None
    assert again.scores.equals(result.scores)
    assert before == {name: (project.folder / "out" / name).read_bytes() for name in before}


@pytest.mark.parametrize(("name", "n_per_sample"), [("cot", 1), ("choice_shuffle", 3), ("medprompt", 2)])
def test_every_composed_strategy_can_choose(project: Project, name: str, n_per_sample: int) -> None:
    options = {
        "cot": "shots: 2",
        "choice_shuffle": "format: letters, ensemble: 3",
        "medprompt": "shots: 2, ensemble: 2",
    }[name]
    signs = {"stub:first?seed=1": " =", "stub:first?seed=2": "**"}
    project.planted.signs = signs if name == "choice_shuffle" else dict.fromkeys(signs, "What")
    result = project.run(f"{{name: {name}, {options}, selection: per_model, templates: 5, validation_limit: 3}}")
    assert means(result) == {("base", name): 1, ("adapted", name): 1}
    expected = {"base": 2, "adapted": 5} if name == "choice_shuffle" else {"base": 0, "adapted": 0}
    assert {model: facts["winner"] for (model, _), facts in project.facts.items()} == expected
    tested = [text for path, text in project.planted.prompts if path == "stub:first?seed=1" and "What is test" in text]
    assert len(tested) == n_per_sample * N["test"]


@pytest.mark.parametrize(
    ("strategy", "key", "says"),
    [
        ("{name: zero_shot, templates: 3}", "strategies.0", "only with `selection: per_model`"),
        ("{name: zero_shot, prompt_from: adapted}", "strategies.0", "only with `selection: per_model`"),
        ("{name: zero_shot, selection: per_model, templates: -1}", "strategies.0.templates", "greater than or equal to 0"),
        ("{name: zero_shot, selection: per_model, templates: 0}", "strategies.0", "there is one prompt only"),
        ("{name: zero_shot, selection: per_model, exemplar_seeds: 3}", "strategies.0.exemplar_seeds", ""),
        ("{name: cot, selection: per_model, exemplar_seeds: 3}", "strategies.0", "only where exemplars are drawn"),
        ("{name: few_shot, exemplars: knn, selection: per_model, exemplar_seeds: 3}", "strategies.0", "only where exemplars are drawn"),
        ("{name: few_shot, selection: per_model, exemplar_seeds: [1, 1]}", "strategies.0", "each once"),
        ("{name: zero_shot, selection: per_model, validation: test}", "strategies.zero_shot.validation", "that is the evaluated split"),
        ("{name: zero_shot, selection: per_model, validation: dev}", "strategies.zero_shot.validation", "validation, train"),
        ("{name: zero_shot, selection: per_model, prompt_from: adaptd}", "strategies.zero_shot.prompt_from", "adapted"),
        ("{name: cot, shots: 2, selection: per_model, cot_from: adapted}", "strategies.cot", "one model writes the reasoning"),
        ("{name: cot, shots: 2, selection: per_model, prompt_from: adapted}", "strategies.cot", "one model writes the reasoning"),
    ],
)
def test_what_is_wrong_is_told_before_anything_loads(project: Project, strategy: str, key: str, says: str) -> None:
    with pytest.raises(UserError) as raised:
        project.run(strategy)
    (fault,) = raised.value.faults
    assert fault.key == key
    assert says in f"{fault.allowed} {fault.value}"
    assert not project.planted.prompts


def test_a_task_without_a_validation_split_needs_one_named(project: Project) -> None:
    plugin = project.folder / "tasks" / "planted" / "task.py"
    plugin.write_text(PLUGIN.replace('"validation": Split(n_rows=None), ', ""), encoding="utf-8")
    with pytest.raises(UserError) as raised:
        project.run(ZERO)
    (fault,) = raised.value.faults
    assert fault.key == "strategies.zero_shot.validation"
    assert fault.allowed.endswith("its others: train")
    assert check_study(project.study(ZERO.replace("templates", "validation: train, templates")), Selection())


def test_a_validation_split_that_is_the_evaluated_one_again_is_refused(project: Project) -> None:
    folder = project.folder / "tasks" / "planted"
    (folder / "validation.jsonl").write_text((folder / "test.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UserError) as raised:
        project.run(ZERO)
    assert [fault.key for fault in raised.value.faults] == ["strategies.zero_shot.validation"]
    assert "not evaluated too" in raised.value.faults[0].allowed


def test_every_prompt_is_rendered_before_anything_loads(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate whose labels are no single tokens is found by the check, not by the run."""
    seen = []

    def label_ids(self: Any, prompt: Any, labels: Sequence[str], *, joint: str = " ") -> tuple[int, ...]:
        seen.append(prompt.text)
        return tuple(range(len(labels)))

    monkeypatch.setattr("evalsuite.prompts.renderer.Renderer.label_ids", label_ids)
    check_study(project.study(ZERO, models="[base]"), Selection())
    assert len(seen) == len(set(seen)) == 7


def test_the_plan_says_what_choosing_costs(project: Project) -> None:
    shared = ZERO.replace("templates", "id: lent, prompt_from: adapted, validation_limit: 4, templates")
    lines = preview_lines(preview(project.study(ZERO, shared), Selection(), project.folder / "store"))
    assert "zero_shot: one of 7 prompts is chosen for each model; each is first asked of 10 of planted/validation" in lines
    assert "lent: one of 7 prompts is chosen by adapted, for all models; each is first asked of 4 of planted/validation" in lines
