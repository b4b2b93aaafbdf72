"""Imported by the process that trials are forked from: loads Kedro, the project's pipelines and what a run needs.

What goes wrong here goes wrong again in the trial, where somebody reads it.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

PROJECT = "RATOON_SWEEP_PROJECT"

# What a tracked run imports, each for all trials at once.
_FOR_EVERY_RUN = (
    "kedro.framework.session",
    "kedro.runner",
    "ratoon.stores.sql.tracking",
    "ratoon.tracking.models",
    "ratoon_kedro.lifecycle",
    "sqlalchemy.dialects.sqlite",
)
# If the project has imported the first, a run will import the second.
_FOR_LIBRARIES = {"sklearn": "skops.io"}


def _prepare(project: Path) -> None:
    from ratoon_kedro.sweeping.trial import find_command

    os.chdir(project)
    find_command(project)
    from kedro.framework.project import pipelines

    list(pipelines)
    wanted = [name for library, name in _FOR_LIBRARIES.items() if library in sys.modules]
    for name in (*_FOR_EVERY_RUN, *wanted):
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def _prepare_quietly(project: Path) -> None:
    kept = [os.dup(number) for number in (1, 2)]
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(silence, number)
        _prepare(project)
    except BaseException:  # see above; and nobody would fork if this process left
        return
    finally:
        for number, descriptor in zip((1, 2), kept, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(silence)


if os.environ.get(PROJECT):
    _prepare_quietly(Path(os.environ[PROJECT]))
