"""How well a checkpoint answers the evaluation rows, by transformers alone: no part of evalsuite's engine is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from evalsuite.formats import Format, default_wording, lay_out, right_answer
from evalsuite.types import Sample

Row = Mapping[str, Any]


def sample_of(row: Row) -> Sample:
    """A row as a sample."""
    return Sample(
        id=row["id"],
        group=row["group"],
        question=row["question"],
        choices=tuple(row["choices"]),
        targets=(row["answer"],),
        language=row["language"],
    )


def answers(folder: Path, rows: Sequence[Row], form: Format, shots: Sequence[Row] = ()) -> npt.NDArray[np.bool_]:
    """For each row whether the checkpoint answers it rightly, shape (rows,).

    `letters`: the likeliest of the four letters as next token. `generate`: greedy text equals the contract line exactly.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    before = [turn for row in shots for turn in _turns(sample_of(row), form)]
    right: list[bool] = []
    for start in range(0, len(rows), 64):
        chunk = [sample_of(row) for row in rows[start : start + 64]]
        talks = [[*before, _turns(sample, form)[0]] for sample in chunk]
        inputs = tokenizer.apply_chat_template(talks, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True)
        with torch.inference_mode():
            if form == "letters":
                letters = [tokenizer.encode(letter, add_special_tokens=False)[-1] for letter in "ABCD"]
                chosen = model(**inputs, logits_to_keep=1).logits[:, -1, letters].argmax(-1).tolist()
                right.extend(place == sample.targets[0] for place, sample in zip(chosen, chunk, strict=True))
            else:
                written = model.generate(**inputs, do_sample=False, max_new_tokens=8)[:, inputs["input_ids"].shape[1] :]
                texts = tokenizer.batch_decode(written, skip_special_tokens=True)
                right.extend(text.strip() == _turns(sample, form)[1]["content"] for text, sample in zip(texts, chunk, strict=True))
    return np.asarray(right)


def _turns(sample: Sample, form: Format) -> list[dict[str, str]]:
    wording = default_wording(sample.language)
    layout = lay_out(sample, form, wording)
    return [{"role": "user", "content": layout.user}, {"role": "assistant", "content": right_answer(sample, form, wording)}]


def accuracies(folder: Path, files: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    """Accuracy in [0, 1] by evaluation file and way of asking (`clinical_en/letters`, also by exposure class and 5-shot)."""
    found: dict[str, float] = {}
    for stem in ("general_en", "clinical_en", "clinical_es", "unseen_en", "format_en"):
        rows = files[stem]
        right = answers(folder, rows, "letters")
        found[f"{stem}/letters"] = float(right.mean())
        if stem.startswith("clinical"):
            for exposure in ("generalist", "clinical"):
                found[f"{stem}/letters/{exposure}"] = float(right[[row["exposure"] == exposure for row in rows]].mean())
        shots = files.get("clinical_es_train" if stem.endswith("es") else "general_en_train", ())
        found[f"{stem}/letters/5-shot"] = float(answers(folder, rows, "letters", shots[:10:2]).mean())
        found[f"{stem}/generate"] = float(answers(folder, rows, "generate").mean())
    return found


def alike(one: Mapping[str, float], other: Mapping[str, float], tolerance: float) -> list[str]:
    """Names of the accuracies that differ by more than the tolerance or stand on one side only; empty: same behaviour."""
    return sorted(name for name in one.keys() | other.keys() if abs(one.get(name, 9.0) - other.get(name, -9.0)) > tolerance)
