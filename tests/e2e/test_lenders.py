"""Models that lend: what is asked of them, what they may be sent, what they cost; and prompts chosen on questions that the pool repeats."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalsuite import runner
from evalsuite.engines.base import EngineInfo, EngineSettings, Spent
from evalsuite.errors import UserError
from evalsuite.plan import Selection
from evalsuite.preview import probe
from evalsuite.rescoring import report_study
from evalsuite.resolve import resolve
from evalsuite.study import run_study
from evalsuite.types import Kind, Outcome, Request, Response
from tests.planted import Project, make_project

N_POOL = 5
CHAINS = "{id: lent, name: cot, shots: 2, cot_from: lender}"
LETTERS = "{id: zero, name: zero_shot, format: letters}"
FAR = "{domain: generalist, endpoint: {api: chat, url: 'https://api.example.com/v1', model: big}}"


def row(name: str, number: int) -> dict[str, object]:
    return {"id": name, "group": name, "question": f"What is {name}?", "options": [f"{name}{c}" for c in "kmpt"], "answer": number % 4}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Twenty questions, five exemplars, ten validation questions."""
    made = make_project(tmp_path)
    folder = tmp_path / "tasks" / "planted"
    rows = (folder / "planted.jsonl").read_text(encoding="utf-8").splitlines()[::10]
    sheet = json.loads(made.sheet.read_text(encoding="utf-8"))
    split_rows = {"pool": [row(f"p{n}", n) for n in range(N_POOL)], "validation": [row(f"v{n}", n) for n in range(10)]}
    (folder / "test.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "planted.jsonl").unlink()
    for split, own in split_rows.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in own), encoding="utf-8")
        sheet.update({str(one["question"]): one["options"][one["answer"]] for one in own})  # type: ignore[index]
    made.sheet.write_text(json.dumps(sheet), encoding="utf-8")
    (folder / "task.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    made.models(base="stub:first", bio=f"stub:key?sheet={made.sheet}", lender=f"stub:key?sheet={made.sheet}&kinds=generate")
    return made


PLUGIN = '''
"""Planted questions; written by the tests."""

from evalsuite.tasks import Split, Task, TaskCard
from evalsuite.types import Sample


def to_sample(row, number):
    return Sample(
        id=row["id"], group=row["group"], question=row["question"], choices=tuple(row["options"]), targets=(row["answer"],),
    )


CARD = TaskCard(
    name="planted", kind="choice", description="-", language="en", licence="MIT", citation="-", get_data="Written by the tests.",
    splits={"test": Split(n_rows=None), "validation": Split(n_rows=None), "pool": Split(n_rows=None)},
    split="test", exemplar_split="pool", metric="accuracy", metrics=("accuracy",), chance=0.25, restricted=False,
)
TASKS = (Task(card=CARD, to_sample=to_sample),)
'''


def study(project: Project, *strategies: str, **changes: str) -> Path:
    return project.study(**{"models": "[base, bio]", "strategies": f"[{', '.join(strategies)}]", **changes})


def changed_models(project: Project, more: str) -> None:
    file = project.folder / "models.yaml"
    file.write_text(file.read_text(encoding="utf-8") + more + "\n", encoding="utf-8")


def test_restricted_texts_go_to_no_lenders_host_that_the_study_does_not_name(project: Project) -> None:
    plugin = project.folder / "tasks" / "planted" / "task.py"
    plugin.write_text(plugin.read_text(encoding="utf-8").replace("restricted=False", "restricted=True"), encoding="utf-8")
    changed_models(project, f"  far: {FAR}")
    strategy = "{id: lent, name: cot, shots: 2, cot_from: far}"
    for narrowed in (None, Selection(models=("base",))):
        with pytest.raises(UserError, match=r"engine\.send_restricted_to = api\.example\.com"):
            resolve(study(project, strategy), narrowed)
    consented = study(project, strategy, engine="{name: stub, send_restricted_to: [api.example.com]}")
    assert list(resolve(consented).lenders) == ["far"]


@pytest.mark.parametrize("strategy", [CHAINS, "{id: lent, name: medprompt, shots: 2, letters_runs: 2, cot_from: lender}"])
def test_who_lends_reasoning_is_asked_for_text_alone(project: Project, strategy: str) -> None:
    """A lender that gives no letters is no obstacle to letters of the models under test."""
    result = run_study(study(project, LETTERS, strategy), store=project.store, out=project.folder / "out")
    assert {run.model: run.n_failed for run in result.runs} == {"lender": 0, "base": 0, "bio": 0}
    with pytest.raises(UserError, match=r"strategies\.own = lender: asks next"):
        resolve(study(project, "{id: own, name: zero_shot, format: letters, selection: per_model, templates: 1, prompt_from: lender}"))
    with pytest.raises(UserError, match=r"strategies\.zero = lender: asks next"):
        resolve(study(project, LETTERS, strategy, models="[base, lender]"))


def test_a_chat_server_may_lend_reasoning_beside_letters_of_the_models_under_test(project: Project) -> None:
    """It gives no letters, and is asked for none when prompts are tried before anything loads."""
    changed_models(project, f"  far: {FAR}")
    for strategy in (CHAINS, "{id: lent, name: medprompt, shots: 2, letters_runs: 2, cot_from: lender}"):
        probe(resolve(study(project, LETTERS, strategy.replace("cot_from: lender", "cot_from: far"))))


def test_a_lender_that_thinks_chooses_no_prompt_by_letters(project: Project) -> None:
    changed_models(project, "  thinks: {path: 'stub:first', domain: generalist, chat: {thinking: ['<t>', '</t>']}}")
    chosen = "name: zero_shot, selection: per_model, templates: 1, prompt_from: thinks"
    with pytest.raises(UserError, match="a model that thinks before it answers"):
        resolve(study(project, f"{{id: own, format: letters, {chosen}}}"))
    resolve(study(project, LETTERS, f"{{id: own, format: generate, {chosen}}}", "{id: c, name: cot, shots: 1, cot_from: thinks}"))


@dataclass
class Paid:
    """Answers `A` and counts its calls since it was opened."""

    n_calls: int = 0
    kinds: frozenset[Kind] = frozenset({"generate"})
    info: EngineInfo = EngineInfo(name="stub", dtype="-", quantisation=None, device="none", n_context_tokens=100_000, versions={})  # noqa: RUF009

    def __enter__(self) -> Paid:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def close(self) -> None:
        return None

    @property
    def spent(self) -> Spent:
        n = self.n_calls
        return Spent(n_calls=n, n_repeats=1, n_prompt_tokens=2 * n, n_output_tokens=n, cost_usd=n / 4, served_as=(f"v{n}",))

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Outcome]]:
        for number, _ in enumerate(requests):
            self.n_calls += 1
            yield number, Response(text="Well.\nAnswer: A", finish_reason="stop", n_output_tokens=3)


