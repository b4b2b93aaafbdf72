"""The core's own command line, for the store of a Kedro project.

It runs in a process of its own: its logging and its signals are not Kedro's, and secrets reach it through the
environment rather than as words that every user of the machine can read. Only a replay is told parameters as words,
as whoever starts ``kedro run --params`` tells them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from ratoon.errors import RatoonError
from ratoon_kedro.options.project_store import ProjectStore, store_of

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

PASS_ON = {"ignore_unknown_options": True, "help_option_names": []}

env_option = click.option("--env", "-e", default=None, help="The environment whose ratoon.yml is read.")


def forward(metadata: ProjectMetadata, env: str | None, words: Sequence[str]) -> NoReturn:
    """Run ``ratoon <words>`` for the project's store and leave with its exit code."""
    sys.exit(run_core(project_store(metadata, env), words))


def project_store(metadata: ProjectMetadata, env: str | None) -> ProjectStore:
    """The project's store; what is wrong with its settings is one line and exit code 2."""
    with one_line_errors():
        return store_of(metadata, env)


def run_core(store: ProjectStore, words: Sequence[str]) -> int:
    """Run ``ratoon <words>`` for a store; returns its exit code."""
    command = [sys.executable, "-m", "ratoon", *words]
    return run_process(command, store.path, {**os.environ, **store.variables()})


def run_process(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run a command to its end; returns its exit code, 128 and the signal's number if one ended it.

    Ctrl-C reaches both processes: this one waits until the other has put its things in order. SIGTERM is passed on.
    """
    with subprocess.Popen(command, cwd=folder, env=environment) as process:

        def pass_on(number: int, _frame: FrameType | None) -> None:
            if number == signal.SIGTERM:
                process.terminate()

        before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            code = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return code if code >= 0 else 128 - code


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error of ours on one line and leave with its exit code."""
    try:
        yield
    except RatoonError as error:
        click.echo(f"ratoon: {' '.join(str(error).split())}", err=True)
        sys.exit(error.exit_code)
