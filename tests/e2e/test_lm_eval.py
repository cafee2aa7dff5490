"""Tasks of lm-evaluation-harness through our rendering, engines and store: the same numbers as its own HF back end, to the item."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evalsuite.errors import UserError
from evalsuite.plan import Selection
from evalsuite.refusals import perturbation_lines
from evalsuite.rescoring import report_study
from evalsuite.resolve import resolve
from evalsuite.store import Store
from evalsuite.study import run_study
from evalsuite.types import Response
from tests import lm_eval_yaml
from tests.lm_eval_yaml import OWN, REPOSITORY, SHIPPED

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")
pytestmark = pytest.mark.xdist_group("lm_eval")

CHECKPOINT = "pocket-generalist"
WITH_SHOTS = ("medqa_4options", "pubmedqa", "mmlu_anatomy", "headqa_en", "pocket_generated")
IN_CHAT = ("medqa_4options", "headqa_es", "pocket_generated", "pocket_mutual")
EVERY = (*(name for name in SHIPPED if not name.startswith("mmlu")), "two_mmlu", *OWN)
MODELS = f"""
models:
  plain:
    path: package:pocket/checkpoints/{CHECKPOINT}
    domain: generalist
    licence: MIT
    chat: {{template: plain}}
  chatting:
    path: package:pocket/checkpoints/{CHECKPOINT}
    domain: generalist
    licence: MIT
"""


@dataclass(frozen=True, kw_only=True)
class Both:
    """What lm-eval found, and what we found."""

    theirs: Mapping[str, Mapping[str, Any]]
    """Run (zero, shots, chat, rolling) to lm-eval's results."""
    folder: Path
    """Where our study lies and ran."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Runs lm-eval's HF back end once per way of asking; our studies run in the tests."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("lm_eval")
    tasks = lm_eval_yaml.write(folder / "yaml")
    (folder / "models.yaml").write_text(MODELS, encoding="utf-8")
    path = str(REPOSITORY / "evalsuite" / "pocket" / "checkpoints" / CHECKPOINT)
    manager = TaskManager(include_path=str(tasks), include_defaults=False)

    def evaluate(names: Sequence[str], shots: int, model: Any, **more: Any) -> Mapping[str, Any]:
        found = lm_eval.simple_evaluate(
            model=model, tasks=list(names), num_fewshot=shots, task_manager=manager, bootstrap_iters=0, log_samples=True, **more
        )
        assert found is not None
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        model = HFLM(pretrained=path, dtype="float32", device="cpu", batch_size=8)
        # The tokenizer's own BOS behind the one that lm-eval puts in front would make two, and another number.
        single_bos = HFLM(pretrained=path, dtype="float32", device="cpu", batch_size=8, add_bos_token=False)
        yield Both(
            theirs={
                "zero": evaluate(EVERY, 0, model),
                "shots": evaluate(WITH_SHOTS, 2, model),
                "chat": evaluate(IN_CHAT, 0, model, apply_chat_template=True),
                "rolling": evaluate(["pocket_perplexity"], 0, single_bos),
            },
            folder=folder,
        )


def ours(both: Both, model: str, tasks: Sequence[str], strategy: str, **changes: str) -> tuple[Path, Path]:
    """Run a study of ours; (out directory, store)."""
    name = f"own_{model}_{strategy}_{len(tasks)}"
    content = {
        "study": name,
        "question": '"The same numbers?"',
        "models": f"[{model}]",
        "tasks": json.dumps([f"lm_eval:{task}" for task in tasks]),
        "strategies": json.dumps([{"name": "few_shot", "shots": 2} if strategy == "few_shot" else {"name": strategy}]),
        "prompting": "{shots_as: text}",
        "engine": "{name: transformers, dtype: float32, device: cpu}",
        "include_path": "[yaml]",
        **changes,
    }
    file = both.folder / f"{name}.yaml"
    file.write_text("".join(f"{key}: {value}\n" for key, value in content.items()), encoding="utf-8")
    out, store = both.folder / "out" / name, both.folder / "store"
    run_study(file, store=store, out=out)
    return out, store


def log_likelihoods(keys: Sequence[str], store: Store) -> list[float]:
    """Log-likelihoods of a sample in the order asked, from the journal."""
    found: list[float] = []
    for key in keys:
        outcome = store.get(key)
        assert isinstance(outcome, Response)
        found += [math.fsum(logprobs) for logprobs in outcome.continuation_logprobs] or list(outcome.logprobs)
    return found


def differences(theirs: Mapping[str, Any], out: Path, store: Path, tasks: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Per task the largest difference of a log-likelihood, and how many items of metrics were compared (each equal)."""
    scores = pd.read_parquet(out / "scores.parquet")
    compared: dict[str, tuple[float, int]] = {}
    with Store(store) as opened:
        for task in tasks:
            own = scores[scores.task == f"lm_eval:{task}"]
            worst, n_items = 0.0, 0
            for row in theirs["samples"][task]:
                mine = own[own.sample_id == str(row["doc_id"])].set_index("metric")
                for metric in row["metrics"]:
                    name = metric if row["filter"] == "none" else f"{metric},{row['filter']}"
                    assert close(json.loads(mine.loc[name, "item"]), row[metric]), (task, row["doc_id"], name)
                    n_items += 1
                if row["resps"] and not isinstance(row["resps"][0][0], str):
                    wanted = [float(resps[0][0] if isinstance(resps[0], tuple | list) else resps[0]) for resps in row["resps"]]
                    got = log_likelihoods(mine.iloc[0]["request_keys"], opened)
                    assert len(got) == len(wanted)
                    worst = max(worst, *(abs(a - b) for a, b in zip(got, wanted, strict=True)))
                elif row["resps"]:
                    assert mine.iloc[0]["output"] == row["resps"][0][0]
            compared[task] = (worst, n_items)
    return compared


