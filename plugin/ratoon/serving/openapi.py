"""The OpenAPI 3.1 document of a served model, made from its signature.

A model without a signature gets the same document with the values left open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratoon.models.schema import ColSpec, ParamSpec, Schema, TensorSpec
from ratoon.version import __version__

if TYPE_CHECKING:
    from ratoon.models.signature import Signature

Json = dict[str, Any]

COLUMNS: Mapping[str, Json] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
}
# Columns of these types have no missing values unless the signature says so.
NEVER_NULL = ("boolean", "integer", "long")
ELEMENTS = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "U": "string", "S": "string", "M": "string"}
ERRORS = {
    "400": "The body is malformed, or does not fit the model's signature.",
    "413": "The body is too large.",
    "415": "The content type is not supported.",
    "500": "The model failed on this input.",
}


def openapi_document(
    signature: Signature | None, *, title: str, version: int | None = None, example: object = None
) -> Json:
    """Describe the endpoints.

    Args:
        signature: What the model takes and gives, None where that is not known.
        title: The name of the model.
        version: Its version in the registry, None if it is not registered.
        example: A body of ``/invocations`` that the model answers, None if there is none.
    """
    inputs, outputs, params = (
        (signature.inputs, signature.outputs, signature.params) if signature else (None, None, None)
    )
    body: Json = {"schema": _body(inputs, params)}
    if example is not None:
        body["example"] = example
    content = {"application/json": body}
    if not _tensors(inputs):
        content["text/csv"] = {"schema": {"type": "string", "description": "One row a line, below a header row."}}
    score: Json = {
        "operationId": "invocations",
        "summary": "Predict.",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _answer("The predictions.", _predictions(outputs))} | _errors(),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": str(version or 0), "description": f"Served by ratoon {__version__}."},
        "paths": {"/invocations": {"post": score}, **_other_paths()},
        "components": {
            "schemas": {"Error": _object({"error_code": {"type": "string"}, "message": {"type": "string"}})}
        },
    }


def _other_paths() -> Json:
    health = {
        "status": {"const": "ok"},
        "model_uri": {"type": "string"},
        "name": {"type": ["string", "null"]},
        "version": {"type": ["integer", "null"]},
    }
    text = {"description": "The version.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "/ping": _get("ping", "Whether the server lives.", {"description": "It does."}),
        "/health": _get("health", "Which model is in service.", _answer("The model.", _object(health))),
        "/version": _get("version", "Which version of ratoon serves.", text),
        "/openapi.json": _get("openapi", "This document.", _answer("The document.", {"type": "object"})),
    }


def _get(operation: str, summary: str, answer: Json) -> Json:
    return {"get": {"operationId": operation, "summary": summary, "responses": {"200": answer}}}


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _errors() -> Json:
    return {status: _answer(text, {"$ref": "#/components/schemas/Error"}) for status, text in ERRORS.items()}


def _object(properties: Json, required: Sequence[str] | None = None) -> Json:
    names = list(properties) if required is None else list(required)
    return {"type": "object", "properties": properties, "required": names}


def _body(inputs: Schema | None, params: Sequence[ParamSpec] | None) -> Json:
    forms = {"instances": _list(_row(inputs)), "inputs": _lists(inputs)}
    if not _tensors(inputs):
        forms = {"dataframe_split": _split(inputs), "dataframe_records": _list(_row(inputs)), **forms}
    extra = {"params": _params(params)} if params else {}
    return {"oneOf": [_object({name: form, **extra}, [name]) for name, form in forms.items()]}


def _params(params: Sequence[ParamSpec]) -> Json:
    properties = {}
    for param in params:
        single = COLUMNS.get(param.type, {})
        properties[param.name] = {**(single if param.shape is None else _list(single)), "default": param.default}
    return _object(properties, [])


def _split(inputs: Schema | None) -> Json:
    columns: Json = _list({"type": ["string", "integer"]})
    if inputs and inputs[0].name is not None:
        columns["examples"] = [[spec.name for spec in inputs]]
    properties = {"columns": columns, "data": _list({"type": "array"}), "index": {"type": "array"}}
    return _object(properties, ["columns", "data"])


def _row(specs: Schema | None, *, gaps: bool = False) -> Json:
    """One row: a dictionary where the columns have names, else a list of values, or the inside of an array."""
    if not specs:
        return {}
    if specs[0].name is not None:
        return _named({str(spec.name): _value(spec, rows=False, gaps=gaps) for spec in specs}, specs)
    if isinstance(specs[0], TensorSpec):
        return _value(specs[0], rows=False, gaps=gaps)
    return {"type": "array", "prefixItems": [_value(spec, rows=False, gaps=gaps) for spec in specs]}


def _lists(specs: Schema | None, *, gaps: bool = False) -> Json:
    """The values of all rows: a dictionary of lists where the columns have names, else one list."""
    if not specs:
        return {"type": ["array", "object"]}
    if specs[0].name is not None:
        return _named({str(spec.name): _value(spec, rows=True, gaps=gaps) for spec in specs}, specs)
    return _list(_row(specs, gaps=gaps))


def _predictions(outputs: Schema | None) -> Json:
    if not outputs:
        return _object({"predictions": {}})
    if isinstance(outputs[0], TensorSpec) and outputs[0].name is not None:
        return _object({"predictions": _lists(outputs, gaps=True)})
    if len(outputs) == 1 and outputs[0].name is None:
        return _object({"predictions": _list(_value(outputs[0], rows=False, gaps=True))})
    return _object({"predictions": _list(_row(outputs, gaps=True))})


def _named(properties: Json, specs: Schema) -> Json:
    return _object(properties, [str(spec.name) for spec in specs if spec.required])


def _value(spec: ColSpec | TensorSpec, *, rows: bool, gaps: bool) -> Json:
    """The values of one column: that of one row, or a list with those of all rows.

    ``gaps`` says whether elements of arrays may be null: NaN is written so, but not read.
    """
    if isinstance(spec, ColSpec):
        single = dict(COLUMNS.get(spec.type, {}))
        if single and not (spec.required and spec.type in NEVER_NULL):
            single["type"] = [single["type"], "null"]
        return _list(single) if rows else single
    import numpy

    element = ELEMENTS.get(numpy.dtype(spec.dtype).kind)
    value: Json = {"type": [element, "null"] if gaps else element} if element else {}
    for _ in range(len(spec.shape) - (0 if rows else 1)):
        value = _list(value)
    return value


def _tensors(inputs: Schema | None) -> bool:
    return bool(inputs) and isinstance((inputs or ())[0], TensorSpec)


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}
