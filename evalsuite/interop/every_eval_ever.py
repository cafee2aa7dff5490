"""From an out directory to the shared schema of Every Eval Ever, version 0.3.0 (arXiv 2606.14516).

One aggregate file per model, and beside it one line per answer and metric. The schema wants a number and right-or-wrong for every
line: an answer without a value gets the number of the study's missing rule, its status stands in `error`; where the rule gives none
(dropped, refused) there is no line, and the aggregate says how many there are not.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evalsuite.interop.study_dirs import StudyCell, StudyDir, answers_of, cells_of, check_failures, counted_value, open_study_dir, plain
from evalsuite.out_dir import write_text

SCHEMA_VERSION = "0.3.0"
WITHHELD = "(not given on: the data are restricted)"
UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
"""What may not stand in a folder's name there."""


def export_every_eval_ever(folder: str | Path, to: str | Path, *, organisation: str, relationship: str = "third_party") -> list[Path]:
    """Write `<to>/data/<study>/<developer>/<model>/<uuid>.json` and `<uuid>_samples.jsonl`; the same bytes each time.

    Args:
        folder: the out directory of a finished run.
        to: where to write.
        organisation: who ran the study.
        relationship: theirs to the models' makers: first_party, third_party, collaborative or other.

    Returns:
        The files, per model the aggregate last.

    Raises:
        UserError: it is no such directory, or answers in it failed.
    """
    study = open_study_dir(folder)
    check_failures(study)
    files = []
    for model in sorted(set(study.scores["model"])):
        name = _uuid(study.study.study, model, str(study.manifest.get("plan_hash")), str(study.finished))
        developer, _, short = _model_id(study, model).rpartition("/")
        place = Path("data", _folder(study.study.study), _folder(developer or "unknown"), _folder(short))
        evaluation = f"{study.study.study}/{_model_id(study, model)}/{int(study.finished)}"
        cells = list(cells_of(study, model))
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for cell in cells for row in _instances(study, model, cell, evaluation)]
        samples = place / f"{name}_samples.jsonl"
        (Path(to) / place).mkdir(parents=True, exist_ok=True)
        write_text(Path(to) / samples, "".join(lines))
        aggregate = _aggregate(study, model, cells, evaluation) | {
            "source_metadata": {
                "source_name": f"evalsuite study {study.study.study}",
                "source_type": "evaluation_run",
                "source_organization_name": organisation,
                "evaluator_relationship": relationship,
                "additional_details": {"question": study.study.question, "missing_rule": study.missing},
            },
            "detailed_evaluation_results": {
                "format": "jsonl",
                "file_path": samples.as_posix(),
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256("".join(lines).encode()).hexdigest(),
                "total_rows": len(lines),
            },
        }
        path = Path(to) / place / f"{name}.json"
        write_text(path, json.dumps(aggregate, indent=2, ensure_ascii=False) + "\n")
        files += [Path(to) / samples, path]
    return files