def close(mine: Any, theirs: Any) -> bool:
    if hasattr(theirs, "tolist"):
        theirs = theirs.tolist()
    if isinstance(mine, list):
        return len(mine) == len(theirs) and all(close(a, b) for a, b in zip(mine, theirs, strict=True))
    return math.isclose(float(mine), float(theirs), rel_tol=1e-5, abs_tol=1e-4)


def aggregates(out: Path) -> dict[tuple[str, str], float]:
    frame = pd.read_csv(out / "tables" / "own_aggregates.csv")
    return {(row.task.removeprefix("lm_eval:"), row.metric): row.value for row in frame.itertuples()}


def printed(theirs: Mapping[str, Any], name: str) -> dict[str, float]:
    """Metrics of a task or group as lm-eval prints them, under our names."""
    found = {**theirs["results"], **theirs.get("groups", {})}[name]
    kept = {key: value for key, value in found.items() if "," in key and "_stderr" not in key}
    return {key.removesuffix(",none"): float(value) for key, value in kept.items()}


def assert_same_aggregates(theirs: Mapping[str, Any], out: Path, names: Sequence[str]) -> None:
    own = aggregates(out)
    for name in names:
        for metric, value in printed(theirs, name).items():
            assert math.isclose(own[name, metric], value, rel_tol=1e-4, abs_tol=1e-6), (name, metric, own[name, metric], value)


def test_zero_shot_equals_lm_eval_to_the_item_and_in_every_metric(both: Both) -> None:
    names = [name for name in (*SHIPPED, *OWN) if name != "pocket_perplexity"]
    asked = [name for name in names if not name.startswith("mmlu")] + ["two_mmlu"]
    out, store = ours(both, "plain", asked, "zero_shot")
    compared = differences(both.theirs["zero"], out, store, names)
    assert len(compared) == 11
    assert all(worst < 1e-4 for worst, _ in compared.values()), compared
    assert all(n_items >= 12 for _, n_items in compared.values()), compared
    assert_same_aggregates(both.theirs["zero"], out, [*names, "two_mmlu"])


