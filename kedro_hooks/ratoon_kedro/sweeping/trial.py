"""One trial: a ``kedro run`` in a process that was forked from one which has imported the project already.

A process of its own gives each trial fresh modules, a fresh seed and an end of its own; a fork costs no imports. Where
forking is not possible, or not safe after what the project has imported, the process starts from nothing.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from msgspec import Struct

# The exit code of a process that did nothing because it must not be a forked one.
NOT_FORKED = 87

# Libraries whose threads or devices do not survive a fork.
_NOT_FORKABLE = ("tensorflow", "jax", "pyspark")


class Order(Struct, frozen=True, kw_only=True):
    """What a trial's process is told.

    Attributes:
        project: The project's folder.
        run_id: The run to track to.
        words: The options of ``kedro run``.
        params: Kedro's runtime parameters.
        environment: Environment variables to set.
        log: The file for what it prints.
        forked: Whether the process was forked from a prepared one.
    """

    project: str
    run_id: str
    words: tuple[str, ...]
    params: Mapping[str, Any]
    environment: Mapping[str, str]
    log: str
    forked: bool


def run_trial(order: Order) -> None:
    """Run the pipeline and leave with the exit code of ``kedro run``."""
    if order.forked and not _may_be_forked():
        os._exit(NOT_FORKED)
    _redirect(order.log)
    os.environ.update(order.environment, RATOON_RUN_ID=order.run_id)
    os.environ.pop("RATOON_KEDRO", None)  # a trial that is not tracked is none
    os.chdir(order.project)
    threading.Thread(target=_leave_with_parent, name="ratoon-sweep-parent", daemon=True).start()
    code = 1
    try:
        if order.forked:
            _reseed()
        _kedro_run(order)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        # multiprocessing leaves without them, and a run that was interrupted is ended there.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def find_command(project: Path) -> Any:
    """The project's ``run`` command and its metadata, in a project that is made ready for it."""
    from kedro.framework.cli.utils import find_run_command
    from kedro.framework.startup import bootstrap_project

    metadata = bootstrap_project(project)
    return find_run_command(metadata.package_name), metadata


def _kedro_run(order: Order) -> None:
    command, metadata = find_command(Path(order.project))
    # As a default, because values on the command line would be read as text once more.
    command.main(
        args=list(order.words),
        prog_name="kedro run",
        standalone_mode=False,
        obj=metadata,
        default_map={"params": dict(order.params)},
    )


def _may_be_forked() -> bool:
    if any(name in sys.modules for name in _NOT_FORKABLE) or threading.active_count() > 1:
        return False
    torch = sys.modules.get("torch")
    return torch is None or not torch.cuda.is_initialized()


def _reseed() -> None:
    """Make what nobody seeds as random as it is in a process that starts from nothing."""
    if (numpy := sys.modules.get("numpy.random")) is not None:
        numpy.seed()
    if (torch := sys.modules.get("torch")) is not None:
        torch.seed()


def _redirect(log: str) -> None:
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(target, number)
    os.close(target)


def _leave_with_parent() -> None:
    """Ask this process to leave when the sweep's process is gone: nobody would read what it finds out."""
    import signal

    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
