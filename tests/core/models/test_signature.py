from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ratoon.errors import Corrupt, InvalidInput
from ratoon.models.signature import ColSpec, Signature, TensorSpec, infer_signature


def test_the_form_of_mlflow_and_back() -> None:
    plain = {
        "inputs": '[{"type": "double", "name": "a", "required": true}]',
        "outputs": '[{"type": "long", "required": true}]',
        "params": '[{"name": "t", "default": 0.5, "shape": null, "type": "double"}]',
    }
    signature = Signature.from_mlflow(plain)
    assert signature.inputs == (ColSpec(type="double", name="a"),)
    assert signature.to_mlflow() == plain


def test_what_is_unknown_stays_none() -> None:
    assert Signature.from_mlflow({}).to_mlflow() == {"inputs": None, "outputs": None, "params": None}


def test_a_signature_that_holds_no_texts_is_refused() -> None:
    with pytest.raises(Corrupt, match="no JSON strings"):
        Signature.from_mlflow({"inputs": [1]})


def test_inputs_and_outputs_are_inferred() -> None:
    signature = infer_signature(pd.DataFrame({"a": [1.0]}), np.array([1]))
    assert signature == Signature(
        inputs=(ColSpec(type="double", name="a"),), outputs=(TensorSpec(dtype="int64", shape=(-1,)),)
    )
    assert infer_signature([{"a": 1}]).outputs is None


def test_tensors_are_told_from_columns() -> None:
    assert infer_signature(np.ones((2, 2))).takes_tensors
    assert not infer_signature([{"a": 1}]).takes_tensors
    assert not Signature().takes_tensors


def test_columns_tensors_and_nothing_are_enforced() -> None:
    data = [{"a": 1}]
    assert infer_signature(data).enforce({"a": [2]}).to_dict("list") == {"a": [2]}
    assert infer_signature(np.ones((2, 2))).enforce([[1, 2]]).tolist() == [[1.0, 2.0]]
    assert Signature().enforce(data) is data
    with pytest.raises(InvalidInput, match="expected long, given string"):
        infer_signature(data).enforce([{"a": "1"}])


def test_parameters_pass_where_nothing_is_known_of_them() -> None:
    assert Signature().enforce_params({"x": 1}) == {"x": 1}
