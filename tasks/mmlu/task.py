"""MMLU, one task per subject, and the health part of MMLU-Pro, which is made from it: the same question has the same group in both."""

from __future__ import annotations

from collections.abc import Callable

from evalsuite.tasks import Row, RowError, Split, Task, TaskCard, read_choices, read_key, stem_name
from evalsuite.types import Sample

SUBJECTS = {
    "abstract_algebra": (100, 11),
    "anatomy": (135, 14),
    "astronomy": (152, 16),
    "business_ethics": (100, 11),
    "clinical_knowledge": (265, 29),
    "college_biology": (144, 16),
    "college_chemistry": (100, 8),
    "college_computer_science": (100, 11),
    "college_mathematics": (100, 11),
    "college_medicine": (173, 22),
    "college_physics": (102, 11),
    "computer_security": (100, 11),
    "conceptual_physics": (235, 26),
    "econometrics": (114, 12),
    "electrical_engineering": (145, 16),
    "elementary_mathematics": (378, 41),
    "formal_logic": (126, 14),
    "global_facts": (100, 10),
    "high_school_biology": (310, 32),
    "high_school_chemistry": (203, 22),
    "high_school_computer_science": (100, 9),
    "high_school_european_history": (165, 18),
    "high_school_geography": (198, 22),
    "high_school_government_and_politics": (193, 21),
    "high_school_macroeconomics": (390, 43),
    "high_school_mathematics": (270, 29),
    "high_school_microeconomics": (238, 26),
    "high_school_physics": (151, 17),
    "high_school_psychology": (545, 60),
    "high_school_statistics": (216, 23),
    "high_school_us_history": (204, 22),
    "high_school_world_history": (237, 26),
    "human_aging": (223, 23),
    "human_sexuality": (131, 12),
    "international_law": (121, 13),
    "jurisprudence": (108, 11),
    "logical_fallacies": (163, 18),
    "machine_learning": (112, 11),
    "management": (103, 11),
    "marketing": (234, 25),
    "medical_genetics": (100, 11),
    "miscellaneous": (783, 86),
    "moral_disputes": (346, 38),
    "moral_scenarios": (895, 100),
    "nutrition": (306, 33),
    "philosophy": (311, 34),
    "prehistory": (324, 35),
    "professional_accounting": (282, 31),
    "professional_law": (1534, 170),
    "professional_medicine": (272, 31),
    "professional_psychology": (612, 69),
    "public_relations": (110, 12),
    "security_studies": (245, 27),
    "sociology": (201, 22),
    "us_foreign_policy": (100, 11),
    "virology": (166, 18),
    "world_religions": (171, 19),
}
"""Subject to its rows in test and val, as the hub's cards of MMLU state them (14,042 and 1,531 in all); dev has 5 of each."""

MEDICAL = frozenset(
    "anatomy clinical_knowledge college_biology college_medicine high_school_biology medical_genetics nutrition professional_medicine "
    "virology".split()
)
"""The nine that Jeong et al. 2024 (arXiv:2411.04118) evaluate."""
MEDICAL_SIX = MEDICAL - {"high_school_biology", "nutrition", "virology"}
"""The six of MultiMedQA and MIRAGE: what a local `mmlu_medical` holds; only these were in hand when the cards were written."""
GENERAL_SIX = frozenset(
    "electrical_engineering machine_learning philosophy professional_accounting professional_law professional_psychology".split()
)
"""The six non-medical ones of Medprompt (Nori et al. 2023, arXiv:2311.16452)."""

LETTERS = "ABCDEFGHIJ"
IN_SISTER_TEST = {"clinical_knowledge": "2 of dev and 5 of val", "college_medicine": "3 of dev and 9 of val"}
TWICE = {
    "clinical_knowledge": "78 of the 265 test questions stand in the test of college_medicine too",
    "college_medicine": "78 of the 173 test questions stand in the test of clinical_knowledge too",
}
LINKED = (
    "The group is the stem's hash, in all subjects and in MMLU-Pro: in the six subjects and 818 rows of MMLU-Pro health that were in hand "
    'it ties 506 of the 818 to 416 stems of MMLU. Different questions with one general stem ("Which of the following statements is '
    'false?") are tied too, which errs on the safe side.'
)


def group_of(stem: str) -> str:
    """Group of a stem in every subject and in MMLU-Pro."""
    return f"mmlu:{stem_name(stem)}"


def keeping(subject: str) -> Callable[[Row], bool]:
    """Rows of a subject; a source without a column `subject`, or with an empty one, holds one subject only."""

    def keeps(row: Row) -> bool:
        named = str(row.get("subject") or subject)
        return named.strip().lower().replace(" ", "_") == subject

    return keeps


def reading(subject: str) -> Callable[[Row, int], Sample]:
    """Rows of the hub, or of the authors' files as JSON lines. There are no ids: number in the subject and stem's hash serve."""

    def to_sample(row: Row, number: int) -> Sample:
        stem = row["question"].strip()
        _, choices = read_choices(row, "choices")
        if len(choices) != 4:
            raise RowError("there are not four choices")
        target = read_key(row["answer"], "index0", (), choices)
        if row.get("answer_letter") not in (None, LETTERS[target]):
            raise RowError("answer and answer_letter name different choices")
        group = group_of(stem)
        return Sample(
            id=f"{number:04d}-{group[-6:]}",
            group=group,
            question=stem,
            choices=choices,
            targets=(target,),
            metadata={"subject": subject},
        )

    return to_sample


