"""Files that a loaded model still reads: kept as long as the model, whatever happens to the folder it came from."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path


def keep(source: Path) -> Path:
    """Link, or copy where links cannot be made, a file or a folder into a private folder of this process.

    Returns:
        The path of the copy; :func:`release_with` says when it goes.
    """
    target = Path(tempfile.mkdtemp(prefix="ratoon-kept-")) / source.name
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link)
    else:
        _link(source, target)
    return target


def release_with(owner: object, kept: Path) -> None:
    """Remove what was kept when the owner is gone, or when the process ends."""
    weakref.finalize(owner, shutil.rmtree, kept.parent, ignore_errors=True)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
