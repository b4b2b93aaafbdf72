"""How data becomes a Spark DataFrame, with vectors where a stage wants them, and predictions come back in its order.

pyspark and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ratoon.errors import InvalidInput

ROW = "__ratoon_row"
PREDICTION = "prediction"


def predict_frame(model: Any, data: Any, session: Any, params: Mapping[str, Any]) -> list[Any]:
    """Predict for local data; one value a row, None for a row that the model leaves out.

    Raises:
        InvalidInput: Data or parameters do not fit the model, or it mixes up rows without leaving a trace.
    """
    frame = _as_frame(model, data)
    given = session.createDataFrame(frame.assign(**{ROW: range(len(frame))}))
    answer = transform(model, given, params)
    column = prediction_column(model, answer.columns)
    if ROW in answer.columns:
        found = {row[0]: _plain(row[1]) for row in answer.select(ROW, column).collect()}
        return [found.get(number) for number in range(len(frame))]
    values = [_plain(row[0]) for row in answer.select(column).collect()]
    if len(values) != len(frame):
        raise InvalidInput(
            f"model gave {len(values)} predictions for {len(frame)} rows (a stage drops columns, so nobody can tell "
            "which belongs to which); keep all columns in the pipeline's stages"
        )
    return values


def transform(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Apply the model to a Spark DataFrame; arrays of numbers become vectors where a stage takes nothing else."""
    from pyspark.ml.functions import array_to_vector

    for name in _arrays_to_convert(model, data):
        data = data.withColumn(name, array_to_vector(data[name].cast("array<double>")))
    return model.transform(data, _param_map(model, params or {}))


def stages_of(model: Any) -> Iterator[Any]:
    """The stages of a pipeline in their order, those of pipelines in it and of a tuned model's best one too."""
    inner = getattr(model, "bestModel", model)
    if hasattr(inner, "stages"):
        for stage in inner.stages:
            yield from stages_of(stage)
    else:
        yield inner


def inputs_of(model: Any) -> list[str]:
    """The columns that the model needs and does not make itself."""
    needed: list[str] = []
    made: set[str] = set()
    for stage in stages_of(model):
        needed += [name for name in _columns(stage, _INPUTS) if name not in made and name not in needed]
        made |= set(_columns(stage, _OUTPUTS))
    return needed


def prediction_column(model: Any, columns: list[str]) -> str:
    """The column that holds what the model predicts: what its last stage makes."""
    last = list(stages_of(model))[-1:]
    for name in (*(each for stage in last for each in _columns(stage, _OUTPUTS)), PREDICTION):
        if name in columns:
            return name
    raise InvalidInput(f"model makes no column that could be its prediction (it makes {', '.join(columns)})")


_INPUTS = ("inputCol", "inputCols", "featuresCol", "userCol", "itemCol")
_OUTPUTS = ("predictionCol", "outputCol", "outputCols", "rawPredictionCol", "probabilityCol")


def _columns(stage: Any, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if stage.hasParam(name) and stage.isDefined(stage.getParam(name)):
            value = stage.getOrDefault(stage.getParam(name))
            yield from [value] if isinstance(value, str) else value


def _as_frame(model: Any, data: Any) -> Any:
    """Local data as a pandas DataFrame; a matrix is one column of vectors, for the model's only input."""
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.Series):
        data = data.to_frame()
    if isinstance(data, Mapping):
        data = pd.DataFrame({name: list(values) for name, values in data.items()})
    if isinstance(data, np.ndarray) and data.ndim == 2:
        needed = inputs_of(model)
        if len(needed) != 1:
            raise InvalidInput(f"an array does not fit the model (it takes the columns {needed}); give a DataFrame")
        data = pd.DataFrame({needed[0]: list(data)})
    if not isinstance(data, pd.DataFrame):
        raise InvalidInput(f"data of type '{type(data).__name__}' does not fit the model; give a DataFrame")
    return data.apply(_with_lists)


def _with_lists(column: Any) -> Any:
    """Spark infers the type of a column of arrays from lists of Python's numbers only."""
    if column.dtype != object:
        return column
    return column.map(lambda value: value.tolist() if hasattr(value, "tolist") else value)


def _arrays_to_convert(model: Any, data: Any) -> list[str]:
    from pyspark.sql.types import ArrayType, NumericType

    inputs = set(inputs_of(model))
    arrays = [
        field.name
        for field in data.schema.fields
        if field.name in inputs
        and isinstance(field.dataType, ArrayType)
        and isinstance(field.dataType.elementType, NumericType)
    ]
    return arrays if arrays and not _takes(model, data) else []


def _takes(model: Any, data: Any) -> bool:
    """Whether the model takes these columns as they are."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    if not hasattr(model, "_to_java"):
        return False
    try:
        model._to_java().transformSchema(data._jdf.schema())
    except (PySparkException, Py4JJavaError, AttributeError, TypeError):
        return False
    return True


def _param_map(model: Any, params: Mapping[str, Any]) -> dict[Any, Any]:
    """Parameters by name as those of every stage that has them."""
    stages = list(stages_of(model))
    for name in params:
        if not any(stage.hasParam(name) for stage in stages):
            raise InvalidInput(f"parameter {name!r} is none of the model's stages'; leave it out or correct its name")
    return {stage.getParam(name): value for name, value in params.items() for stage in stages if stage.hasParam(name)}


def _plain(value: Any) -> Any:
    """Vectors as lists of numbers."""
    return value.toArray().tolist() if hasattr(value, "toArray") else value
