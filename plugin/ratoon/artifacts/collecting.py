"""Removing contents that no path stands for any more from a local store."""

from __future__ import annotations

import time
from pathlib import Path

from ratoon.artifacts.layout import SUFFIX, decode_reference
from ratoon.artifacts.protocol import Freed


def collect_folder(root: Path, grace: float, *, dry_run: bool) -> Freed:
    """Remove contents without a path, and debris of broken writes, that are older than ``grace`` seconds.

    What a writer is about to name is younger than that: a content gets a new time when it is written again.
    """
    before = time.time() - grace
    # Looked at before the references are: what gets a name meanwhile is not among them.
    old = [path for path in root.glob("blobs/*/*/*") if path.stat().st_mtime <= before]
    used = {
        decode_reference(path.name, path.read_bytes()).digest
        for path in (root / "refs").rglob(f"*{SUFFIX}")
        if path.is_file()
    }
    unused = [path for path in old if path.name not in used]
    debris = [path for path in (root / "incoming").glob("*") if path.stat().st_mtime <= before]
    freed = Freed(blobs=len(unused), size=sum(path.stat().st_size for path in unused))
    if not dry_run:
        for path in (*unused, *debris):
            path.unlink(missing_ok=True)
    return freed
