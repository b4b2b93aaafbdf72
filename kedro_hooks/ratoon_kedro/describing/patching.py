"""What the working tree holds beyond its commit, kept with a run so that it can be repeated."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratoon.tracking.run import ActiveRun

PATCH = "kedro/git.patch"
COMMIT = "mlflow.source.git.commit"
DIRTY = "ratoon.git.dirty"
LARGEST = 20 * 2**20  # bytes; more than that is data, not code

# Whatever the user has configured, the patch is one that `git apply` takes.
_DIFF = ("diff", "HEAD", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative")
_PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")

logger = logging.getLogger(__name__)


def keep_patch(run: ActiveRun, folder: Path) -> None:
    """Keep the changes of tracked files with the run, if its tags say that there are some."""
    if run.info.tags.get(DIRTY) != "true":
        return
    patch = working_patch(folder)
    if patch is None:
        return
    if len(patch) > LARGEST:
        logger.warning(
            "the uncommitted changes are %d MB and not kept; commit them if this run is to be repeated",
            len(patch) // 2**20,
        )
        return
    from io import BytesIO

    run.log_stream(BytesIO(patch), PATCH)


def working_patch(folder: Path) -> bytes | None:
    """The changes of the whole repository against its commit; None if git cannot say."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *_DIFF, *_PREFIXES], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
