"""Planted engines obtain exactly the theoretical value of every measure of the perturbation benchmark.

Theory stands in `tests.planted_perturbed`; what follows from it for each measure is worked out here by plain loops over answers.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from evalsuite import conclude
from evalsuite.stats.analyses import Analyses
from evalsuite.study import run_study
from tests.planted_perturbed import LANGUAGES, MODELS, PAIRS, PLANNED, Expected, expected, model_paths, study_of, write_project

LEVEL = 0.95
TASKS = tuple(f"planted_{language}" for language in LANGUAGES)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A finished study beside its theory."""

    strategy: str
    scores: pd.DataFrame
    frames: Analyses
    answers: tuple[Expected, ...]
    by_cell: Mapping[tuple[str, str, str], list[Expected]]
    """(task, model, perturbation) to its theoretical answers."""

    def of(self, row: Mapping[str, Any], *, model: str = "model", perturbation: str = "") -> list[Expected]:
        """Theoretical answers of the cell that a row is about, or of another perturbation in its place."""
        return self.by_cell[row["task"], row[model], perturbation or row["perturbation"]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Ran]]:
    """Both studies, run once. Their reports are other tests' matter and are not made."""
    folder = tmp_path_factory.mktemp("planted")
    found: list[Analyses] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_models(folder, model_paths(write_project(folder)))
        analyse: Callable[..., Analyses] = vars(conclude)["analyse"]

        def recorded(*arguments: Any, **options: Any) -> Analyses:
            found.append(analyse(*arguments, **options))
            return found[-1]

        patch.setattr(conclude, "analyse", recorded)
        patch.setattr(conclude, "build", lambda _: None)
        patch.setattr(conclude, "write_report", lambda *_: None)
        finished = {}
        for strategy in MODELS:
            (folder / f"{strategy}.yaml").write_text(study_of(strategy), encoding="utf-8")
            result = run_study(folder / f"{strategy}.yaml", store=folder / "store", out=folder / strategy)
            assert result.scores is not None
            answers = tuple(expected(strategy))
            cells: dict[tuple[str, str, str], list[Expected]] = defaultdict(list)
            for each in answers:
                cells[each.task, each.model, each.perturbation].append(each)
            finished[strategy] = Ran(strategy=strategy, scores=result.scores, frames=found[-1], answers=answers, by_cell=cells)
        yield finished


