"""The main job from end to end: resolve, run, score, compare, report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from evalsuite.collection import give_freed_memory_back, seldom_collected
from evalsuite.conclude import conclude
from evalsuite.config import Study, study_as_yaml
from evalsuite.errors import Fault, UserError
from evalsuite.interop.pairing import PairingDesign, compare_sets
from evalsuite.manifest import write_manifest
from evalsuite.out_dir import OutDir, default_folder, write_json, write_text
from evalsuite.outputs import PLAN_SCHEMA, SCORES_SCHEMA, TableWriter, plan_row, preparation_rows, refused_plan_rows
from evalsuite.plan import Item, Plan, Selection
from evalsuite.preview import probe
from evalsuite.resolve import resolve
from evalsuite.results import Result, changes_of, damage_of, result_of, said_again, spent_lines
from evalsuite.runner import ModelRun, Watch, run_plan
from evalsuite.scoring import refused_rows, score_rows
from evalsuite.standing import files_in, made_from, note_standing
from evalsuite.store import Store, state_analysis
from evalsuite.timings import timing_rows
from evalsuite.types import Answer, Tell, untold
from evalsuite.unsealing import check_seal, holdout_of, journal_run, open_seal
from evalsuite.waves import Finished

if TYPE_CHECKING:
    import pandas as pd


def run_study(
    file: str | Path,
    selection: Selection | None = None,
    *,
    store: str | Path = ".evalsuite/store",
    out: str | Path | None = None,
    watch: Watch | None = None,
    tell: Tell = untold,
) -> Result:
    """Run a study file: ask what the store does not hold, then score, compare and report; whether anything has changed or not.

    Args:
        file: study.yaml.
        selection: what to narrow it to.
        store: the store's folder.
        out: out directory; None: reports/<study name>, with `-unsealed` behind it for the sealed part.
        watch: told of progress in answering.
        tell: told of progress in everything else.

    Raises:
        UserError: anything is wrong with the study; nothing was loaded then.
    """
    plan = resolve(file, selection, tell=tell)
    return run_resolved(plan, OutDir(Path(out) if out is not None else default_folder(plan)), Path(store), watch, tell)


@seldom_collected()
def run_resolved(plan: Plan, directory: OutDir, folder: Path, watch: Watch | None = None, tell: Tell = untold) -> Result:
    """Run a study that is resolved already.

    Args:
        plan: the study.
        directory: its out directory.
        folder: the store's.
        watch: told of progress in answering.
        tell: told of progress in everything else.

    Raises:
        UserError: prompts cannot be rendered, or a sealed part must not be opened; nothing was loaded then.
    """
    started = time.perf_counter()
    made = made_from(plan)
    probe(plan)
    check_seal(plan, directory, folder)
    runs: list[ModelRun] = []
    # Closed before statistics begin: the index of a million answers takes as much memory as a table of them.
    with Store(folder) as opened:

        def begin() -> None:
            state_analysis(folder, plan.study.study, dict(plan.statement))
            open_seal(plan, folder)

        finished = run_plan(plan, opened, watch or _unwatched, runs, begin, tell)
        if plan.selection.shard is not None:
            n_failed = sum(item.result.reading.status == "failed" for item in finished)
            notes = _shard_lines(plan, runs)
            return Result(study=plan.study.study, out=directory.folder, n_failed=n_failed, notes=notes, runs=tuple(runs))
        directory.make()
        with TableWriter(directory.plan, PLAN_SCHEMA) as plan_table, TableWriter(directory.scores, SCORES_SCHEMA) as scores_table:
            for item in _with_refused(plan, finished, plan_table, scores_table):
                # A second turn's prompt holds the first one's.
                prompt = item.first_prompt if item.name.sample.dialogue is None else item.last_prompt
                plan_table.add(plan_row(plan, item.name, prompt, item.keys, item.result.exemplars))
                for row in score_rows(plan, item.name, item.result, item.keys):
                    scores_table.add(row)
        begin()  # where the store held everything, nothing was asked and nothing stated yet
        damage = damage_of(opened)
        held = files_in(folder)
    give_freed_memory_back()
    write_text(directory.study, study_as_yaml(_placed(plan.as_run(), directory)))
    write_json(directory.preparations, preparation_rows(run.preparations for run in runs))
    write_json(directory.timings, timing_rows(directory.timings, plan.digest, {run.model: run.timings for run in runs}))
    journal_run(plan, folder)
    sealed = holdout_of(plan, directory, folder)
    concluded = conclude(plan, directory, folder, changes_of(plan, folder), tell, holdout=sealed)
    write_manifest(plan, directory, concluded.found, runs, time.perf_counter() - started)
    result = result_of(plan, directory, concluded, runs, damage)
    # A sealed part is journalled with each of its runs.
    said = None if damage or plan.study.holdout is not None else said_again(result)
    if said is not None:
        note_standing(directory, made, held, said)
    return result


def load_scores(out: str | Path) -> pd.DataFrame:
    """scores.parquet of an out directory as a frame; `value` is NaN unless the status is `scored`."""
    import pandas as pd

    path = OutDir(Path(out)).scores
    if not path.exists():
        raise UserError(Fault(file=str(path), key="", value="", allowed="missing: give the out directory of a finished run"))
    return pd.read_parquet(path)


def compare(out: str | Path, other: str | Path | None = None, design: PairingDesign | None = None) -> pd.DataFrame:
    """Comparisons as a frame: comparisons.csv of an out directory, or those of two sets of scores, wherever they came from.

    Args:
        out: an out directory; with `other` any folder of scores, and positive differences favour it.
        other: another folder of scores, or the same; None: comparisons.csv of `out`.
        design: with `other`, which models and metrics, and how they are compared.

    Raises:
        UserError: there is no such file, or the two cannot be compared (`interop.pairing.compare_sets`).
    """
    import pandas as pd

    if other is not None:
        return compare_sets(out, other, design).comparisons
    path = OutDir(Path(out)).comparisons
    if not path.exists():
        raise UserError(Fault(file=str(path), key="", value="", allowed="missing: give the out directory of a finished run"))
    return pd.read_csv(path)


def _with_refused(
    plan: Plan, finished: Iterable[Finished[Item, Answer]], plan_table: TableWriter, scores_table: TableWriter
) -> Iterator[Finished[Item, Answer]]:
    """What finished, with the rows of refused samples written behind each model's."""
    yield from finished
    for model in plan.models:
        for row in refused_plan_rows(plan, model):
            plan_table.add(row)
        for cell in plan.cells(model):
            for row in refused_rows(plan, cell):
                scores_table.add(row)


def _unwatched(run: ModelRun) -> None:
    """Tell nobody."""
    del run


def _shard_lines(plan: Plan, runs: Iterable[ModelRun]) -> tuple[str, ...]:
    number, n_parts = plan.selection.shard or (1, 1)
    lines = [f"shard {number}/{n_parts} of {plan.study.study} is in the store; run without --shard for scores and report"]
    lines += [f"{run.model}: {run.n_finished} samples, {run.n_asked} asked, {run.n_failed} failed" for run in runs]
    return (*lines, *spent_lines(runs))


def _placed(study: Study, out: OutDir) -> Study:
    """The study with its data paths relative to the out directory, where it is read again."""
    here = out.folder.resolve()
    places = {
        "data": {task: Path(os.path.relpath(path, here)) for task, path in study.data.items()},
        "include_path": tuple(Path(os.path.relpath(path, here)) for path in study.include_path),
    }
    return study.model_copy(update=places)
