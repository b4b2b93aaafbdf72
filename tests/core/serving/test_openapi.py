from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest

from ratoon.models.loading import LoadedModel
from ratoon.models.schema import ColSpec, ParamSpec, TensorSpec
from ratoon.models.signature import Signature
from ratoon.serving.openapi import openapi_document

FLOWER = {"sepal length": 5.1, "sepal width": 3.5, "petal length": 1.4}
ROW = {"age": 3, "name": "x", "weight": None}
MIXED = Signature(
    inputs=(
        ColSpec(type="long", name="age"),
        ColSpec(type="string", name="name", required=False),
        ColSpec(type="double", name="weight"),
    ),
    outputs=(ColSpec(type="boolean", name="alive"), ColSpec(type="double", name="probability")),
    params=(ParamSpec(name="heat", type="double", default=0.5),),
)
ARRAYS = Signature(
    inputs=(TensorSpec(dtype="float64", shape=(-1, 2)),), outputs=(TensorSpec(dtype="int64", shape=(-1,)),)
)
NAMED_ARRAYS = Signature(inputs=(TensorSpec(dtype="float32", shape=(-1, 2), name="x"),))
POSITIONS = Signature(inputs=(ColSpec(type="long"), ColSpec(type="string")), outputs=(ColSpec(type="long"),))


def scoring(document: dict[str, Any]) -> dict[str, Any]:
    post: dict[str, Any] = document["paths"]["/invocations"]["post"]
    return post


def body_schema(signature: Signature | None) -> dict[str, Any]:
    document = openapi_document(signature, title="m")
    schema: dict[str, Any] = scoring(document)["requestBody"]["content"]["application/json"]["schema"]
    return schema


def answer_schema(signature: Signature | None) -> dict[str, Any]:
    document = openapi_document(signature, title="m")
    schema: dict[str, Any] = scoring(document)["responses"]["200"]["content"]["application/json"]["schema"]
    return schema


def fits(instance: object, schema: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(instance))


@pytest.mark.parametrize("signature", [None, Signature(), MIXED, ARRAYS, NAMED_ARRAYS, POSITIONS])
def test_the_document_is_whole_and_its_schemas_are_valid(signature: Signature | None) -> None:
    document = openapi_document(signature, title="iris", version=3)
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "iris" and document["info"]["version"] == "3"
    assert sorted(document["paths"]) == ["/health", "/invocations", "/openapi.json", "/ping", "/version"]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all("200" in operation["responses"] for operation in operations)
    assert sorted(scoring(document)["responses"]) == ["200", "400", "413", "415", "500"]
    for schema in (body_schema(signature), answer_schema(signature), document["components"]["schemas"]["Error"]):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"dataframe_records": [ROW]}, True),
        ({"dataframe_records": [{"age": 3, "weight": 1.5}], "params": {"heat": 1}}, True),
        ({"instances": [ROW]}, True),
        ({"inputs": {"age": [3], "name": [None], "weight": [1.5]}}, True),
        ({"dataframe_split": {"columns": ["age", "weight"], "data": [[3, 1.5]]}}, True),
        ({}, False),
        ({"instances": [ROW], "dataframe_records": [ROW]}, False),
        ({"dataframe_records": [{"age": 3}]}, False),
        ({"dataframe_records": [{**ROW, "age": None}]}, False),
        ({"dataframe_records": [{**ROW, "age": "x"}]}, False),
        ({"inputs": {"age": 3, "weight": 1}}, False),
        ({"dataframe_split": {"columns": ["age"]}}, False),
        ({"dataframe_records": [ROW], "params": {"heat": "x"}}, False),
    ],
)
def test_bodies_of_a_model_of_columns(body: dict[str, Any], expected: bool) -> None:
    assert fits(body, body_schema(MIXED)) is expected


@pytest.mark.parametrize(
    ("signature", "body", "expected"),
    [
        (ARRAYS, {"instances": [[1, 2.5], [3, 4]]}, True),
        (ARRAYS, {"instances": [[1, None]]}, False),
        (ARRAYS, {"inputs": [[1, 2.5]]}, True),
        (ARRAYS, {"inputs": [1, 2]}, False),
        (ARRAYS, {"dataframe_records": [{"a": 1}]}, False),
        (NAMED_ARRAYS, {"instances": [{"x": [1, 2]}]}, True),
        (NAMED_ARRAYS, {"inputs": {"x": [[1, 2]]}}, True),
        (NAMED_ARRAYS, {"inputs": {"y": [[1, 2]]}}, False),
        (POSITIONS, {"instances": [[1, "a"]]}, True),
        (POSITIONS, {"instances": [["a", 1]]}, False),
        (None, {"instances": [[1, "a"]]}, True),
        (None, {"dataframe_records": [{"a": 1}]}, True),
    ],
)
def test_bodies_of_other_models(signature: Signature | None, body: dict[str, Any], expected: bool) -> None:
    assert fits(body, body_schema(signature)) is expected


@pytest.mark.parametrize(
    ("signature", "predictions", "expected"),
    [
        (MIXED, [{"alive": True, "probability": 0.5}], True),
        (MIXED, [{"alive": 1, "probability": 0.5}], False),
        (ARRAYS, [1, None], True),
        (ARRAYS, [[1]], False),
        (POSITIONS, [1], True),
        (None, {"anything": 1}, True),
    ],
)
def test_predictions(signature: Signature | None, predictions: object, expected: bool) -> None:
    assert fits({"predictions": predictions}, answer_schema(signature)) is expected


def test_csv_is_offered_where_rows_are_columns() -> None:
    content = scoring(openapi_document(MIXED, title="m"))["requestBody"]["content"]
    assert "text/csv" in content
    assert "text/csv" not in scoring(openapi_document(ARRAYS, title="m"))["requestBody"]["content"]


def test_a_served_model_describes_itself_with_an_example_that_it_answers(serve: Any, iris: LoadedModel) -> None:
    client: httpx.Client
    example = {"dataframe_split": {"columns": list(FLOWER), "data": [list(FLOWER.values())]}}
    with serve(iris, example=example) as client:
        document = client.get("/openapi.json").json()
        body = scoring(document)["requestBody"]["content"]["application/json"]
        answer = client.post("/invocations", json=body["example"])
    assert body["example"] == example
    assert fits(body["example"], body["schema"])
    assert answer.status_code == 200
    assert fits(answer.json(), scoring(document)["responses"]["200"]["content"]["application/json"]["schema"])
