"""What holds for every perturbation, on any well-formed sample."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite import perturbations
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.shuffle_choices import SPEC as SHUFFLE
from evalsuite.plugins import load_specs
from evalsuite.types import Sample

SPECS = load_specs(perturbations)


def built(spec: PerturbationSpec, **options: int) -> Perturb:
    return spec.build(spec.options.model_validate(options))


@st.composite
def choice_samples(draw: st.DrawFn) -> Sample:
    words = st.text(alphabet="abcdefghijklmnop ñé", min_size=1, max_size=12).map(lambda text: f"x{text}")
    choices = draw(st.lists(words, min_size=2, max_size=6, unique=True))
    target = draw(st.integers(0, len(choices) - 1))
    return Sample(id=draw(st.text(min_size=1, max_size=5)), group="g", question="?", choices=tuple(choices), targets=(target,))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@given(sample=choice_samples(), seed=st.integers(0, 2**40))
def test_one_right_answer_remains_and_it_is_the_computed_one(spec: PerturbationSpec, sample: Sample, seed: int) -> None:
    variants = built(spec)(sample, seed)
    assert not isinstance(variants, Refusal)
    assert variants
    assert [variant.variant for variant in variants] == list(range(len(variants)))
    for variant in variants:
        assert (variant.id, variant.group, variant.question) == (sample.id, sample.group, sample.question)
        assert len(variant.targets) == 1
        if spec.preserves_meaning:
            assert sorted(variant.choices) == sorted(sample.choices)
            assert variant.choices[variant.targets[0]] == sample.choices[sample.targets[0]]
            assert variant.original_index(variant.targets[0]) == sample.targets[0]
            assert [sample.choices[variant.original_index(at)] for at in range(len(variant.choices))] == list(variant.choices)
    assert built(spec)(sample, seed) == variants


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_same_in_every_process(spec: PerturbationSpec) -> None:
    code = (
        "from evalsuite import perturbations\nfrom evalsuite.plugins import load_specs\nfrom evalsuite.types import Sample\n"
        f"spec = load_specs(perturbations)[{spec.name!r}]\n"
        "sample = Sample(id='a', group='g', question='?', choices=('k', 'l', 'm', 'n'), targets=(1,))\n"
        "print(spec.build(spec.options())(sample, 5))"
    )
    told = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in ("0", "1")
    }
    assert len(told) == 1


@given(sample=choice_samples(), seed=st.integers(0, 1000), n=st.integers(1, 24))
def test_shuffled_orders_are_distinct_and_never_the_original(sample: Sample, seed: int, n: int) -> None:
    variants = built(SHUFFLE, variants=n)(sample, seed)
    assert not isinstance(variants, Refusal)
    orders = [variant.order for variant in variants]
    assert len(set(orders)) == len(orders)
    assert tuple(range(len(sample.choices))) not in orders


def test_shuffled_positions_of_the_right_choice_are_even() -> None:
    sample = Sample(id="", group="g", question="?", choices=("k", "l", "m", "n"), targets=(0,))
    counts = [0, 0, 0, 0]
    for number in range(4000):
        variants = built(SHUFFLE)(Sample(**{**_fields(sample), "id": str(number)}), 3)
        assert not isinstance(variants, Refusal)
        counts[variants[0].targets[0]] += 1
    # Of the 23 orders that differ from the original, 5 leave the first choice first and 6 move it to each other place.
    expected = [4000 * share / 23 for share in (5, 6, 6, 6)]
    assert sum((count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True)) < 16.3  # chi2, 3 df, p = 0.001


def _fields(sample: Sample) -> dict[str, object]:
    return {name: getattr(sample, name) for name in Sample.__dataclass_fields__}


@pytest.mark.parametrize(
    ("choice", "refused"),
    [
        ("Both A and B", True), ("A and C", True), ("All of the above", True), ("None of the above.", True), ("A y B", True),
        ("Todas las anteriores son correctas", True), ("Las respuestas 1 y 3", True), ("Option B is correct", True), ("1 and 3", True),
        ("Vitamin A", False), ("Hepatitis A and B", False), ("Hepatitis B", False), ("All patients", False), ("Grupo A", False),
        ("Factor V Leiden", False), ("Both kidneys", False), ("Vitamins A and D", False), ("1 and a half tablets", False),
    ],
)  # fmt: skip
def test_choices_that_refer_to_others_by_label_or_place_refuse(choice: str, refused: bool) -> None:
    sample = Sample(id="a", group="g", question="?", choices=("first", "second", choice, "fourth"), targets=(0,))
    assert isinstance(built(SHUFFLE)(sample, 0), Refusal) == refused


def test_fewer_than_two_choices_refuse() -> None:
    assert isinstance(built(SHUFFLE)(Sample(id="a", group="g", question="?", references=("x",)), 0), Refusal)