def write_models(folder: Path, paths: Mapping[str, str]) -> None:
    lines = ["models:"]
    for number, (name, path) in enumerate(paths.items()):
        lines += [f"  {name}:", f"    path: '{path}'", f"    domain: {'biomedical' if number else 'generalist'}"]
        lines += ["    base: first"] if number else []
    (folder / "models.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------------------------------------- plain loops


def by_sample(answers: Iterable[Expected], value: Callable[[Expected], float]) -> dict[str, float]:
    """Mean over the variants of each sample."""
    found: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        found[answer.sample].append(value(answer))
    return {sample: sum(values) / len(values) for sample, values in found.items()}


def mean(values: Iterable[float]) -> float:
    held = list(values)
    return sum(held) / len(held)


def limits(x: Mapping[str, float], groups: Mapping[str, str], y: Mapping[str, float] | None = None) -> tuple[float, float, float]:
    """sum(x) / sum(y) with its cluster-robust interval, sample by sample; y is 1 where it is left out."""
    y = dict.fromkeys(x, 1.0) if y is None else y
    asked = [sample for sample in x if x[sample] or y[sample]]
    if not sum(y[sample] for sample in asked):
        return math.nan, math.nan, math.nan
    ratio = sum(x[sample] for sample in asked) / sum(y[sample] for sample in asked)
    sums: dict[str, float] = defaultdict(float)
    for sample in asked:
        sums[groups[sample]] += x[sample] - ratio * y[sample]
    n = len(sums)
    if n < 10:
        return ratio, math.nan, math.nan
    se = math.sqrt(n / (n - 1) * sum(value**2 for value in sums.values())) / sum(y[sample] for sample in asked)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * se
    return ratio, ratio - half, ratio + half


def groups_of(answers: Sequence[Expected]) -> dict[str, str]:
    return {answer.sample: answer.group for answer in answers}


def rows(frame: pd.DataFrame, **wanted: str) -> list[dict[str, Any]]:
    return [row for row in frame.to_dict("records") if all(row[column] == value for column, value in wanted.items())]  # type: ignore[misc]


def numbers(row: Mapping[str, Any], *names: str) -> tuple[float, ...]:
    return tuple(float(row[name]) for name in names)


def close(value: Any) -> Any:
    return pytest.approx(value, abs=1e-9, nan_ok=True)


# ------------------------------------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize("strategy", MODELS)
def test_every_answer_is_the_one_that_theory_gives(ran: Mapping[str, Ran], strategy: str) -> None:
    own = ran[strategy]
    scores = own.scores[own.scores.metric == "accuracy"]
    assert set(scores.status) == {"scored"}
    keys = ["task", "perturbation", "model", "sample_id", "variant"]
    found = {
        tuple(key): (value, answer, kept)
        for *key, value, answer, kept in scores[[*keys, "value", "answer", "strict_kept"]].itertuples(index=False, name=None)
    }
    theory = {
        (each.task, each.perturbation, each.model, each.sample, each.variant): (each.value, each.answer, each.kept) for each in own.answers
    }
    assert len(found) == len(scores)
    assert found == theory


def test_the_theory_is_no_constant(ran: Mapping[str, Ran]) -> None:
    """Under all but one perturbation some answer is right and some is wrong; where the right choice stands first, all are right."""
    own = ran["letters"]
    values = {name: {each.value for each in own.answers if each.perturbation == name} for name in PLANNED}
    assert {name for name, held in values.items() if len(held) == 1} == {"right_first"}


# ----------------------------------------------------------------------------------------------------------------- measures


@pytest.mark.parametrize("strategy", MODELS)
def test_changes_consistency_and_flips(ran: Mapping[str, Ran], strategy: str) -> None:
    own = ran[strategy]
    assert len(own.frames.perturbed) == len(TASKS) * len(MODELS[strategy]) * (sum(strategy in p.strategies for p in PLANNED.values()) - 1)
    for row in rows(own.frames.perturbed):
        now, before = own.of(row), {each.sample: each for each in own.of(row, perturbation="none")}
        right_before = {sample: each.value for sample, each in before.items()}
        groups = groups_of(now)
        values = by_sample(now, lambda each: each.value)
        change = {sample: value - right_before[sample] for sample, value in values.items()}
        assert (row["n_samples"], row["n_groups"], row["n_refused"]) == (24, 20, 0)
        assert numbers(row, "mean_before", "mean") == close((mean(right_before.values()), mean(values.values())))
        assert numbers(row, "change", "ci_low", "ci_high") == close(limits(change, groups))
        # What was right before is a number of the sample, so that means over its variants can be multiplied.
        wrong_before = {sample: 1 - value for sample, value in right_before.items()}
        lost = {sample: right_before[sample] * (1 - value) for sample, value in values.items()}
        gained = {sample: wrong_before[sample] * value for sample, value in values.items()}
        names = ("p_right_to_wrong", "p_right_to_wrong_low", "p_right_to_wrong_high")
        assert numbers(row, *names) == close(limits(lost, groups, right_before)), row
        names = ("p_wrong_to_right", "p_wrong_to_right_low", "p_wrong_to_right_high")
        assert numbers(row, *names) == close(limits(gained, groups, wrong_before)), row
        texts = {sample: each.answer for sample, each in before.items()}
        same = by_sample(now, lambda each, texts=texts: float(each.answer == texts[each.sample]))  # type: ignore[misc]
        kept = limits(same, groups) if PLANNED[row["perturbation"]].preserves else (math.nan,) * 3
        assert numbers(row, "consistency", "consistency_low", "consistency_high") == close(kept), row


def test_what_changes_by_hand(ran: Mapping[str, Ran]) -> None:
    """The same as a reader would expect it, without a formula."""

    def found(model: str, perturbation: str, column: str) -> set[float]:
        return {float(row[column]) for row in rows(ran["letters"].frames.perturbed, model=model, perturbation=perturbation)}

    # Who takes the first choice is right in a quarter of the questions, always where the right one stands there, never where it is last.
    assert found("first", "right_first", "mean") == {1.0}
    assert found("first", "right_last", "mean") == {0.0}
    assert found("first", "shifted", "mean") == {0.25}
    assert found("first", "typos", "consistency") == {1.0}
    assert found("first", "shifted", "consistency") == {0.0}
    # Who picks by text does not care about order, labels or noise, and takes the first where the text is gone.
    for perturbation in ("shuffled", "shifted", "numbers", "typos", "ocr", "look_alikes", "record", "none_added", "choices_only"):
        assert found("knows", perturbation, "mean") == {1.0}
    assert found("knows", "none_right", "mean") == {0.25}
    assert found("knows", "negated", "mean") == {0.0}
    # Who copies does so in the question and in a second turn, whoever is right.
    for perturbation, expected_mean in (("claimed", 0.0), ("planted", 0.0), ("told_wrong", 0.0), ("told_right", 1.0), ("sure", 1.0)):
        assert found("copies", perturbation, "mean") == {expected_mean}
    assert found("distracted", "record", "change") == {-0.75}


def test_worst_cases(ran: Mapping[str, Ran]) -> None:
    for own in ran.values():
        together = [name for name, planned in PLANNED.items() if planned.together and own.strategy in planned.strategies]
        several = {each.perturbation for each in own.answers if each.variant}
        assert set(own.frames.worst["scope"]) == {*several, "meaning-preserving"}
        for row in rows(own.frames.worst):
            scope = ["none", *together] if row["scope"] == "meaning-preserving" else [row["scope"]]
            asked = [each for name in scope for each in own.of(row, perturbation=name)]
            samples: dict[str, list[float]] = defaultdict(list)
            renditions: dict[tuple[str, int], list[float]] = defaultdict(list)
            for each in asked:
                samples[each.sample].append(each.value)
                renditions[each.perturbation, each.variant].append(each.value)
            assert row["n_variants"] == len(renditions)
            assert numbers(row, "worst", "worst_low", "worst_high") == close(
                limits({sample: min(values) for sample, values in samples.items()}, groups_of(asked))
            )
            assert row["best"] == close(mean(max(values) for values in samples.values()))
            assert row["mean"] == close(mean(mean(values) for values in samples.values()))
            assert row["lowest"] == close(min(mean(values) for values in renditions.values()))
    # Over the original order and all shifts, the first place is right exactly once.
    (first,) = {row["worst"] for row in rows(ran["letters"].frames.worst, model="first", scope="meaning-preserving")}
    assert first == 0


def test_positions(ran: Mapping[str, Ran]) -> None:
    own = ran["letters"]
    assert {"none", "shuffled", "shifted", "right_first", "right_last"} <= set(own.frames.positions["perturbation"])
    for row in rows(own.frames.positions):
        asked = own.of(row)
        n, k = row["n_choices"], row["position"]
        counts = Counter(each.sample for each in asked)
        places = [
            (1 / counts[each.sample], each.shown.choices.index(each.answer), each.shown.choices.index(str(each.shown.right)))
            for each in asked
        ]
        total = sum(weight for weight, _, _ in places)
        assert row["share_answered"] == close(sum(weight for weight, answered, _ in places if answered == k) / total)
        assert row["share_right"] == close(sum(weight for weight, _, right in places if right == k) / total)
        if n > 2:
            wrong = [(weight, answered) for weight, answered, right in places if answered != right and right != k]
            hits = sum(weight for weight, answered in wrong if answered == k)
            misses = sum(weight for weight, answered in wrong if answered != k)
            added = 0.5 if not hits or not misses else 0.0
            odds = math.log((hits + added) / (misses + added) * (n - 2)) if wrong else math.nan
            assert row["log_odds"] == close(odds), row
    # Who always takes the first place prefers it, by the three quarters of the 24 questions in which it is wrong.
    (always,) = {row["log_odds"] for row in rows(own.frames.positions, model="first", perturbation="none") if row["position"] == 0}
    assert always == close(math.log(2 * 18 + 1) + math.log(2))


def test_strict_lenient_validity_and_penalty(ran: Mapping[str, Ran]) -> None:
    own = ran["written"]
    assert len(ran["letters"].frames.contracts_kept) == len(ran["letters"].frames.format_parts) == 0
    found = rows(own.frames.contracts_kept)
    assert len(found) == len(TASKS) * len(MODELS["written"]) * sum("written" in planned.strategies for planned in PLANNED.values())
    for row in found:
        asked = own.of(row)
        measures: dict[str, Callable[[Expected], float]] = {
            "strict": lambda each: each.strict,
            "lenient": lambda each: each.value,
            "validity": lambda each: float(bool(each.kept)),
            "penalty": lambda each: each.value - each.strict,
        }
        for name, value in measures.items():
            found_numbers = numbers(row, name, f"{name}_low", f"{name}_high")
            assert found_numbers == close(limits(by_sample(asked, value), groups_of(asked))), (name, row)
    hand = {
        (row["model"], row["perturbation"]): numbers(row, "strict", "lenient", "validity", "penalty")
        for row in rows(own.frames.contracts_kept, task="planted_es")
    }
    assert hand["chatty", "none"] == (0, 1, 0, 1)
    assert hand["knows", "none"] == (1, 1, 1, 0)
    assert hand["json", "json"] == (1, 1, 1, 0)
    assert hand["json", "none"] == hand["json", "letter"] == hand["knows", "json"] == (0, 1, 0, 1)
    assert hand["copies", "told_wrong"] == (0, 0, 1, 0)
    assert hand["knows", "absent"] == (0, 0, 0, 0)


def test_knowledge_and_format_are_told_apart(ran: Mapping[str, Ran]) -> None:
    own = ran["written"]
    for row in rows(own.frames.format_parts):
        a, b = own.of(row, model="model_a"), own.of(row, model="model_b")
        groups = groups_of(a)
        right, strict = ([by_sample(side, value) for side in (a, b)] for value in (lambda each: each.value, lambda each: each.strict))
        parts = {
            "strict_difference": {sample: strict[0][sample] - strict[1][sample] for sample in groups},
            "knowledge": {sample: right[0][sample] - right[1][sample] for sample in groups},
        }
        parts["format"] = {sample: parts["strict_difference"][sample] - parts["knowledge"][sample] for sample in groups}
        for name, own_values in parts.items():
            assert numbers(row, name, f"{name}_low", f"{name}_high") == close(limits(own_values, groups)), (name, row)
        assert row["knowledge"] + row["format"] == close(row["strict_difference"])
    (chatty,) = {
        numbers(row, "strict_difference", "knowledge", "format")
        for row in rows(own.frames.format_parts, model_a="chatty", perturbation="none")
    }
    assert chatty == (-1, 0, -1)
    (told,) = {
        numbers(row, "strict_difference", "knowledge", "format")
        for row in rows(own.frames.format_parts, model_a="json", model_b="copies", perturbation="told_wrong")
    }
    # What the one knows more it loses by its form.
    assert told == (0, 1, -1)


def right_first(each: Expected) -> bool:
    return each.first == each.truth


def adoptable(each: Expected) -> bool:
    return each.shown.suggested is not None and each.first != each.shown.suggested


def share_of(answers: list[Expected], of: Callable[[Expected], bool], where: Callable[[Expected], bool]) -> tuple[float, float, float]:
    """Share of the answers at which `where` holds at which `of` holds too, with its interval."""
    x, y = by_sample(answers, lambda each: float(of(each) and where(each))), by_sample(answers, lambda each: float(where(each)))
    return limits(x, groups_of(answers), y)


def test_second_turns(ran: Mapping[str, Ran]) -> None:
    for own in ran.values():
        twice = {each.perturbation for each in own.answers if each.first is not None}
        assert set(own.frames.second_turns["perturbation"]) == twice
        for row in rows(own.frames.second_turns):
            asked = own.of(row)
            assert (row["n_samples"], row["n_groups"], row["n_first_unread"]) == (24, 20, 0)
            assert numbers(row, "first", "final") == close((mean(map(right_first, asked)), mean(each.value for each in asked)))
            assert row["kept"] == close(mean(each.first == each.answer for each in asked))
            theory = {
                "abandoned": share_of(asked, lambda each: not each.value, right_first),
                "corrected": share_of(asked, lambda each: bool(each.value), lambda each: not right_first(each)),
                "adopted": share_of(asked, lambda each: each.answer == each.shown.suggested, adoptable),
            }
            for name, value in theory.items():
                assert numbers(row, name, f"{name}_low", f"{name}_high") == close(value), (name, row)
    turns = ran["letters"].frames.second_turns
    for row in rows(turns, model="copies", perturbation="told_wrong"):
        assert numbers(row, "first", "final", "kept", "abandoned", "adopted") == (1, 0, 0, 1, 1)
    for row in rows(turns, model="knows", perturbation="told_wrong"):
        assert numbers(row, "first", "final", "kept", "abandoned", "adopted") == (1, 1, 1, 0, 0)


def test_prompts(ran: Mapping[str, Ran]) -> None:
    own = ran["letters"]
    means = {
        (task, model): [mean(each.value for each in answers if each.variant == variant) for variant in range(6)]
        for (task, model, perturbation), answers in own.by_cell.items()
        if perturbation == "prompts"
    }
    for row in rows(own.frames.prompt_spread):
        held = means[row["task"], row["model"]]
        spread = math.sqrt(sum((value - mean(held)) ** 2 for value in held) / 5)
        names = ("n_prompts", "mean", "worst", "best", "sd", "range")
        assert numbers(row, *names) == close((6, mean(held), min(held), max(held), spread, max(held) - min(held)))
    assert {row["range"] for row in rows(own.frames.prompt_spread, model="distracted")} == {0.75}
    assert {row["range"] for row in rows(own.frames.prompt_spread, model="knows")} == {0.0}
    for row in rows(own.frames.prompt_ranks):
        gaps = [x - y for x, y in zip(means[row["task"], row["model_a"]], means[row["task"], row["model_b"]], strict=True)]
        ahead = mean(1.0 if gap > 0 else 0.5 if gap == 0 else 0.0 for gap in gaps)
        columns = ("p_a_ahead", "p_b_ahead", "difference_mean", "difference_low", "difference_high")
        assert numbers(row, *columns) == close((ahead, 1 - ahead, mean(gaps), min(gaps), max(gaps)))
        # Ranks of the four models: under three prompts 1, 3, 3, 3, under three 1.5, 3.5, 3.5, 1.5; sums 7.5, 19.5, 19.5, 13.5.
        deviations = sum((total - 15) ** 2 for total in (7.5, 19.5, 19.5, 13.5))
        ties = 3 * (3**3 - 3) + 3 * 2 * (2**3 - 2)
        assert row["kendall_w"] == close(12 * deviations / (36 * (4**3 - 4) - 6 * ties))


@pytest.mark.parametrize("strategy", MODELS)
def test_who_loses_more_and_the_verdict(ran: Mapping[str, Ran], strategy: str) -> None:
    own = ran[strategy]
    n_family = len(TASKS) * len(PAIRS[strategy]) * (sum(strategy in planned.strategies for planned in PLANNED.values()) - 1)
    found = rows(own.frames.robustness)
    assert len(found) == n_family
    for row in found:
        groups = groups_of(own.of(row, model="model_a"))
        before, now = (
            [by_sample(own.of(row, model=side, perturbation=name), lambda each: each.value) for side in ("model_a", "model_b")]
            for name in ("none", row["perturbation"])
        )
        differences = [{sample: a[sample] - b[sample] for sample in groups} for a, b in (before, now)]
        contrast = limits({sample: differences[1][sample] - differences[0][sample] for sample in groups}, groups)
        assert numbers(row, "difference_before", "difference") == close(tuple(mean(each.values()) for each in differences))
        assert numbers(row, "contrast", "ci_low", "ci_high") == close(contrast), row
        assert (row["n_family"], row["status_note"]) == (n_family, "")
        # Three quarters or more of 24 questions, all one way, stand out of any family of this size; nothing does not.
        if abs(contrast[0]) >= 0.75 and contrast[1] * contrast[2] > 0:
            assert row["verdict"] == ("a_holds_better" if contrast[0] > 0 else "b_holds_better"), row
        if contrast[0] == 0 and contrast[1] == 0:
            assert (row["p_value"], row["verdict"]) == (1, "inconclusive")
    verdicts = {(row["model_a"], row["perturbation"]): row["verdict"] for row in found if row["task"] == "planted_es"}
    if strategy == "letters":
        assert verdicts["copies", "told_wrong"] == verdicts["distracted", "record"] == "b_holds_better"
        assert verdicts["knows", "right_last"] == "inconclusive"
        assert verdicts["knows", "right_first"] == "b_holds_better"
