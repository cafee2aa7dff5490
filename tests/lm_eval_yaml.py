"""Local copies of data under the YAML files that lm-eval itself ships, and tasks of the output types that those do not have.

Rows are those of ../shared/data where it is there, else facts of the pocket tasks in the same columns.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"
POCKET = REPOSITORY / "tasks" / "pocket"
N_ROWS = 12

Row = Mapping[str, Any]


def _read(path: Path) -> list[Row]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in raw.split(b"\n") if line.strip()]


def _pocket(name: str) -> list[Row]:
    return _read(POCKET / f"{name}.jsonl")


def _medqa(row: Row) -> Row:
    if "choices" in row:
        question, choices, answer = row["question"], row["choices"], row["answer"]
    else:
        question, choices, answer = row["question"], [row["options"][key] for key in "ABCD"], "ABCD".index(row["answer_idx"])
    return {"sent1": question, **{f"ending{number}": text for number, text in enumerate(choices)}, "label": answer}


def _medmcqa(row: Row) -> Row:
    if "choices" not in row:
        # The hub's `cop` counts from 0, the copy's from 1.
        return {"question": row["question"], **{key: row[key] for key in ("opa", "opb", "opc", "opd")}, "cop": row["cop"] - 1}
    return {"question": row["question"], **dict(zip(("opa", "opb", "opc", "opd"), row["choices"], strict=True)), "cop": row["answer"]}


def _pubmedqa(row: Row) -> Row:
    if "choices" not in row:
        return {key: row[key] for key in ("QUESTION", "CONTEXTS", "final_decision")}
    decision = ("yes", "no", "maybe")[row["answer"] % 3]
    return {"QUESTION": row["question"], "CONTEXTS": [f"{text}." for text in row["choices"]], "final_decision": decision}


def _mmlu(row: Row) -> Row:
    return {"question": row["question"], "choices": row["choices"], "answer": row["answer"]}


def _headqa(row: Row) -> Row:
    if "qtext" in row:
        return {"qtext": row["qtext"], "ra": int(row["ra"]), "answers": row["answers"]}
    answers = [{"aid": number, "atext": text} for number, text in enumerate(row["choices"], start=1)]
    return {"qtext": row["question"], "ra": row["answer"] + 1, "answers": answers}


def _careqa(row: Row) -> Row:
    return {"question": row["question"], **{f"op{n}": text for n, text in enumerate(row["choices"], start=1)}, "cop": row["answer"] + 1}


def _from(shared: str, pocket: str, make: Callable[[Row], Row], keep: Callable[[Row], bool] | None = None) -> list[Row]:
    """Rows of the shared copy, or of a pocket task, in the columns of the hub."""
    path = SHARED / f"{shared}.jsonl.gz"
    rows = _read(path) if shared and path.is_file() else _pocket(pocket)
    return [make(row) for row in rows if keep is None or not path.is_file() or keep(row)][:N_ROWS]


def _shots(pocket: str, make: Callable[[Row], Row]) -> list[Row]:
    return [make(row) for row in _pocket(pocket)][:12]


SHIPPED: dict[str, tuple[str, Callable[[], Mapping[str, Sequence[Row]]]]] = {
    "medqa_4options": (
        "medqa/medqa.yaml",
        lambda: {
            "test": _from("medqa_usmle_4opt/dev", "clinical_en", _medqa),
            "validation": _shots("general_en", _medqa),
            "train": _shots("clinical_en_train", _medqa),
        },
    ),
    "medmcqa": (
        "medmcqa/medmcqa.yaml",
        lambda: {"validation": _from("medmcqa/validation", "clinical_en", _medmcqa), "train": _shots("clinical_en_train", _medmcqa)},
    ),
    "pubmedqa": (
        "pubmedqa/pubmedqa.yaml",
        lambda: {
            "test": _from("pubmedqa_pqal/test", "clinical_en", _pubmedqa),
            "validation": _shots("general_en", _pubmedqa),
            "train": _shots("clinical_en_train", _pubmedqa),
        },
    ),
    "mmlu_anatomy": (
        "mmlu/default/mmlu_anatomy.yaml",
        lambda: {
            "test": _from("mmlu_medical/test", "clinical_en", _mmlu, lambda row: row["subject"] == "anatomy"),
            "dev": _shots("clinical_en_train", _mmlu),
        },
    ),
    "mmlu_clinical_knowledge": (
        "mmlu/default/mmlu_clinical_knowledge.yaml",
        lambda: {
            "test": _from("mmlu_medical/test", "general_en", _mmlu, lambda row: row["subject"] == "clinical_knowledge"),
            "dev": _shots("general_en_train", _mmlu),
        },
    ),
    "headqa_en": (
        "headqa/headqa_en.yaml",
        lambda: {
            "test": _from("headqa_en/test", "clinical_en", _headqa),
            "validation": _shots("general_en", _headqa),
            "train": _shots("clinical_en_train", _headqa),
        },
    ),
    "headqa_es": (
        "headqa/headqa_es.yaml",
        lambda: {
            "test": _from("headqa_es/test", "clinical_es", _headqa),
            "validation": _shots("clinical_es", _headqa),
            "train": _shots("clinical_es_train", _headqa),
        },
    ),
    "careqa_en": ("careqa/careqa_en.yaml", lambda: {"test": _from("", "general_en", _careqa)}),
}
"""Task name to lm-eval's own YAML and to the rows of its splits."""

