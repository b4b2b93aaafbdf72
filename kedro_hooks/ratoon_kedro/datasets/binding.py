"""How a dataset learns which run it belongs to: it is told before the pipeline starts, and carries it along.

Kedro tells datasets neither their name nor the run, and loads a worker's first inputs before any hook is called there.
What a dataset was told is pickled with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ratoon_kedro.datasets.marking import MARK
from ratoon_kedro.options.dataset_options import options_of
from ratoon_kedro.recording.lineage import base_name
from ratoon_kedro.recording.params import is_param

if TYPE_CHECKING:
    from ratoon_kedro.context import RunContext

PACKAGE = "ratoon_kedro.datasets."


class Binding(Struct, frozen=True, kw_only=True):
    """What a dataset is told.

    Attributes:
        context: The run.
        name: What the dataset is called in the run.
        produced: Whether the pipeline that is run saves it.
    """

    context: RunContext
    name: str
    produced: bool


def bind_datasets(pipeline: Any, catalog: Any, context: RunContext) -> None:
    """Tell every dataset of ours that the pipeline touches which run it belongs to; no other one is made for that."""
    if not hasattr(catalog, "config_resolver"):  # somebody else's catalog
        return
    produced = pipeline.all_outputs()
    for name, dataset in _ours(pipeline, catalog):
        known_as = options_of(catalog.get(name), name).name or base_name(name)
        dataset.bind(Binding(context=context, name=known_as, produced=name in produced))


def name_datasets(catalog: Any) -> None:
    """Tell every dataset of ours in the catalog its name: in a notebook there is no run to tell it."""
    for name, config in getattr(getattr(catalog, "config_resolver", None), "config", {}).items():
        if _names_ours(config) and (dataset := _unwrapped(catalog, name)) is not None:
            dataset.call(options_of(catalog.get(name), name).name or base_name(name))


def _ours(pipeline: Any, catalog: Any) -> Iterator[tuple[str, Any]]:
    known = set(catalog.keys())
    for name in pipeline.datasets():
        if is_param(name):
            continue
        config = _configured(catalog.config_resolver, name)
        # What has no configuration is an object already, or will be a MemoryDataset.
        if _names_ours(config) if config else name in known:
            found = _unwrapped(catalog, name)
            if found is not None:
                yield name, found


def _unwrapped(catalog: Any, name: str) -> Any:
    """The dataset of ours, also within a cache; None if it is none."""
    found = catalog.get(name)
    found = found if hasattr(found, MARK) else getattr(found, "_dataset", None)
    return found if hasattr(found, "bind") else None


def _configured(resolver: Any, name: str) -> Mapping[str, Any] | None:
    """The configuration of a dataset, also of one that a pattern makes."""
    config = resolver.config.get(name)
    if config is None and (resolver.match_dataset_pattern(name) or resolver.match_user_catch_all_pattern(name)):
        config = resolver.resolve_pattern(name)
    return config if isinstance(config, Mapping) else None


def _names_ours(config: Mapping[str, Any]) -> bool:
    kind, inner = config.get("type"), config.get("dataset")
    if isinstance(kind, str) and kind.startswith(PACKAGE):
        return True
    if isinstance(kind, type) and hasattr(kind, MARK):
        return True
    return isinstance(inner, Mapping) and _names_ours(inner)
