"""Metrics against independent computations and worked examples, and how a status reaches a score."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from evalsuite.metrics import METRICS, Metric, score
from evalsuite.metrics.sets import macro_f1_of
from evalsuite.metrics.text import normalise, rouge
from evalsuite.types import STATUSES, Answer, Reading, Sample

UNPARSED = Reading(status="unparsed")


def choice_sample(targets: tuple[int, ...] = (1,), n_choices: int = 4) -> Sample:
    return Sample(id="s1", group="g1", question="Q", choices=tuple(f"choice {n}" for n in range(n_choices)), targets=targets)


def text_sample(*references: str) -> Sample:
    return Sample(id="s1", group="g1", question="Q", references=references)


def read(*indices: int) -> Reading:
    return Reading(status="scored", index=indices[0], also=indices[1:], rule="r")


def wrote(text: str) -> Answer:
    return Answer(reading=Reading(status="scored", text=text, rule="text"))


def value(name: str, sample: Sample, answer: Answer) -> float | None:
    return score(METRICS[name], sample, answer).value


# ------------------------------------------------------------------------------------------------------------ accuracy


@pytest.mark.parametrize(
    ("targets", "indices", "expected"),
    [((1,), (1,), 1.0), ((1,), (0,), 0.0), ((0, 2), (0, 2), 1.0), ((2, 0), (0, 2), 1.0), ((0, 2), (0,), 0.0), ((0,), (0, 2), 0.0)],
)
def test_accuracy_is_an_exact_match_of_sets(targets: tuple[int, ...], indices: tuple[int, ...], expected: float) -> None:
    assert value("accuracy", choice_sample(targets), Answer(reading=read(*indices))) == expected


def test_strict_and_lenient_differ_by_the_broken_format() -> None:
    broken = Answer(reading=read(1), strict=UNPARSED)
    assert value("accuracy", choice_sample(), broken) == 1.0
    strict = score(METRICS["accuracy_strict"], choice_sample(), broken)
    assert (strict.value, strict.status) == (None, "unparsed")
    kept = Answer(reading=read(1), strict=read(1))
    assert value("accuracy_strict", choice_sample(), kept) == 1.0
    # the strict reading is what is scored, not the lenient one
    assert value("accuracy_strict", choice_sample(), Answer(reading=read(1), strict=read(0))) == 0.0


def test_without_a_contract_strict_equals_lenient() -> None:
    for index in range(4):
        answer = Answer(reading=read(index), strict=None)
        assert value("accuracy_strict", choice_sample(), answer) == value("accuracy", choice_sample(), answer)


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "scored"])
def test_strict_never_hides_why_there_is_no_answer(status: str) -> None:
    answer = Answer(reading=Reading(status=status), strict=UNPARSED)  # type: ignore[arg-type]
    assert score(METRICS["accuracy_strict"], choice_sample(), answer).status == status


# ------------------------------------------------------------------------------------------------------------ macro F1


def plain_macro_f1(targets: list[int], predictions: list[int]) -> float:
    """Counted by hand, class by class, from precision and recall; shares no code with the package."""
    values = []
    for label in sorted({*targets, *(p for p in predictions if p != -1)}):
        hits = sum(1 for t, p in zip(targets, predictions, strict=True) if t == label == p)
        predicted = predictions.count(label)
        present = targets.count(label)
        precision = hits / predicted if predicted else 0.0
        recall = hits / present if present else 0.0
        values.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return sum(values) / len(values)


def macro_f1(targets: list[int], predictions: list[int], n_classes: int = 4) -> float:
    return macro_f1_of(np.array(targets, dtype=np.int64), np.array(predictions, dtype=np.int64), n_classes)


def test_macro_f1_worked_examples() -> None:
    # scikit-learn's documented example: F1 = 0.8, 0, 0, mean 0.2666...
    assert macro_f1([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1]) == pytest.approx(4 / 15, abs=1e-15)
    # class 0: TP 1, FN 1, FP 0 -> 2/3; class 1: TP 1 -> 1; the silence is no false positive of any class
    assert macro_f1([0, 0, 1], [0, -1, 1]) == pytest.approx((2 / 3 + 1) / 2, abs=1e-15)
    # a class that was only predicted counts, one that never occurs does not
    assert macro_f1([0, 0], [0, 3]) == pytest.approx((2 / 3 + 0) / 2, abs=1e-15)
    assert macro_f1([0, 1], [-1, -1]) == 0.0


PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=1, max_size=40)


@given(PAIRS)
@settings(deadline=None)
def test_macro_f1_agrees_with_the_plain_computation(pairs: list[tuple[int, int]]) -> None:
    targets, predictions = [t for t, _ in pairs], [p for _, p in pairs]
    assert macro_f1(targets, predictions) == pytest.approx(plain_macro_f1(targets, predictions), abs=1e-12)


@given(PAIRS, st.permutations([0, 1, 2, 3]))
@settings(deadline=None)
def test_macro_f1_does_not_know_the_names_of_classes(pairs: list[tuple[int, int]], names: list[int]) -> None:
    renamed = [(names[t], names[p] if p >= 0 else -1) for t, p in pairs]
    assert macro_f1([t for t, _ in renamed], [p for _, p in renamed]) == pytest.approx(
        macro_f1([t for t, _ in pairs], [p for _, p in pairs]), abs=1e-12
    )


@pytest.mark.parametrize(("targets", "predictions"), [([], []), ([0], [0, 1]), ([-1], [0]), ([0], [4]), ([4], [0]), ([0], [-2])])
def test_macro_f1_refuses_what_makes_no_sense(targets: list[int], predictions: list[int]) -> None:
    with pytest.raises(ValueError, match=r"macro F1 needs|outside"):
        macro_f1(targets, predictions)


# --------------------------------------------------------------------------------------------------------------- ROUGE


def test_rouge_worked_example() -> None:
    # reference: the cat sat on the mat (6 words); text: the cat lay on mat (5 words)
    reference, text = "the cat sat on the mat", "the cat lay on mat"
    # unigrams in common: the, cat, on, mat = 4; P 4/5, R 4/6, F = 2PR/(P+R) = 8/11
    assert rouge("rouge1", reference, text) == pytest.approx(8 / 11, abs=1e-12)
    # bigrams: 5 and 4, in common: "the cat"; P 1/4, R 1/5, F = 2/9
    assert rouge("rouge2", reference, text) == pytest.approx(2 / 9, abs=1e-12)
    # longest common subsequence: the cat on mat = 4; as for unigrams
    assert rouge("rougeL", reference, text) == pytest.approx(8 / 11, abs=1e-12)


def test_rouge_l_of_lin_2004() -> None:
    # Lin 2004, section 3.1: S1 police killed the gunman; S2 police kill the gunman; S3 the gunman kill police.
    # Without stemming ROUGE-L is 3/4 and 2/4; with the Porter stemmer "killed" and "kill" are one word.
    s1, s2, s3 = "police killed the gunman", "police kill the gunman", "the gunman kill police"
    assert rouge("rougeL", s1, s2) == pytest.approx(1.0, abs=1e-12)
    assert rouge("rougeL", s1, s3) == pytest.approx(0.5, abs=1e-12)
    assert RougeScorer(["rougeL"], use_stemmer=False).score(s1, s2)["rougeL"].fmeasure == pytest.approx(0.75)


def test_rouge_l_is_sentence_level() -> None:
    # at summary level the two lines would be matched apart and the order of lines would not matter
    reference, swapped = "fever and cough\nrest and fluids", "rest and fluids\nfever and cough"
    assert rouge("rougeL", reference, swapped) == pytest.approx(0.5, abs=1e-12)
    assert RougeScorer(["rougeLsum"], use_stemmer=True).score(reference, swapped)["rougeLsum"].fmeasure == pytest.approx(1.0)


WORDS = st.lists(st.sampled_from("fever cough treated treats the patient 12 mg daily pain".split()), min_size=1, max_size=12).map(" ".join)


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
@given(st.lists(WORDS, min_size=1, max_size=3), WORDS)
@settings(max_examples=50, deadline=None)
def test_rouge_is_the_package_and_takes_the_best_reference(name: str, references: list[str], text: str) -> None:
    direct = RougeScorer([name], use_stemmer=True).score_multi(references, text)[name].fmeasure
    assert value(name, text_sample(*references), wrote(text)) == pytest.approx(direct, abs=1e-12)
    assert value(name, text_sample(*reversed(references)), wrote(text)) == pytest.approx(direct, abs=1e-12)


def test_one_word_has_no_bigram() -> None:
    assert value("rouge2", text_sample("aspirin"), wrote("aspirin")) == 0.0


# --------------------------------------------------------------------------------------------------------- exact match


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("Aspirin", "  aspirin. ", 1.0),
        ("the left ventricle", "Left ventricle", 1.0),
        ("an MRI", "a MRI!", 1.0),
        ("12 mg", "12mg", 0.0),
        ("aspirin", "not aspirin", 0.0),
        ("theatre", "atre", 0.0),
        ("A", "a", 1.0),
        ("A", "the", 0.0),
        ("-", "-", 1.0),
        ("-", "+", 0.0),
    ],
)
def test_exact_match(reference: str, text: str, expected: float) -> None:
    assert value("exact_match", text_sample("something else", reference), wrote(text)) == expected


def test_squad_normalisation() -> None:
    assert normalise("The  Quick, (brown) a fox's  AN end!") == "quick brown foxs end"


# ------------------------------------------------------------------------------------------------------------- scoring


def fixed(result: float, **changes: object) -> Metric:
    fields: dict[str, object] = {
        "name": "fixed", "summary": "s", "source": "s", "higher_is_better": True, "worst": 0.0, "best": 1.0, "binary": False,
        "reading": "lenient", "applies": "choice", "value": lambda *_: result,
    }  # fmt: skip
    return Metric(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("result", [float("nan"), float("inf"), -float("inf"), 1.01, -0.01])
def test_a_value_that_is_none_is_a_programming_error(result: float) -> None:
    with pytest.raises(ValueError, match="fixed gave"):
        score(fixed(result), choice_sample(), Answer(reading=read(1)))


def test_rounding_errors_are_no_fault_and_are_cut() -> None:
    assert score(fixed(1.0 + 1e-12), choice_sample(), Answer(reading=read(1))).value == 1.0


def test_bounds_where_lower_is_better() -> None:
    metric = fixed(7.0, higher_is_better=False, worst=10.0, best=0.0)
    assert score(metric, choice_sample(), Answer(reading=read(1))).value == 7.0


def test_wrong_kind_of_task_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="scores choice tasks"):
        score(METRICS["accuracy"], text_sample("r"), wrote("r"))
    with pytest.raises(ValueError, match="scores text tasks"):
        score(METRICS["rouge1"], choice_sample(), Answer(reading=read(1)))


@pytest.mark.parametrize("answer", [Answer(reading=Reading(status="scored")), Answer(reading=read(4)), Answer(reading=read(-1))])
def test_a_reading_without_a_choice_is_a_programming_error(answer: Answer) -> None:
    with pytest.raises(ValueError, match="choice"):
        score(METRICS["accuracy"], choice_sample(), answer)


def test_a_sample_without_target_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="no target"):
        score(METRICS["accuracy"], choice_sample(()), Answer(reading=read(0)))
    with pytest.raises(ValueError, match="no reference"):
        score(METRICS["rouge1"], text_sample(), wrote("x"))
    with pytest.raises(ValueError, match="holds no text"):
        score(METRICS["rouge1"], text_sample("x"), Answer(reading=Reading(status="scored")))


def test_importing_the_table_imports_nothing_heavy() -> None:
    code = "import sys, evalsuite.metrics; print([name for name in ('rouge_score', 'nltk', 'torch', 'scipy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
