"""The entry of the catalog that brings a run's context to other processes."""

from __future__ import annotations

from typing import Any

from kedro.io import MemoryDataset

from ratoon_kedro.context import RunContext
from ratoon_kedro.describing import logs
from ratoon_kedro.options.credentials import use_credentials
from ratoon_kedro.state import known_run


class ContextDataset(MemoryDataset):
    """Holds the context, and makes a worker process ready when it arrives there.

    A worker loads its first datasets before any hook is told which run this is; what is logged meanwhile would be lost.
    """

    def __init__(self, context: RunContext) -> None:
        super().__init__(data=context, copy_mode="assign")

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if known_run(self._data.run_id) is None:
            _arrive(self._data)


def _arrive(context: RunContext) -> None:
    use_credentials(context.credentials)
    if context.log_file is not None:
        logs.join(context.run_id, context.log_file)