def _uuid(*parts: str) -> str:
    """A version-4 UUID made from names, so that exporting twice gives the same files."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _folder(name: str) -> str:
    return UNFIT.sub("_", name).strip(".") or "unknown"


def _model_id(study: StudyDir, model: str) -> str:
    return str(study.manifest.get("weights", {}).get(model, {}).get("repo") or model)


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as the schema wants them: texts only, those that are unknown left out."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items() if value is not None}


def _aggregate(study: StudyDir, model: str, cells: list[StudyCell], evaluation: str) -> dict[str, Any]:
    weights = study.manifest.get("weights", {}).get(model, {})
    engine, versions = weights.get("engine"), study.manifest.get("versions", {})
    local = engine in ("transformers", "vllm")
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        "evaluation_timestamp": datetime.datetime.fromtimestamp(study.finished, tz=datetime.UTC).isoformat(),
        "retrieved_timestamp": str(int(study.finished)),
        "eval_library": {"name": "evalsuite", "version": study.manifest["evalsuite"], "additional_details": _texts(versions)},
        "model_info": {
            "name": model,
            "id": _model_id(study, model),
            "developer": _model_id(study, model).rpartition("/")[0] or "unknown",
            **({"inference_engine": {"name": engine, "version": versions.get(engine, "unknown")}} if engine else {}),
            "additional_details": {
                "deployment_type": "self_deployed" if local else "unknown",
                "model_availability": "open_weights" if local else "unknown",
                **_texts({key: weights.get(key) for key in ("revision", "fingerprint", "dtype", "quantisation")}),
            },
        },
        "evaluation_results": [entry for cell in cells for entry in _results(study, cell)],
    }


def _results(study: StudyDir, cell: StudyCell) -> Iterator[dict[str, Any]]:
    data = study.manifest.get("data", {}).get(cell.task, {})
    decoding = study.study.decoding
    for name, metric in cell.metrics.items():
        estimate = cell.estimates[name]
        if plain(estimate["mean"]) is None:
            continue  # nothing was left to average, and the schema has no number for that
        statuses = cell.scores.loc[cell.scores["metric"] == name, "status"].value_counts().sort_index()
        low, high = (bound if math.isfinite(bound) else _infinity(bound) for bound in sorted((metric.worst, metric.best)))
        uncertainty: dict[str, Any] = {"num_samples": int(estimate["n_samples"])}
        if plain(estimate["se"]) is not None:
            how = "jackknife t over groups" if metric.of_set else "cluster-robust t over groups"
            uncertainty["standard_error"] = {"value": float(estimate["se"]), "method": how}
            limits = {"lower": float(estimate["ci_low"]), "upper": float(estimate["ci_high"]), "confidence_level": 0.95}
            uncertainty["confidence_interval"] = {**limits, "method": how}
        yield {
            "evaluation_result_id": f"{cell.label}/{name}",
            "evaluation_name": cell.label,
            "source_data": {
                "dataset_name": cell.task,
                "source_type": "other",
                "additional_details": _texts({key: data.get(key) for key in ("split", "revision", "fingerprint")}),
            },
            "metric_config": {
                "evaluation_description": metric.summary,
                "metric_id": name,
                "metric_name": name,
                "lower_is_better": not metric.higher_is_better,
                "score_type": "continuous",
                "min_score": low,
                "max_score": high,
            },
            "score_details": {
                "score": float(estimate["mean"]),
                "details": {f"n_{status}": str(int(n)) for status, n in statuses.items()} | {"n_groups": str(int(estimate["n_groups"]))},
                "uncertainty": uncertainty,
            },
            "generation_config": {
                "generation_args": {"temperature": decoding.temperature, "top_p": decoding.top_p, "max_tokens": decoding.max_tokens},
                "additional_details": _texts(
                    {"strategy": cell.strategy, "perturbation": cell.perturbation, "n_shots": study.n_shots(cell.strategy)}
                ),
            },
        }


def _infinity(bound: float) -> str:
    return "Infinity" if bound > 0 else "-Infinity"


def _instances(study: StudyDir, model: str, cell: StudyCell, evaluation: str) -> Iterator[dict[str, Any]]:
    for answer, records in answers_of(cell):
        prompt, choices = cell.planned.get(answer, (None, None))
        for record in records:
            value = counted_value(study, cell, record)
            if value is None:
                continue
            yield {
                "schema_version": SCHEMA_VERSION,
                "evaluation_id": evaluation,
                "model_id": _model_id(study, model),
                "evaluation_name": cell.label,
                "evaluation_result_id": f"{cell.label}/{record['metric']}",
                "sample_id": record["sample_id"],
                "sample_hash": record["content_hash"],
                "interaction_type": "single_turn",
                # Texts are those of the out directory, which holds none of restricted tasks.
                "input": {
                    "raw": prompt if prompt is not None else WITHHELD,
                    "reference": _references(record["target"], choices),
                    **({"choices": choices} if choices else {}),
                },
                "output": {"raw": [record["output"]] if record["output"] is not None else []},
                "answer_attribution": _attribution(record),
                "evaluation": {"score": value, "is_correct": value == cell.metrics[record["metric"]].best},
                "token_usage": {
                    "input_tokens": record["n_prompt_tokens"] or 0,
                    "output_tokens": record["n_output_tokens"] or 0,
                    "total_tokens": (record["n_prompt_tokens"] or 0) + (record["n_output_tokens"] or 0),
                },
                "error": None if record["status"] == "scored" else record["status"],
                "metadata": _texts({key: record[key] for key in ("group", "language", "variant", "replicate", "status")}),
            }


def _references(target: str | None, choices: list[str] | None) -> list[str]:
    """Right choices as texts where those may be given on and stand in their own order; else the target as scores.parquet has it."""
    if target is None:
        return []
    return [choices[int(part)] for part in target.split(",")] if choices else [target]


def _attribution(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was read as the answer; of restricted tasks the position only."""
    read = record["answer"] if record["answer"] is not None else record["answer_index"]
    if read is None:
        return []
    scored = record["output"] is None and record["p_choices"] is not None
    source, how = ("log-probabilities", "likeliest choice") if scored else ("output.raw", "rules on the generated text")
    return [{"turn_idx": 0, "source": source, "extracted_value": str(read), "extraction_method": how, "is_terminal": True}]
