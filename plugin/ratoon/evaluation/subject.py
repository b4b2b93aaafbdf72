"""What is evaluated: a model by its URI, one that is loaded, an estimator or a function.

Which libraries a model needs is its flavor's business; none is imported here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from ratoon.entities import ModelVersion
from ratoon.errors import InvalidInput, NotFound
from ratoon.models.loading import LoadedModel
from ratoon.models.trust import Trust
from ratoon.tracking.client import Client
from ratoon.tracking.locations import parse_model_uri
from ratoon.tracking.models import load_model, logged_model, resolve_version


class Subject(NamedTuple):
    """A model that can be asked.

    Attributes:
        name: What people call it: its URI where it has one.
        predict: Calls it with data.
        prepare: Brings data into the form that the native object takes.
        native: The object itself, an estimator for example.
        version: The registered version that it is; None if it is none.
        model_id: The logged model that it is; None if it is none of this store.
    """

    name: str
    predict: Callable[[Any], Any]
    prepare: Callable[[Any], Any]
    native: Any
    version: ModelVersion | None = None
    model_id: str | None = None


def find_subject(client: Client, model: Any, trust: Trust = None) -> Subject:
    """The model that is meant, loaded if it is named by a URI or a folder.

    Raises:
        InvalidInput: It is nothing that can predict.
        NotFound: Nothing is there under this URI. Untrusted: loading it would run code that ``trust`` does not allow.
    """
    if isinstance(model, str | os.PathLike):
        return _by_uri(client, os.fspath(model), trust)
    if isinstance(model, LoadedModel):
        model_id = _known(client, model.info.model_id)
        return _loaded(model, f"models:/{model_id}" if model_id else _kind(model.native), model_id=model_id)
    if callable(getattr(model, "predict", None)):
        return Subject(_kind(model), lambda data: model.predict(_features(model, data)), _picks(model), model)
    if callable(model):
        return Subject(_kind(model), model, _as_it_is, model)
    raise InvalidInput(
        f"object of type '{type(model).__qualname__}' cannot be evaluated; give a URI, a loaded model, an object with a"
        " method predict, or a function of the data"
    )


def _by_uri(client: Client, uri: str, trust: Trust) -> Subject:
    version = resolve_version(client, uri)
    if version is not None:
        # An alias may move while this is going on: what was resolved is what is loaded.
        uri = f"models:/{version.name}/{version.version}"
    loaded = load_model(uri, trust=trust, client=client)
    if version is not None:
        model_id = version.model_id
    else:
        model_id = logged_model(client, parse_model_uri(uri)).model_id if ":/" in uri else loaded.info.model_id
    return _loaded(loaded, uri, version=version, model_id=_known(client, model_id))


def _loaded(model: LoadedModel, name: str, **known: Any) -> Subject:
    signature = model.signature
    if signature is not None and signature.inputs:
        return Subject(name, model.predict, signature.enforce, model.native, **known)
    picks = _picks(model.native)
    return Subject(name, lambda data: model.predict(picks(data)), picks, model.native, **known)


def _picks(native: Any) -> Callable[[Any], Any]:
    return lambda data: _features(native, data)


def _features(native: Any, data: Any) -> Any:
    """The columns that an estimator was fitted with: data may hold more, those of segments for example."""
    names = getattr(native, "feature_names_in_", None)
    columns = getattr(data, "columns", None)
    if names is None or columns is None or not set(names) <= set(columns):
        return data
    return data[list(names)]


def _as_it_is(data: Any) -> Any:
    return data


def _kind(model: Any) -> str:
    return str(getattr(model, "__qualname__", None) or type(model).__qualname__)


def _known(client: Client, model_id: str | None) -> str | None:
    """The id of a logged model, if this store has it: a folder may come from anywhere."""
    try:
        return client.tracking.get_model(model_id).model_id if model_id else None
    except NotFound:
        return None
