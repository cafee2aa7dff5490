"""From an out directory to lm-eval's files, so that what reads those reads ours.

lm-eval gives every sample a number and knows no statuses. So an answer without a value gets the number that the study's missing
rule gives it, or none, and beside it, under the key `evalsuite` that lm-eval's readers pass over, stands what really happened.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.interop.aggregations import AGGREGATIONS, DEFAULTS, aggregated
from evalsuite.interop.lm_eval_files import OURS, split_metric
from evalsuite.interop.study_dirs import StudyCell, StudyDir, answers_of, cells_of, check_failures, counted_value, open_study_dir, plain
from evalsuite.out_dir import write_text
from evalsuite.outputs import SCORES_SCHEMA

FORBIDDEN = re.compile(r'["<>:/|\\?*\[\]]+')
"""What lm-eval replaces in names that become files."""
LEFT_OUT = ("model", "metric", "value", "status", "request_keys")
"""Columns of a score that do not stand once per answer; request keys belong to a store that does not travel."""
COLUMNS = tuple(name for name in SCORES_SCHEMA.names if name not in LEFT_OUT)
NOTE = (
    "Values of samples whose status is not `scored` follow the missing rule given here; refused samples have none, nor have unread answers "
    "of metrics that lm-eval does not average. Errors are cluster-robust over groups, variants and replicates averaged within a sample."
)


def export_lm_eval(folder: str | Path, to: str | Path) -> list[Path]:
    """Write `<to>/<model>/results_<time>.json` and `samples_<task>_<time>.jsonl` as lm-eval 0.4.13 does; the same bytes each time.

    A cell other than the primary one is a task of its own, `<task>@<strategy>[@<perturbation>]`. Texts are those of plan.parquet
    and scores.parquet, which hold none of restricted tasks.

    Args:
        folder: the out directory of a finished run.
        to: where to write.

    Returns:
        The files, per model the results last.

    Raises:
        UserError: it is no such directory, or answers in it failed.
    """
    study = open_study_dir(folder)
    check_failures(study)
    time = datetime.datetime.fromtimestamp(study.finished, tz=datetime.UTC).replace(tzinfo=None).isoformat().replace(":", "-")
    files = []
    for model in sorted(set(study.scores["model"])):
        place = Path(to) / file_name(model)
        place.mkdir(parents=True, exist_ok=True)
        tasks, hashes = {}, {}
        for cell in cells_of(study, model):
            name = file_name(cell.label)
            rows = _rows(study, cell)
            path = place / f"samples_{name}_{time}.jsonl"
            write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            files.append(path)
            tasks[name] = (cell, rows)
            hashes[name] = _sha("".join(row["doc_hash"] + row["prompt_hash"] + row["target_hash"] for row in rows))
        path = place / f"results_{time}.json"
        write_text(path, json.dumps(_results(study, model, tasks, hashes), indent=2, ensure_ascii=False, default=str))
        files.append(path)
    return files


def file_name(name: str) -> str:
    """A name as lm-eval spells it in files."""
    return FORBIDDEN.sub("__", name)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _rows(study: StudyDir, cell: StudyCell) -> list[dict[str, Any]]:
    """Lines of a samples file: all answers through one filter, then through the next, as lm-eval writes them."""
    filters: dict[str, list[str]] = {}
    for name in cell.metrics:
        filters.setdefault(split_metric(name)[1], []).append(name)
    ways = _ways(cell)
    answers = list(answers_of(cell))
    return [
        _row(study, cell, ways, number, answer, (how, names)) for how, names in filters.items() for number, answer in enumerate(answers)
    ]


def _row(
    study: StudyDir,
    cell: StudyCell,
    ways: Mapping[str, str],
    number: int,
    answer: tuple[tuple[str, int, int], list[dict[str, Any]]],
    through: tuple[str, Sequence[str]],
) -> dict[str, Any]:
    """One line: an answer through a filter, with the metrics of that filter."""
    how, names = through
    key, records = answer
    own = [record for record in records if record["metric"] in names]
    first = own[0]
    prompt, choices = cell.planned.get(key, (None, None))
    # Never a text that is not in the out directory: of restricted tasks that holds none.
    row: dict[str, Any] = {"sample_id": first["sample_id"], "variant": first["variant"], "content_hash": first["content_hash"]}
    row |= {} if choices is None else {"choices": choices}
    target = first["target"] or ""
    found = {split_metric(record["metric"])[0]: _value(study, cell, ways, record) for record in own}
    values = {name: value for name, value in found.items() if value is not None}
    return {
        "doc_id": number,
        "doc": row,
        "target": target,
        "arguments": {} if prompt is None else {"gen_args_0": {"arg_0": prompt}},
        "resps": [] if first["output"] is None else [[first["output"]]],
        "filtered_resps": [] if first["answer"] is None else [first["answer"]],
        "filter": how,
        "metrics": list(values),
        "doc_hash": _sha(json.dumps(row, indent=2, ensure_ascii=False)),
        "prompt_hash": _sha(prompt if prompt is not None else str(first["content_hash"])),
        "target_hash": _sha(target),
        **values,
        OURS: {
            "columns": {name: first[name] for name in COLUMNS},
            # What one metric read may differ from what another did.
            "metrics": {
                record["metric"]: {"status": record["status"]} | {name: record[name] for name in COLUMNS if record[name] != first[name]}
                for record in own
            },
        },
    }


def _ways(cell: StudyCell) -> dict[str, str]:
    """Metric to lm-eval's aggregation: the mean, but for metrics of lm-eval's own whose items we hold; set metrics have their name."""
    ways = {}
    for name, record in cell.metrics.items():
        scored = cell.scores[(cell.scores["metric"] == name) & (cell.scores["status"] == "scored")]
        how = DEFAULTS.get(split_metric(name)[0], "mean")
        known = how in AGGREGATIONS and bool(scored["item"].notna().all())
        ways[name] = name if record.of_set is not None else how if known else "mean"
    return ways


def _value(study: StudyDir, cell: StudyCell, ways: Mapping[str, str], record: Mapping[str, Any]) -> Any:
    """What a line holds of a metric: a number, or the item that lm-eval aggregates; None for nothing."""
    if ways[record["metric"]] in AGGREGATIONS and ways[record["metric"]] != "mean":
        return json.loads(record["item"]) if record["status"] == "scored" else None
    return counted_value(study, cell, record)


def _results(
    study: StudyDir, model: str, tasks: Mapping[str, tuple[StudyCell, list[dict[str, Any]]]], hashes: Mapping[str, str]
) -> dict[str, Any]:
    manifest = study.manifest
    weights = manifest.get("weights", {}).get(model, {})
    notes = (manifest.get("engines", {}).get(model) or [{}])[-1]
    args = {"pretrained": weights.get("repo") or model, "revision": weights.get("revision"), "dtype": weights.get("dtype")}
    decoding = study.study.decoding
    return {
        "results": {name: _result(name, *entry) for name, entry in tasks.items()},
        "group_subtasks": {},
        "configs": {name: _config(study, name, cell) for name, (cell, _) in tasks.items()},
        "versions": dict.fromkeys(tasks, manifest["evalsuite"]),
        "n-shot": {name: study.n_shots(cell.strategy) for name, (cell, _) in tasks.items()},
        "higher_is_better": {
            name: {split_metric(full)[0]: record.higher_is_better for full, record in cell.metrics.items()}
            for name, (cell, _) in tasks.items()
        },
        "n-samples": {
            name: {"original": len({row["doc_id"] for row in rows}), "effective": _n_valued(rows)} for name, (_, rows) in tasks.items()
        },
        "config": {
            "model": weights.get("engine"),
            "model_args": {key: value for key, value in args.items() if value is not None},
            "model_dtype": weights.get("dtype"),
            "model_revision": weights.get("revision"),
            "model_sha": weights.get("fingerprint"),
            "batch_size": None,
            "device": notes.get("device"),
            "use_cache": None,
            "limit": manifest["selection"].get("limit"),
            "bootstrap_iters": 0,
            "gen_kwargs": {"temperature": decoding.temperature, "top_p": decoding.top_p, "max_gen_toks": decoding.max_tokens},
            "random_seed": study.study.seed,
        },
        "git_hash": None,
        "date": study.finished,
        "pretty_env_info": "; ".join(f"{name} {version}" for name, version in sorted(manifest.get("versions", {}).items())),
        "transformers_version": manifest.get("versions", {}).get("transformers"),
        "lm_eval_version": None,
        "task_hashes": dict(hashes),
        "model_source": weights.get("engine"),
        "model_name": model,
        "model_name_sanitized": file_name(model),
        "system_instruction": study.study.prompting.system,
        "system_instruction_sha": _sha(study.study.prompting.system) if study.study.prompting.system else None,
        "fewshot_as_multiturn": study.study.prompting.shots_as == "turns",
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": str(manifest.get("models", {}).get(model, {}).get("wall_s", 0.0)),
        OURS: _own_part(study, model, tasks),
    }


def _own_part(study: StudyDir, model: str, tasks: Mapping[str, tuple[StudyCell, list[dict[str, Any]]]]) -> dict[str, Any]:
    """What lm-eval's format has no place for; the way back reads it."""
    return {
        "version": study.manifest["evalsuite"],
        "study": study.study.study,
        "model": model,
        "missing": study.missing,
        "note": NOTE,
        "set_metrics": sorted({name for cell, _ in tasks.values() for name, record in cell.metrics.items() if record.of_set is not None}),
        "tasks": {
            name: {
                "task": cell.task,
                "strategy": cell.strategy,
                "perturbation": cell.perturbation,
                "n_rows": len(rows),
                "own_metrics": sorted(study.manifest.get("data", {}).get(cell.task, {}).get("own_metrics", {})),
                "statuses": {
                    metric: {str(status): int(n) for status, n in own["status"].value_counts().sort_index().items()}
                    for metric, own in cell.scores.groupby("metric", observed=True)
                },
            }
            for name, (cell, rows) in tasks.items()
        },
    }


