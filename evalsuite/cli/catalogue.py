"""Commands on what is there: models, tasks, strategies, perturbations, stores, this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evalsuite.cli.base import DONE, MISTAKE, SOME_FAILED, main, show, store_option


@main.group()
def models() -> None:
    """The registry of models."""


@models.command("list")
def models_list() -> None:
    """All models, one line each."""
    from evalsuite.listings import model_lines

    show(model_lines())


@models.command("show")
@click.argument("name")
def models_show(name: str) -> None:
    """Everything the registry knows of one model."""
    from evalsuite.listings import model_card_lines

    show(model_card_lines(name))


@models.command("check")
@click.argument("names", nargs=-1)
def models_check(names: tuple[str, ...]) -> None:
    """Whether models can be used here: files, fingerprint, chat template, memory."""
    from evalsuite.listings import model_check_lines

    lines, complete = model_check_lines(names)
    show(lines)
    sys.exit(DONE if complete else MISTAKE)


@main.group()
def tasks() -> None:
    """Task plugins."""


@tasks.command("list")
def tasks_list() -> None:
    """All tasks, one line each."""
    from evalsuite.listings import task_lines

    show(task_lines())


@tasks.command("show")
@click.argument("name")
@click.option("--model", help="Render the prompt for this model.")
@click.option("--sample", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the sample.")
@click.option("--format", "form", type=click.Choice(["auto", "letters", "cloze", "generate"]), default="auto", show_default=True)
def tasks_show(name: str, model: str | None, sample: int, form: str) -> None:
    """A task's card and, where its data are, one sample as it is asked."""
    from evalsuite.listings import task_card_lines

    show(task_card_lines(name, model, sample, form))


@tasks.command("check")
@click.argument("names", nargs=-1)
def tasks_check(names: tuple[str, ...]) -> None:
    """Whether tasks are complete and their data readable here."""
    from evalsuite.listings import task_check_lines

    lines, complete = task_check_lines(names)
    show(lines)
    sys.exit(DONE if complete else MISTAKE)


@main.group()
def strategies() -> None:
    """Ways of asking."""


@strategies.command("list")
def strategies_list() -> None:
    """All strategies with their options."""
    from evalsuite import strategies as package
    from evalsuite.listings import spec_lines

    show(spec_lines(package))


@main.group()
def perturbations() -> None:
    """Changes to samples."""


@perturbations.command("list")
def perturbations_list() -> None:
    """All perturbations with their options."""
    from evalsuite import perturbations as package
    from evalsuite.listings import spec_lines

    show(spec_lines(package))


@main.group()
def store() -> None:
    """The store of answers."""


@store.command("stats")
@store_option
def store_stats(store: Path) -> None:
    """What a store holds."""
    from evalsuite.listings import store_lines

    show(store_lines(store)[0])


@store.command("verify")
@store_option
def store_verify(store: Path) -> None:
    """Read every line of a store; exit 3 if any is damaged or two answers to one key differ."""
    from evalsuite.listings import store_lines

    lines, sound = store_lines(store)
    show(lines)
    sys.exit(DONE if sound else SOME_FAILED)


@main.command()
def doctor() -> None:
    """This machine: GPUs, engines and versions, offline flags, what is missing for which command."""
    from evalsuite.listings import doctor_lines

    show(doctor_lines())
