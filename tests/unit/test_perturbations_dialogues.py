"""Second turns, compositions and sets of prompts: what they make of a sample, and what they refuse."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evalsuite.config import faults_of
from evalsuite.perturbations import ask_again, authority_claim, compose, prompts
from evalsuite.perturbations.base import Perturb, PerturbationSpec, Refusal
from evalsuite.perturbations.found import perturbation_specs
from evalsuite.perturbations.parts.system_prompts import N_SYSTEM_PROMPTS, SYSTEM_PROMPTS
from evalsuite.perturbations.parts.voices import VOICES, named_choice, picked
from evalsuite.prompt_templates import candidate_templates
from evalsuite.types import Manner, Quantity, Sample

SPECS = perturbation_specs()
EN = Sample(
    id="s1", group="t:1", question="A man of 54 coughs. What is it?", choices=("Asthma.", "Bronchitis.", "Croup.", "Emphysema."),
    targets=(2,),
)  # fmt: skip
ES = replace(EN, question="Varón de 54 años con tos. ¿Qué tiene?", choices=("Asma.", "Bronquitis.", "Crup.", "Enfisema."), language="es")
FR = replace(EN, language="fr")
DIALOGUES: list[tuple[str, dict[str, Any]]] = [
    ("are_you_sure", {}),
    ("suggestion", {}),
    ("suggestion", {"by": "guideline", "right": True}),
    ("ask_again", {"then": "shuffle_choices"}),
    ("ask_again", {"then": "none"}),
]


def composed(*steps: str) -> Perturb:
    return SPECS["compose"].build(SPECS["compose"].options.model_validate({"steps": steps}))


SHUFFLED_THEN_SUGGESTED = composed("shuffle_choices", "suggestion")
SHUFFLED_TWICE = composed("shuffle_choices", "shuffle_choices")


def made(name: str, sample: Sample, seed: int = 7, **options: Any) -> tuple[Sample, ...] | Refusal:
    spec: PerturbationSpec = SPECS[name]
    return spec.build(spec.options.model_validate(options))(sample, seed)


def variants(name: str, sample: Sample, seed: int = 7, **options: Any) -> tuple[Sample, ...]:
    found = made(name, sample, seed, **options)
    assert not isinstance(found, Refusal), found.reason
    return found


def reason(name: str, sample: Sample, **options: Any) -> str:
    found = made(name, sample, **options)
    assert isinstance(found, Refusal)
    return found.reason


def faults(name: str, **options: Any) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        SPECS[name].options.model_validate(options)
    return [str(fault) for fault in faults_of(raised.value, Path("study.yaml"), prefix="perturbations.0")]


@pytest.mark.parametrize(("name", "options"), DIALOGUES)
@pytest.mark.parametrize("sample", [EN, ES], ids=["en", "es"])
def test_the_first_turn_is_the_sample_as_it_is(name: str, options: dict[str, Any], sample: Sample) -> None:
    for variant in variants(name, replace(sample, variant=5), **options):
        assert variant.dialogue is not None
        assert variant.dialogue.first == sample
        assert (variant.id, variant.group) == (sample.id, sample.group)
        assert variant.dialogue.repeats == (name == "ask_again")


@pytest.mark.parametrize(("name", "options"), [*DIALOGUES, ("prompts", {})])
@pytest.mark.parametrize(
    ("sample", "why"),
    [
        (FR, "no form in this language (fr)"),
        (replace(EN, choices=("Asthma.",), targets=(0,)), "fewer than two choices"),
        (replace(EN, targets=(9,)), "not among the choices"),
        (replace(EN, question=" "), "no question"),
    ],
)
def test_unfit_samples_are_refused(name: str, options: dict[str, Any], sample: Sample, why: str) -> None:
    assert why in reason(name, sample, **options)


@pytest.mark.parametrize(("name", "options"), DIALOGUES)
@pytest.mark.parametrize("targets", [(), (0, 1)])
def test_a_second_turn_needs_one_right_choice(name: str, options: dict[str, Any], targets: tuple[int, ...]) -> None:
    assert reason(name, replace(EN, targets=targets), **options) == "not exactly one right choice"


@pytest.mark.parametrize(("name", "options"), [*DIALOGUES, ("prompts", {})])
def test_a_second_turn_is_never_asked_twice(name: str, options: dict[str, Any]) -> None:
    (twice,) = variants("are_you_sure", EN)
    assert reason(name, twice, **options) == "it is asked in a second turn already"


# --- suggestions ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", VOICES)
@pytest.mark.parametrize(("sample", "right"), [(EN, "C, Croup"), (ES, "la C, Crup")])
def test_a_right_suggestion_names_label_and_text(by: str, sample: Sample, right: str) -> None:
    (variant,) = variants("suggestion", sample, by=by, right=True)
    assert variant.suggested == 2
    assert variant.dialogue is not None
    assert right in variant.dialogue.said
    assert "{" not in variant.dialogue.said


@given(seed=st.integers(0, 2**40), name=st.sampled_from(["suggestion", "authority_claim", "planted_instruction"]))
def test_a_wrong_choice_is_never_the_right_one_and_only_it_is_named(seed: int, name: str) -> None:
    (variant,) = variants(name, EN, seed)
    assert variant.suggested in (0, 1, 3)
    said = variant.question if variant.dialogue is None else variant.dialogue.said
    other = {choice.rstrip(".") for n, choice in enumerate(EN.choices) if n != variant.suggested}
    assert not any(text in said for text in other)
    assert variants(name, EN, seed) == (variant,)


def test_wrong_choices_are_drawn_evenly() -> None:
    counts = {0: 0, 1: 0, 3: 0}
    for number in range(3000):
        chosen = picked(replace(EN, id=str(number)), 1, "suggestion", right=False)
        assert isinstance(chosen, int)
        counts[chosen] += 1
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 13.8  # chi2, 2 df, p = 0.001


@given(seed=st.integers(0, 2**40), order=st.permutations(range(4)))
def test_the_wrong_choice_is_the_same_in_every_order_and_by_whoever_names_it(seed: int, order: list[int]) -> None:
    shown = replace(EN, choices=tuple(EN.choices[n] for n in order), targets=(order.index(2),), order=tuple(order))
    chosen = {variants("suggestion", EN, seed, by=by)[0].suggested for by in VOICES}
    assert len(chosen) == 1
    (turned,) = variants("suggestion", shown, seed)
    assert turned.suggested is not None
    assert {turned.original_index(turned.suggested)} == chosen


def test_a_choice_that_equals_the_right_one_is_not_called_wrong() -> None:
    sample = replace(EN, choices=("croup", "Bronchitis.", "Croup.", "CROUP "))
    assert {variants("suggestion", sample, seed)[0].suggested for seed in range(20)} == {1}
    assert reason("suggestion", replace(EN, choices=("croup", "Croup."), targets=(0,))) == "no listed choice is certainly wrong"


def test_choices_that_are_not_listed_are_not_named() -> None:
    sample = replace(EN, choices=(*EN.choices[:2], "NONE"), targets=(2,), n_unlisted=1)
    assert {variants("suggestion", sample, seed)[0].suggested for seed in range(20)} == {0, 1}
    assert reason("suggestion", sample, right=True) == "the right choice is not listed"


def test_choices_are_named_by_the_labels_that_are_shown() -> None:
    assert named_choice(replace(EN, labels=("1", "2", "3", "4")), 1) == "2, Bronchitis"
    assert named_choice(replace(ES, labels=("",) * 4), 1) == "“Bronquitis”"
    assert named_choice(replace(EN, labels=("",) * 4), 1) == "‘Bronchitis’"


def test_only_one_choice_is_called_right_in_a_text() -> None:
    (claimed,) = variants("authority_claim", EN)
    assert reason("suggestion", claimed) == "somebody in the text calls a choice right already"


# --- the same question again -----------------------------------------------------------------------------------------------------------


def test_asking_again_shows_and_scores_the_transformed_sample() -> None:
    (turned,) = variants("shuffle_choices", EN)
    (again,) = variants("ask_again", EN, then="shuffle_choices")
    assert again == replace(turned, dialogue=again.dialogue)
    assert again.choices[again.targets[0]] == "Croup."
    three = variants("ask_again", EN, then={"name": "shuffle_choices", "variants": 3})
    assert [variant.variant for variant in three] == [0, 1, 2]
    assert len({variant.order for variant in three}) == 3
    assert [variant.dialogue for variant in three] == [again.dialogue] * 3


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("none", ask_again.UNCHANGED),
        ("shuffle_choices", ask_again.REWORDED),
        ("drop_distractor", ask_again.CHANGED),
    ],
)
def test_the_words_say_whether_the_question_changed(then: str, words: dict[str, str]) -> None:
    for sample in (EN, ES):
        for variant in variants("ask_again", sample, then=then):
            assert variant.dialogue is not None
            assert variant.dialogue.said == words[sample.language]


def test_what_asking_again_needs_and_promises_follows_from_the_transformation() -> None:
    spec = SPECS["ask_again"]
    plain = spec.options.model_validate({"then": "shuffle_choices"})
    assert spec.needs(plain) == {"dialogue", "own_prompt"}
    assert spec.preserves(plain)
    written = spec.options.model_validate({"then": {"name": "contract", "form": "letter"}})
    assert spec.needs(written) == {"dialogue", "own_prompt", "written"}
    assert not spec.preserves(spec.options.model_validate({"then": "drop_distractor"}))


def test_a_refused_transformation_refuses_with_its_name() -> None:
    sample = replace(EN, choices=("Asthma.", "Both A and C", "Croup.", "Emphysema."))
    assert reason("ask_again", sample, then="shuffle_choices").startswith("shuffle_choices: ")


# --- compositions ------------------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**40))
def test_steps_are_applied_left_to_right_and_original_indices_compose(seed: int) -> None:
    (turned,) = variants("shuffle_choices", EN, seed)
    assert SHUFFLED_THEN_SUGGESTED(EN, seed) == variants("suggestion", turned, seed)
    made_twice = SHUFFLED_TWICE(EN, seed)
    assert not isinstance(made_twice, Refusal)
    (twice,) = made_twice
    assert [EN.choices[twice.original_index(n)] for n in range(4)] == list(twice.choices)
    assert twice.choices[twice.targets[0]] == "Croup."


def test_a_step_that_stands_twice_draws_anew() -> None:
    """With the same draw, every order that is its own inverse would be undone."""
    n_squares = 0
    for number in range(600):
        sample = replace(EN, id=str(number))
        twice = SHUFFLED_TWICE(sample, 7)
        assert not isinstance(twice, Refusal)
        (once,) = variants("shuffle_choices", sample)
        n_squares += twice[0].order == tuple(once.order[at] for at in once.order)
    assert n_squares < 100


def test_variants_are_the_product_in_order_and_bounded() -> None:
    steps: list[Any] = [{"name": "shuffle_choices", "variants": 3}, {"name": "prompts", "systems": 1, "templates": 1}]
    every = variants("compose", EN, steps=steps)
    assert [variant.variant for variant in every] == list(range(12))
    assert [variant.order for variant in every[:4]] == [every[0].order] * 4
    assert [variant.manner for variant in every[:4]] == [variant.manner for variant in every[4:8]]
    assert variants("compose", EN, steps=steps, variants=5) == every[:5]


def test_a_refusal_of_a_step_refuses_with_its_name() -> None:
    assert reason("compose", EN, steps=["authority_claim", "shuffle_choices"]).startswith("shuffle_choices: ")
    assert reason("compose", FR, steps=["shuffle_choices", "are_you_sure"]).startswith("are_you_sure: has no form")


def test_what_a_composition_needs_and_promises_follows_from_its_steps() -> None:
    spec = SPECS["compose"]
    options = spec.options.model_validate({"steps": [{"name": "contract", "form": "letter"}, "suggestion"]})
    assert spec.needs(options) == {"written", "own_prompt", "dialogue", "listed"}
    assert spec.preserves(options)
    assert not spec.preserves(spec.options.model_validate({"steps": ["drop_distractor", "are_you_sure"]}))


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        (["shuffle_choices"], "steps: .*at least 2"),
        (["shuffle_choices"] * 5, "steps: .*at most 4"),
        (["shufle_choices", "are_you_sure"], r"steps\.0.*shuffle_choices"),
        ([{"variants": 2}, "are_you_sure"], r"steps\.0.*name"),
        ([3, "are_you_sure"], r"steps\.0.*name"),
        ([{"name": ["shuffle_choices"]}, "are_you_sure"], r"steps\.0.*not among the perturbations"),
        ([{"name": "shuffle_choices", "variants": 99}, "are_you_sure"], r"steps\.0\.variants.*99.*24"),
        ([{"name": "shuffle_choices", "variant": 2}, "are_you_sure"], r"steps\.0\.variant.*unknown key"),
        (["none", "are_you_sure"], "none is no step"),
        (["shuffle_choices", {"name": "compose", "steps": ["unicode", "are_you_sure"]}], "compose is no step"),
        (["are_you_sure", "shuffle_choices"], "are_you_sure asks a second turn, so it must be the last step"),
        (["suggestion", "are_you_sure"], "suggestion asks a second turn, so it must be the last step"),
        (["contract", "are_you_sure"], r"steps\.0\.form"),
        # Without the question the wrong choice is no longer asked for.
        (["negated", "choices_only"], "choices_only takes the question away, and with it what negated asks"),
        (["choices_only", "true_false"], "choices_only takes the question away, and with it what true_false asks"),
    ],
)
def test_steps_that_make_no_composition_are_one_fault(steps: list[Any], fault: str) -> None:
    (told,) = faults("compose", steps=steps)
    assert told.startswith("study.yaml")
    assert len(told.splitlines()) == 1
    assert re.search(fault, told), told


@pytest.mark.parametrize(
    ("then", "fault"),
    [
        ("are_you_sure", "then: are_you_sure is two-step"),
        ("prompts", "then: prompts is multi-prompt"),
        ({"name": "ask_again", "then": "none"}, "then: ask_again is two-step"),
        ({"name": "shuffle_choices", "variants": 0}, "then.variants"),
        ("nothing", "then"),
    ],
)
def test_what_cannot_follow_an_answer_is_one_fault(then: Any, fault: str) -> None:
    (told,) = faults("ask_again", then=then)
    assert fault in told


def test_options_are_plain_values_and_read_back() -> None:
    for spec, given_options in (
        (SPECS["compose"], {"steps": ["unicode", {"name": "suggestion", "by": "senior"}]}),
        (SPECS["ask_again"], {"then": "shuffle_choices"}),
    ):
        options = spec.options.model_validate(given_options)
        dumped = options.model_dump(mode="json")
        assert spec.options.model_validate(dumped) == options
    assert dumped == {"then": {"name": "shuffle_choices", "variants": 1}}


# --- sets of prompts ----------------------------------------------------------------------------------------------------------------------


def test_prompts_are_the_whole_product_with_the_studys_own_first() -> None:
    found = variants("prompts", EN, systems=2, templates=3, exemplar_seeds=2)
    manners = [variant.manner or Manner() for variant in found]
    assert len(manners) == len(set(manners)) == 3 * 4 * 2
    assert found[0] == EN
    numbers = [None, *(int(template.name[1:]) for template in candidate_templates(3)[1:])]
    assert [manner.system for manner in manners[::8]] == [None, *SYSTEM_PROMPTS["en"][:2]]
    assert [manner.template for manner in manners[:8:2]] == numbers
    assert len({manner.exemplar_seed for manner in manners}) == 2
    assert [replace(variant, manner=None, variant=0) for variant in found] == [EN] * 24


def test_system_prompts_are_in_the_questions_language_and_named_alike() -> None:
    options = prompts.Options(systems=N_SYSTEM_PROMPTS, templates=0)
    assert N_SYSTEM_PROMPTS >= 6
    for language, texts in SYSTEM_PROMPTS.items():
        assert [manner.system for manner in prompts.combinations(options, language)] == [None, *texts]
        assert len(set(texts)) == len(texts)
    spanish = variants("prompts", ES, systems=1, templates=0)[1].manner
    assert spanish is not None
    assert spanish.system == SYSTEM_PROMPTS["es"][0]


@pytest.mark.parametrize(("options", "n"), [({"systems": 0, "templates": 0}, 1), ({"systems": 4, "templates": 40}, 205)])
def test_one_prompt_or_too_many_are_a_fault(options: dict[str, int], n: int) -> None:
    (told,) = faults("prompts", **options)
    assert f"= {n} prompts; from 2 to 200" in told


def test_only_several_draws_need_drawn_exemplars() -> None:
    assert prompts.needs(prompts.Options()) == {"own_prompt"}
    assert prompts.needs(prompts.Options(systems=0, templates=0, exemplar_seeds=3)) == {"own_prompt", "drawn_exemplars"}


def test_prompts_keep_what_was_decided_before() -> None:
    asked = replace(EN, manner=Manner(contract="letter", choices_first=True))
    for variant in variants("prompts", asked, systems=1, templates=1):
        assert variant.manner is not None
        assert (variant.manner.contract, variant.manner.choices_first) == ("letter", True)


def test_prompts_apply_to_free_text_and_quantities() -> None:
    text = Sample(id="f", group="g", question="Summarise.", references=("Done.",))
    number = replace(text, references=("5 mg",), quantity=Quantity(form="number", low=4.0, high=6.0))
    assert len(variants("prompts", text)) == len(variants("prompts", number)) == 16


def test_claims_stand_before_the_question_which_stays() -> None:
    for sample, name in ((EN, "consultant"), (ES, "jefe de servicio")):
        (variant,) = variants("authority_claim", sample)
        claim, rest = variant.question.split("\n", 1)
        assert rest == sample.question
        assert name in claim
    assert authority_claim.SPEC.family == "adversarial"
    assert compose.SPEC.family == "two-step"
