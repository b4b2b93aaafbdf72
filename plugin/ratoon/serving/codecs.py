"""The codecs of ``/invocations``: from bytes to what a model is called with, from its answer to bytes.

The formats are those of MLflow's scoring server: JSON with one of ``dataframe_split``, ``dataframe_records``,
``instances`` and ``inputs``, or CSV with a header row. numpy and pandas are imported where they are needed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ratoon.errors import InvalidInput
from ratoon.serving.bodies import read_csv, read_json
from ratoon.serving.fitting import fit, text_columns

if TYPE_CHECKING:
    import pandas

    from ratoon.models.signature import Signature

JSON = "application/json"
CSV = "text/csv"


class UnsupportedContentType(InvalidInput):
    """The body is in a format, or an encoding, that no codec reads."""


class ScoringInput(Struct, frozen=True):
    """What a body asks for: the data in a form that the signature accepts, and the parameters of the prediction."""

    data: Any
    params: Mapping[str, Any] | None = None


def decode(content: bytes, content_type: str | None = None, signature: Signature | None = None) -> ScoringInput:
    """Read a body.

    Args:
        content: The bytes as they came.
        content_type: The header of that name; None is taken for JSON.
        signature: What the model takes, None where that is not known.

    Raises:
        UnreadableBody: The body is malformed; the message tells where.
        UnsupportedContentType: No codec reads the content type.
    """
    is_csv = _media_type(content_type) == CSV
    body = read_csv(content, text_columns(signature)) if is_csv else read_json(content)
    return ScoringInput(fit(body, signature), body.params)


def encode(predictions: object) -> bytes:
    """Write a model's answer as ``{"predictions": …}``.

    A DataFrame becomes records, a Series or an array a list; NaN, the infinities and missing values become null, times
    ISO 8601.

    Raises:
        TypeError: The answer holds an object that JSON has no form for.
    """
    return msgspec.json.encode({"predictions": predictions}, enc_hook=_plain)


def _media_type(content_type: str | None) -> str:
    media_type, *parameters = (part.strip().lower() for part in (content_type or JSON).split(";"))
    if media_type not in (JSON, CSV):
        raise UnsupportedContentType(f"Content type of the request is not supported; send {JSON} or {CSV}")
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name.strip() != "charset" or value.strip().strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedContentType(
                f"Content type {media_type} has an unsupported parameter; leave out everything but charset=utf-8"
            )
    return media_type


def _plain(value: Any) -> Any:
    """What msgspec has no form for: arrays, tables and scalars of libraries that are loaded if it is theirs."""
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return _records(value)
    if pandas is not None and isinstance(value, (pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)):
        return value.tolist()
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return None
    if pandas is not None and isinstance(value, (pandas.Timestamp, pandas.Timedelta)):
        return value.isoformat()
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return _from_numpy(value)
    raise TypeError(f"a prediction of type {type(value).__module__}.{type(value).__qualname__} has no form in JSON")


def _records(frame: pandas.DataFrame) -> list[dict[Any, Any]]:
    if not frame.columns.is_unique:
        raise TypeError("the predictions have two columns of one name, and a JSON record can hold only one of them")
    return frame.to_dict(orient="records")


def _from_numpy(value: Any) -> Any:
    import numpy

    array = numpy.asarray(value)
    if array.dtype.kind == "M":
        # tolist() gives nanoseconds as bare integers.
        return numpy.where(numpy.isnat(array), numpy.array(None), numpy.datetime_as_string(array)).tolist()
    if array.dtype.kind == "m":
        return array.astype("m8[us]").tolist()
    if array.dtype.kind == "c":
        raise TypeError("complex predictions have no form in JSON")
    return array.tolist()
