"""The command line: thin, and quick to start; everything it does is a function that returns data.

Exit codes (DESIGN 5): 0 done; 2 the user's mistake, one line per fault; 3 finished, but some requests failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalsuite.errors import Fault, UserError

if TYPE_CHECKING:
    from evalsuite.plan import Selection

DONE, MISTAKE, SOME_FAILED = 0, 2, 3


class _Faulty(click.Group):
    """A group that prints the user's faults as lines, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; faults end it with exit code 2."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            for fault in error.faults:
                click.echo(f"error: {fault}", err=True)
            ctx.exit(MISTAKE)
        except KeyboardInterrupt:
            click.echo("stopped; everything answered so far is in the store: run the same command again", err=True)
            ctx.exit(130)


@click.group(cls=_Faulty, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="evalsuite")
def main() -> None:
    """Does a clinical language model beat the generalist it was made from? Paired studies on local models."""


def _names(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise UserError(Fault(file="command line", key=f"--{parameter.name}", value=value, allowed="one or more names, e.g. a,b"))
    return names


def _shard(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    number, slash, parts = value.partition("/")
    if not (slash and number.isdigit() and parts.isdigit() and 1 <= int(number) <= int(parts)):
        raise UserError(Fault(file="command line", key="--shard", value=value, allowed="I/N with 1 <= I <= N, e.g. 2/8"))
    return int(number), int(parts)


study_file = click.argument("study", type=click.Path(path_type=Path))
only_models = click.option("--models", callback=_names, metavar="A,B", help="Only these models of the study.")
only_tasks = click.option("--tasks", callback=_names, metavar="A,B", help="Only these tasks of the study.")
limit_option = click.option("--limit", type=click.IntRange(min=1), help="Most samples per task, as whole groups.")
engine_option = click.option("--engine", metavar="NAME", help="Another engine than the study's.")
store_option = click.option(
    "--store", type=click.Path(path_type=Path), envvar="EVALSUITE_STORE", default=Path(".evalsuite/store"),
    show_default=True, help="Where answers are kept; shared by any number of studies.",
)  # fmt: skip
out_option = click.option("--out", type=click.Path(path_type=Path), help="Out directory.  [default: reports/<study name>]")


def _selection(
    models: tuple[str, ...] | None,
    tasks: tuple[str, ...] | None,
    limit: int | None,
    engine: str | None,
    shard: tuple[int, int] | None = None,
) -> Selection:
    from evalsuite.plan import Selection

    return Selection(models=models, tasks=tasks, limit=limit, engine=engine, shard=shard)


@main.command()
@study_file
@only_models
@only_tasks
@limit_option
@engine_option
@store_option
@out_option
@click.option("--shard", callback=_shard, metavar="I/N", help="Answer the I-th of N parts; fills the store only.")
def run(
    study: Path,
    models: tuple[str, ...] | None,
    tasks: tuple[str, ...] | None,
    limit: int | None,
    engine: str | None,
    store: Path,
    out: Path | None,
    shard: tuple[int, int] | None,
) -> None:
    """Run STUDY: ask what the store does not hold, then score, compare and report."""
    from evalsuite.progress import shown
    from evalsuite.study import run_study

    chosen = _selection(models, tasks, limit, engine, shard)
    with shown() as screen:
        result = run_study(study, chosen, store=store, out=out, watch=screen.watch, tell=screen.tell)
    _print(result.summary)
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
    _print(preview_lines(previewed))


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
    _print(lines)


@main.command()
@click.argument("out_dir", type=click.Path(path_type=Path))
@store_option
def report(out_dir: Path, store: Path) -> None:
    """Scores, statistics and report again from OUT_DIR and the store, without a model."""
    from evalsuite.progress import shown
    from evalsuite.study import report_study

    with shown() as screen:
        result = report_study(out_dir, store=store, tell=screen.tell)
    _print(result.summary)
    if result.n_failed:
        sys.exit(SOME_FAILED)


@main.group()
def models() -> None:
    """The registry of models."""


@models.command("list")
def models_list() -> None:
    """All models, one line each."""
    from evalsuite.listings import model_lines

    _print(model_lines())


@models.command("show")
@click.argument("name")
def models_show(name: str) -> None:
    """Everything the registry knows of one model."""
    from evalsuite.listings import model_card_lines

    _print(model_card_lines(name))


@models.command("check")
@click.argument("names", nargs=-1)
def models_check(names: tuple[str, ...]) -> None:
    """Whether models can be used here: files, fingerprint, chat template, memory."""
    from evalsuite.listings import model_check_lines

    lines, complete = model_check_lines(names)
    _print(lines)
    sys.exit(DONE if complete else MISTAKE)


@main.group()
def tasks() -> None:
    """Task plugins."""


@tasks.command("list")
def tasks_list() -> None:
    """All tasks, one line each."""
    from evalsuite.listings import task_lines

    _print(task_lines())


@tasks.command("show")
@click.argument("name")
@click.option("--model", help="Render the prompt for this model.")
@click.option("--sample", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the sample.")
@click.option("--format", "form", type=click.Choice(["auto", "letters", "cloze", "generate"]), default="auto", show_default=True)
def tasks_show(name: str, model: str | None, sample: int, form: str) -> None:
    """A task's card and, where its data are, one sample as it is asked."""
    from evalsuite.listings import task_card_lines

    _print(task_card_lines(name, model, sample, form))


@tasks.command("check")
@click.argument("names", nargs=-1)
def tasks_check(names: tuple[str, ...]) -> None:
    """Whether tasks are complete and their data readable here."""
    from evalsuite.listings import task_check_lines

    lines, complete = task_check_lines(names)
    _print(lines)
    sys.exit(DONE if complete else MISTAKE)


@main.group()
def strategies() -> None:
    """Ways of asking."""


@strategies.command("list")
def strategies_list() -> None:
    """All strategies with their options."""
    from evalsuite import strategies as package
    from evalsuite.listings import spec_lines

    _print(spec_lines(package))


@main.group()
def perturbations() -> None:
    """Changes to samples."""


@perturbations.command("list")
def perturbations_list() -> None:
    """All perturbations with their options."""
    from evalsuite import perturbations as package
    from evalsuite.listings import spec_lines

    _print(spec_lines(package))


@main.group()
def store() -> None:
    """The store of answers."""


@store.command("stats")
@store_option
def store_stats(store: Path) -> None:
    """What a store holds."""
    from evalsuite.listings import store_lines

    _print(store_lines(store)[0])


@store.command("verify")
@store_option
def store_verify(store: Path) -> None:
    """Read every line of a store; exit 3 if any is damaged or two answers to one key differ."""
    from evalsuite.listings import store_lines

    lines, sound = store_lines(store)
    _print(lines)
    sys.exit(DONE if sound else SOME_FAILED)


@main.command()
def doctor() -> None:
    """This machine: GPUs, engines and versions, offline flags, what is missing for which command."""
    from evalsuite.listings import doctor_lines

    _print(doctor_lines())


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
