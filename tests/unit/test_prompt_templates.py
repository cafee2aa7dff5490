"""Templates: the default is the layout as it was, the grammar's rules hold, labels stay single tokens, answers are read in every form."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite import answers
from evalsuite.config import Decoding, Prompting
from evalsuite.formats import WORDINGS, Format, Wording, lay_out, quantity_wording, right_answer, several_wording
from evalsuite.models import ChatEntry
from evalsuite.prompt_templates import (
    CASINGS,
    DEFAULT,
    LABEL_FORMS,
    OPTION_SPACINGS,
    SEPARATORS,
    SPACINGS,
    Template,
    candidate_templates,
    header,
    sampled_template,
)
from evalsuite.prompts import conversation, open_renderer
from evalsuite.strategies.ask import read_output
from evalsuite.strategies.base import Context
from evalsuite.types import Quantity, Response, Sample
from tests.contract.test_strategies import CARD
from tests.families import FAMILIES, family_template, save_family
from tests.golden.test_golden_prompts import BUILD

GOLDEN = Path(__file__).parent.parent / "golden" / "prompt_templates"
ASKED = {
    "en": Sample(id="s", group="g", question="Which organ makes insulin?", choices=("Pancreas", "Spleen", "Thyroid"), targets=(0,)),
    "es": Sample(
        id="s", group="g", question="¿Qué órgano produce insulina?", choices=("Páncreas", "Bazo", "Tiroides"), targets=(0,), language="es",
        context="Un caso breve.",
    ),
    "fr": Sample(
        id="s", group="g", question="Quel organe produit l'insuline ?", choices=("Pancréas", "Rate", "Thyroïde"), targets=(0,),
        language="fr",
    ),
}  # fmt: skip
FORMS: tuple[Format, ...] = ("letters", "cloze", "generate", "reasoned")
TEMPLATES = candidate_templates(60)


def under(template: Template | None, language: str = "en") -> Wording:
    return replace(WORDINGS[language], template=template)


def read(output: str, sample: Sample, wording: Wording, form: Format = "generate", thinking: tuple[str, str] | None = None) -> Any:
    nothing: Any = None
    context = Context(
        renderer=nothing, card=CARD, wording=wording, pool=tuple, decoding=Decoding(), shots_as="turns", system=None, seed=0, replicate=0,
        thinking=thinking,
    )  # fmt: skip
    return read_output(Response(text=output, finish_reason="stop"), sample, context, form)


@pytest.mark.parametrize("language", ASKED)
@pytest.mark.parametrize("form", FORMS)
def test_the_default_template_is_the_layout_without_one(language: str, form: Format) -> None:
    sample = ASKED[language]
    assert lay_out(sample, form, under(DEFAULT, language)) == lay_out(sample, form, under(None, language))
    assert right_answer(sample, form, under(DEFAULT, language)) == right_answer(sample, form, under(None, language))


def test_the_default_layout_is_written_out_here() -> None:
    layout = lay_out(ASKED["es"], "letters", under(None, "es"))
    assert layout.user == "Contexto: Un caso breve.\nPregunta: ¿Qué órgano produce insulina?\nA. Páncreas\nB. Bazo\nC. Tiroides\nRespuesta:"
    assert (layout.joint, layout.answers) == (" ", ("A", "B", "C"))
    assert lay_out(ASKED["fr"], "cloze", under(None, "fr")).user == "Question : Quel organe produit l'insuline ?\nRéponse :"
    generated = lay_out(ASKED["en"], "generate", under(None)).user
    assert generated.endswith('\nC. Thyroid\nAnswer with one line of the form "Answer: X", where X is the letter of the right choice.')


@pytest.mark.parametrize("number", range(5))
def test_sampled_templates_as_they_were_looked_at(number: int) -> None:
    template = sampled_template(number)
    parts = []
    for language, form in product(ASKED, ("letters", "generate")):
        sample, wording = ASKED[language], under(template, language)
        layout = lay_out(sample, form, wording)  # type: ignore[arg-type]
        answer = right_answer(sample, form, wording)  # type: ignore[arg-type]
        parts.append(f"--- {language} {form}, joint {layout.joint!r}, right answer {answer!r}\n{layout.user}|\n")
    assert "".join(parts) == (GOLDEN / f"t{number}.txt").read_text(encoding="utf-8")


def test_templates_are_the_same_each_time_and_differ_from_each_other() -> None:
    assert candidate_templates(60) == TEMPLATES
    assert TEMPLATES[:11] == candidate_templates(10)
    assert TEMPLATES[0] == DEFAULT
    assert len(TEMPLATES) == 61
    assert len({template.name for template in TEMPLATES}) == len({replace(template, name="") for template in TEMPLATES}) == 61
    assert candidate_templates(0) == (DEFAULT,)
    assert TEMPLATES[1] == sampled_template(0)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_spacing_without_line_break_has_no_breaks_within(number: int) -> None:
    template = sampled_template(number)
    assert template.spacing in SPACINGS
    assert template.separator in SEPARATORS
    assert template.option_spacing in OPTION_SPACINGS
    assert template.label in LABEL_FORMS
    if "\n" not in template.spacing:
        assert "\n" not in template.separator + template.option_spacing
        assert "\n" not in lay_out(ASKED["en"], "letters", under(template)).user


def test_every_value_of_the_grammar_is_drawn() -> None:
    drawn = [sampled_template(number) for number in range(600)]
    for part, values in (("separator", SEPARATORS), ("spacing", SPACINGS), ("option_spacing", OPTION_SPACINGS), ("casing", CASINGS)):
        assert {getattr(template, part) for template in drawn} == set(values)
    assert {template.label for template in drawn} == set(LABEL_FORMS)
    assert {(template.question_header, template.option_header, template.answer_header) for template in drawn} == set(
        product((True, False), ("none", "options", "choices"), ("noun", "sentence"))
    )
    # Drawn uniformly: 150 of 600 expected, standard deviation 10.6.
    assert all(abs(sum(template.spacing == spacing for template in drawn) - 150) < 53 for spacing in SPACINGS)


@pytest.mark.parametrize(
    ("casing", "expected"),
    [("as_is", "The answer is"), ("title", "The Answer Is"), ("upper", "THE ANSWER IS"), ("lower", "the answer is"),
     ("heading", "### The answer is"), ("bold", "**The answer is**")],
)  # fmt: skip
def test_headers_are_cased(casing: Any, expected: str) -> None:
    assert header("The answer is", Template(casing=casing)) == expected


def test_french_blanks_stand_before_a_colon_only() -> None:
    assert header("Réponse ", Template(separator=": ", casing="bold")) == "**Réponse** "
    assert header("Réponse ", Template(separator=" - ")) == "Réponse"
    assert header("Réponse ", Template(separator=" : ")) == "Réponse"


def test_a_cue_of_the_tasks_own_has_no_sentence() -> None:
    sentence = Template(answer_header="sentence")
    own = replace(under(sentence), answer="Diagnosis")
    assert lay_out(ASKED["en"], "letters", own).user.endswith("\nDiagnosis:")
    assert lay_out(ASKED["en"], "letters", under(sentence)).user.endswith("\nThe answer is:")


def test_labels_are_scored_bare_and_cited_in_brackets_that_enclose_them() -> None:
    for label, cited in (("({})", "(A)"), ("[{}]", "[A]"), ("<{}>", "<A>"), ("{}.", "A"), ("{})", "A"), ("{} )", "A")):
        template = Template(label=label, separator=" - ")
        layout = lay_out(ASKED["en"], "letters", under(template))
        assert f"\n{label.format('B')} Spleen\n" in layout.user
        assert (layout.user[-9:], layout.joint, layout.answers) == ("\nAnswer -", " ", ("A", "B", "C"))
        assert right_answer(ASKED["en"], "letters", under(template)) == "A"
        assert right_answer(ASKED["en"], "generate", under(template)) == f"Answer - {cited}"
        assert f'"Answer - {cited.replace("A", "X")}"' in lay_out(ASKED["en"], "generate", under(template)).user


@pytest.mark.parametrize("chat", ["own", "plain"])
@pytest.mark.parametrize("name", ["llama-3", "mistral", "gemma", "chatml"])
def test_labels_are_single_tokens_behind_every_separator(name: str, chat: str, tmp_path: Path) -> None:
    checkpoint = save_family(tmp_path / name, FAMILIES[BUILD[name]], template=family_template(name) if chat == "own" else None)
    renderer = open_renderer(checkpoint, ChatEntry(template=chat), Prompting())
    for separator, casing in product(SEPARATORS, CASINGS):
        wording = under(Template(separator=separator, casing=casing, label="({})"))
        layout = lay_out(ASKED["en"], "letters", wording)
        shot = (lay_out(replace(ASKED["en"], id="x"), "letters", wording), "A")
        prompt = renderer.render(conversation("", [shot], layout), joint=layout.joint)
        assert len(set(renderer.label_ids(prompt, layout.answers, joint=layout.joint))) == 3


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
@pytest.mark.parametrize("language", ASKED)
def test_the_right_answer_keeps_the_contract_and_is_read(template: Template, language: str) -> None:
    wording = under(template, language)
    for target in range(3):
        sample = replace(ASKED[language], targets=(target,))
        lenient, strict = read(right_answer(sample, "generate", wording), sample, wording)
        assert (strict.status, strict.index, strict.rule) == ("scored", target, "contract_line")
        assert (lenient.status, lenient.index) == ("scored", target)
        reasoned = f"Consider each choice in turn.\n{right_answer(sample, 'reasoned', wording)}"
        lenient, strict = read(reasoned, sample, wording, "reasoned")
        assert (lenient.index, strict.index) == (target, target)
        assert read(reasoned, sample, wording)[1].status == "unparsed"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_only_the_templates_own_line_keeps_the_contract(template: Template) -> None:
    wording, sample = under(template), replace(ASKED["en"], targets=(1,))
    own = right_answer(sample, "generate", wording)
    for other in TEMPLATES:
        line = right_answer(sample, "generate", under(other))
        lenient, strict = read(line, sample, wording)
        assert (strict.status == "scored") == (line == own)
        if line == own or other is DEFAULT:
            assert lenient.index == 1
    for broken in (f"{own} because", f"I think: {own}", own.replace("B", "b"), own.replace("B", "Spleen")):
        assert read(broken, sample, wording)[1].status == "unparsed"


def test_lines_that_only_begin_like_an_answer_are_left_alone() -> None:
    wording = under(Template(separator="\n", answer_header="noun"))
    said = "Answer the question first.\nAnswer choices differ.\nSo it must be (C)."
    lenient, strict = read(said, ASKED["en"], wording)
    assert (lenient.index, strict.status) == (2, "unparsed")


def test_a_next_question_ends_the_answer_under_every_header() -> None:
    template = Template(separator=" - ", casing="heading", label="({})")
    output = "### Answer - (B)\n\n### Question - What else?\n(A) x\n(B) y\n### Answer - (A)"
    assert read(output, ASKED["en"], under(template))[0].index == 1


def test_thoughts_are_cut_before_the_line_is_looked_for() -> None:
    wording = under(Template(separator=" - ", label="[{}]"))
    lenient, strict = read("<think>Answer - [C]</think>Answer - [B]", ASKED["en"], wording, thinking=("<think>", "</think>"))
    assert (lenient.index, strict.index) == (1, 1)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_quantities_and_several_choices_are_read_too(template: Template) -> None:
    dose = Sample(
        id="q", group="q", question="How much?", references=("12.5",), quantity=Quantity(form="number", low=12.5, high=12.5, unit="mg")
    )
    wording = replace(quantity_wording("en"), template=template)
    lenient, strict = read(right_answer(dose, "generate", wording), dose, wording)
    assert (lenient.status, lenient.text, strict.text) == ("scored", "12.5", "12.5")
    both = replace(ASKED["en"], targets=(0, 2))
    wording = replace(several_wording("en"), template=template)
    lenient, strict = read(right_answer(both, "generate", wording), both, wording)
    assert (strict.index, strict.also) == (lenient.index, lenient.also) == (0, (2,))


def test_free_text_is_read_as_it_is() -> None:
    text = Sample(id="f", group="f", question="Summarise.", references=("A cold.",))
    wording = replace(under(Template(separator=" = ", casing="upper")), contract="")
    assert lay_out(text, "generate", wording).user == "QUESTION = Summarise.\nANSWER ="
    assert read("A cold.", text, wording)[0].text == "A cold."
    assert answers.read_text("A cold.").text == "A cold."