def _n_valued(rows: list[dict[str, Any]]) -> int:
    """lm-eval's count of samples: the most values that any metric has."""
    counts = Counter((name, row["filter"]) for row in rows for name in row["metrics"])
    return max(counts.values(), default=0)


def _result(name: str, cell: StudyCell, rows: list[dict[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {"name": name, "alias": name, "sample_len": _n_valued(rows)}
    ways = _ways(cell)
    for full, record in cell.metrics.items():
        metric, how = split_metric(full)
        values = [row[metric] for row in rows if row["filter"] == how and metric in row["metrics"]]
        if not values:
            continue
        estimate = cell.estimates[full]
        result[f"{metric},{how}"] = plain(estimate["mean"]) if record.of_set is not None else aggregated(ways[full], values)
        error = plain(estimate["se"]) if ways[full] in ("mean", full) else None
        result[f"{metric}_stderr,{how}"] = "N/A" if error is None else error
    return result


def _config(study: StudyDir, name: str, cell: StudyCell) -> dict[str, Any]:
    data = study.manifest.get("data", {}).get(cell.task, {})
    generated = bool((cell.scores["finish_reason"] != "none").any())
    return {
        "task": name,
        "dataset_path": None,
        "test_split": data.get("split"),
        "num_fewshot": study.n_shots(cell.strategy),
        "output_type": "generate_until" if generated else "multiple_choice",
        "metric_list": list(
            {
                split_metric(full)[0]: {
                    "metric": split_metric(full)[0],
                    "aggregation": how,
                    "higher_is_better": cell.metrics[full].higher_is_better,
                }
                for full, how in _ways(cell).items()
            }.values()
        ),
        "metadata": {
            "version": study.manifest["evalsuite"],
            "revision": data.get("revision"),
            "fingerprint": data.get("fingerprint"),
        },
    }
