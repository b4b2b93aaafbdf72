"""Values that exist in memory only while the pipeline runs, kept for the models that are made when it has ended.

A runner forgets them after their last use. In the process that ends the run a reference is enough; a worker process
leaves a pickle in a folder that nobody else can read, and that goes with the run.
"""

from __future__ import annotations

import hashlib
import inspect
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratoon_kedro.pipeline_models.config import Plan
    from ratoon_kedro.state import Tracked

_MISSING = object()
_values: dict[str, dict[str, object]] = {}


def new_folder() -> str:
    """Choose the folder in which worker processes leave values; the first one that does makes it."""
    return str(Path(tempfile.gettempdir(), f"ratoon-pipeline-models-{uuid.uuid4().hex}"))


def keep_values(tracked: Tracked, outputs: Mapping[str, object]) -> None:
    """Keep those of a node's outputs that a model will need.

    Raises:
        InvalidInput: One cannot be pickled, and this is a worker process.
    """
    plan = tracked.context.plan
    for name in plan.kept.intersection(outputs):
        value = outputs[name]
        if inspect.isgenerator(value):
            continue  # used up by whoever looks at it
        if tracked.owned is not None:
            _values.setdefault(tracked.context.run_id, {})[name] = value
        else:
            from ratoon.models.trust import save_pickle

            Path(plan.folder).mkdir(mode=0o700, exist_ok=True)
            save_pickle(value, _file(plan, name))


def kept_value(tracked: Tracked, name: str) -> object:
    """The value of a dataset; LookupError if no node of this run made it."""
    found = _values.get(tracked.context.run_id, {}).get(name, _MISSING)
    if found is not _MISSING:
        return found
    path = _file(tracked.context.plan, name)
    if not tracked.context.plan.folder or not path.is_file():
        raise LookupError(name)
    from ratoon.models.trust import load_pickle, policy_from

    return load_pickle(path, policy_from("code"))  # this very run has written it


def forget_values(tracked: Tracked) -> None:
    """Let go of everything that was kept for a run."""
    _values.pop(tracked.context.run_id, None)
    if tracked.context.plan.folder:
        shutil.rmtree(tracked.context.plan.folder, ignore_errors=True)


def _file(plan: Plan, name: str) -> Path:
    return Path(plan.folder, hashlib.sha256(name.encode()).hexdigest())
