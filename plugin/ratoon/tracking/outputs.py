"""What a value that a pipeline made is worth recording as: metrics, their history, figures, a document, models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pluggy
from msgspec import Struct, field

from ratoon.hookspecs import hookimpl
from ratoon.models.flavors import GENERIC, registered_flavors
from ratoon.tracking.documents import document_of
from ratoon.tracking.drawing import figure_forms
from ratoon.tracking.numbers import History, histories_of, number_of, numbers_of

# So many figures or models in one list or mapping are results; more of them are data.
MOST_PARTS = 20
# Libraries whose classes are data, for which no flavor need be imported.
_DATA = ("builtins", "collections", "datetime", "decimal", "numpy", "pandas", "pathlib", "polars", "pyarrow", "scipy")


class Description(Struct, frozen=True, kw_only=True):
    """What a value is worth. Keys tell its parts apart; the key of what is the whole value is empty.

    Attributes:
        metrics: Figures by key.
        histories: Metrics with the points of a whole training, by key.
        figures: Figures of Matplotlib, Plotly or Altair and pictures of Pillow, by key.
        document: A small value that JSON can hold; None if there is none.
        model: The value itself, if it is a model that some flavor can save.
        models: Models by key, if the value is a mapping or a list of them.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)
    figures: Mapping[str, object] = field(default_factory=dict)
    document: Any = None
    model: object | None = None
    models: Mapping[str, object] = field(default_factory=dict)


def describe(manager: pluggy.PluginManager, name: str, value: object) -> Description | None:
    """Ask the plugins what a value is worth, then the flavors whether it is a model; None if nobody knows it.

    The generic flavor is not asked: that a value can be called or has a ``predict`` does not make it worth keeping.
    """
    answer: Description | None = manager.hook.describe_output(name=name, value=value)
    if answer is not None:
        return answer
    if is_model(manager, value):
        return Description(model=value)
    models = dict(_parts(value))
    if models and all(is_model(manager, each) for each in models.values()):
        return Description(models=models)
    return None


def is_model(manager: pluggy.PluginManager, value: object) -> bool:
    """Whether a flavor other than the generic one saves such an object."""
    if type(value).__module__.partition(".")[0] in _DATA:
        return False
    flavors = registered_flavors(manager)
    return any(flavor.recognises(value) for key, flavor in flavors.items() if key != GENERIC)


@hookimpl
def describe_output(name: str, value: object) -> Description | None:
    """Numbers, histories, figures, and what is small enough for a document."""
    if value is None or isinstance(value, (bool, bytes, bytearray)):
        return None
    number = number_of(value)
    if number is not None:
        return Description(metrics={"": number})
    if figure_forms(value):
        return Description(figures={"": value})
    numbers = numbers_of(value)
    if numbers is not None:
        return Description(metrics=numbers)
    histories = histories_of(value)
    if histories is not None:
        return Description(histories=histories)
    figures = dict(_parts(value))
    if figures and all(figure_forms(each) for each in figures.values()):
        return Description(figures=figures)
    document = document_of(value)
    return Description(document=document) if document is not None else None


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """What a small mapping or list holds, by key or by position; nothing of anything else."""
    if isinstance(value, Mapping) and 0 < len(value) <= MOST_PARTS:
        yield from ((str(key), each) for key, each in value.items())
    elif isinstance(value, (list, tuple)) and 0 < len(value) <= MOST_PARTS:
        yield from ((str(place), each) for place, each in enumerate(value))
