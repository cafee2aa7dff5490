"""Real clinical questions through the real pocket checkpoints: they fit, they are all scored, or it is said why not."""

from __future__ import annotations

from pathlib import Path

from evalsuite.study import run_study

STUDY = """
study: real
question: Can real clinical questions be asked?
models: [pocket-generalist, pocket-clinical]
tasks:
  - {{name: medqa, split: dev, limit: 60}}
  - {{name: medqa_5opt, split: dev, limit: 30}}
  - {{name: pubmedqa, split: test, limit: 30}}
  - {{name: headqa_es, split: test, limit: 120}}
  - {{name: headqa_en, split: test, limit: 30}}
  - {{name: rqe, split: test, limit: 30}}
  - {{name: medmcqa, split: dev, limit: 12}}
  - {{name: mmlu_clinical_knowledge, limit: 12}}
  - {{name: mmlu_college_medicine, limit: 12}}
  - {{name: mmlu_pro_health, limit: 12}}
  - {{name: casimedicos_en, split: dev, limit: 12}}
  - {{name: medhalt_fake, limit: 12}}
  - {{name: meqsum, split: all, limit: 12}}
  - {{name: frenchmedmcqa, split: test, limit: 6}}
  - {{name: medcalc, split: test, limit: 4}}
decoding: {{max_tokens: 24}}
analysis: {{n_resamples: 500}}
data: {{{data}}}
"""
FOLDERS = {
    "medqa": "medqa_usmle_4opt",
    "medqa_5opt": "medqa_usmle_5opt",
    "pubmedqa": "pubmedqa_pqal",
    "headqa_es": "headqa_es",
    "headqa_en": "headqa_en",
    "rqe": "rqe",
    "medmcqa": "medmcqa",
    "mmlu_clinical_knowledge": "mmlu_medical",
    "mmlu_college_medicine": "mmlu_medical",
    "mmlu_pro_health": "mmlu_pro_health",
    "casimedicos_en": "casimedicos_en",
    "medhalt_fake": "medhalt_reasoning_fake",
    "meqsum": "meqsum",
    "frenchmedmcqa": "frenchmedmcqa",
    "medcalc": "medcalc_bench_v1_0",
}
WRITTEN = ("meqsum", "frenchmedmcqa", "medcalc")
"""Tasks whose answers are written, which pocket checkpoints do not do well enough to be read."""


def test_real_questions_are_scored(tmp_path: Path, shared: Path) -> None:
    file = tmp_path / "real.yaml"
    data = ", ".join(f"{task}: {shared / 'data' / folder}" for task, folder in FOLDERS.items())
    file.write_text(STUDY.format(data=data), encoding="utf-8")
    result = run_study(file, store=tmp_path / "store", out=tmp_path / "out")
    assert result.scores is not None
    assert result.n_failed == 0
    scored = result.scores.groupby("task").status.apply(lambda status: (status == "scored").mean())
    for task in FOLDERS:
        if task not in WRITTEN:
            assert scored[task] >= 0.99, scored
    headqa = result.scores[(result.scores.task == "headqa_es") & (result.scores.metric == "accuracy")]
    doubtful = headqa[headqa.tags.apply(lambda tags: "key_doubtful" in list(tags))]
    assert len(doubtful) > 0
    assert result.comparisons is not None
    assert "without:key_doubtful" in set(result.comparisons[result.comparisons.task == "headqa_es"].subset)


def test_the_same_question_in_two_languages_has_one_group(tmp_path: Path, shared: Path) -> None:
    from evalsuite.data import load_split
    from evalsuite.tasks import find_tasks

    tasks = find_tasks()
    splits = {task: load_split(tasks[task], "test", {task: shared / "data" / task}) for task in ("headqa_es", "headqa_en")}
    spanish, english = ({sample.id: sample.group for sample in splits[task].samples} for task in ("headqa_es", "headqa_en"))
    assert len(set(spanish.values()) & set(english.values())) > 2600
