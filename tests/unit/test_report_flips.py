"""Example flips: the texts face each other with every change marked, the choice of examples is nobody's, nothing restricted is shown."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.config import Exclusion
from evalsuite.metrics.accuracy import ACCURACY
from evalsuite.plan import Refused
from evalsuite.report import build, write_report
from evalsuite.report.blocks import Paragraph, SideBySide
from evalsuite.report.facing import AROUND, LONG, TAIL, Line, changes, shortened, unchanged
from evalsuite.report.flip_examples import N_EXAMPLES, Flips, flip_examples
from evalsuite.report.flips import facing, flips_section
from evalsuite.report.glossary import glossary_section
from evalsuite.report.markdown import render_facing
from evalsuite.stats.analyses import Labels
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.perturbed import Perturbed
from evalsuite.types import Dialogue, Manner, Sample
from tests.unit.explorer_rows import HOSTILE
from tests.unit.report_findings import CLINICAL, GENERALIST, findings, study

TASK, SECRET = "pocket_clinical_en", "restricted_notes"
FAMILIES = {
    "none": "meaning-preserving", "typos": "meaning-preserving", "shuffled": "meaning-preserving", "negated": "target-changing",
    "are_you_sure": "two-step", "json": "instruction-guided", "unicode": "adversarial",
}  # fmt: skip
LABELS = Labels(
    strategies={"letters": ("zero_shot", {}), "written": ("zero_shot", {})},
    perturbations={name: Perturbed(name=name, family=family, preserves_meaning=True) for name, family in FAMILIES.items()},
)
CHOICES = ("ECG", "MRI", "X-ray", "Ultrasound")


def told(line: Line) -> str:
    """A line as text, its kinds as brackets."""
    around = {"same": "{}", "changed": "[{}]", "named": "<{}>", "gap": "|{}|", "remark": "({})"}
    return "".join(around[piece.kind].format(piece.text) for piece in line)


def both(left: str, right: str) -> tuple[str, str]:
    before, after = changes(left, right)
    return told(before), told(after)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("a patient of 40 years", "a paitent of 40 years", ("a pat[i]ent of 40 years", "a pa[i]tent of 40 years")),
        ("Which is the cause?", "Which is NOT the cause?", ("Which is the cause?", "Which is [NOT ]the cause?")),
        # Words that have nothing in common are marked as wholes, and so are phrases of them.
        ("aspirin twice a day", "none of the others", ("[aspirin twice a day]", "[none of the others]")),
        ("", "Think again.", ("", "[Think again.]")),
        # What cannot be seen, or told from another character, has its code point.
        ("patient", "p\u0430tient", ("p[a]tient", "p[\u0430]<U+0430>tient")),
        ("patient", "pa\u200btient", ("patient", "pa[U+200B]tient")),
        ("pa\u200btient", "pa\u200btient now", ("pa<U+200B>tient", "pa<U+200B>tient[ now]")),
        ("patient", "pa\U000e0041tient", ("patient", "pa[U+E0041]tient")),
        ("patient", "pati\u0301ent", ("patient", "pati[\u0301]<U+0301>ent")),
        ("e\u0301", "\u00e9", ("[e\u0301]<U+0301>", "[\u00e9]")),
        # White space that changed is seen.
        ("a b", "a  b", ("a b", "a [␣]b")),
        ("a b", "a\nb", ("a[␣]b", "a[↵\n]b")),
        ("a b", "a\u00a0b", ("a[␣]b", "a[U+00A0]b")),
        ("50 mg/dl", "50 mg/dL", ("50 mg/d[l]", "50 mg/d[L]")),
    ],
)
def test_what_changed_is_marked(left: str, right: str, expected: tuple[str, str]) -> None:
    assert both(left, right) == expected


TEXTS = st.lists(st.sampled_from(["the", "patient", "pateint", "has", "fever.", "NOT", "40", "µg"]), max_size=12).map(" ".join)


@given(left=TEXTS, right=TEXTS)
def test_pieces_spell_the_texts(left: str, right: str) -> None:
    sides = changes(left, right)
    for text, line in zip((left, right), sides, strict=True):
        assert "".join(piece.text for piece in line if piece.kind != "named").replace("␣", " ") == text
    same = ["".join(piece.text for piece in line if piece.kind == "same") for line in sides]
    assert same[0] == same[1]
    assert (left == right) == all(piece.kind == "same" for line in sides for piece in line)


def test_long_texts_keep_the_surroundings_of_a_change() -> None:
    words = " ".join(f"word{at}" for at in range(400))
    changed = words.replace("word200 ", "word200 PLANTED ")
    lines = changes(words, changed)
    for line, short in zip(lines, shortened(*lines), strict=True):
        text = "".join(piece.text for piece in short)
        assert "word199 word200 " in text
        assert "word201 word202" in text
        assert len(text) < 2 * AROUND + 2 * TAIL
        assert text.startswith("word0 word1 ")
        assert text.endswith(" word398 word399")
        gaps = [int(re.sub(r"\D", "", piece.text)) for piece in short if piece.kind == "gap"]
        n_kept = sum(len(piece.text) for piece in short if piece.kind != "gap")
        assert sum(gaps) + n_kept == sum(len(piece.text) for piece in line)
    # Without a change the start and the end stay, and a short text stays as it is.
    (short,) = shortened(unchanged(words))
    assert told(short).startswith("word0 word1 ")
    assert told(short).endswith(" word398 word399")
    assert shortened(unchanged("word " * 20)) == (unchanged("word " * 20),)
    # What faces each other is cut alike: the left one, a little shorter, would else be shown whole.
    question = "word " * 116
    left, right = shortened(*changes(question, f"{question}Is it so, all things considered, in your opinion?"))
    assert [piece for piece in left if piece.kind != "changed"] == [piece for piece in right if piece.kind != "changed"]
    assert any(piece.kind == "gap" for piece in left)


def test_a_long_record_is_cut_in_its_middle() -> None:
    record = "Record: " + " ".join(f"value{at}" for at in range(20_000))
    left, right = shortened(*changes("What is the cause?", f"{record} What is the cause?"))
    assert told(left) == "What is the cause?"
    text = told(right)
    assert text.startswith("[Record: value0")
    assert text.endswith("]What is the cause?")
    assert len(text) < LONG


def sample(number: int, **changes: Any) -> Sample:
    content: dict[str, Any] = {
        "id": f"q{number}", "group": f"g{number}", "question": f"Which test is first in case {number}?", "choices": CHOICES,
        "targets": (number % 4,),
    }  # fmt: skip
    return Sample(**(content | changes))


def answers(
    perturbation: str, right: Sequence[bool], *, model: str = CLINICAL, task: str = TASK, strategy: str = "letters", **changes: Any
) -> list[dict[str, Any]]:
    """A row of scores per sample: the right choice, or the next one."""
    rows = []
    for number, is_right in enumerate(right):
        at = (number + (not is_right)) % 4
        rows.append(
            {
                "model": model, "task": task, "strategy": strategy, "perturbation": perturbation, "variant": 0, "replicate": 0,
                "sample_id": f"q{number}", "metric": "accuracy", "value": float(is_right), "status": "scored", "shown_position": at,
                "answer_indices": str(at), "answer": CHOICES[at], "output": None,
            } | changes
        )  # fmt: skip
    return rows


def shown_of(*perturbations: str, n: int = 30, **made: Any) -> dict[tuple[str, str], list[Sample | Refused]]:
    return {
        (task, name): [made[name](number) if name in made else sample(number) for number in range(n)]
        for task in (TASK, SECRET)
        for name in ("none", *perturbations)
    }


def design(**changes: Any) -> AnalysisDesign:
    content: dict[str, Any] = {
        "study": "s", "pairs": ((CLINICAL, GENERALIST),), "primary_strategy": "letters", "primary_perturbation": "none",
        "primary_metric": {TASK: "accuracy", SECRET: "accuracy"}, "metrics": {"accuracy": ACCURACY}, "seed": 7,
    }  # fmt: skip
    return AnalysisDesign(**(content | changes))


def flips_of(rows: Sequence[dict[str, Any]], shown: dict[tuple[str, str], list[Sample | Refused]], **changes: Any) -> Flips:
    found = flip_examples(pd.DataFrame(list(rows)), shown, design(**changes), LABELS, [SECRET], [CLINICAL, GENERALIST])
    assert found is not None
    return found


def test_families_take_turns_and_lost_answers_come_first() -> None:
    names = ("typos", "shuffled", "negated", "are_you_sure", "json", "unicode")
    rows = [*answers("none", [True] * 20 + [False] * 10)]
    for name in names:
        rows += answers(name, [False] * 20 + [True] * 10)
    found = flips_of(rows, shown_of(*names))
    assert (found.counts[CLINICAL].n_lost, found.counts[CLINICAL].n_gained) == (120, 60)
    assert len(found.examples) == N_EXAMPLES
    assert {flip.turn for flip in found.examples} == {"lost"}
    assert len({FAMILIES[flip.perturbation] for flip in found.examples}) == 5
    assert len({flip.before.sample.id for flip in found.examples}) == N_EXAMPLES
    # Where too few were lost, answers that were gained fill up, last.
    few = [*answers("none", [True, True, *[False] * 28]), *answers("typos", [False, False, *[True] * 28])]
    assert [flip.turn for flip in flips_of(few, shown_of("typos")).examples] == ["lost", "lost", "gained", "gained", "gained"]


def test_examples_do_not_depend_on_the_order_of_rows_and_do_on_the_seed() -> None:
    rows = [*answers("none", [True] * 30), *answers("typos", [False] * 30), *answers("json", [False] * 30)]
    first = flips_of(rows, shown_of("typos", "json"))
    assert flips_of(rows[::-1], shown_of("typos", "json")) == first
    assert flips_of(rows, {key: value[::-1] for key, value in shown_of("typos", "json").items()}) == first
    assert flips_of(rows, shown_of("typos", "json"), seed=8).examples != first.examples


def test_what_is_no_flip() -> None:
    right = answers("none", [True] * 6)
    rows = [*right, *answers("typos", [True] * 6)]
    assert flips_of(rows, shown_of("typos")).counts[CLINICAL].n_lost == 0
    for status in ("refused", "failed"):
        without = answers("typos", [False] * 6, status=status, value=None, shown_position=None, answer_indices=None, answer=None)
        assert flips_of([*right, *without], shown_of("typos")).counts[CLINICAL].n_lost == 0
    unread = answers("typos", [False] * 6, status="unparsed", value=None, shown_position=None, answer_indices=None, answer=None)
    assert flips_of([*right, *unread], shown_of("typos")).counts[CLINICAL].n_lost == 6
    assert flips_of([*right, *unread], shown_of("typos"), missing="drop").counts[CLINICAL].n_lost == 0
    lost = answers("typos", [False] * 6)
    left_out = (Exclusion(task=TASK, sample_id="q2", reason="a fault"),)
    assert flips_of([*right, *lost], shown_of("typos"), exclude=left_out).counts[CLINICAL].n_lost == 5
    assert flip_examples(pd.DataFrame(right), shown_of(), design(), LABELS, [], [CLINICAL]) is None


def test_a_perturbation_is_judged_where_the_tables_judge_it() -> None:
    # It ran under both strategies, and is judged under the primary one, where nothing turned.
    rows = [*answers("none", [True] * 4), *answers("typos", [True] * 4)]
    rows += [*answers("none", [True] * 4, strategy="written"), *answers("typos", [False] * 4, strategy="written")]
    assert flips_of(rows, shown_of("typos")).counts[CLINICAL].n_lost == 0
    # It ran under the other one only.
    rows += answers("json", [False] * 4, strategy="written")
    assert {flip.strategy for flip in flips_of(rows, shown_of("typos", "json")).examples} == {"written"}


def test_restricted_texts_are_counted_and_never_taken() -> None:
    rows = [*answers("none", [True] * 9, task=SECRET), *answers("typos", [False] * 9, task=SECRET)]
    rows += [*answers("none", [True] * 2), *answers("typos", [False] * 2)]
    # Not even looked up: there is no text of it to be found.
    shown = {key: value for key, value in shown_of("typos").items() if key[0] != SECRET}
    found = flips_of(rows, shown)
    assert {flip.task for flip in found.examples} == {TASK}
    assert (found.counts[CLINICAL].n_lost, found.counts[CLINICAL].n_restricted) == (11, 9)
    section = flips_section(findings(flips=found))
    assert section is not None
    said = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    assert any("9 of these are on restricted tasks, whose texts are never shown. 2 examples:" in text for text in said)
    assert f"{GENERALIST}: no answer turned." in said
    none = flips_section(findings(flips=flips_of([row for row in rows if row["task"] == SECRET], {})))
    assert none is not None
    assert not any(isinstance(block, SideBySide) for block in none.blocks)


def rows_of(found: Flips) -> dict[str, list[tuple[str, str]]]:
    """The rows of the only example by the label that they stand under."""
    (flip,) = found.examples
    rows: dict[str, list[tuple[str, str]]] = {}
    label = ""
    for row in facing(findings(flips=found), flip, 1).rows:
        label = row.label or label
        rows.setdefault(label, []).append((told(row.left), told(row.right)))
    return rows


def test_choices_are_set_against_themselves_wherever_they_stand() -> None:
    def shuffled(number: int) -> Sample:
        return replace(sample(number), choices=("MRI", "ECG", "X-ray", "None of the others"), targets=(1,), order=(1, 0, 2, -1))

    rows = [*answers("none", [True]), *answers("shuffled", [False], shown_position=3, answer_indices="-1")]
    assert rows_of(flips_of(rows, shown_of("shuffled", n=1, shuffled=shuffled)))["Choices"] == [
        ("[A.] ECG(right, answered)", "[A.] MRI(was B)"),
        ("[B.] MRI", "[B.] ECG(right, was A)"),
        ("C. X-ray", "C. X-ray"),
        ("[D. Ultrasound]", "[D. None of the others](answered)"),
    ]


def test_labels_and_unlisted_choices() -> None:
    def labelled(number: int) -> Sample:
        return replace(
            sample(number), choices=(*CHOICES, "not among them"), labels=("1", "2", "3", "4", "NONE"), order=(0, 1, 2, 3, -1), n_unlisted=1
        )

    rows = [*answers("none", [True]), *answers("json", [False])]
    made = rows_of(flips_of(rows, shown_of("json", n=1, json=labelled)))
    assert made["Choices"][1] == ("[B.] MRI", "[2.] MRI(answered)")
    assert made["Choices"][4] == ("", "[NONE. not among them](not listed)")


def test_another_reference_is_not_called_unperturbed() -> None:
    flips = flips_of([*answers("none", [True]), *answers("typos", [False])], shown_of("typos", n=1))
    own = study(perturbations=["none", "shuffle_choices"], analysis={"primary": {"perturbation": "shuffle_choices"}})
    made = flips_section(findings(flips=flips, study=own))
    assert made is not None
    (lead, *_) = [block.text for block in made.blocks if isinstance(block, Paragraph)]
    assert lead.startswith("On the left the question as it was asked under shuffle_choices, on the right as it was asked perturbed.")
    assert facing(findings(study=own), flips.examples[0], 1).heads[0] == "Under shuffle_choices: A (right)"
    assert facing(findings(), flips.examples[0], 1).heads[0] == "Unperturbed: A (right)"


def test_second_turns_and_contracts_show_what_was_said() -> None:
    def doubted(number: int) -> Sample:
        return replace(sample(number), dialogue=Dialogue(first=sample(number), said="Are you sure?", repeats=False), suggested=2)

    rows = [*answers("none", [True]), *answers("are_you_sure", [False])]
    made = rows_of(flips_of(rows, shown_of("are_you_sure", n=1, are_you_sure=doubted)))
    assert made["Second turn"] == [("", "(after the answer on the left: )[Are you sure?]")]
    assert made["Choices"][2][1] == "C. X-ray(called right in the text)"

    def otherwise(number: int) -> Sample:
        first = replace(sample(number), choices=CHOICES[::-1], targets=(3 - number % 4,), order=(3, 2, 1, 0))
        return replace(first, dialogue=Dialogue(first=first, said="Are you sure?", repeats=False))

    made = rows_of(flips_of(rows, shown_of("are_you_sure", n=1, are_you_sure=otherwise)))
    assert made["Second turn"] == [("", "(after a first answer, not the one on the left: )[Are you sure?]")]

    def contracted(number: int) -> Sample:
        return replace(sample(number), manner=Manner(contract="letter", system="Be brief.", template=3))

    cut: dict[str, Any] = {"status": "truncated", "value": None, "shown_position": None, "answer_indices": None, "answer": None}
    rows = [*answers("none", [True], output="Answer: A"), *answers("json", [False], output=" Well, it", **cut)]
    found = flips_of(rows, shown_of("json", n=1, json=contracted))
    made = rows_of(found)
    assert made["Form asked for"] == [("(as the study asks)", "[Answer with the letter of the right choice and nothing else.]")]
    assert made["System prompt"] == [("(as the study asks)", "[Be brief.]")]
    assert made["Layout"] == [("(as the study asks)", "(template t3)")]
    assert made["Model wrote"] == [("Answer: A", "Well, it")]
    shown = facing(findings(flips=found, study=study(strategies=["zero_shot"])), found.examples[0], 1)
    assert shown.heads == ("Unperturbed: A (right)", "json: cut off before an answer could be read (wrong)")
    assert shown.title.startswith(f"1. json, {TASK}, sample q0: from A (right) to cut off")


def hostile() -> Flips:
    """Texts that try to leave their place, in every part."""

    def harmed(number: int) -> Sample:
        return replace(sample(number), question=f"{HOSTILE[number]} x", choices=(*HOSTILE[:3], "| ** ~~ \\ {}"))

    n = len(HOSTILE)
    rows = [*answers("none", [True] * n), *answers("typos", [False] * n, output=" ".join(HOSTILE).replace("\ud800", ""))]
    return flips_of(rows, shown_of("typos", n=n, typos=harmed))


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    write_report(build(findings(flips=hostile()), sections=(flips_section,)), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8", errors="surrogateescape")
    own = page[page.index('<section id="flips"') : page.index("</section>", page.index('<section id="flips"'))]
    assert set(re.findall(r"<([a-z]+)", own)) <= {
        "section", "h", "p", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "del", "ins", "span",
    }  # fmt: skip
    assert "<ins>" in own
    assert "<del>" in own
    assert not re.search("[\u202e\x00\x1b\u200b]", own)
    assert 'class="control">U+202E</span>' in own
    text = (tmp_path / "report.md").read_text(encoding="utf-8", errors="surrogateescape")
    cells = [line for line in text.splitlines() if line.startswith("| Model wrote")]
    assert cells
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in cells)
    assert not re.search(r"<(?!/?(?:b|del|i|code)>)", "".join(cells))


def test_reports_without_flips_have_nothing_of_them(tmp_path: Path) -> None:
    assert flips_section(findings()) is None
    write_report(build(findings(), sections=(glossary_section,)), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ".facing" not in page
    assert not list((tmp_path / "tables").glob("flips*"))


def test_markdown_marks_by_elements() -> None:
    def changed(number: int) -> Sample:
        return replace(sample(number), question=f"Which *test* is NOT first in case {number}?")

    rows = [*answers("none", [True]), *answers("typos", [False])]
    found = flips_of(rows, shown_of("typos", n=1, typos=changed))
    text = render_facing(facing(findings(flips=found), found.examples[0], 1))
    assert "| Question | Which <del>test</del> is first in case 0? | Which <b>\\*test\\*</b> is <b>NOT</b> first in case 0? |" in text or (
        "| Question | Which test is first in case 0? | Which <b>\\*</b>test<b>\\*</b> is <b>NOT</b> first in case 0? |" in text
    )
    assert "B. MRI <i>(answered)</i>" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles_whatever_the_texts_hold(tmp_path: Path) -> None:
    write_report(build(findings(flips=hostile()), sections=(flips_section,)), tmp_path)
    made = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all_tables.tex"],
        cwd=tmp_path / "tables",
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout.decode(errors="replace")[-2000:]
    assert rb"\struck" in (tmp_path / "tables" / f"flips_1_{CLINICAL}.tex").read_bytes()
