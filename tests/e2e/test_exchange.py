"""A study's scores go out as lm-eval's files and come back the same; two folders of scores compare as a study would compare them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from evalsuite.cli import main
from evalsuite.interop.lm_eval_export import export_lm_eval
from evalsuite.interop.lm_eval_import import import_lm_eval
from evalsuite.interop.pairing import PairingDesign, compare_sets
from evalsuite.study import compare, load_scores, run_study
from tests.planted import Project, make_project

KEY = ["model", "task", "strategy", "perturbation", "metric", "sample_id", "variant", "replicate"]
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
STRATEGIES = "[{id: spoken, name: zero_shot, format: generate}, zero_shot]"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two models, one of which chats and one of which says nothing; two strategies; shuffled choices."""
    folder = tmp_path_factory.mktemp("exchange")
    made = make_project(folder)
    made.models(silent="stub:silent", chatty=f"stub:chatty?sheet={made.sheet}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        file = made.study(models="[silent, chatty]", strategies=STRATEGIES, perturbations="[none, {name: shuffle_choices, variants: 2}]")
        run_study(file, store=made.store, out=folder / "out")
    return made


@pytest.fixture
def out(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project.folder)
    return project.folder / "out"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def in_order(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.sort_values(KEY).reset_index(drop=True).drop(columns="request_keys")


def test_what_goes_out_comes_back_the_same(out: Path, tmp_path: Path) -> None:
    files = export_lm_eval(out, tmp_path / "lm_eval")
    assert {path.parent.name for path in files} == {"silent", "chatty"}
    back = import_lm_eval(tmp_path / "lm_eval", tmp_path / "back")
    scores = load_scores(out)
    assert {"unparsed", "scored"} <= set(scores.status)
    pd.testing.assert_frame_equal(in_order(scores), in_order(load_scores(tmp_path / "back")))
    first = {path: path.read_bytes() for path in files}
    assert {path: path.read_bytes() for path in export_lm_eval(out, tmp_path / "lm_eval")} == first
    assert {entry["metric"] for entry in back.checked} == {"accuracy", "accuracy_strict", "macro_f1"}


def test_the_files_have_lm_eval_s_shape(out: Path, tmp_path: Path) -> None:
    export_lm_eval(out, tmp_path)
    theirs = json.loads(next((FIXTURES / "lm_eval" / "pocket-clinical").glob("results_*")).read_text())
    path = next((tmp_path / "silent").glob("results_*"))
    ours = json.loads(path.read_text())
    lacking = set(theirs) - set(ours)
    assert lacking <= {name for name in theirs if name.startswith("tokenizer_")} | {
        "groups",
        "upper_git_hash",
        "eot_token_id",
        "max_length",
    }
    assert set(ours) - set(theirs) == {"evalsuite"}
    assert set(ours["results"]) == {
        "planted", "planted@zero_shot", "planted@shuffle_choices", "planted@zero_shot@shuffle_choices",
    }  # fmt: skip
    time = path.name.removeprefix("results_").removesuffix(".json")
    rows = [json.loads(line) for line in (tmp_path / "silent" / f"samples_planted_{time}.jsonl").read_text().splitlines()]
    their_row = json.loads(next((FIXTURES / "lm_eval" / "pocket-clinical").glob("samples_syn_text*")).read_text().splitlines()[0])
    assert set(their_row) - {"exact_match"} <= set(rows[0])
    # A silent model: lm-eval knows no statuses, so the number is the study's rule and the status stands beside it.
    assert {row["accuracy"] for row in rows} == {0.0}
    assert {row["evalsuite"]["metrics"]["accuracy"]["status"] for row in rows} == {"unparsed"}
    assert ours["evalsuite"]["tasks"]["planted"]["statuses"]["accuracy"] == {"unparsed": 200}
    assert ours["evalsuite"]["missing"] == "incorrect"
    assert ours["n-samples"]["planted"] == {"original": 200, "effective": 200}
    # Targets are positions in the original order, so choices that were shown in another order do not stand beside them.
    shuffled = json.loads((tmp_path / "silent" / f"samples_planted@shuffle_choices_{time}.jsonl").read_text().splitlines()[0])
    assert "choices" in rows[0]["doc"]
    assert "choices" not in shuffled["doc"]


def test_dropped_answers_have_no_number(project: Project, out: Path, tmp_path: Path) -> None:
    drop = "{missing: drop, margin: 0.2, n_resamples: 1000}"
    file = project.study("dropped", models="[silent, chatty]", strategies=STRATEGIES, analysis=drop)
    run_study(file, store=project.store, out=tmp_path / "out")
    export_lm_eval(tmp_path / "out", tmp_path / "lm_eval")
    row = json.loads(next((tmp_path / "lm_eval" / "silent").glob("samples_planted_*")).read_text().splitlines()[0])
    assert row["metrics"] == []
    assert "accuracy" not in row
    import_lm_eval(tmp_path / "lm_eval", tmp_path / "back")
    pd.testing.assert_frame_equal(in_order(load_scores(tmp_path / "out")), in_order(load_scores(tmp_path / "back")))


def test_a_cut_export_is_refused(out: Path, tmp_path: Path) -> None:
    export_lm_eval(out, tmp_path / "lm_eval")
    path = next((tmp_path / "lm_eval" / "chatty").glob("samples_planted@zero_shot_*"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    done = run("import", "lm_eval", tmp_path / "lm_eval", "--out", tmp_path / "back")
    assert done.exit_code == 2
    assert done.stderr.count("error:") == 1
    assert f"{path.name}:199" in done.stderr
    assert not (tmp_path / "back").exists()


def test_failed_answers_do_not_go_out(project: Project, out: Path, tmp_path: Path) -> None:
    project.models(silent="stub:silent", chatty=f"stub:chatty?sheet={project.sheet}", fails="stub:fails?every=10")
    run_study(project.study("failing", models="[fails]"), store=tmp_path / "store", out=tmp_path / "out")
    for form in ("lm_eval", "every_eval_ever"):
        extra = ["--organisation", "us"] if form == "every_eval_ever" else []
        done = run("export", form, tmp_path / "out", "--to", tmp_path / "to", *extra)
        assert done.exit_code == 2
        assert "failed answers" in done.stderr
    assert not (tmp_path / "to").exists()


def test_comparing_two_folders_gives_the_study_s_numbers(out: Path, tmp_path: Path) -> None:
    export_lm_eval(out, tmp_path / "lm_eval")
    import_lm_eval(tmp_path / "lm_eval", tmp_path / "back")
    stated = compare(out)
    stated = stated[stated.subset == "all"]
    design = PairingDesign(a_model="chatty", b_model="silent", margin=0.2, n_resamples=1000)
    found = compare(out, tmp_path / "back", design)
    on = ["task", "metric", "strategy", "perturbation"]
    both = stated.merge(found, on=on, suffixes=("_stated", ""))
    assert len(both) == len(found) == len(stated) == 12
    for name in ("n_samples", "n_groups", "mean_a", "mean_b", "difference", "ci_low", "ci_high", "p_value", "boot_low", "boot_high"):
        np.testing.assert_array_equal(both[name], both[f"{name}_stated"])
    assert set(found.role) == {"exploratory"}


def test_the_command_prints_and_writes(out: Path, tmp_path: Path) -> None:
    arguments = ["compare", out, out, "--a-model", "chatty", "--b-model", "silent", "--metric", "accuracy"]
    done = run(*arguments, "--out", tmp_path / "side")
    assert done.exit_code == 0, done.output
    assert "a_better" in done.stdout
    assert "exploratory" in done.stdout
    assert (tmp_path / "side" / "comparisons.csv").exists()
    refused = run(*arguments, "--out", out)
    assert (refused.exit_code, "holds scores of its own" in refused.stderr) == (2, True)
    assert run("compare", out, tmp_path / "nothing").exit_code == 2
    assert run(*arguments, "--alpha", "0.7").exit_code == 2


def test_two_runs_of_lm_eval_compare(tmp_path: Path) -> None:
    done = run("import", "lm_eval", FIXTURES / "lm_eval", "--out", tmp_path / "scores")
    assert done.exit_code == 0, done.output
    row = compare_sets(tmp_path / "scores", tmp_path / "scores", PairingDesign(a_model="pocket-clinical", b_model="pocket-generalist"))
    frame = row.comparisons.set_index(["task", "metric"])
    acc = frame.loc[("lm_eval:syn_choice", "acc_norm")]
    assert (acc.mean_a, acc.mean_b, acc.n_groups) == (pytest.approx(1 / 13), pytest.approx(3 / 13), 12)
    # Perplexity: less is better, so the lower mean is favoured.
    roll = frame.loc[("lm_eval:syn_roll", "word_perplexity")]
    assert roll.mean_a < roll.mean_b
    assert roll.difference > 0


@pytest.mark.parametrize("restricted", [False, True])
def test_every_eval_ever_takes_what_we_write(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restricted: bool) -> None:
    """Validated by the schemas of every-eval-ever 0.3.0 (MIT), kept as a fixture since the package needs Python 3.12."""
    jsonschema = pytest.importorskip("jsonschema")
    monkeypatch.chdir(tmp_path)
    made = make_project(tmp_path)
    if restricted:
        plugin = tmp_path / "tasks" / "planted" / "task.py"
        plugin.write_text(plugin.read_text().replace("restricted=False", "restricted=True"))
    made.models(silent="stub:silent", chatty=f"stub:chatty?sheet={made.sheet}")
    run_study(made.study(models="[silent, chatty]", strategies=STRATEGIES), store=made.store, out=tmp_path / "out")
    done = run("export", "every_eval_ever", tmp_path / "out", "--organisation", "a ward", "--to", tmp_path / "to")
    assert done.exit_code == 0, done.output
    schemas = FIXTURES / "every_eval_ever"
    whole, line = (
        jsonschema.Draft7Validator(json.loads((schemas / name).read_text()))
        for name in ("eval.schema.json", "instance_level_eval.schema.json")
    )
    aggregates = list((tmp_path / "to").rglob("*.json"))
    assert len(aggregates) == 2
    for path in aggregates:
        content = json.loads(path.read_text())
        assert [error.message for error in whole.iter_errors(content)] == []
        samples = tmp_path / "to" / content["detailed_evaluation_results"]["file_path"]
        rows = [json.loads(text) for text in samples.read_text().splitlines()]
        assert len(rows) == content["detailed_evaluation_results"]["total_rows"] == 200 * 2 * 3
        assert [error.message for row in rows[:60] for error in line.iter_errors(row)] == []
        for result in content["evaluation_results"]:
            own = [row["evaluation"]["score"] for row in rows if row["evaluation_result_id"] == result["evaluation_result_id"]]
            if result["metric_config"]["metric_id"] != "macro_f1":
                assert result["score_details"]["score"] == pytest.approx(np.mean(own), abs=1e-12)
        assert ("thing 0" in samples.read_text()) != restricted


def test_restricted_texts_do_not_go_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = make_project(tmp_path)
    plugin = tmp_path / "tasks" / "planted" / "task.py"
    plugin.write_text(plugin.read_text().replace("restricted=False", "restricted=True"))
    made.models(silent="stub:silent", chatty=f"stub:chatty?sheet={made.sheet}")
    run_study(made.study(models="[silent, chatty]", strategies=STRATEGIES), store=made.store, out=tmp_path / "out")
    files = export_lm_eval(tmp_path / "out", tmp_path / "lm_eval")
    assert files
    for path in files:
        text = path.read_text()
        assert "thing 0" not in text
        assert "What stands" not in text
    import_lm_eval(tmp_path / "lm_eval", tmp_path / "back")
    pd.testing.assert_frame_equal(in_order(load_scores(tmp_path / "out")), in_order(load_scores(tmp_path / "back")))


def test_metrics_of_lm_eval_tasks_go_out_as_lm_eval_has_them(out: Path, tmp_path: Path) -> None:
    """Filters as lines of their own, perplexities as their items, made again on the way back; the scores are made up from planted ones."""
    folder = tmp_path / "out"
    shutil.copytree(out, folder)
    scores = load_scores(folder)
    scores = scores[scores.metric != "macro_f1"]
    scores["metric"] = scores.metric.map({"accuracy": "exact_match,strict", "accuracy_strict": "word_perplexity"})
    words = scores.metric == "word_perplexity"
    scores.loc[words, ["value", "status"]] = [2.5, "scored"]
    scores["item"] = None
    scores.loc[words, "item"] = "[-5.0, 2]"
    scores.to_parquet(folder / "scores.parquet", index=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    own = {"binary": True, "high": 1.0, "higher_is_better": True, "low": 0.0}
    manifest["data"]["planted"]["own_metrics"] = {
        "exact_match,strict": own,
        "word_perplexity": {"binary": False, "high": None, "higher_is_better": False, "low": 0.0},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    export_lm_eval(folder, tmp_path / "lm_eval")
    results = json.loads(next((tmp_path / "lm_eval" / "silent").glob("results_*")).read_text())["results"]["planted"]
    assert results["exact_match,strict"] == 0.0
    assert results["word_perplexity,none"] == pytest.approx(np.exp(2.5))
    back = import_lm_eval(tmp_path / "lm_eval", tmp_path / "back")
    pd.testing.assert_frame_equal(in_order(load_scores(folder)), in_order(load_scores(tmp_path / "back")))
    assert {entry["mean"] for entry in back.checked if entry["metric"] == "word_perplexity"} == {2.5}
    row = compare(folder, tmp_path / "back", PairingDesign(a_model="chatty", b_model="silent", metrics=("word_perplexity",))).iloc[0]
    assert (row.mean_a, row.difference, row.n_samples) == (2.5, 0, 200)
