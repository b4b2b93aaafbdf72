"""What all operators share: a connection, a client while they work, and an answer that is plain JSON."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from ratoon_airflow.failures import as_airflow_failure
from ratoon_airflow.hooks.ratoon import DEFAULT_CONN_ID, RatoonHook
from ratoon_airflow.plain import Plain, plain

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ratoon.tracking.client import Client


class RatoonOperator(BaseOperator):
    """An operator that works with the stores of one connection.

    What it returns is pushed by its keys, too: ``train.output["run_id"]`` is an argument for the next task.

    Args:
        ratoon_conn_id: The connection of type ``ratoon``.
        multiple_outputs: Whether the keys are pushed; without, only the whole value is.
    """

    ui_color: ClassVar[str] = "#e3f0d8"

    def __init__(self, *, ratoon_conn_id: str = DEFAULT_CONN_ID, multiple_outputs: bool = True, **kwargs: Any) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        self.ratoon_conn_id = ratoon_conn_id

    def execute(self, context: Context) -> Plain:
        """Do the work with an open client, and hand on what it returns as plain JSON."""
        with as_airflow_failure(), RatoonHook(self.ratoon_conn_id).client() as client:
            return plain(self.work(client, context))

    @abstractmethod
    def work(self, client: Client, context: Context) -> object:
        """What this operator is for; errors of ratoon may be raised as they are."""
