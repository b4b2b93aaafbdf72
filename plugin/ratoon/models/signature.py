"""What a model takes and returns: inferred from data, kept in the MLmodel file, enforced on each prediction.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ratoon.errors import Corrupt
from ratoon.models.enforcement import enforce_columns
from ratoon.models.inference import infer_schema
from ratoon.models.parameters import enforce_params, infer_params
from ratoon.models.schema import (
    ColSpec,
    ParamSpec,
    Schema,
    TensorSpec,
    params_from_json,
    schema_from_json,
    schema_to_json,
)
from ratoon.models.tensors import enforce_tensors

__all__ = ["ColSpec", "ParamSpec", "Schema", "Signature", "TensorSpec", "infer_signature"]


class Signature(Struct, frozen=True, kw_only=True):
    """The schemas of a model's inputs, outputs and parameters; None where nothing is known."""

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: tuple[ParamSpec, ...] | None = None

    @classmethod
    def from_mlflow(cls, plain: Mapping[str, Any]) -> Signature:
        """Read what the MLmodel file has under ``signature``.

        Raises:
            Corrupt: It is no signature.
        """
        texts = [plain.get(key) for key in ("inputs", "outputs", "params")]
        if not all(isinstance(text, str | None) for text in texts):
            raise Corrupt("signature of the model cannot be read (no JSON strings); save the model again")
        return cls(
            inputs=schema_from_json(texts[0]),
            outputs=schema_from_json(texts[1]),
            params=params_from_json(texts[2]),
        )

    def to_mlflow(self) -> dict[str, str | None]:
        """What goes under ``signature`` in the MLmodel file."""
        return {
            "inputs": schema_to_json(self.inputs),
            "outputs": schema_to_json(self.outputs),
            "params": schema_to_json(self.params),
        }

    @property
    def takes_tensors(self) -> bool:
        """Whether the inputs are arrays rather than columns."""
        return bool(self.inputs) and all(isinstance(spec, TensorSpec) for spec in self.inputs or ())

    def enforce(self, data: Any) -> Any:
        """Bring data into the form that the model was trained with, without loss.

        Args:
            data: A table or an array of pandas, numpy, Polars, Arrow or a library of tensors; a list of records or
                rows, a dict of lists, a dict that is one row; the values of the only column, or one of them. Plain
                Python values have no width: a list of numbers may become 32-bit floats. Values of a table or an array
                are only widened.

        Returns:
            A DataFrame with exactly the columns of the signature in its order; an array, or a dict of arrays, if the
            signature is made of tensors; the data itself if there is no schema of inputs.

        Raises:
            InvalidInput: A column is missing or has another type; the message names columns and types, never values.
        """
        if not self.inputs:
            return data
        columns = [spec for spec in self.inputs if isinstance(spec, ColSpec)]
        tensors = [spec for spec in self.inputs if isinstance(spec, TensorSpec)]
        return enforce_columns(columns, data) if columns else enforce_tensors(tensors, data)

    def enforce_params(self, params: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Complete parameters with their defaults, and bring them into the form of their types without loss.

        Raises:
            InvalidInput: A parameter is unknown or has another type.
        """
        return enforce_params(self.params, params)


def infer_signature(inputs: Any, outputs: Any = None, params: Mapping[str, Any] | None = None) -> Signature:
    """Describe data that a model is called with, what it returned, and its parameters.

    Args:
        inputs: A table or an array of pandas, numpy, Polars, Arrow or a library of tensors; a dict of arrays, a dict
            of lists, which is a table, or of values, which is one row; a list of records or of values, or one value.
        outputs: The same, or None.
        params: The parameters with their defaults, which tell their types; None if the model takes any.

    Raises:
        InvalidInput: A column or a parameter holds values that no type of MLflow's stands for.
    """
    return Signature(
        inputs=None if inputs is None else infer_schema(inputs),
        outputs=None if outputs is None else infer_schema(outputs),
        params=None if params is None else infer_params(params),
    )
