"""Logging what a description found: metrics, histories, figures and documents, each in one form everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.clock import now_ms
from ratoon.tracking.drawing import figure_forms
from ratoon.tracking.numbers import History
from ratoon.tracking.outputs import Description, describe
from ratoon.tracking.run import ActiveRun


def log_output(run: ActiveRun, name: str, value: object) -> Description | None:
    """Log what a value is worth under its name: ``<name>`` and ``<name>.<key>``, figures and documents as files.

    Args:
        run: The run.
        name: What the value is called; the name of a metric or of a file's stem.
        value: Anything; it is not changed.

    Returns:
        What was found; None if the value is nothing that is logged.
    """
    found = describe(run.client.manager, name, value)
    if found is None:
        return None
    run.log_metrics({key_of(name, key): number for key, number in found.metrics.items()})
    log_histories(run, {key_of(name, key): history for key, history in found.histories.items()})
    for key, figure in found.figures.items():
        log_figure_forms(run, figure, f"figures/{key_of(name, key)}")
    if found.document is not None:
        log_document(run, found.document, f"values/{name}.json")
    models = {"": found.model} if found.model is not None else found.models
    for key, model in models.items():
        run.log_model(model, key_of(name, key))
    return found


def key_of(name: str, key: str) -> str:
    """The name of a part; the key of the whole is empty."""
    return f"{name}.{key}" if key else name


def log_histories(run: ActiveRun, histories: Mapping[str, History]) -> None:
    """Log the points of several metrics, all with one timestamp; nothing waits for the store."""
    now = now_ms()
    for key, history in histories.items():
        for step, value in zip(history.steps, history.values, strict=True):
            run.log_metric(key, value, step, now)


def log_figure_forms(run: ActiveRun, figure: Any, stem: str) -> list[str]:
    """Keep a figure in every form that people and programs read it in: ``<stem>.png``, ``.json``, ``.html``.

    Returns:
        The names of the files.
    """
    names = [f"{stem}.{form}" for form in figure_forms(figure)]
    for name in names:
        run.log_figure(figure, name)
    return names


def log_document(run: ActiveRun, document: Any, artifact_file: str) -> None:
    """Keep a value as JSON."""
    run.log_dict(document, artifact_file)