def subject_issues(subject: str) -> dict[str, str]:
    """Known issues of a subject."""
    issues = {"linked_groups": LINKED}
    if subject in TWICE:
        issues["shared_with_sister"] = f"{TWICE[subject]}; they share groups: never pool the two subjects as if they were independent."
        issues["exemplars_in_sister_test"] = (
            f"{IN_SISTER_TEST[subject]} stand in the test of the sister subject, none in the subject's own, so that exemplars leak nothing "
            "into their own test."
        )
    if subject not in MEDICAL_SIX:
        issues["duplicate_choices"] = "This subject was not in hand when the card was written; repeated choices are tagged, not counted."
    if subject == "virology":
        issues["label_errors"] = (
            "Gema et al. 2024 (Are We Done with MMLU?, arXiv:2406.04127) found errors in more than half of the questions they looked at."
        )
    return issues


def subject_card(subject: str) -> TaskCard:
    """Card of `mmlu_<subject>`."""
    n_test, n_val = SUBJECTS[subject]
    known = subject in MEDICAL_SIX
    sort = "a medical subject" if subject in MEDICAL else "a non-medical subject of Medprompt" if subject in GENERAL_SIX else "a subject"
    return TaskCard(
        name=f"mmlu_{subject}",
        kind="choice",
        description=f"Questions on {subject.replace('_', ' ')} with four choices, {sort} of the 57 of MMLU.",
        language="en",
        licence="MIT",
        citation="Hendrycks et al. 2021, Measuring Massive Multitask Language Understanding, ICLR, arXiv:2009.03300, "
        "github.com/hendrycks/test",
        splits={
            "test": Split(n_rows=n_test, hub_split="test", counted=known),
            "val": Split(n_rows=n_val, hub_split="validation", counted=known),
            "dev": Split(n_rows=5, hub_split="dev", counted=known),
        },
        split="test",
        exemplar_split="dev",
        metric="accuracy",
        metrics=("accuracy",),
        chance=0.25,
        # `mmlu`: a folder whose files hold all 57 subjects, with a column `subject`.
        aliases=(*(("mmlu_medical",) if known else ()), "mmlu"),
        hub_id="cais/mmlu",
        hub_config=subject,
        family="mmlu",
        known_issues=subject_issues(subject),
        get_data=f"the hub's cais/mmlu, configuration {subject}, or its `all` as mmlu/{{test,val,dev}}.jsonl with a column `subject`",
    )


def is_health(row: Row) -> bool:
    """Rows of the category health; the hub's splits hold all 14 categories."""
    return str(row.get("category") or "health").strip().lower() == "health"


def read_pro(row: Row, number: int) -> Sample:
    """A row of MMLU-Pro: options as a list with `answer_index` (hub), or by letter with `answer_idx` (local file)."""
    options = row["options"]
    letters, texts = (
        (list(options), list(options.values())) if isinstance(options, dict) else (list(LETTERS[: len(options)]), list(options))
    )
    if letters != list(LETTERS[: len(letters)]):
        raise RowError("the options are not lettered A, B, C, ...")
    letter = row["answer_idx"] if "answer_idx" in row else row["answer"]
    while texts and texts[-1].strip() == "N/A":
        texts.pop()
    _, choices = read_choices({"options": texts}, "options")
    target = read_key(letter, "letter", (), choices)
    if row.get("answer_index") not in (None, target) or ("answer_idx" in row and row["answer"].strip() != choices[target]):
        raise RowError("two columns name different options as the answer")
    stem = row["question"].strip()
    return Sample(
        id=str(row["question_id"] if "question_id" in row else row["realidx"]),
        group=group_of(stem),
        question=stem,
        choices=choices,
        targets=(target,),
        tags=("padded",) if len(texts) < len(options) else (),
        metadata={"subject": row["src"].partition("-")[2]} if row.get("src") else {},
    )


PRO = TaskCard(
    name="mmlu_pro_health",
    kind="choice",
    description="The health part of MMLU-Pro: questions of eight MMLU subjects with up to ten choices (3 to 10).",
    language="en",
    licence="MIT (the hub's card; the authors' repository says Apache-2.0)",
    citation="Wang et al. 2024, MMLU-Pro: A More Robust and Challenging Multi-Task Language Understanding Benchmark, NeurIPS Datasets and "
    "Benchmarks, arXiv:2406.01574, github.com/TIGER-AI-Lab/MMLU-Pro",
    splits={
        "test": Split(n_rows=818, hub_split="test"),
        "train": Split(n_rows=5, tagged={"padded": 1}, hub_split="validation"),
    },
    split="test",
    exemplar_split="train",
    metric="accuracy",
    metrics=("accuracy",),
    # The mean of 1/n over the rows: n is 3 to 10, and 10 in 597 of them.
    chance=0.119,
    hub_id="TIGER-Lab/MMLU-Pro",
    family="mmlu",
    known_issues={
        "linked_groups": LINKED + " One row that names professional_medicine as its source stands in no split of it. No key differs.",
        "repeated_questions": "94 rows repeat another row's question and options (89 questions of professional_medicine stand twice), 40 "
        "more repeat its stem with other options or another question; the 818 rows have 684 groups.",
        "varying_choices": "The number of choices is 3 to 10 (10 in 597 rows): chance is 0.119, the mean of 1/n.",
        "padded": 'Options that are only "N/A", which fill an exemplar up to ten, are dropped; the key is never among them.',
        "five_exemplars": "`train` (the hub's validation) has five questions, here without their chains of thought; three of them stand in "
        "the authors' MMLU exemplars (anatomy, clinical knowledge), none in test.",
    },
    get_data="the hub's TIGER-Lab/MMLU-Pro, of which the category health is taken; `train` is its split validation",
)

TASKS = (
    *(Task(card=subject_card(subject), to_sample=reading(subject), keeps=keeping(subject)) for subject in SUBJECTS),
    Task(card=PRO, to_sample=read_pro, keeps=is_health),
)
