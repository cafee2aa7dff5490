"""Two sets of scores are paired by what was asked; whatever does not match is said, never dropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evalsuite.errors import UserError
from evalsuite.interop.pairing import PairingDesign, compare_sets, side_by_side_lines
from evalsuite.outputs import SCORES_SCHEMA
from evalsuite.report.side_by_side import write_side_by_side
from evalsuite.stats.arrays import cluster_t_interval
from evalsuite.stats.randomisation import sign_flip_p
from evalsuite.study import compare

N = 60


def scores(model: str, seed: int, **columns: object) -> pd.DataFrame:
    """Sixty right-or-wrong answers in thirty groups; questions are the same for every model."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "study": "s", "model": model, "task": "t", "strategy": "zero_shot", "perturbation": "none", "variant": 0, "replicate": 0,
            "sample_id": [f"q{number}" for number in range(N)], "group": [f"g{number // 2}" for number in range(N)],
            "content_hash": [f"h{number}" for number in range(N)], "metric": "accuracy",
            "value": rng.integers(0, 2, N).astype(float), "status": "scored", "target": [str(number % 4) for number in range(N)],
        }
    )  # fmt: skip
    return frame.assign(**columns).reindex(columns=SCORES_SCHEMA.names)


def written(folder: Path, *frames: pd.DataFrame, **manifest: object) -> Path:
    folder.mkdir()
    pd.concat(frames).to_parquet(folder / "scores.parquet", index=False)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def fault_of(a: Path, b: Path, **design: object) -> str:
    with pytest.raises(UserError) as caught:
        compare_sets(a, b, PairingDesign(**design))
    return str(caught.value)


