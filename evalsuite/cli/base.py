"""What the commands share: the root group, exit codes, options and printing.

Exit codes (DESIGN 5): 0 done; 2 the user's mistake, one line per fault; 3 finished, but some requests failed. Stopped from outside:
130 (interrupted) or 143 (SIGTERM, as schedulers send before they kill).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from evalsuite.errors import Fault, UserError

DONE, MISTAKE, SOME_FAILED, INTERRUPTED, TERMINATED = 0, 2, 3, 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where the program stands, so that it ends as it does when a person interrupts it."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn the first SIGTERM into `Terminated`; further ones are left alone, so that the way out is not cut short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Faulty(click.Group):
    """A group that prints the user's faults as lines, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; faults end it with exit code 2."""
        try:
            with terminable():
                return super().invoke(ctx)
        except UserError as error:
            for fault in error.faults:
                click.echo(f"error: {fault}", err=True)
            ctx.exit(MISTAKE)
        except KeyboardInterrupt as error:
            click.echo("stopped; everything answered so far is in the store: run the same command again", err=True)
            ctx.exit(TERMINATED if isinstance(error, Terminated) else INTERRUPTED)


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
shard_option = click.option("--shard", callback=_shard, metavar="I/N", help="Answer the I-th of N parts; fills the store only.")


def show(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)