def test_what_a_lender_under_test_costs_is_counted_both_times(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: str, settings: EngineSettings) -> Paid:
        return Paid()

    monkeypatch.setattr(runner, "open_engine", opened)
    result = run_study(
        study(project, "{id: lent, name: cot, shots: 1, cot_from: bio}", decoding="{max_tokens: 16}"),
        store=project.store,
        out=project.folder / "out",
    )
    for run in result.runs:
        n_opened = 2 if run.model == "bio" else 1
        assert run.spent is not None
        assert (run.spent.n_calls, run.spent.n_repeats, run.spent.cost_usd) == (run.n_asked, n_opened, run.n_asked / 4)
        assert len(run.spent.served_as) == n_opened


def test_pairs_of_the_registry_stand_in_one_order_in_both_reports(project: Project) -> None:
    """The study's order of models decides, which is neither the registry's nor the alphabet's."""
    project.models(zeta="stub:uniform?seed=3", alpha=f"stub:key?sheet={project.sheet}", mid="stub:first")
    out = project.folder / "out"
    run_study(study(project, LETTERS, models="[mid, zeta, alpha]"), store=project.store, out=out)

    def content() -> dict[str, bytes]:
        return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}

    before = content()
    report_study(out, store=project.store)
    assert content() == before
    table = before["report.md"].decode()
    assert table.index("| mid − zeta |") < table.index("| alpha − zeta |")


@pytest.mark.parametrize("exemplars", ["fixed", "random", "knn"])
def test_a_pool_that_is_tried_on_itself_holds_one_group_more_than_is_shown(project: Project, exemplars: str) -> None:
    chosen = f"name: few_shot, format: letters, exemplars: {exemplars}, selection: per_model, templates: 1, validation: pool"
    with pytest.raises(UserError, match=r"strategies\.own\.validation = pool: .*5 groups: one more than `shots` are needed"):
        resolve(study(project, f"{{id: own, shots: {N_POOL}, {chosen}}}"))
    result = run_study(study(project, f"{{id: own, shots: {N_POOL - 1}, {chosen}}}"), store=project.store, out=project.folder / "out")
    assert result.n_failed == 0


def test_a_validation_question_that_the_pool_repeats_is_left_out(project: Project) -> None:
    folder = project.folder / "tasks" / "planted"
    twin = {**row("p0", 0), "id": "v90", "group": "v90", "question": "what is  P0"}
    with (folder / "validation.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(twin) + "\n")
    few = "{id: own, name: few_shot, shots: 2, selection: per_model, templates: 1}"
    tried = resolve(study(project, few)).tasks["planted"].validation["validation"]
    assert [sample.id for sample in tried] == [f"v{n}" for n in range(10)]
    # Where nothing is shown, nothing is given away.
    bare = resolve(study(project, few.replace("few_shot, shots: 2", "zero_shot"))).tasks["planted"].validation["validation"]
    assert "v90" in {sample.id for sample in bare}
