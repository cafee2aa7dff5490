"""Synthetic answers for the explorer: scores and prompts as a run writes them, the same on every call."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.metrics.accuracy import ACCURACY
from evalsuite.metrics.text import ROUGE_L
from evalsuite.report.explorer_packing import Packed
from evalsuite.report.explorer_tables import ExplorerData, explorer_data
from evalsuite.stats.design import AnalysisDesign
from evalsuite.types import Sample

A, B = "pocket-clinical", "pocket-generalist"
CHOICES = ("ECG", "MRI", "X-ray", "Ultrasound")
HOSTILE = (
    "</script><script>window.harmed=1;alert(1)</script>",
    '<img src=x onerror="window.harmed=1">',
    "a\u202eb\x00c\x1b[31m\tkept",
    "a lone \ud800 surrogate and a pair \U0001f600",
    "]]><!-- <svg onload=alert(1)> & &amp; \u2028 é 中",
    "{{7*7}} ${alert(1)} javascript:alert(1) </title></pre>",
)
WORDS = (
    "patient fever cough dyspnoea tachycardia lactate creatinine warfarin heparin metformin insulin oedema murmur rash biopsy lesion "
    "chronic acute left right upper lower lobe valve renal hepatic cardiac portal venous arterial dose daily weekly oral intravenous"
).split()


def sample(number: int, **changes: Any) -> Sample:
    """A question with four choices, of which one is right."""
    content: dict[str, Any] = {
        "id": f"q{number:05d}",
        "group": f"case:{number // 2}",
        "question": f"A patient is {20 + number % 70} years old. Which test is first in case {number}?",
        "choices": CHOICES,
        "targets": (number % 4,),
    }
    return Sample(**(content | changes))


def answer(of: Sample, model: str, **changes: Any) -> dict[str, Any]:
    """A row of scores.parquet, with the prompt that plan.parquet holds beside it: right, by letters, in the primary cell."""
    content: dict[str, Any] = {
        "model": model, "task": "exam", "language": of.language, "strategy": "zero_shot", "perturbation": "none", "variant": of.variant,
        "replicate": 0, "sample_id": of.id, "group": of.group, "content_hash": "0", "metric": "accuracy", "value": 1.0, "status": "scored",
        "answer": of.choices[of.targets[0]] if of.choices else None, "shown_position": of.targets[0] if of.choices else None,
        "p_choices": None, "target": "0", "finish_reason": "none", "n_calls": 1, "label_mass": 0.98, "output": None,
        "prompt": f"<s>Question: {of.question}\nAnswer:",
    }  # fmt: skip
    return content | changes


def wrong(of: Sample, model: str, **changes: Any) -> dict[str, Any]:
    """The same with the next choice."""
    position = (of.targets[0] + 1) % 4
    return answer(of, model, **({"value": 0.0, "answer": of.choices[position], "shown_position": position} | changes))


def explorer(
    samples: Sequence[Sample],
    answers: Sequence[dict[str, Any]],
    *,
    restricted: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] = ((A, B),),
    **design: Any,
) -> ExplorerData | None:
    """What the explorer would show; every task is compared on accuracy but `summaries`, on ROUGE-L."""
    # texts as objects: Arrow's strings, pandas' default, cannot hold a lone surrogate
    kinds = dict.fromkeys(("prompt", "output", "answer"), object)
    table = pd.DataFrame({name: pd.Series([row[name] for row in answers], dtype=kinds.get(name)) for name in answers[0]})
    tasks = sorted(set(table["task"]))
    shown = {(task, name): samples for task in tasks for name in set(table["perturbation"])}
    models = list(dict.fromkeys([*(model for pair in pairs for model in pair), *table["model"]]))
    return explorer_data(
        table.drop(columns="prompt"),
        table.drop_duplicates(["task", "perturbation", "sample_id", "variant", "strategy", "replicate", "model"]),
        shown,
        analysis(tasks, pairs=tuple(pairs), **design),
        restricted,
        models,
    )


def analysis(tasks: Sequence[str], **changes: Any) -> AnalysisDesign:
    """The primary cell is zero_shot without a perturbation."""
    content: dict[str, Any] = {
        "study": "s", "pairs": ((A, B),), "primary_strategy": "zero_shot", "primary_perturbation": "none",
        "primary_metric": {task: "rougeL" if task == "summaries" else "accuracy" for task in tasks},
        "metrics": {"accuracy": ACCURACY, "rougeL": ROUGE_L},
    }  # fmt: skip
    return AnalysisDesign(**(content | changes))


def mixed(**changes: Any) -> ExplorerData:
    """Forty samples of two tasks in three conditions with every outcome and several statuses; outputs and prompts that are markup."""
    samples = [sample(at, question=f"{HOSTILE[at % 6]} {at}", choices=(*CHOICES[:3], HOSTILE[at % 6])) for at in range(40)]
    samples[1] = replace(samples[1], id=HOSTILE[0], group=HOSTILE[1])
    answers = []
    for at, of in enumerate(samples):
        hostile = {"output": HOSTILE[at % 6], "prompt": f"<s>[INST] {HOSTILE[(at + 1) % 6]}\nline {at}\nAnswer:"}
        for task in ("exam", "notes"):
            for strategy, perturbation in (("zero_shot", "none"), ("generate", "none"), ("zero_shot", "shuffle_choices")):
                where = {"task": task, "strategy": strategy, "perturbation": perturbation}
                letters = {"p_choices": np.array([0.1, 0.2, 0.3, 0.4]), "output": None} if strategy == "zero_shot" else {}
                first = answer if at % 2 else wrong
                second = answer if at % 4 < 2 else wrong
                answers.append(first(of, A, **(where | hostile | letters)))
                answers.append(second(of, B, **(where | hostile | letters | {"prompt": hostile["prompt"] + " "})))
        if at % 10 == 9:
            missing = {"value": None, "status": "unparsed", "answer": None, "shown_position": None}
            answers[-3] |= missing
            answers[-4] |= missing | {"status": "failed", "output": None}
    made = explorer(samples, answers, **changes)
    assert made is not None
    return made


def large(n_rows: int, *, n_words: int = 160) -> ExplorerData:
    """A pair over n / 2 questions under two strategies, each with a prompt of its own of about a thousand characters."""
    draw = np.random.default_rng(0)
    letters = np.array(WORDS)
    samples, answers = [], []
    for at in range(n_rows // 2):
        text = " ".join(letters[draw.integers(0, len(letters), n_words)])
        of = sample(at, question=text)
        samples.append(of)
        for strategy, lead in (("zero_shot", ""), ("five_shot", "Five examples. ")):
            sent = {"strategy": strategy, "prompt": f"{lead}{text}\nA. ECG\nAnswer:", "output": f"It is {at}."}
            answers.append((answer if draw.random() < 0.6 else wrong)(of, A, **sent))
            answers.append((answer if draw.random() < 0.5 else wrong)(of, B, **sent))
    made = explorer(samples, answers)
    assert made is not None
    return made


def unpacked(content: str) -> bytes:
    """What a part of the page holds."""
    return gzip.decompress(base64.b64decode(content))


def index_of(packed: Packed) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and columns of an index, steps summed up."""
    data = unpacked(packed.index)
    n_header = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n_header])
    columns = {
        name: np.frombuffer(data, dtype=f"<{kind}", count=length, offset=8 + n_header + place)
        for name, (kind, place, length) in header["columns"].items()
    }
    return header, columns | {name: np.cumsum(columns[name]) for name in ("question", "a", "b")}


def pages_of(packed: Packed) -> list[dict[str, Any]]:
    """The pages."""
    return [json.loads(unpacked(content)) for content in packed.pages]
