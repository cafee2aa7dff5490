"""Comparisons: planted cases whose verdict is known, invariances, the family, and what blocks a verdict."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from evalsuite.config import Exclusion, Secondary
from evalsuite.metrics import METRICS
from evalsuite.stats.compare import COLUMNS, compare_frames
from evalsuite.stats.design import AnalysisDesign

CONTRACT = """task, metric, strategy, perturbation, model_a, model_b, family, role, n_samples, n_groups, n_excluded, mean_a, mean_b,
difference, ci_low, ci_high, ci_level, p_value, p_adjusted, method, margin, equivalence_low, equivalence_high, p_equivalence,
p_equivalence_adjusted, within_margin, verdict""".replace("\n", " ").split(", ")
DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero_shot", primary_perturbation="none", primary_metric={"t": "accuracy"},
    metrics=METRICS, n_resamples=2000,
)  # fmt: skip


def cell(model, values, *, task="t", metric="accuracy", strategy="zero_shot", perturbation="none", groups=None, status="scored"):
    values = np.asarray(values, dtype=float)
    n = len(values)
    statuses = np.array([status] * n) if isinstance(status, str) else np.asarray(status)
    names = np.array([f"q{i:05d}" for i in range(n)])
    return pd.DataFrame(
        {
            "study": "s", "model": model, "task": task, "strategy": strategy, "perturbation": perturbation, "variant": 0, "replicate": 0,
            "sample_id": names, "group": names if groups is None else groups, "content_hash": names, "metric": metric,
            "value": np.where(statuses == "scored", values, np.nan), "status": statuses,
            "answer_index": np.where(statuses == "scored", 1 - values, np.nan), "target": "0",
        }
    )  # fmt: skip


def table(both, only_a, only_b, neither):
    """Right or wrong answers of a and b with the given counts of the paired 2 x 2 table."""
    a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither])
    b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither])
    return pd.concat([cell("a", a), cell("b", b)])


def first(scores, design=DESIGN):
    return compare_frames(scores, design).iloc[0]


def test_columns_are_those_of_the_contract_in_its_order():
    frame = compare_frames(table(5, 5, 5, 5), DESIGN)
    assert list(COLUMNS[: len(CONTRACT)]) == CONTRACT
    assert list(frame.columns) == list(COLUMNS)
    assert list(compare_frames(table(5, 5, 5, 5), replace(DESIGN, pairs=())).columns) == list(COLUMNS)


@pytest.mark.parametrize(
    ("counts", "margin", "verdict", "within"),
    [
        ((60, 40, 5, 45), 0.03, "a_better", False),
        ((60, 5, 40, 45), 0.03, "b_better", False),
        ((60, 10, 10, 70), 0.03, "inconclusive", False),
        ((400, 10, 10, 580), 0.03, "equivalent", True),
        ((900, 40, 10, 1050), 0.05, "a_better", True),
        ((10, 0, 0, 5), 0.03, "inconclusive", False),
        ((60, 0, 0, 39), 0.03, "inconclusive", False),
        ((90, 0, 0, 40), 0.03, "equivalent", True),
        ((100, 0, 6, 94), 0.03, "b_better", False),
    ],
)
def test_planted_verdicts(counts, margin, verdict, within):
    row = first(table(*counts), replace(DESIGN, margin=margin))
    assert (row["verdict"], row["within_margin"]) == (verdict, within)
    assert row["role"] == row["family"] == "primary"
    assert row["status_note"] == ""


def test_numbers_are_those_of_the_paired_t_interval_and_of_mcnemar():
    scores = table(30, 9, 4, 17)
    row = first(scores, replace(DESIGN, n_resamples=2**13))
    d = np.repeat([0, 1, -1, 0], [30, 9, 4, 17])
    expected = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert (row["difference"], row["ci_low"], row["ci_high"]) == pytest.approx((5 / 60, expected.low, expected.high))
    assert (row["mean_a"], row["mean_b"]) == pytest.approx((39 / 60, 34 / 60))
    inner = stats.ttest_1samp(d, 0).confidence_interval(0.90)
    step = 1 / 120  # half a sample: right or wrong answers move in steps
    errors = []
    for along, against in ((4 / 60, 9 / 60), (9 / 60, 4 / 60)):  # Tango 1998 at -margin and at +margin
        q = max(np.roots([2, (2 - along + against) * 0.03 - along - against, -against * 0.03 * 0.97]))
        errors.append(max(stats.sem(d), np.sqrt((2 * q + 0.03 * 0.97) / 60)))
    quantile = stats.t.ppf(0.95, 59)
    wanted = (5 / 60 - quantile * errors[0] - step, 5 / 60 + quantile * errors[1] + step)
    assert errors[0] > stats.sem(d)
    assert (row["equivalence_low"], row["equivalence_high"]) == pytest.approx(wanted)
    text = first(scores.assign(metric="rougeL"), replace(DESIGN, primary_metric={"t": "rougeL"}))
    assert (text["equivalence_low"], text["equivalence_high"]) == pytest.approx((inner.low, inner.high))
    exact = mcnemar([[30, 9], [4, 17]], exact=True).pvalue
    assert row["p_mcnemar"] == pytest.approx(exact)
    assert row["p_value"] == pytest.approx(exact)  # 13 samples differ: all 2^13 sign vectors
    assert row["method"] == "sign-flip over groups, exact, 8192 assignments; cluster-robust t"
    assert (row["boot_low"], row["boot_high"]) == pytest.approx((row["ci_low"], row["ci_high"]), abs=0.02)
    assert (row["bca_low"], row["bca_high"]) == pytest.approx((row["ci_low"], row["ci_high"]), abs=0.03)
    assert row["p_mcnemar_mid"] == pytest.approx(exact - stats.binom.pmf(4, 13, 0.5))
    # The same half step and floor as for equivalence, one side at a time.
    t = [(0.03 + side * 5 / 60 - step) / error for side, error in zip((1, -1), errors, strict=True)]
    assert (row["p_a_noninferior"], row["p_b_noninferior"]) == pytest.approx(tuple(stats.t.sf(t, 59)))
    assert row["p_equivalence"] == max(row["p_a_noninferior"], row["p_b_noninferior"])
    assert (text["p_a_noninferior"], text["p_b_noninferior"]) == pytest.approx(
        (stats.ttest_1samp(d, -0.03, alternative="greater").pvalue, stats.ttest_1samp(d, 0.03, alternative="less").pvalue)
    )


def test_mcnemar_is_left_out_where_groups_hold_several_samples():
    n = 40
    groups = np.array([f"g{i // 2}" for i in range(n)])
    rng = np.random.default_rng(0)
    scores = pd.concat([cell(m, rng.integers(0, 2, n), groups=groups) for m in "ab"])
    row = first(scores)
    assert np.isnan(row["p_mcnemar"])
    assert np.isnan(row["p_mcnemar_mid"])
    assert (row["n_samples"], row["n_groups"]) == (40, 20)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "rougeL"])
def test_the_same_answers_are_equivalent_if_they_are_many(metric):
    design = replace(DESIGN, primary_metric={"t": metric})
    for n, verdict in ((50, "inconclusive"), (200, "equivalent")):
        values = np.random.default_rng(1).integers(0, 2, n)
        row = first(pd.concat([cell(m, values, metric=metric) for m in "ab"]), design)
        assert [row["difference"], row["ci_low"], row["ci_high"], row["p_value"]] == [0, 0, 0, 1]
        assert row["verdict"] == verdict
        half = stats.t.ppf(0.95, n - 1) * np.sqrt(0.03 * 0.97 / n) + 1 / (2 * n)
        assert [row["equivalence_low"], row["equivalence_high"]] == pytest.approx([-half, half])
        # The same answers to the same number of samples in ten groups say less.
        groups = [f"g{i % 10}" for i in range(n)]
        assert first(pd.concat([cell(m, values, metric=metric, groups=groups) for m in "ab"]), design)["verdict"] == "inconclusive"


def test_text_metrics_keep_the_plain_t_test_where_they_vary():
    values = np.random.default_rng(1).random(60)
    scores = pd.concat([cell("a", values, metric="rougeL"), cell("b", values + np.tile([0.001, -0.001], 30), metric="rougeL")])
    assert first(scores, replace(DESIGN, primary_metric={"t": "rougeL"}))["verdict"] == "equivalent"


def test_rounding_of_averages_is_no_difference():
    # The same three replicates in another order: their means differ in the last bit in every sample.
    frames = []
    for model, draws in (("a", (0.1, 0.2, 0.3)), ("b", (0.3, 0.2, 0.1))):
        frames.extend(cell(model, [draw] * 140, metric="rougeL").assign(replicate=k) for k, draw in enumerate(draws))
    assert (0.1 + 0.2) + 0.3 != (0.3 + 0.2) + 0.1
    row = first(pd.concat(frames), replace(DESIGN, primary_metric={"t": "rougeL"}))
    assert (row["difference"], row["p_value"], row["verdict"]) == (0.0, 1.0, "equivalent")


@pytest.mark.parametrize(
    ("blocked", "note"),
    [("failed", "1 failed answers"), ("absent", "1 answers that only one side has"), ("cell", "no scores of b")],
)
def test_what_is_not_established_has_no_numbers(blocked, note):
    scores = table(60, 40, 5, 45)
    if blocked == "failed":
        scores = pd.concat([cell("a", [1] * 40), cell("b", [0] * 40, status=["failed"] + ["scored"] * 39)])
    elif blocked == "absent":
        scores = scores.iloc[:-1]
    else:
        scores = scores[scores["model"] == "a"]
    row = first(scores)
    assert (row["verdict"], row["status_note"]) == ("not_established", note)
    numbers = ("mean_a", "mean_b", "difference", "ci_low", "p_value", "p_adjusted", "p_equivalence", "within_margin", "bca_low")
    numbers += ("p_a_noninferior", "p_b_noninferior_adjusted", "a_noninferior", "b_noninferior", "p_mcnemar_mid")
    assert row[list(numbers)].isna().all()


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_a_side_that_nobody_could_read_is_never_called_the_same(metric):
    n = 200
    design = replace(DESIGN, primary_metric={"t": metric})
    silent = {model: cell(model, [0] * n, metric=metric, status=["unparsed"] * n) for model in "ab"}
    both = first(pd.concat(silent.values()), design)
    assert (both["verdict"], both["status_note"]) == ("not_established", "no answer of a and b could be read")
    assert (both["difference"], both["mean_b"], both["n_b_missing"]) == (0, 0, n)
    assert pd.isna(both["within_margin"])
    wrong = first(pd.concat([silent["a"], cell("b", [0] * n, metric=metric)]), design)
    assert (wrong["verdict"], wrong["status_note"]) == ("not_established", "no answer of a could be read")
    read = cell("a", [0] * n, metric=metric, status=["scored"] + ["unparsed"] * (n - 1))
    assert first(pd.concat([read, cell("b", [0] * n, metric=metric)]), design)["verdict"] == "equivalent"
    # The pre-stated rule counts silence as wrong: a difference stands, though never as one within the margin.
    worse = first(pd.concat([cell("a", [1] * n, metric=metric), silent["b"]]), replace(design, margin=0.9))
    assert (worse["verdict"], worse["status_note"], worse["within_margin"]) == ("a_better", "", False)
    assert (worse["a_noninferior"], worse["b_noninferior"]) == (True, False)
    assert both[["a_noninferior", "b_noninferior"]].isna().all()
    dropped = first(pd.concat([silent["a"], cell("b", [1] * n, metric=metric)]), replace(design, missing="drop"))
    assert (dropped["verdict"], dropped["n_samples"]) == ("not_established", 0)
    assert dropped["status_note"] == "no answers left: 200 of a and 0 of b were missing"


def test_a_comparison_that_was_refused_throughout_says_so():
    row = first(pd.concat([cell("a", [0] * 20, status=["refused"] * 20), cell("b", [1] * 20)]))
    assert (row["verdict"], row["status_note"]) == ("not_established", "no answers left: every sample was refused or excluded")


def test_an_exclusion_counts_though_nobody_was_asked():
    gone = tuple(Exclusion(task=task, sample_id=s, reason="key is wrong") for task, s in (("t", "x1"), ("t", "x2"), ("u", "x3")))
    row = first(table(10, 5, 5, 10), replace(DESIGN, exclude=(*gone, Exclusion(task="t", sample_id="q00003", reason="key is wrong"))))
    assert (row["n_samples"], row["n_excluded"]) == (29, 3)
    none = first(table(10, 5, 5, 10), replace(DESIGN, primary_metric={"u": "accuracy"}, exclude=gone))
    assert (none["n_samples"], none["n_excluded"]) == (0, 1)


def test_an_exclusion_by_name_mends_a_failure_for_both():
    scores = pd.concat([cell("a", [1] * 40), cell("b", [0] * 40, status=["failed"] + ["scored"] * 39)])
    row = first(scores, replace(DESIGN, exclude=(Exclusion(task="t", sample_id="q00000", reason="engine fault"),)))
    assert (row["verdict"], row["n_samples"], row["n_excluded"], row["n_failed"]) == ("a_better", 39, 1, 0)
    assert (row["mean_a"], row["mean_b"]) == (1.0, 0.0)


def test_a_refusal_leaves_both_sides():
    refused = cell("b", [0] * 40, status=["refused"] * 5 + ["scored"] * 35)
    row = first(pd.concat([cell("a", [0] * 5 + [1] * 35), refused]))
    assert (row["n_samples"], row["n_excluded"], row["mean_a"], row["n_b_missing"]) == (35, 5, 1.0, 0)


def test_the_missing_rule_decides_what_silence_costs():
    silent = cell("b", [1] * 40, status=["unparsed"] * 20 + ["scored"] * 20)
    scores = pd.concat([cell("a", [1] * 40), silent])
    wrong, dropped = first(scores), first(scores, replace(DESIGN, missing="drop"))
    assert (wrong["verdict"], wrong["difference"], wrong["n_b_missing"], wrong["n_a_missing"]) == ("a_better", 0.5, 20, 0)
    assert (dropped["verdict"], dropped["difference"], dropped["n_samples"], dropped["n_excluded"]) == ("inconclusive", 0.0, 20, 20)
    assert dropped["n_b_missing"] == 20


def test_few_groups_have_numbers_but_no_verdict():
    groups = [f"g{i % 9}" for i in range(45)]
    row = first(pd.concat([cell("a", [1] * 45, groups=groups), cell("b", [0] * 45, groups=groups)]))
    assert (row["verdict"], row["n_groups"], row["difference"]) == ("not_established", 9, 1.0)
    assert row["p_value"] == 2 / 2**9
    assert pd.isna(row["p_adjusted"])
    assert pd.isna(row["within_margin"])
    ten = [f"g{i % 10}" for i in range(45)]
    assert first(pd.concat([cell("a", [1] * 45, groups=ten), cell("b", [0] * 45, groups=ten)]))["verdict"] == "a_better"


def test_lower_is_better_is_turned_round():
    metrics = {**METRICS, "accuracy": replace(METRICS["accuracy"], higher_is_better=False, worst=1.0, best=0.0)}
    plain, turned = first(table(60, 40, 5, 45)), first(table(60, 40, 5, 45), replace(DESIGN, metrics=metrics))
    assert (turned["mean_a"], turned["mean_b"]) == (plain["mean_a"], plain["mean_b"])
    assert (turned["difference"], turned["ci_low"], turned["ci_high"]) == (-plain["difference"], -plain["ci_high"], -plain["ci_low"])
    assert (turned["verdict"], turned["p_value"]) == ("b_better", plain["p_value"])
    sets = {**METRICS, "macro_f1": replace(METRICS["macro_f1"], higher_is_better=False)}
    scores = table(60, 40, 5, 45).assign(metric="macro_f1")
    one, two = (first(scores, replace(DESIGN, primary_metric={"t": "macro_f1"}, metrics=m)) for m in (METRICS, sets))
    assert (one["difference"], one["ci_low"]) == (-two["difference"], -two["ci_high"])


def several_tasks():
    rng = np.random.default_rng(3)
    frames = []
    for number, skill in enumerate((0.95, 0.72, 0.62, 0.5)):
        for model, p in (("a", skill), ("b", 0.5), ("c", 0.55)):
            frames.append(cell(model, rng.random(60) < p, task=f"t{number}"))
    design = replace(DESIGN, pairs=(("a", "b"), ("a", "c")), primary_metric={f"t{n}": "accuracy" for n in range(4)})
    return frames, design


def test_holm_runs_over_pairs_and_tasks_of_the_primary_cell():
    frames, design = several_tasks()
    extra = [cell(m, v, task="t0", perturbation="shuffle_choices") for m, v in (("a", [1] * 60), ("b", [0] * 60))]
    frame = compare_frames(pd.concat([*frames, *extra]), design)
    family = frame[frame["role"] == "primary"]
    assert len(family) == 8
    for raw in ("p_value", "p_equivalence"):
        adjusted = "p_adjusted" if raw == "p_value" else "p_equivalence_adjusted"
        assert family[adjusted].tolist() == pytest.approx(multipletests(family[raw], method="holm")[1])
    other = frame[frame["role"] == "exploratory"]
    assert other[["perturbation", "model_b", "family", "verdict"]].to_numpy().tolist() == [
        ["shuffle_choices", "b", "exploratory", "a_better"],
        ["shuffle_choices", "c", "exploratory", "not_established"],
    ]
    assert other["p_adjusted"].isna().all()
    uncorrected = compare_frames(pd.concat(frames), replace(design, correction="none"))
    assert uncorrected["p_adjusted"].tolist() == uncorrected["p_value"].tolist()


def test_benjamini_hochberg_runs_over_the_family_too():
    frames, design = several_tasks()
    frame = compare_frames(pd.concat(frames), replace(design, correction="benjamini_hochberg", n_family=10))
    for raw in ("p_value", "p_equivalence", "p_a_noninferior", "p_b_noninferior"):
        expected = multipletests([*frame[raw], 1.0, 1.0], method="fdr_bh")[1][:8]
        assert frame["p_adjusted" if raw == "p_value" else f"{raw}_adjusted"].tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    holm = compare_frames(pd.concat(frames), replace(design, n_family=10))
    assert (frame["p_adjusted"] <= holm["p_adjusted"]).all()
    assert (frame["p_adjusted"] < holm["p_adjusted"]).any()


@pytest.mark.parametrize(
    ("counts", "claims"),
    [
        ((400, 30, 10, 360), (True, False)),  # better, hence not worse
        ((300, 26, 12, 262), (True, False)),  # cannot tell, but a is not worse
        ((300, 12, 26, 262), (False, True)),
        ((400, 10, 10, 580), (True, True)),  # equivalent
        ((60, 10, 10, 70), (False, False)),
    ],
)
def test_planted_non_inferiority(counts, claims):
    row = first(table(*counts))
    assert (row["a_noninferior"], row["b_noninferior"]) == claims
    assert (row["p_a_noninferior_adjusted"], row["p_b_noninferior_adjusted"]) == (row["p_a_noninferior"], row["p_b_noninferior"])
    if row["verdict"] == "equivalent":
        assert claims == (True, True)
    exploratory = first(table(*counts), replace(DESIGN, exploratory=True))
    assert (exploratory["a_noninferior"], exploratory["b_noninferior"]) == claims
    assert exploratory[["p_a_noninferior_adjusted", "p_b_noninferior_adjusted"]].isna().all()


def secondary_study(primary, few, shuffled):
    """One task in three cells, with the counts of the paired 2 x 2 table of each."""
    cells = (primary, "zero_shot", "none"), (few, "few5", "none"), (shuffled, "zero_shot", "shuffle_choices")
    other = table(*primary).assign(strategy="few5", perturbation="shuffle_choices")
    scores = [table(*counts).assign(strategy=strategy, perturbation=perturbation) for counts, strategy, perturbation in cells]
    return pd.concat([*scores, other])


CLEAR, SAME, UNCLEAR = (60, 40, 5, 45), (400, 10, 10, 580), (60, 10, 10, 70)
SECONDARY = replace(DESIGN, secondary=Secondary(strategies=("few5",), perturbations=("shuffle_choices",)))


def test_the_secondary_family_counts_where_every_primary_difference_is_significant():
    frame = compare_frames(secondary_study(CLEAR, CLEAR, SAME), SECONDARY)
    assert frame[["strategy", "perturbation", "role", "family", "verdict"]].to_numpy().tolist() == [
        ["zero_shot", "none", "primary", "primary", "a_better"],
        ["few5", "none", "secondary", "secondary", "a_better"],
        ["zero_shot", "shuffle_choices", "secondary", "secondary", "equivalent"],
        ["few5", "shuffle_choices", "exploratory", "exploratory", "a_better"],
    ]
    gate = frame["p_adjusted"][0]
    for raw in ("p_value", "p_equivalence", "p_a_noninferior", "p_b_noninferior"):
        adjusted = frame["p_adjusted" if raw == "p_value" else f"{raw}_adjusted"]
        own = multipletests(frame[raw][1:3], method="holm")[1]
        assert adjusted[1:3].tolist() == pytest.approx(np.maximum(own, gate).tolist(), rel=1e-12)
        assert adjusted[0] == frame[raw][0]
        assert np.isnan(adjusted[3])
    whole = compare_frames(secondary_study(CLEAR, CLEAR, SAME), replace(SECONDARY, n_secondary=6))
    assert whole["p_equivalence_adjusted"][2] == pytest.approx(max(gate, 6 * whole["p_equivalence"][2]))
    with pytest.raises(ValueError, match="2 secondary comparisons in a family of 1"):
        compare_frames(secondary_study(CLEAR, CLEAR, SAME), replace(SECONDARY, n_secondary=1))


@pytest.mark.parametrize(
    ("primary", "changes"), [(UNCLEAR, {}), (CLEAR, {"n_family": 2}), ((8, 1, 0, 0), {})], ids=["not significant", "not run", "too few"]
)
def test_the_secondary_family_claims_nothing_behind_a_closed_gate(primary, changes):
    frame = compare_frames(secondary_study(primary, CLEAR, SAME), replace(SECONDARY, **changes))
    opened_at = frame["p_adjusted"][0] if primary == UNCLEAR else 1.0
    assert opened_at > 0.05 or changes
    secondary = frame[frame["role"] == "secondary"]
    assert secondary["verdict"].tolist() == ["inconclusive", "inconclusive"]
    assert (secondary["p_adjusted"] >= opened_at).all()
    assert not secondary[["within_margin", "a_noninferior", "b_noninferior"]].any(axis=None)


def test_a_secondary_cell_without_scores_has_its_row_and_a_changed_analysis_none():
    frame = compare_frames(table(*CLEAR), SECONDARY)
    assert frame[["role", "verdict"]].to_numpy().tolist() == [["primary", "a_better"], *[["secondary", "not_established"]] * 2]
    changed = compare_frames(secondary_study(CLEAR, CLEAR, SAME), replace(SECONDARY, exploratory=True))
    assert set(changed["role"]) == {"exploratory"}
    assert len(changed) == 4
    assert changed["p_adjusted"].isna().all()


def test_correction_can_change_a_verdict():
    # 10 against 2 discordant samples: McNemar's exact p is 158/4096 = 0.039, and twice that in a family of two.
    scores = pd.concat([table(20, 10, 2, 20).assign(task=task) for task in ("t", "u")])
    design = replace(DESIGN, primary_metric={"t": "accuracy", "u": "accuracy"}, n_resamples=2**12)
    frame = compare_frames(scores, design)
    assert frame["p_value"].tolist() == pytest.approx([158 / 4096] * 2)
    assert frame["p_adjusted"].tolist() == pytest.approx([316 / 4096] * 2)
    assert frame["verdict"].tolist() == ["inconclusive"] * 2
    assert compare_frames(scores, replace(design, correction="none"))["verdict"].tolist() == ["a_better"] * 2


def test_the_family_does_not_shrink():
    frames, design = several_tasks()
    scores = pd.concat(frames)
    whole = compare_frames(scores, design)
    part = compare_frames(scores[~((scores["task"] == "t0") & (scores["model"] == "c"))], design)
    assert part["verdict"].eq("not_established").sum() == 1
    rest = part[part["verdict"] != "not_established"]
    for raw, adjusted in (("p_value", "p_adjusted"), ("p_equivalence", "p_equivalence_adjusted")):
        assert rest[adjusted].tolist() == pytest.approx(multipletests([*rest[raw], 1.0], method="holm")[1][:-1])
    narrowed = replace(design, primary_metric={"t1": "accuracy"}, pairs=(("a", "b"),), n_family=8)
    row = compare_frames(scores[(scores["task"] == "t1") & (scores["model"] != "c")], narrowed).iloc[0]
    assert (row["p_adjusted"], row["p_equivalence_adjusted"]) == (min(1, 8 * row["p_value"]), min(1, 8 * row["p_equivalence"]))
    assert row["p_value"] < row["p_adjusted"]
    assert compare_frames(scores, replace(design, n_family=8)).equals(whole)
    with pytest.raises(ValueError, match="8 primary comparisons in a family of 7"):
        compare_frames(scores, replace(design, n_family=7))
    kept = whole[~((whole["task"] == "t0") & (whole["model_b"] == "c"))]
    assert rest["p_value"].tolist() == kept["p_value"].tolist()  # every comparison has a seed of its own


def test_a_task_without_any_scores_still_has_its_row():
    frame = compare_frames(table(60, 40, 5, 45), replace(DESIGN, primary_metric={"t": "accuracy", "u": "accuracy"}))
    row = frame[frame["task"] == "u"].iloc[0]
    assert (row["verdict"], row["role"], row["n_samples"], row["status_note"]) == ("not_established", "primary", 0, "no scores of a and b")


def test_a_changed_analysis_makes_everything_exploratory():
    row = first(table(60, 40, 5, 45), replace(DESIGN, exploratory=True))
    assert (row["role"], row["family"], row["verdict"]) == ("exploratory", "exploratory", "a_better")
    assert pd.isna(row["p_adjusted"])


def test_known_issues_give_rows_without_them():
    tags = {"t": {f"q{i:05d}": ("key_doubtful",) for i in range(60, 100)}}
    frame = compare_frames(table(60, 40, 5, 45), replace(DESIGN, tags=tags))
    assert frame["subset"].tolist() == ["all", "without:key_doubtful"]
    row = frame.iloc[1]
    assert (row["role"], row["n_samples"], row["n_excluded"]) == ("exploratory", 110, 40)
    assert row["difference"] == pytest.approx(-5 / 110)
    assert frame.iloc[0]["p_adjusted"] == frame.iloc[0]["p_value"]


@given(st.integers(0, 2**32 - 1), st.sampled_from(["accuracy", "macro_f1"]))
@settings(max_examples=12, deadline=None)
def test_swap_order_and_names_of_groups(seed, metric):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 60))
    groups = np.array([f"g{i}" for i in rng.integers(0, 15, n)])
    scores = pd.concat([cell(m, rng.integers(0, 2, n), groups=groups, metric=metric) for m in "ab"])
    design = replace(DESIGN, primary_metric={"t": metric}, n_resamples=300)
    row = first(scores, design)
    shuffled = first(scores.sample(frac=1, random_state=seed % 1000), design)
    pd.testing.assert_series_equal(row, shuffled)
    swapped = first(scores, replace(design, pairs=(("b", "a"),)))
    assert swapped["difference"] == -row["difference"]
    assert [swapped["ci_low"], swapped["p_value"], swapped["mean_a"]] == [-row["ci_high"], row["p_value"], row["mean_b"]]
    opposite = {"a_better": "b_better", "b_better": "a_better"}
    assert swapped["verdict"] == opposite.get(row["verdict"], row["verdict"])
    renamed = first(scores.assign(group=scores["group"].map(lambda name: f"x{(7 * int(name[1:])) % 15}")), design)
    exact = ["difference", "ci_low", "ci_high", "n_groups"] + (["p_value"] if metric == "accuracy" else [])
    assert renamed[exact].tolist() == pytest.approx(row[exact].tolist(), nan_ok=True)


def test_a_constant_added_to_both_changes_only_the_means():
    rng = np.random.default_rng(5)
    a, b = rng.random(40) / 2, rng.random(40) / 2
    design = replace(DESIGN, primary_metric={"t": "rougeL"})
    low, high = (first(pd.concat([cell("a", a + c, metric="rougeL"), cell("b", b + c, metric="rougeL")]), design) for c in (0, 0.4))
    names = ["difference", "ci_low", "ci_high", "p_value", "p_equivalence"]
    assert high[names].tolist() == pytest.approx(low[names].tolist())
    assert high["mean_a"] == pytest.approx(low["mean_a"] + 0.4)


def test_two_equal_models_are_seldom_found_to_differ():
    rng = np.random.default_rng(6)
    frames, tasks = [], {f"t{n}": "accuracy" for n in range(100)}
    for task in tasks:
        groups = np.array([f"g{i}" for i in np.repeat(np.arange(20), 3)])
        level = np.repeat(rng.uniform(0.2, 0.8, 20), 3)
        frames.extend(cell(m, rng.random(60) < level, task=task, groups=groups) for m in "ab")
    frame = compare_frames(pd.concat(frames), replace(DESIGN, primary_metric=tasks, n_resamples=300, correction="none"))
    assert 0.0 <= (frame["p_value"] <= 0.05).mean() <= 0.13  # 100 trials at 0.05: under four standard errors above
    assert not frame["verdict"].eq("not_established").any()


def test_many_comparisons_are_fast():
    rng = np.random.default_rng(7)
    tasks = {f"t{n}": "accuracy" for n in range(20)}
    scores = pd.concat([cell(m, rng.integers(0, 2, 1000), task=task) for task in tasks for m in "ab"])
    started = time.process_time()
    frame = compare_frames(scores, replace(DESIGN, primary_metric=tasks, n_resamples=10_000))
    # A tenth of the target case (200 comparisons x 1,000 samples x 10,000 resamples in 10 s), with room for a slow machine.
    assert time.process_time() - started < 4
    assert len(frame) == 20