OWN: dict[str, str] = {
    "pocket_generated": """
output_type: generate_until
test_split: test
training_split: train
doc_to_text: "Question: {{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\nD. {{choices[3]}}\\nAnswer:"
doc_to_target: "{{['A', 'B', 'C', 'D'][answer]}}"
generation_kwargs: {until: ["\\n\\n", "Question:"], do_sample: false, max_gen_toks: 24}
filter_list:
  - {name: strict-match, filter: [{function: regex, regex_pattern: "^ ?([AB])$"}, {function: take_first}]}
  - {name: flexible-extract, filter: [{function: regex, group_select: -1, regex_pattern: "([A-D])"}, {function: take_first}]}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true, ignore_punctuation: false}
""",
    "pocket_last_word": """
output_type: loglikelihood
test_split: test
training_split: train
doc_to_text: "Question: {{question}} Answer:"
doc_to_target: "{{' ' + choices[answer]}}"
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "pocket_perplexity": """
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{question + ' ' + choices[answer] + '.'}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: byte_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
""",
    "pocket_mutual": """
output_type: multiple_choice
test_split: test
training_split: train
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: acc_mutual_info, aggregation: mean, higher_is_better: true}
  - {metric: brier_score, aggregation: brier_score, higher_is_better: false}
  - {metric: mcc, aggregation: matthews_corrcoef, higher_is_better: true}
""",
}
"""Tasks of our own, over pocket facts."""


def write(folder: Path) -> Path:
    """Write all tasks into a folder, ready for `include_path`; returns the folder."""
    import lm_eval

    shipped = Path(lm_eval.__file__).parent / "tasks"
    (folder / "data").mkdir(parents=True)
    for name, (yaml, rows) in SHIPPED.items():
        held = {split: _write_rows(folder / "data" / f"{name}_{split}.jsonl", made) for split, made in rows().items()}
        _write_yaml(folder, name, f"include: {shipped / yaml}\n", held)
    own = {"test": _pocket("clinical_en")[:N_ROWS], "train": _pocket("clinical_en_train")[:12]}
    for name, text in OWN.items():
        held = {split: _write_rows(folder / "data" / f"{name}_{split}.jsonl", made) for split, made in own.items()}
        _write_yaml(folder, name, text, held)
    (folder / "two_mmlu.yaml").write_text(
        "group: two_mmlu\ntask: [mmlu_anatomy, mmlu_clinical_knowledge]\n"
        "aggregate_metric_list: [{metric: acc, aggregation: mean, weight_by_size: true}]\n",
        encoding="utf-8",
    )
    return folder


def _write_rows(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def _write_yaml(folder: Path, name: str, text: str, held: Mapping[str, Path]) -> None:
    files = json.dumps({split: str(path) for split, path in held.items()})
    data = f"dataset_path: json\ndataset_name: null\ndataset_kwargs: {{data_files: {files}, cache_dir: {folder / 'cache'}}}\n"
    (folder / f"{name}.yaml").write_text(f"{text}\ntask: {name}\n{data}", encoding="utf-8")
