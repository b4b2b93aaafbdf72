"""Errors of ratoon as Airflow's exceptions: which of them end a task, and which are worth another try."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ratoon.errors import Conflict, DeploymentFailed, RatoonError, StoreError

TRANSIENT = (Conflict, DeploymentFailed, StoreError)
"""What may go well the next time: somebody was faster, a machine was busy, a database was away."""


@contextmanager
def as_airflow_failure() -> Iterator[None]:
    """Raise an error of ratoon as Airflow's own, with its message unchanged.

    Raises:
        AirflowException: The error may be gone the next time; the task's retries apply.
        AirflowFailException: The same input would fail in the same way; the task is not retried.
    """
    try:
        yield
    except TRANSIENT as error:
        raise AirflowException(str(error)) from error
    except RatoonError as error:
        raise AirflowFailException(str(error)) from error
