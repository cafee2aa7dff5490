"""lm-eval's files come in whole and checked, or not at all. The fixture was written by lm-eval 0.4.13 itself."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.errors import UserError
from evalsuite.interop.aggregations import aggregated, f1, matthews_corrcoef, sample_values
from evalsuite.interop.lm_eval_files import find_runs
from evalsuite.interop.lm_eval_import import import_lines, import_lm_eval
from evalsuite.study import load_scores

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "lm_eval"
CLINICAL = "pocket-clinical"
TIME = "2026-11-21T04-00-23.729715"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A copy of what lm-eval wrote for two models."""
    shutil.copytree(FIXTURE, tmp_path / "output")
    return tmp_path / "output"


def samples(output: Path, task: str = "syn_choice") -> Path:
    return output / CLINICAL / f"samples_{task}_{TIME}.jsonl"


def results(output: Path) -> Path:
    return output / CLINICAL / f"results_{TIME}.json"


def rewrite(path: Path, change: Callable[[list[dict]], object]) -> None:
    """Change the rows of a samples file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def refused(output: Path, **options: str) -> str:
    """The one fault that an import raises; nothing is written."""
    with pytest.raises(UserError) as caught:
        import_lm_eval(output, output.parent / "scores", **options)
    assert not (output.parent / "scores").exists()
    assert len(caught.value.faults) == 1
    return str(caught.value)


def test_every_value_is_the_one_that_lm_eval_wrote(output: Path) -> None:
    done = import_lm_eval(output, output.parent / "scores")
    scores = load_scores(output.parent / "scores")
    assert set(scores.status) == {"scored"}
    assert set(scores.model) == {"pocket-clinical", "pocket-generalist"}
    for model in set(scores.model):
        for path in (output / model).glob("samples_*.jsonl"):
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                own = scores[(scores.model == model) & (scores.content_hash == f"lm_eval:{row['doc_hash']}")]
                own = own[own.sample_id == str(row["doc_id"])].set_index("metric")
                for name in row["metrics"]:
                    metric = name if row["filter"] == "none" else f"{name},{row['filter']}"
                    value = row[name]
                    if name == "word_perplexity":
                        value = -value[0] / value[1]
                    elif name == "mcc":
                        value = float(value[0] == value[1])
                    assert own.loc[metric, "value"] == value
    # The printed results are the means of what was imported, but for those that are no means.
    for entry in done.checked:
        if entry["metric"] not in ("mcc", "word_perplexity"):
            assert entry["mean"] == pytest.approx(entry["lm_eval"], abs=1e-12)
    assert {entry["metric"] for entry in done.checked} == {
        "acc", "acc_norm", "mcc", "word_perplexity", "exact_match,strict-match", "exact_match,flexible-extract",
    }  # fmt: skip


def test_a_row_that_stands_twice_is_one_group(output: Path) -> None:
    done = import_lm_eval(output, output.parent / "scores")
    own = done.scores[(done.scores.model == CLINICAL) & (done.scores.metric == "acc")]
    assert (len(own), own.group.nunique(), own.sample_id.nunique()) == (13, 12, 13)
    assert set(own.target) == {"0", "1", "2", "3"}
    entry = next(entry for entry in done.checked if (entry["model"], entry["metric"]) == (CLINICAL, "acc"))
    assert entry["lm_eval_stderr"] == pytest.approx(0.10415433852097385)
    assert entry["se"] > entry["lm_eval_stderr"]  # the two equal rows hang together


def test_texts_stay_where_they_are(output: Path) -> None:
    import_lm_eval(output, output.parent / "scores")
    scores = load_scores(output.parent / "scores")
    assert scores[["answer", "output"]].isna().all(axis=None)
    assert all(target.startswith("sha256:") for target in scores[scores.task == "lm_eval:syn_text"].target)


def test_the_manifest_says_where_the_scores_came_from(output: Path) -> None:
    def secret(content: dict) -> None:
        content["config"]["model_args"] |= {"api_key": "hush", "token": "hush"}

    content = json.loads(results(output).read_text())
    secret(content)
    results(output).write_text(json.dumps(content))
    import_lm_eval(output, output.parent / "scores")
    text = (output.parent / "scores" / "manifest.json").read_text()
    run = next(run for run in json.loads(text)["imported"]["runs"] if run["model"] == CLINICAL and run["task"] == "lm_eval:syn_choice")
    assert run["conditions"]["lm_eval"] == "0.4.13"
    assert run["conditions"]["task version"] == 1.0
    assert run["conditions"]["dtype"] == "float32"
    assert (run["n_shots"], run["n_samples"]) == (0, {"original": 13, "effective": 13})
    assert run["samples"] == samples(output).name
    assert "hush" not in text


def cut_in_a_line(output: Path) -> None:
    raw = samples(output).read_bytes()
    samples(output).write_bytes(raw[: len(raw) // 2])


def cut_between_lines(output: Path) -> None:
    lines = samples(output).read_bytes().splitlines(keepends=True)
    samples(output).write_bytes(b"".join(lines[:7]))


def test_a_samples_file_cut_in_half_is_told_by_its_line(output: Path) -> None:
    cut_in_a_line(output)
    fault = refused(output)
    n_lines = len(samples(output).read_bytes().splitlines())
    assert f"{samples(output).name}:{n_lines}" in fault
    assert "torn" in fault
    assert "Which letter" not in fault


def test_a_samples_file_cut_between_lines_is_told_too(output: Path) -> None:
    cut_between_lines(output)
    fault = refused(output)
    assert f"{samples(output).name}:7" in fault
    assert "7 samples: 13, as n-samples" in fault


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[2].update(acc=1.0 - rows[2]["acc"]), "mean of acc"),
        (lambda rows: rows[2]["mcc"].reverse() or rows[3].update(mcc=[0, 0]), "matthews_corrcoef of mcc"),
        (lambda rows: rows[4].update(acc=math.nan), ":5: acc"),
        (lambda rows: rows[4].pop("acc"), ":5: acc"),
        (lambda rows: rows[4].update(doc_hash="x"), ":5: doc_hash"),
        (lambda rows: rows[4].update(doc_id="4"), ":5: doc_id"),
        (lambda rows: rows.append(rows[4]), ":14: doc_id"),
        (lambda rows: [(row["metrics"].remove("acc"), row.pop("acc")) for row in rows], "values in every line"),
    ],
)
def test_what_was_changed_or_mixed_up_is_refused(output: Path, change: Callable[[list[dict]], object], told: str) -> None:
    rewrite(samples(output), change)
    assert told in refused(output)


def test_a_result_that_was_changed_is_refused(output: Path) -> None:
    content = json.loads(results(output).read_text())
    content["results"]["syn_text"]["exact_match,strict-match"] += 1e-6
    results(output).write_text(json.dumps(content))
    assert "mean of exact_match,strict-match" in refused(output)


def test_missing_and_torn_files(output: Path) -> None:
    samples(output).rename(output / "elsewhere")
    assert "--log_samples" in refused(output)
    (output / "elsewhere").rename(samples(output))
    results(output).write_text(results(output).read_text()[:500])
    assert "torn" in refused(output)
    with pytest.raises(UserError, match="no results_<time>"):
        find_runs(_empty(output.parent))


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_every_fault_of_every_file_is_told_at_once(output: Path) -> None:
    cut_between_lines(output)
    rewrite(samples(output, "syn_text"), lambda rows: rows.pop())
    with pytest.raises(UserError) as caught:
        import_lm_eval(output, output.parent / "scores")
    assert len(caught.value.faults) == 2


def test_of_several_runs_the_newest_counts_and_the_others_are_named(output: Path) -> None:
    later = "2026-12-01T00-00-00.5"
    for path in list((output / CLINICAL).iterdir()):
        shutil.copy(path, path.with_name(path.name.replace(TIME, later)))
    done = import_lm_eval(output, output.parent / "newest")
    assert any(TIME in note and "syn_choice" in note for note in done.notes)
    runs = json.loads((output.parent / "newest" / "manifest.json").read_text())["imported"]["runs"]
    assert all(later in run["results"] for run in runs if run["model"] == CLINICAL)
    # The broken newest run does not matter when an earlier one is asked for.
    (output / CLINICAL / f"samples_syn_choice_{later}.jsonl").unlink()
    earlier = import_lm_eval(output / CLINICAL, output.parent / "earlier", run=TIME[:10])
    assert earlier.notes == ()
    with pytest.raises(UserError, match="start of one of"):
        import_lm_eval(output, output.parent / "none", run="2025")


def test_another_number_of_exemplars_is_another_strategy(output: Path) -> None:
    later = "2026-12-01T00-00-00.5"
    for path in list((output / CLINICAL).iterdir()):
        shutil.copy(path, path.with_name(path.name.replace(TIME, later)))
    path = output / CLINICAL / f"results_{later}.json"
    content = json.loads(path.read_text())
    content["n-shot"]["syn_choice"] = 5
    path.write_text(json.dumps(content))
    done = import_lm_eval(output / CLINICAL, output.parent / "scores")
    own = done.scores[(done.scores.task == "lm_eval:syn_choice") & (done.scores.metric == "acc")]
    assert set(own.strategy) == {"zero_shot", "few_shot_5"}


def test_names_of_models(output: Path) -> None:
    assert "one model" in refused(output, name="mine")
    done = import_lm_eval(output / CLINICAL, output.parent / "one", name="mine")
    assert set(done.scores.model) == {"mine"}
    for model, name in (("pocket-clinical", "/home/a/llama"), ("pocket-generalist", "/home/b/llama")):
        path = next((output / model).glob("results_*"))
        path.write_text(json.dumps(json.loads(path.read_text()) | {"model_name": name}))
    assert "2 models have this name" in refused(output)


def test_a_study_is_never_written_over(output: Path) -> None:
    (output.parent / "study").mkdir()
    (output.parent / "study" / "study.yaml").write_text("")
    with pytest.raises(UserError, match="holds a study of its own"):
        import_lm_eval(output, output.parent / "study")


def test_aggregations_are_those_of_lm_eval() -> None:
    # Worked by hand from the definitions; the fixture's Matthews correlation and perplexity came from lm-eval itself.
    items = [(1, 1), (1, 0), (0, 1), (0, 0), (1, 1)]
    assert f1(items) == pytest.approx(2 * 2 / (3 + 3))
    assert matthews_corrcoef(items) == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    assert aggregated("f1", [(0, 2)]) is None
    assert aggregated("weighted_perplexity", [[-2.0, 1], [-1.0, 2]]) == pytest.approx(math.e)
    assert aggregated("bits_per_byte", [[-2.0, 1], [-1.0, 2]]) == pytest.approx(1 / math.log(2))
    assert aggregated("brier_score", [[0, [0.75, 0.25]]]) == pytest.approx(2 * 0.25**2)
    assert aggregated("perplexity", [-1.0, -3.0]) == pytest.approx(math.e**2)
    assert aggregated("bleu", [("a", "b")]) is None
    assert sample_values("mean", [1.0, [1, 2]]) is None


def test_lines_show_both_errors(output: Path) -> None:
    lines = import_lines(import_lm_eval(output, output.parent / "scores"))
    assert lines[0].split() == "model task strategy metric n groups lm-eval its stderr mean our stderr".split()
    assert any("0.1042" in line and "0.1060" in line for line in lines)


def test_a_cut_within_the_last_filter_is_seen_though_no_mean_changes(output: Path) -> None:
    rewrite(samples(output, "syn_text"), lambda rows: rows.pop())
    fault = refused(output)
    assert ":11: filter flexible-extract = 5 samples: 6" in fault


def test_lines_of_another_run_with_the_same_means_are_refused(output: Path) -> None:
    rewrite(samples(output, "syn_text"), lambda rows: rows[0].update(doc_hash="0" * 64))
    assert "task_hashes" in refused(output)
