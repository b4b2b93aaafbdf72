from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pluggy
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from ratoon.errors import Corrupt, InvalidInput, RatoonError
from ratoon.manager import make_manager
from ratoon.models.flavors import flavor_of
from ratoon.models.flavors import onnx as module
from ratoon.models.flavors.onnx import OnnxFlavor
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import read_mlmodel
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract

WEIGHTS = np.arange(8, dtype="float32").reshape(4, 2)


def graph(nodes: Any, inputs: Any, outputs: Any, weights: Any = (), domains: tuple[str, ...] = ("",)) -> Any:
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(weights).items()],
    )
    opsets = [helper.make_opsetid(domain, 17 if not domain else 1) for domain in domains]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


def linear() -> Any:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return graph([node], [("x", 1, ["n", 4])], [("y", 1, ["n", 2])], {"w": WEIGHTS})


def sums() -> Any:
    nodes = [helper.make_node("Add", ["a", "b"], ["plus"]), helper.make_node("Sub", ["a", "b"], ["minus"])]
    inputs = [("a", TensorProto.FLOAT, ["n", 1]), ("b", TensorProto.FLOAT, ["n", 1])]
    return graph(nodes, inputs, [("plus", 1, ["n", 1]), ("minus", 1, ["n", 1])])


class TestArrays(FlavorContract):
    flavor_name = "onnx"
    library = "onnx"

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> Any:
        return np.random.default_rng(0).normal(size=(7, 4)).astype("float32")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return linear()


class TestTable(TestArrays):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> Any:
        return pd.DataFrame({"a": [1.0, 2, 3, 4, 5], "b": [0.5, 0, 0, 0, 1]})

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return sums()

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        both = {"plus": data["a"] + data["b"], "minus": data["a"] - data["b"]}
        return pd.DataFrame(both).astype("float32")


@pytest.fixture(scope="module")
def manager() -> pluggy.PluginManager:
    return make_manager(builtins=["ratoon.models.flavors.onnx"], installed=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def as_of_mlflow(folder: Path, **config: Any) -> Path:
    """A folder as MLflow writes it, without digests."""
    folder.mkdir(exist_ok=True)
    entry = {"onnx_version": onnx.__version__, "data": "model.onnx"} | config
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"onnx": entry}}))
    return folder


def test_a_graph_of_the_library_is_saved_as_it_is(folder: Path, manager: pluggy.PluginManager) -> None:
    assert flavor_of(linear(), manager)[0] == "onnx"
    info = save_model(linear(), folder, manager=manager)
    assert info.flavors["onnx"]["ratoon_opsets"] == {"ai.onnx": 17} and info.flavors["onnx"]["ratoon_ir_version"] == 9
    assert onnx.load(str(folder / "model.onnx")) == linear() == load_folder(folder, manager=manager).native.proto