def test_answers_are_paired_by_content_whatever_their_ids_and_order(tmp_path: Path) -> None:
    first, second = scores("one", 1), scores("two", 2)
    renamed = second.assign(sample_id=[f"z{N - number}" for number in range(N)]).sample(frac=1, random_state=3)
    a, b = written(tmp_path / "a", first), written(tmp_path / "b", renamed)
    row = compare_sets(a, b).comparisons.iloc[0]
    difference = first.value.to_numpy() - second.value.to_numpy()
    groups = np.arange(N) // 2
    interval = cluster_t_interval(difference, groups, 0.95)
    assert (row.n_samples, row.n_groups) == (N, N // 2)
    assert row.difference == pytest.approx(difference.mean(), abs=1e-12)
    assert (row.ci_low, row.ci_high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert row.p_value == pytest.approx(sign_flip_p(difference, groups, 10_000, 1).p_value, abs=0.03)
    assert (row.role, row.family, row.p_adjusted) == ("exploratory", "exploratory", row.p_value)
    back = compare(b, a).iloc[0]
    assert (back.difference, back.p_value) == (-row.difference, row.p_value)


def test_samples_that_differ_are_refused_and_counted(tmp_path: Path) -> None:
    second = scores("two", 2)
    second.loc[[0, 1, 2], "content_hash"] = ["x0", "x1", "x2"]
    a, b = written(tmp_path / "a", scores("one", 1)), written(tmp_path / "b", second.drop(index=[57, 58, 59, 56]))
    fault = fault_of(a, b)
    assert "3 samples with the same id but different content; 4 samples only in A (first: q0, q1, q2)" in fault
    assert "--common compares the 53 that both have" in fault
    result = compare_sets(a, b, PairingDesign(common=True))
    assert result.comparisons.iloc[0].n_samples == 53
    assert any("53 samples that both have are compared" in note for note in result.notes)


def test_the_same_question_with_another_key_is_another_sample(tmp_path: Path) -> None:
    second = scores("two", 2)
    second.loc[5, "target"] = "3"
    a, b = written(tmp_path / "a", scores("one", 1)), written(tmp_path / "b", second)
    assert "1 samples with the same content but another target (first: q5)" in fault_of(a, b)
    assert compare_sets(a, b, PairingDesign(common=True)).comparisons.iloc[0].n_samples == N - 1


def test_nothing_in_common_is_said_so(tmp_path: Path) -> None:
    a = written(tmp_path / "a", scores("one", 1))
    b = written(tmp_path / "b", scores("two", 2).assign(content_hash=[f"lm_eval:{number}" for number in range(N)]))
    assert "no sample in common" in fault_of(a, b, common=True)
    assert f"{N} samples with the same id but different content (first: " in fault_of(a, b)
    c = written(tmp_path / "c", scores("two", 2, task="other"))
    assert "nothing in common" in fault_of(a, c)


def test_equal_questions_pair_one_to_one(tmp_path: Path) -> None:
    first, second = scores("one", 1), scores("two", 2)
    for frame in (first, second):
        frame.loc[[10, 20], "content_hash"] = "same"
        frame.loc[[10, 20], "target"] = "0"
    a, b = written(tmp_path / "a", first), written(tmp_path / "b", second)
    row = compare_sets(a, b).comparisons.iloc[0]
    assert (row.n_samples, row.difference) == (N, pytest.approx((first.value - second.value).mean(), abs=1e-12))
    shorter = written(tmp_path / "c", second.drop(index=20))
    assert "1 samples only in A" in fault_of(a, shorter)


def test_missing_answers_follow_the_rule_and_failures_forbid_numbers(tmp_path: Path) -> None:
    second = scores("two", 2, value=1.0)
    second.loc[:9, ["status", "value"]] = ["unparsed", None]
    a, b = written(tmp_path / "a", scores("one", 1, value=1.0)), written(tmp_path / "b", second)
    assert compare_sets(a, b).comparisons.iloc[0].difference == pytest.approx(10 / N)
    dropped = compare_sets(a, b, PairingDesign(missing="drop")).comparisons.iloc[0]
    assert (dropped.n_samples, dropped.difference) == (N - 10, 0)
    second.loc[11, ["status", "value"]] = ["failed", None]
    row = compare_sets(a, written(tmp_path / "c", second)).comparisons.iloc[0]
    assert (row.verdict, row.n_failed) == ("not_established", 1)
    assert np.isnan(row.difference)


def test_p_values_are_corrected_over_all_rows(tmp_path: Path) -> None:
    tasks = [f"t{number}" for number in range(4)]
    a = written(tmp_path / "a", *(scores("one", number, task=task) for number, task in enumerate(tasks)))
    b = written(tmp_path / "b", *(scores("two", 10 + number, task=task) for number, task in enumerate(tasks)))
    frame = compare_sets(a, b).comparisons
    assert frame.p_adjusted.min() == pytest.approx(min(1, 4 * frame.p_value.min()))
    narrowed = compare_sets(a, b, PairingDesign(tasks=("t1",))).comparisons
    assert (narrowed.task.tolist(), narrowed.p_adjusted.iloc[0]) == (["t1"], narrowed.p_value.iloc[0])
    only = compare_sets(written(tmp_path / "c", scores("two", 2, task="t0")), a)
    assert sum("only in B, not compared" in note for note in only.notes) == 3


def imported(**directions: bool | None) -> dict:
    metrics = [{"task": "t", "metric": name, "higher_is_better": better, "ours": False} for name, better in directions.items()]
    return {"imported": {"runs": [], "metrics": metrics, "checked": [], "notes": []}}


def test_the_direction_of_a_foreign_metric_is_its_source_s(tmp_path: Path) -> None:
    low, high = scores("one", 1, metric="loss", value=2.0), scores("two", 2, metric="loss", value=3.0)
    a, b = written(tmp_path / "a", low, **imported(loss=False)), written(tmp_path / "b", high, **imported(loss=False))
    row = compare_sets(a, b).comparisons.iloc[0]
    assert (row.mean_a, row.mean_b, row.difference, row.verdict) == (2.0, 3.0, 1.0, "a_better")
    unknown = written(tmp_path / "c", high, **imported(loss=None))
    assert "nothing in common" in fault_of(a, unknown)


def test_which_model_must_be_clear(tmp_path: Path) -> None:
    a = written(tmp_path / "a", scores("one", 1), scores("two", 2))
    assert "holds 2 models, name one: one, two" in fault_of(a, a)
    assert "did you mean one?" in fault_of(a, a, a_model="on")
    assert "two different models" in fault_of(a, a, a_model="one", b_model="one")
    b = written(tmp_path / "b", scores("one", 3))
    frame = compare_sets(a, b, PairingDesign(a_model="one")).comparisons
    assert frame[["model_a", "model_b"]].iloc[0].tolist() == ["one (A)", "one (B)"]
    assert "did you mean accuracy?" in fault_of(a, b, a_model="one", metrics=("accuracies",))


def test_conditions_that_differ_are_told(tmp_path: Path) -> None:
    sides = [{"weights": {name: {"engine": "vllm", "dtype": dtype}}} for name, dtype in (("one", "float32"), ("two", "bfloat16"))]
    a, b = written(tmp_path / "a", scores("one", 1), **sides[0]), written(tmp_path / "b", scores("two", 2), **sides[1])
    assert compare_sets(a, b).notes == ("dtype differs: float32 in A, bfloat16 in B",)


def test_damaged_folders_are_faults(tmp_path: Path) -> None:
    a = written(tmp_path / "a", scores("one", 1))
    assert "missing" in fault_of(a, tmp_path / "nowhere")
    b = written(tmp_path / "b", scores("two", 2))
    (b / "scores.parquet").write_bytes(b"PAR1")
    assert "undamaged Parquet" in fault_of(a, b)
    c = written(tmp_path / "c", scores("two", 2, content_hash=None))
    assert "cannot be paired" in fault_of(a, c)
    d = written(tmp_path / "d", scores("two", 2, value=np.nan))
    assert "without the status" in fault_of(a, d)


def test_lines_and_report_say_what_kind_of_comparison_it_is(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", scores("one", 1)), written(tmp_path / "b", scores("two", 2))
    result = compare_sets(a, b)
    lines = side_by_side_lines(result)
    assert any(line.startswith("positive differences favour A; exploratory: nothing was stated") for line in lines)
    files = write_side_by_side(result, tmp_path / "out")
    assert {"comparisons.csv", "report.html", "report.md"} <= {file.name for file in files}
    report = (tmp_path / "out" / "report.md").read_text()
    assert "exploratory" in report
    assert str(tmp_path) not in (tmp_path / "out" / "report.html").read_text()
    row = pd.read_csv(tmp_path / "out" / "comparisons.csv").iloc[0]
    assert row.difference == pytest.approx(result.comparisons.iloc[0].difference)
    with pytest.raises(UserError, match="holds scores of its own"):
        write_side_by_side(result, a)


def test_strategies_of_other_names_are_compared_on_demand(tmp_path: Path) -> None:
    a = written(tmp_path / "a", scores("one", 1), scores("one", 2, strategy="few_shot"))
    b = written(tmp_path / "b", scores("two", 3, strategy="native"))
    assert "nothing in common" in fault_of(a, b)
    row = compare_sets(a, b, PairingDesign(a_strategy="few_shot", b_strategy="native")).comparisons.iloc[0]
    assert (row.strategy, row.n_samples) == ("few_shot / native", N)
    own = compare_sets(a, a, PairingDesign(a_strategy="few_shot", b_strategy="zero_shot")).comparisons.iloc[0]
    assert (own.model_a, own.model_b, own.difference) == ("one (A)", "one (B)", pytest.approx(own.mean_a - own.mean_b))
    assert "--b-strategy: named for both sides; one of native" in fault_of(a, b, a_strategy="few_shot")
    assert "did you mean native?" in fault_of(a, b, a_strategy="few_shot", b_strategy="nativ")
