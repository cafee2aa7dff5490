"""Cautions: each is planted, each stays away where it has nothing to say, and none tells what a restricted task holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evalsuite.data import content_hash
from evalsuite.metrics import METRICS
from evalsuite.stats.cautions import COLUMNS, caution_frame
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import class_counts, split_conditions
from evalsuite.types import Sample

DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"), ("c", "b")), primary_strategy="zero_shot", primary_perturbation="none",
    primary_metric={"t": "accuracy"}, metrics=METRICS,
)  # fmt: skip
RIGHT = {"a": 0.7, "b": 0.6, "c": 0.65}


def answered(model, share, *, n=40, task="t", seed=0, **columns):
    """n answers of a model, `share` of them right; keys go round four choices, and so do wrong answers."""
    key = np.arange(n) % 4
    right = np.random.default_rng(seed).permutation(n) < round(share * n)
    place = np.where(right, key, (key + 1) % 4)
    names = np.array([f"secret{i}" for i in range(n)])
    table = pd.DataFrame(
        {
            "task": task, "metric": "accuracy", "strategy": "zero_shot", "perturbation": "none", "model": model, "sample_id": names,
            "variant": 0, "replicate": 0, "group": names, "value": right.astype(float), "status": "scored",
            "content_hash": [f"{task}{i}" for i in range(n)], "target": key.astype(str), "answer_index": place, "shown_position": place,
        }
    )  # fmt: skip
    return table.assign(**columns)


def study(shares=RIGHT, **kwargs):
    return pd.concat([answered(model, share, seed=i, **kwargs) for i, (model, share) in enumerate(shares.items())], ignore_index=True)


def cautions(scores, design=DESIGN, chances=None):
    cells = split_conditions(scores, METRICS)
    given = {"t": 0.25} if chances is None else chances
    frame = caution_frame(scores, cells, design, chances=given, n_classes=class_counts(scores, METRICS))
    assert list(frame.columns) == list(COLUMNS)
    assert not frame["text"].str.contains("secret").any()
    assert set(frame["level"]) <= {"warning", "note"}
    return {row["kind"]: row for row in frame.to_dict("records")}


def test_a_plain_study_has_nothing_to_be_warned_of():
    assert cautions(study()) == {}


def test_a_ceiling_needs_both_models():
    found = cautions(study({"a": 0.975, "b": 1.0, "c": 0.9}))
    assert set(found) == {"ceiling", "thin"}
    assert found["ceiling"]["text"] == "Both have 95% or more of the best possible accuracy: a and b. A difference can hardly show."
    assert (found["ceiling"]["level"], found["ceiling"]["task"], found["ceiling"]["model"]) == ("note", "t", "")
    assert "all 2 pairs" in cautions(study({"a": 0.975, "b": 1.0, "c": 0.95}))["ceiling"]["text"]


def test_a_floor_is_where_neither_is_above_chance():
    found = cautions(study({"a": 0.3, "b": 0.25, "c": 0.7}))
    assert found["floor"]["text"] == "Neither is above chance (25%), going by its interval: a and b. A tie says nothing."
    assert found["floor"]["level"] == "warning"
    assert "floor" not in cautions(study({"a": 0.3, "b": 0.25, "c": 0.7}), chances={"t": None})
    assert "floor" not in cautions(study({"a": 0.3, "b": 0.25, "c": 0.7}), chances={})
    assert "floor" not in cautions(study({"a": 0.3, "b": 0.7, "c": 0.7}))


def test_failures_leave_no_mean_to_judge():
    scores = study({"a": 0.3, "b": 0.25, "c": 0.7})
    scores.loc[0, ["status", "value"]] = ["failed", np.nan]
    assert cautions(scores) == {}


def test_thin_evidence_is_told_where_few_groups_differ_or_few_hold_most():
    one, other = answered("a", 0.7), answered("b", 0.7)
    for n_differing, warned in ((0, False), (3, True), (9, True), (10, False)):
        other["value"] = np.where(np.arange(40) < n_differing, 1 - one["value"], one["value"])
        found = cautions(pd.concat([one, other]), replace(DESIGN, pairs=(("a", "b"),)), chances={})
        assert ("thin" in found) == warned
    assert found == {}
    uneven = study(n=200, group=["big"] * 120 + [f"g{i}" for i in range(80)])
    said = cautions(uneven, chances={})["thin"]
    assert said["text"] == "Fewer than 20 groups in effect: all 2 pairs. The p-value holds, the interval is approximate."
    assert said["level"] == "note"


def test_content_under_several_groups_counts_as_duplicates():
    scores = study()
    at = scores.groupby("model").cumcount()
    scores.loc[at.isin([1, 5, 9]), "content_hash"] = "once"  # three samples, one question; keys 1, 1, 1
    scores.loc[at.isin([4, 8]), "content_hash"] = "twice"
    found = cautions(scores)
    assert list(found) == ["duplicates"]
    assert found["duplicates"]["text"] == "2 questions stand in 5 samples of different groups: they count as independent and are not."
    linked = scores.assign(group=scores["content_hash"])
    assert cautions(linked) == {}


def test_the_same_question_with_two_keys_contradicts_itself():
    scores = study()
    at = scores.groupby("model").cumcount()
    scores.loc[at.isin([1, 2]), ["content_hash", "group"]] = ["once", "g"]  # keys 1 and 2, one group
    found = cautions(scores)
    assert list(found) == ["contradictory_keys"]
    assert found["contradictory_keys"]["text"].startswith("1 question stands there twice or more with different keys")


def test_content_covers_the_question_and_not_the_key():
    plain = Sample(id="x", group="g", question="q", choices=("u", "v"), targets=(0,))
    assert content_hash(plain) == content_hash(replace(plain, id="y", group="h", targets=(1,)))
    assert content_hash(plain) != content_hash(replace(plain, choices=("v", "u")))


def test_one_question_in_two_tasks_needs_one_group():
    design = replace(DESIGN, primary_metric={"t": "accuracy", "u": "accuracy"})
    one, other = study(), study(task="u")
    at = other.groupby("model").cumcount()
    other.loc[at < 3, "content_hash"] = "t" + at[at < 3].astype(str)
    other["group"] = "u:" + other["group"]
    found = cautions(pd.concat([one, other], ignore_index=True), design)
    assert list(found) == ["unlinked"]
    assert (found["unlinked"]["task"], found["unlinked"]["level"]) == ("t, u", "warning")
    assert found["unlinked"]["text"].startswith("3 questions stand both in t and in u under different groups")
    other["group"] = other["sample_id"]
    assert cautions(pd.concat([one, other], ignore_index=True), design) == {}


def test_content_is_read_from_unperturbed_samples_where_there_are_any():
    primary = study(perturbation="shuffled", content_hash="all the same")
    assert "duplicates" in cautions(primary, replace(DESIGN, primary_perturbation="shuffled"))
    assert cautions(pd.concat([primary, study()], ignore_index=True), replace(DESIGN, primary_perturbation="shuffled")) == {}


def test_models_that_are_scored_on_other_samples():
    scores = study()
    fewer = scores.drop(scores.index[(scores["model"] == "a") & (scores.groupby("model").cumcount() < 3)])
    found = cautions(fewer)
    assert (
        found["unequal_sets"]["text"]
        == "The models are scored on different samples (37 to 40, 37 in common): pairs cannot be set against each other."
    )
    silent = scores.copy()
    silent.loc[(silent["model"] == "c") & (silent.groupby("model").cumcount() == 0), ["status", "value"]] = ["unparsed", np.nan]
    assert cautions(silent) == {}
    assert list(cautions(silent, replace(DESIGN, missing="drop"))) == ["unequal_sets"]


@pytest.mark.parametrize(("n_same", "warned"), [(37, True), (36, False)])
def test_one_letter_answers(n_same, warned):
    scores = study()
    mine = scores.index[scores["model"] == "b"]
    place = np.where(np.arange(40) < n_same, 2, 0)
    scores.loc[mine, ["shown_position", "answer_index"]] = np.column_stack([place, place])
    found = cautions(scores)
    assert (list(found) == ["one_letter"]) is warned
    if warned:
        assert found["one_letter"]["model"] == "b"
        assert found["one_letter"]["text"].startswith("b chooses choice 3 as shown in 92% of 40 answers")


def test_one_letter_is_right_where_all_keys_are_there():
    scores = study(target="0", answer_index=0, shown_position=0)
    assert cautions(scores) == {}
    few = study(n=8, shown_position=1)
    assert "one_letter" not in cautions(few)


def test_one_letter_counts_keys_where_they_were_shown():
    # The data set always has its key first, the shuffled choices do not: answering the third place is answering by place.
    shown = np.arange(40) % 4
    own = {"target": "0", "shown_targets": np.tile(shown.astype(str), 3), "shown_position": np.tile(shown, 3), "answer_index": 0}
    scores = study().assign(**own)
    scores.loc[scores["model"] == "b", "shown_position"] = 2
    assert cautions(scores)["one_letter"]["model"] == "b"
    # And the other way round: keys anywhere in the data set, all shown at the third place.
    assert "one_letter" not in cautions(study().assign(shown_targets="2", shown_position=2))


def test_warnings_come_first_and_the_order_of_rows_does_not_matter():
    scores = study({"a": 1.0, "b": 1.0, "c": 0.65})
    scores.loc[scores["model"] == "c", "shown_position"] = 1
    cells = split_conditions(scores, METRICS)
    frame = caution_frame(scores, cells, DESIGN, chances={"t": 0.25}, n_classes={})
    assert list(frame["level"]) == ["warning", "note"]
    mixed = scores.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(caution_frame(mixed, split_conditions(mixed, METRICS), DESIGN, chances={"t": 0.25}, n_classes={}), frame)
    assert list(caution_frame(scores.iloc[:0], {}, DESIGN, chances={}, n_classes={}).columns) == list(COLUMNS)