def test_its_own_exemplars_are_drawn_as_it_draws_them(both: Both) -> None:
    out, store = ours(both, "plain", WITH_SHOTS, "few_shot")
    compared = differences(both.theirs["shots"], out, store, WITH_SHOTS)
    assert all(worst < 1e-4 for worst, _ in compared.values()), compared
    assert_same_aggregates(both.theirs["shots"], out, WITH_SHOTS)


def test_through_the_chat_template(both: Both) -> None:
    out, store = ours(both, "chatting", IN_CHAT, "native")
    compared = differences(both.theirs["chat"], out, store, IN_CHAT)
    assert all(worst < 1e-4 for worst, _ in compared.values()), compared
    assert_same_aggregates(both.theirs["chat"], out, IN_CHAT)


def test_texts_of_their_own_with_exactly_one_bos(both: Both) -> None:
    out, store = ours(both, "plain", ["pocket_perplexity"], "zero_shot")
    scores = pd.read_parquet(out / "scores.parquet")
    with Store(store) as opened:
        for row in both.theirs["rolling"]["samples"]["pocket_perplexity"]:
            mine = scores[scores.sample_id == str(row["doc_id"])]
            got = math.fsum(log_likelihoods(mine.iloc[0]["request_keys"], opened))
            assert abs(got - float(row["resps"][0][0])) < 1e-4
    assert_same_aggregates(both.theirs["rolling"], out, ["pocket_perplexity"])
    # With the tokenizer's BOS there are two in lm-eval, and the score is another: never ours.
    doubled = printed(both.theirs["zero"], "pocket_perplexity")
    assert not math.isclose(doubled["bits_per_byte"], aggregates(out)["pocket_perplexity", "bits_per_byte"], rel_tol=1e-2)


def test_letters_are_one_forward_pass_a_question(both: Both) -> None:
    out, store = ours(both, "plain", ["medqa_4options"], "zero_shot")
    scores = pd.read_parquet(out / "scores.parquet")
    assert set(scores.n_calls) == {1}
    with Store(store) as opened:
        kinds = {bool(opened.get(keys[0]).continuation_logprobs) for keys in scores.request_keys}  # type: ignore[union-attr]
    assert kinds == {False}


def test_scored_again_from_files(both: Both) -> None:
    out, store = ours(both, "plain", WITH_SHOTS, "few_shot")
    before = {path.name: path.read_bytes() for path in (out / "scores.parquet", out / "tables" / "own_aggregates.csv")}
    report_study(out, store=store)
    assert before == {path.name: path.read_bytes() for path in (out / "scores.parquet", out / "tables" / "own_aggregates.csv")}


def test_what_the_task_words_itself_cannot_be_perturbed_but_our_formats_can(both: Both) -> None:
    study = {"perturbations": "[none, shuffle_choices]", "strategies": "[zero_shot, {id: ours, name: zero_shot, format: letters}]"}
    out, _ = ours(both, "plain", ["headqa_en"], "native", **study)
    scores = pd.read_parquet(out / "scores.parquet")
    own = scores[(scores.strategy == "zero_shot") & (scores.perturbation == "shuffle_choices")]
    assert set(own.status) == {"refused"}
    told = [line for line in perturbation_lines(resolve(out.parent.parent / f"{out.name}.yaml")) if "own" in line]
    changed = f"shuffle_choices ({own.sample_id.nunique():,})"
    assert told == [f"refused under zero_shot on {own.task.iloc[0]}, whose prompts are the task's own: {changed}"]
    in_our_words = scores[(scores.strategy == "ours") & (scores.metric == "accuracy")]
    assert set(in_our_words.status) == {"scored"}
    assert set(scores[(scores.strategy == "ours") & (scores.metric == "acc")].status) == {"refused"}


def test_bare_letters_are_no_choices_of_ours(both: Both) -> None:
    """`A` to `D` under `A` to `D` would be a question about letters."""
    with pytest.raises(UserError, match="free text needs `generate`"):
        ours(both, "plain", ["medqa_4options"], "native", strategies="[{id: ours, name: zero_shot, format: letters}]")


