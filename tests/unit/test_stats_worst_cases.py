"""The worst case over renditions: by hand, for planted models, against plain loops; what cannot be compared has no number."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.perturbed import Perturbed
from evalsuite.stats.tables import split_conditions
from evalsuite.stats.worst_cases import COLUMNS, worst_frame
from tests.unit.perturbed_scores import AS_WRITTEN, SHIFTS, always_first, asked, by_text, perfect, row, silent, table

DESIGN = AnalysisDesign(
    study="s", pairs=(), primary_strategy="zero", primary_perturbation="none", primary_metric={"t": "accuracy"}, metrics=METRICS
)
MEANING = Perturbed(name="cyclic_shift", family="meaning-preserving", preserves_meaning=True)
STUDY = {
    "none": Perturbed(name="none", family="meaning-preserving", preserves_meaning=True),
    "p": MEANING,
    "q": replace(MEANING, name="typos"),
    "sure": Perturbed(name="are_you_sure", family="two-step", preserves_meaning=True),
    "changed": Perturbed(name="negated", family="target-changing", preserves_meaning=False),
}
TARGETS = [0, 1, 2, 3] * 3


def frame(scores, design=DESIGN, perturbations=STUDY, strategies=("zero",)):
    return worst_frame(split_conditions(scores, METRICS), design, perturbations, strategies)


def by_scope(scores, design=DESIGN, perturbations=STUDY):
    return {found["scope"]: found for found in frame(scores, design, perturbations).to_dict("records")}


def of_values(values, perturbation="p", **changes):
    """Sample to right (1), wrong (0), unread (None) in each of its variants."""
    position = {1: 0, 0: 1, None: None}
    return [
        row(name, position[value], perturbation=perturbation, variant=variant, **changes)
        for name, own in values.items()
        for variant, value in enumerate(own)
    ]


def test_by_hand_and_by_scipy():
    # right in 3, 2, 1, 0 of three renditions, three samples each
    values = {f"q{at:02d}": own for at, own in enumerate([(1, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0)] * 3)}
    scores = table(of_values(values))
    found = by_scope(scores, perturbations={})["p"]
    assert list(frame(scores).columns) == list(COLUMNS)
    assert (found["n_variants"], found["n_samples"], found["n_groups"], found["note"]) == (3, 12, 12, "")
    assert (found["mean"], found["worst"], found["best"], found["lowest"]) == pytest.approx((0.5, 0.25, 0.75, 0.25))
    limits = stats.ttest_1samp([1, 0, 0, 0] * 3, 0).confidence_interval(0.95)
    assert (found["worst_low"], found["worst_high"]) == pytest.approx((limits.low, limits.high))


def test_planted_models_have_what_theory_gives():
    models = {"first": always_first, "perfect": perfect, "text": by_text}
    parts = [
        part
        for model, engine in models.items()
        for part in (asked(engine, TARGETS, model=model), asked(engine, TARGETS, SHIFTS, model=model, perturbation="p"))
    ]
    found = frame(table(*parts)).set_index(["model", "scope"])[["n_variants", "mean", "worst", "best", "lowest"]]
    # over all four shifts the right choice stands first once
    assert found.loc["first", "meaning-preserving"].tolist() == pytest.approx([4, 0.25, 0, 1, 0.25])
    assert found.loc["first", "p"].tolist() == pytest.approx([3, 0.25, 0, 0.75, 0.25])
    assert found.loc["perfect", "meaning-preserving"].tolist() == [4, 1, 1, 1, 1]
    assert found.loc["text", "meaning-preserving"].tolist() == [4, 0.25, 0.25, 0.25, 0.25]


def test_all_together_are_those_of_the_family_and_the_reference():
    parts = [asked(engine, TARGETS, perturbation=name) for name, engine in
             (("none", perfect), ("p", perfect), ("q", by_text), ("sure", always_first), ("changed", silent))]  # fmt: skip
    found = by_scope(table(*parts))
    assert list(found) == ["meaning-preserving"]
    assert (found["meaning-preserving"]["n_variants"], found["meaning-preserving"]["worst"]) == (3, 0.25)
    assert by_scope(table(*parts), perturbations={"none": STUDY["none"], "sure": STUDY["sure"]}) == {}


def test_one_variant_is_no_scope_of_its_own_and_every_strategy_has_its_rows():
    parts = [
        asked(perfect, TARGETS, orders, strategy=strategy, perturbation=name)
        for strategy, name, orders in (
            ("zero", "none", [AS_WRITTEN]), ("few", "none", [AS_WRITTEN]), ("zero", "p", SHIFTS), ("few", "q", [AS_WRITTEN]),
        )
    ]  # fmt: skip
    found = frame(table(*parts), strategies=("zero", "few"))
    assert found[["strategy", "scope"]].to_records(index=False).tolist() == [
        ("zero", "p"), ("zero", "meaning-preserving"), ("few", "meaning-preserving"),
    ]  # fmt: skip


def test_unread_answers_are_wrong_or_leave():
    values = {f"q{at:02d}": own for at, own in enumerate([(1, 1, None), (1, None, None), (1, 1, 1), (0, 1, None)] * 3)}
    found = by_scope(table(of_values(values)))["p"]
    assert (found["n_samples"], found["worst"], found["best"]) == (12, 0.25, 1)
    found = by_scope(table(of_values(values)), replace(DESIGN, missing="drop"))["p"]
    # one rendition alone says nothing of the worst of several
    assert (found["n_samples"], found["n_variants"], found["worst"], found["best"]) == (9, 3, pytest.approx(2 / 3), 1)
    # the third variant is left of a third of the samples only, too few for the lowest
    assert found["lowest"] == pytest.approx(2 / 3)
    none_read = by_scope(table(of_values(dict.fromkeys(values, (None, None)))))["p"]
    assert (none_read["worst"], none_read["note"]) == (0, "no answer could be read")
    dropped = by_scope(table(of_values(dict.fromkeys(values, (None, None)))), replace(DESIGN, missing="drop"))["p"]
    assert math.isnan(dropped["worst"]) and (dropped["n_samples"], dropped["note"]) == (0, "no sample has two renditions")


def test_refused_renditions_leave_and_so_do_samples_that_have_no_other():
    names = [f"q{at:02d}" for at in range(12)]
    parts = [
        [row(name, 0) for name in names],
        [row(name, 1, perturbation="p", status="refused" if name < "q06" else None) for name in names],
        [row(name, 0, perturbation="q", status="refused" if name < "q02" else None) for name in names],
    ]
    found = by_scope(table(*parts))["meaning-preserving"]
    # q00 and q01 have the reference alone; q02 to q05 are right in two of two; the others wrong under p
    assert (found["n_samples"], found["n_variants"], found["worst"], found["best"], found["lowest"]) == (10, 3, 0.4, 1, 0)


def test_what_forbids_a_number():
    parts = [asked(perfect, TARGETS), asked(perfect, TARGETS, SHIFTS, perturbation="p")]
    scores = table(*parts)
    hit = scores["perturbation"].eq("p") & scores["sample_id"].eq("q003") & scores["variant"].eq(1)
    failed = scores.assign(status=scores["status"].mask(hit, "failed"), value=scores["value"].mask(hit))
    found = by_scope(failed)
    assert [(found[name]["note"], math.isnan(found[name]["worst"])) for name in ("p", "meaning-preserving")] == [
        ("1 failed answers", True)
    ] * 2
    left = replace(DESIGN, exclude=(Exclusion(task="t", sample_id="q003", reason="no key"),))
    assert (by_scope(failed, left)["p"]["n_samples"], by_scope(failed, left)["p"]["worst"]) == (11, 1)
    lacking = scores[~(scores["perturbation"].eq("none") & scores["sample_id"].isin(["q003", "q004"]))]
    assert by_scope(lacking)["meaning-preserving"]["note"] == "2 samples lack a rendition without having been refused"
    assert by_scope(lacking, left)["meaning-preserving"]["note"] == "1 samples lack a rendition without having been refused"
    other = table(*parts, asked(perfect, TARGETS, model="b"))
    assert frame(other).set_index(["model", "scope"]).loc[("b", "meaning-preserving"), "note"] == "no answers under p"


def test_few_groups_are_told():
    found = by_scope(table(asked(perfect, [0] * 4), asked(perfect, [0] * 4, perturbation="p")))["meaning-preserving"]
    assert (found["worst"], found["note"]) == (1, "4 groups, 10 are needed")


def test_replicates_are_averaged_after_the_worst_of_each():
    # right in both renditions of the first replicate, in one of the second
    rows = [
        row(f"q{at:02d}", int((perturbation, replicate) == ("p", 1)), perturbation=perturbation, replicate=replicate)
        for at in range(12)
        for perturbation in ("none", "p")
        for replicate in (0, 1)
    ]
    found = by_scope(table(rows))["meaning-preserving"]
    assert (found["n_variants"], found["worst"], found["best"], found["mean"], found["lowest"]) == (2, 0.5, 1, 0.75, 0.5)


def test_a_metric_of_a_set_is_read_as_accuracy_or_left_out():
    design = replace(DESIGN, primary_metric={"t": "macro_f1"})
    scores = table(asked(perfect, TARGETS), asked(by_text, TARGETS, perturbation="p"))
    assert by_scope(pd.concat([scores, scores.assign(metric="macro_f1")]), design)["meaning-preserving"]["worst"] == 0.25
    assert len(frame(scores.assign(metric="macro_f1"), design)) == 0
    assert list(frame(scores.assign(metric="macro_f1"), design).columns) == list(COLUMNS)


def test_the_worst_of_an_error_is_the_largest():
    metrics = {**METRICS, "error": replace(METRICS["rougeL"], name="error", higher_is_better=False, worst=1.0, best=0.0)}
    design = replace(DESIGN, primary_metric={"t": "error"}, metrics=metrics)
    scores = table(
        [row(f"q{at:02d}", 0, metric="error", value=0.25) for at in range(12)],
        [row(f"q{at:02d}", 0, metric="error", value=0.5, perturbation="p") for at in range(12)],
    )
    (found,) = worst_frame(split_conditions(scores, metrics), design, STUDY).to_dict("records")
    assert (found["mean"], found["worst"], found["best"], found["lowest"]) == (0.375, 0.5, 0.25, 0.5)


def drawn(seed, n_samples, n_replicates):
    """Answers under the reference, two variants of p and one rendition of q, some unread and some refused."""
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(n_samples):
        for perturbation, n_variants in (("none", 1), ("p", 2), ("q", 1)):
            refused = perturbation != "none" and rng.random() < 0.25
            for variant in range(1 if refused else n_variants):
                for replicate in range(n_replicates):
                    shown = None if rng.random() < 0.15 else int(rng.integers(2))
                    more = {"perturbation": perturbation, "variant": variant, "replicate": replicate, "group": f"g{at // 2}"}
                    rows.append(row(f"q{at}", shown, status="refused" if refused else None, **more))
    return table(rows)


def plain(scores, missing):
    """Worst, best and mean in loops; the lowest mean of one rendition among those that half of the samples have."""
    left = defaultdict(lambda: defaultdict(dict))
    for entry in scores.to_dict("records"):
        if entry["status"] == "scored" or (missing == "incorrect" and entry["status"] == "unparsed"):
            value = entry["value"] if entry["status"] == "scored" else 0.0
            left[entry["sample_id"]][entry["replicate"]][entry["perturbation"], entry["variant"]] = value
    kept = {name: [own for own in replicates.values() if len(own) > 1] for name, replicates in left.items()}
    kept = {name: replicates for name, replicates in kept.items() if replicates}
    if not kept:
        return {"n_samples": 0}
    renditions = defaultdict(list)
    for replicates in kept.values():
        for rendition in {rendition for own in replicates for rendition in own}:
            renditions[rendition].append(fmean(own[rendition] for own in replicates if rendition in own))
    means = [fmean(values) for values in renditions.values() if 2 * len(values) >= len(kept)]
    numbers = {
        name: fmean(fmean(of(own.values()) for own in replicates) for replicates in kept.values())
        for name, of in (("worst", min), ("best", max), ("mean", fmean))
    }
    return {"n_samples": len(kept), "n_variants": len(renditions), "lowest": min(means), **numbers}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 2), st.sampled_from(["incorrect", "drop"]))
def test_it_is_what_plain_loops_give_in_any_order_of_rows(seed, n_samples, n_replicates, missing):
    scores = drawn(seed, n_samples, n_replicates)
    design = replace(DESIGN, missing=missing)
    found = by_scope(scores, design)["meaning-preserving"]
    for name, value in plain(scores, missing).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name
    mixed = scores.sample(frac=1, random_state=seed % 2**31)
    pd.testing.assert_frame_equal(frame(mixed, design), frame(scores, design), check_exact=True)
