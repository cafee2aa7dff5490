"""Commands on a study: run, plan, check, fetch, report."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalsuite.cli.base import (
    SOME_FAILED,
    engine_option,
    limit_option,
    main,
    only_models,
    only_tasks,
    out_option,
    shard_option,
    show,
    store_option,
    study_file,
)

if TYPE_CHECKING:
    from evalsuite.plan import Selection
    from evalsuite.report import Table
    from evalsuite.results import Result
    from evalsuite.tabular import Tabular


def _selection(
    models: tuple[str, ...] | None,
    tasks: tuple[str, ...] | None,
    limit: int | None,
    engine: str | None,
    shard: tuple[int, int] | None = None,
    *,
    unseal: bool = False,
) -> Selection:
    from evalsuite.plan import Selection

    return Selection(models=models, tasks=tasks, limit=limit, engine=engine, shard=shard, unseal=unseal)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines and a table.")


def _show_result(result: Result, as_json: bool) -> None:
    """What a finished study says."""
    from evalsuite import results

    _show(result.notes, result.verdicts, result.report, results.as_json(result) if as_json else None, result.rescored)


def _show(
    notes: Iterable[str],
    verdicts: Table | Tabular | None,
    report: Path | None,
    machine: Mapping[str, Any] | None,
    rescored: Table | None = None,
) -> None:
    """Notes, what a re-scoring changed, the verdicts, and where the report lies; or all of it as one object for machines."""
    if machine is not None:
        import json

        click.echo(json.dumps(machine, ensure_ascii=False))
        return
    from evalsuite.cli.tables import print_table

    show(notes)
    for table in (rescored, verdicts):
        if table is not None and (table.rows or table is rescored):
            print_table(table)
            click.echo()
    if report is not None:
        click.echo(str(report))


@main.command()
@study_file
@only_models
@only_tasks
@limit_option
@engine_option
@store_option
@out_option
@shard_option
@click.option("--unseal", is_flag=True, help="Score the sealed part of a study with a `holdout`, once; nothing else is asked.")
@click.option("--again", is_flag=True, help="Score, compare and report again even where nothing has changed since.")
@json_option
def run(
    study: Path,
    models: tuple[str, ...] | None,
    tasks: tuple[str, ...] | None,
    limit: int | None,
    engine: str | None,
    store: Path,
    out: Path | None,
    shard: tuple[int, int] | None,
    unseal: bool,
    again: bool,
    as_json: bool,
) -> None:
    """Run STUDY: ask what the store does not hold, then score, compare and report; nothing of it where nothing has changed since."""
    from evalsuite.out_dir import OutDir, default_folder
    from evalsuite.progress import shown
    from evalsuite.resolve import resolve
    from evalsuite.standing import standing_of

    with shown() as screen:
        plan = resolve(study, _selection(models, tasks, limit, engine, shard, unseal=unseal), tell=screen.tell)
        directory = OutDir(out if out is not None else default_folder(plan))
        said = None if again else standing_of(plan, directory, store)
        if said is None:
            from evalsuite.study import run_resolved

            result = run_resolved(plan, directory, store, screen.watch, screen.tell)
    if said is not None:
        _show(said.notes, said.verdicts, directory.report, said.machine if as_json else None)
        return
    _show_result(result, as_json)
    if result.n_failed:
        click.echo(f"{result.n_failed} scores failed; run the same command again to repair them", err=True)
        sys.exit(SOME_FAILED)


@main.command()
@study_file
@only_models
@only_tasks
@limit_option
@engine_option
@store_option
def plan(
    study: Path,
    models: tuple[str, ...] | None,
    tasks: tuple[str, ...] | None,
    limit: int | None,
    engine: str | None,
    store: Path,
) -> None:
    """What STUDY would ask and what it could establish; runs nothing."""
    from evalsuite.preview import preview, preview_lines
    from evalsuite.progress import shown

    with shown() as screen:
        previewed = preview(study, _selection(models, tasks, limit, engine), store, screen.tell)
    show(preview_lines(previewed))


@main.command()
@study_file
@only_models
@only_tasks
@engine_option
def check(study: Path, models: tuple[str, ...] | None, tasks: tuple[str, ...] | None, engine: str | None) -> None:
    """Everything about STUDY that can be validated without loading a model."""
    from evalsuite.preview import check_study
    from evalsuite.progress import shown

    with shown() as screen:
        lines = check_study(study, _selection(models, tasks, None, engine), screen.tell)
    show(lines)


@main.command()
@study_file
@only_models
@only_tasks
@click.option("--check", "only_look", is_flag=True, help="Fetch nothing: see whether all of it is here, and ask nobody.")
def fetch(study: Path, models: tuple[str, ...] | None, tasks: tuple[str, ...] | None, only_look: bool) -> None:
    """Get all that STUDY needs (weights, tokenizers, data) onto this machine, for nodes without internet."""
    from evalsuite import fetch as fetching
    from evalsuite.models.hub import OFFLINE_FLAGS, offline_flags
    from evalsuite.progress import shown

    with shown() as screen:
        if only_look and len(offline_flags()) == len(OFFLINE_FLAGS):
            fetching.look(fetching.wanted_by(study, models, tasks), click.echo, screen.tell)
            return
        if not only_look:
            fetching.fetch(fetching.wanted_by(study, models, tasks), click.echo, screen.tell)
            click.echo("looking for all of it again, offline")
    narrowed = [f"--{key}={','.join(names)}" for key, names in (("models", models), ("tasks", tasks)) if names]
    code, said = fetching.look_offline([str(study), *narrowed])
    click.echo(said, nl=False)
    if code == 0:
        click.echo("everything is here; on nodes without internet: export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1")
    sys.exit(code)


@main.command()
@click.argument("out_dir", type=click.Path(path_type=Path))
@store_option
@json_option
def report(out_dir: Path, store: Path, as_json: bool) -> None:
    """Scores, statistics and report again from OUT_DIR and the store, without a model."""
    from evalsuite.progress import shown
    from evalsuite.rescoring import report_study

    with shown() as screen:
        result = report_study(out_dir, store=store, tell=screen.tell)
    _show_result(result, as_json)
    if result.n_failed:
        sys.exit(SOME_FAILED)