def test_another_split_is_refused(both: Both) -> None:
    content = {"study": "split", "question": '"Another split?"', "models": "[plain]", "include_path": "[yaml]"}
    content["tasks"] = '[{name: "lm_eval:medqa_4options", split: train}]'
    file = both.folder / "split.yaml"
    file.write_text("".join(f"{key}: {value}\n" for key, value in content.items()), encoding="utf-8")
    with pytest.raises(UserError, match="decides what is evaluated"):
        run_study(file, store=both.folder / "store", out=both.folder / "out" / "split")


def test_a_question_is_never_its_own_exemplar(both: Both) -> None:
    """careqa_en has one split only: lm-eval would draw exemplars from it and leave nothing out."""
    with pytest.raises(UserError, match="without leaving out the question itself"):
        ours(both, "plain", ["careqa_en"], "few_shot")


def one_task(folder: Path, name: str, text: str) -> Path:
    """A folder with one YAML task over the pocket facts."""
    data = next(folder.parent.glob("**/yaml/data/pocket_mutual_test.jsonl"))
    made = folder / name
    made.mkdir(exist_ok=True)
    held = f"{{data_files: {{test: {data}}}, cache_dir: {made / 'cache'}}}"
    head = f"task: {name}\ndataset_path: json\ntest_split: test\ndataset_kwargs: {held}\n"
    (made / f"{name}.yaml").write_text(head + text, encoding="utf-8")
    return made


MEAN = "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"


def test_a_task_that_was_changed_is_not_scored_again(both: Both) -> None:
    text = 'output_type: multiple_choice\ndoc_to_text: "{{question}}"\ndoc_to_choice: "{{choices}}"\ndoc_to_target: KEY\n' + MEAN
    folder = one_task(both.folder, "changing", text.replace("KEY", "answer"))
    out, store = ours(both, "plain", ["changing"], "zero_shot", include_path=json.dumps([str(folder)]))
    report_study(out, store=store)
    one_task(both.folder, "changing", text.replace("KEY", '"{{0}}"'))
    with pytest.raises(UserError, match="not that of the run"):
        report_study(out, store=store)


def test_tasks_whose_choices_are_the_prompts(both: Both) -> None:
    """As winogrande: the text is the number of the right choice, so that questions must be told apart by their choices."""
    text = (
        'output_type: multiple_choice\ndoc_to_text: "{{answer % 2}}"\ndoc_to_target: "{{\' It is known.\'}}"\n'
        "doc_to_choice: \"{{[question + ' ' + choices[0], question + ' ' + choices[1]]}}\"\n"
    )
    folder = one_task(both.folder, "wino", text + MEAN)
    out, _ = ours(both, "plain", ["wino"], "zero_shot", include_path=json.dumps([str(folder)]))
    scores = pd.read_parquet(out / "scores.parquet")
    assert set(scores.status) == {"scored"}
    assert scores.group.nunique() == lm_eval_yaml.N_ROWS


def test_a_task_that_has_no_value_for_an_answer(both: Both) -> None:
    text = (
        'output_type: generate_until\ndoc_to_text: "{{question}}"\ndoc_to_target: "{{choices[answer]}}"\n'
        'generation_kwargs: {until: ["\\n"], max_gen_toks: 4}\nprocess_results: !function own.judge\n'
        "metric_list: [{metric: fancy, aggregation: mean, higher_is_better: true}]\n"
    )
    folder = one_task(both.folder, "nothing", text)
    (folder / "own.py").write_text("def judge(doc, results):\n    return {'fancy': float('nan')}\n", encoding="utf-8")
    out, store = ours(both, "plain", ["nothing"], "zero_shot", include_path=json.dumps([str(folder)]))
    scores = pd.read_parquet(out / "scores.parquet")
    assert set(scores.status) <= {"unparsed", "truncated"}
    report_study(out, store=store)


def test_answers_that_its_filter_does_not_find_are_unparsed_and_count_as_it_counts_them(both: Both) -> None:
    out, _ = ours(both, "plain", ["pocket_generated"], "zero_shot")
    strict = pd.read_parquet(out / "scores.parquet").query("metric == 'exact_match,strict-match'")
    assert set(strict.status) == {"scored", "unparsed"}
    assert strict[strict.status != "scored"].value.isna().all()
    counted = strict.value.fillna(0.0).mean()
    assert math.isclose(counted, printed(both.theirs["zero"], "pocket_generated")["exact_match,strict-match"])