def test_arrays_become_what_the_graph_asks_for() -> None:
    flavor = OnnxFlavor()
    for given in (np.ones((3, 4)), np.ones((3, 4), "float32"), {"x": np.ones((3, 4))}, [[1.0] * 4] * 3):
        np.testing.assert_array_equal(flavor.predict(linear(), given)["y"], np.ones((3, 4)) @ WEIGHTS)
    table = flavor.predict(linear(), pd.DataFrame(np.ones((2, 4)), index=[5, 6]))
    assert list(table.index) == [5, 6] and table["y"].tolist()[0].tolist() == [12.0, 16.0]
    both = flavor.predict(sums(), {"a": np.ones((1, 1)), "b": np.ones((1, 1))})
    assert both["plus"].item() == 2 and both["minus"].item() == 0


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (sums(), np.ones((2, 1)), "takes 2 arrays; give a dict of arrays, or a DataFrame, with 'a', 'b'"),
        (sums(), pd.DataFrame({"a": [1.0]}), "column 'b' of the model's input is missing"),
        (linear(), np.ones((2, 3)), "cannot be run on the data"),
    ],
)
def test_data_that_does_not_fit_is_named(model: Any, data: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        OnnxFlavor().predict(model, data)


def test_texts_are_taken(folder: Path, manager: pluggy.PluginManager) -> None:
    node = helper.make_node("Identity", ["word"], ["same"])
    model = graph(
        [node, helper.make_node("Identity", ["other"], ["also"])],
        [("word", TensorProto.STRING, ["n"]), ("other", TensorProto.STRING, ["n"])],
        [("same", TensorProto.STRING, ["n"]), ("also", TensorProto.STRING, ["n"])],
    )
    save_model(model, folder, manager=manager)
    frame = pd.DataFrame({"word": ["a", "b"], "other": ["c", "d"]})
    assert load_folder(folder, manager=manager).predict(frame)["also"].tolist() == ["c", "d"]


def test_a_large_graph_keeps_its_tensors_beside_it(
    folder: Path, tmp_path: Path, manager: pluggy.PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE", 2000)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = {"w": np.ones((1000, 2), "float32")}
    model = graph([node], [("x", 1, ["n", 1000])], [("y", 1, ["n", 2])], weights)
    save_model(model, folder, manager=manager)
    assert (folder / "model.onnx.data").stat().st_size == 8000 and (folder / "model.onnx").stat().st_size < 2000
    assert not model.graph.initializer[0].external_data
    loaded = load_folder(folder, manager=manager)
    assert loaded.predict(np.ones((1, 1000), "float32"))["y"].tolist() == [[1000, 1000]]
    assert OnnxFlavor().predict(model, np.ones((1, 1000), "float32"))["y"].tolist() == [[1000, 1000]]
    save_model(loaded.native, tmp_path / "again", manager=manager)
    assert (tmp_path / "again" / "model.onnx.data").stat().st_size == 8000


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "a/../../secret", "missing"])
@pytest.mark.parametrize("nested", [False, True])
def test_tensors_outside_of_the_folder_are_not_read(
    location: str, nested: bool, folder: Path, manager: pluggy.PluginManager
) -> None:
    (folder.parent / "secret").write_bytes(bytes(32))
    tensor = TensorProto(name="w", data_type=1, dims=[4, 2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    model = linear()
    if nested:
        del model.graph.initializer[:]
        model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    else:
        model.graph.initializer[0].CopyFrom(tensor)
    as_of_mlflow(folder)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(Corrupt, match="outside the model|is missing"):
        load_folder(folder, manager=manager, trust="code")


def test_operators_of_other_libraries_are_not_looked_for(folder: Path, manager: pluggy.PluginManager) -> None:
    node = helper.make_node("Evil", ["x"], ["y"], domain="my.operators")
    model = graph([node], [("x", 1, ["n"])], [("y", 1, ["n"])], domains=("", "my.operators"))
    as_of_mlflow(folder, onnx_session_options={"extra_session_config": {"session.custom": "evil.so"}})
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(RatoonError, match="cannot be run here"):
        load_folder(folder, manager=manager, trust="code")


def test_threads_are_taken_from_a_model_of_mlflow(folder: Path, manager: pluggy.PluginManager) -> None:
    as_of_mlflow(folder, onnx_session_options={"intra_op_num_threads": 1}, providers=["CUDAExecutionProvider"])
    (folder / "model.onnx").write_bytes(linear().SerializeToString())
    session = load_folder(folder, manager=manager).native.session
    assert session.get_session_options().intra_op_num_threads == 1
    assert session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.parametrize("content", [b"", b"\x80nothing", linear().SerializeToString()[:-9]])
def test_what_is_no_graph_is_named(content: Any, folder: Path, manager: pluggy.PluginManager) -> None:
    as_of_mlflow(folder)
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(Corrupt, match=r"model\.onnx"):
        load_folder(folder, manager=manager)


def test_what_is_not_valid_is_not_saved(folder: Path, manager: pluggy.PluginManager) -> None:
    model = linear()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(Corrupt, match="is no valid ONNX model"):
        save_model(model, folder, manager=manager)
    assert not folder.exists()


def test_the_example_is_what_the_inputs_fit() -> None:
    flavor, array = OnnxFlavor(), np.ones((3, 4))
    assert flavor.example_from(linear(), [np.ones((3, 5)), {"x": np.ones(4)}, array]) is array
    named = {"x": array}
    assert flavor.example_from(linear(), [{"z": array}, named]) is named
    frame = pd.DataFrame({"b": [1.0], "a": [2.0]})
    assert flavor.example_from(sums(), [pd.DataFrame({"a": [1.0]}), frame]) is frame


def test_nothing_of_mlflow_is_missing(folder: Path, manager: pluggy.PluginManager) -> None:
    save_model(linear(), folder, manager=manager)
    entry = read_mlmodel(folder).flavors["python_function"]
    assert (entry["loader_module"], entry["data"]) == ("mlflow.onnx", "model.onnx")