JSON = "task: broken\noutput_type: multiple_choice\ndataset_path: json\ntest_split: test\n"
BROKEN = {
    "syntax": ("task: broken\noutput_type: multiple_choice\n  dataset_path: [", "yaml"),
    "output_type": ("task: broken\noutput_type: guess\ndataset_path: json\n", "output_type"),
    "no_data": (f"{JSON}dataset_kwargs: {{data_files: {{test: missing.jsonl}}}}\n", "missing.jsonl"),
    "no_field": (f'{JSON}dataset_kwargs: {{data_files: {{test: DATA}}}}\ndoc_to_text: "{{{{nothing.of.this}}}}"\n', "broken"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_yaml_with_an_error_is_one_line_before_anything_loads(both: Both, tmp_path: Path, fault: str) -> None:
    text, told = BROKEN[fault]
    folder = tmp_path / "yaml"
    folder.mkdir()
    data = both.folder / "yaml" / "data" / "pocket_mutual_test.jsonl"
    (folder / "broken.yaml").write_text(text.replace("DATA", str(data)), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        ours(both, "plain", ["broken"], "zero_shot", include_path=json.dumps([str(folder)]))
    assert len(caught.value.faults) == 1
    assert "\n" not in str(caught.value.faults[0])
    assert told in str(caught.value.faults[0]).lower()


def test_unknown_names_and_folders(both: Both) -> None:
    with pytest.raises(UserError, match="medqa_4options"):
        ours(both, "plain", ["medqa_4option"], "zero_shot", include_path="[yaml]")
    with pytest.raises(UserError, match="existing folder"):
        ours(both, "plain", ["medqa_4options"], "zero_shot", include_path="[nowhere]")


def test_limit_leaves_prompts_as_they_are(both: Both) -> None:
    out, _ = ours(both, "plain", WITH_SHOTS, "few_shot")
    whole = pd.read_parquet(out / "scores.parquet")
    part = both.folder / "out" / "limited"
    result = run_study(
        both.folder / f"own_plain_few_shot_{len(WITH_SHOTS)}.yaml", Selection(limit=5), store=both.folder / "store", out=part
    )
    assert sum(run.n_asked for run in result.runs) == 0
    assert len(pd.read_parquet(part / "scores.parquet")) < len(whole)


def test_our_scores_pair_with_its_sample_log(both: Both, tmp_path: Path) -> None:
    """The same questions by lm-eval's own hash of a row: no difference anywhere, and every sample in it."""
    from lm_eval.loggers import EvaluationTracker

    from evalsuite.interop.lm_eval_import import import_lm_eval
    from evalsuite.interop.pairing import PairingDesign, compare_sets

    theirs = both.theirs["zero"]
    tracker = EvaluationTracker(output_path=str(tmp_path / "results"))
    tracker.general_config_tracker.model_name_sanitized = "plain"
    tracker.save_results_aggregated(results={key: value for key, value in theirs.items() if key != "samples"}, samples=theirs["samples"])
    for task, samples in theirs["samples"].items():
        tracker.save_results_samples(task_name=task, samples=samples)
    imported = import_lm_eval(tmp_path / "results", tmp_path / "imported", name="harness", run=None)
    assert imported is not None
    names = ["medqa_4options", "pubmedqa", "headqa_es", "pocket_generated", "pocket_last_word"]
    out, _ = ours(both, "plain", names, "zero_shot")
    found = compare_sets(out, tmp_path / "imported", PairingDesign(tasks=tuple(f"lm_eval:{name}" for name in names)))
    frame = found.comparisons
    assert set(frame.task) == {f"lm_eval:{name}" for name in names}
    assert (frame.n_samples == lm_eval_yaml.N_ROWS).all()
    assert (frame.difference.abs() < 1e-4).all()
