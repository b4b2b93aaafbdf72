"""TensorFlow is imported in fixtures: it takes seconds, and so would the collection of all tests."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml

from ratoon.errors import Corrupt, InvalidInput, RatoonError, Untrusted
from ratoon.manager import make_manager
from ratoon.models.flavors.distributions import provider_of
from ratoon.models.flavors.tensorflow import TensorflowFlavor
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract

# Keras converts its variables in a way that numpy 2 wants to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def module(function: Callable[[Any, Any], Any] | None = None) -> Any:
    """A module that multiplies with its weights, or does what a function of both does."""
    import tensorflow as tf

    class Linear(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.reshape(tf.range(8.0), (4, 2)))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return function(x, self.weights) if function else x @ self.weights

    return Linear()


def rows() -> Any:
    return np.random.default_rng(0).normal(size=(7, 4)).astype("float32")


class TestModule(FlavorContract):
    flavor_name = "tensorflow"
    library = "tensorflow"
    distribution = provider_of("tensorflow")

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> Any:
        return rows()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return module()

    @pytest.mark.slow
    def test_a_fresh_process_predicts_the_same(
        self, model: Any, data: Any, saved: Path, manager: pluggy.PluginManager, tmp_path: Path
    ) -> None:
        super().test_a_fresh_process_predicts_the_same(model, data, saved, manager, tmp_path)


@pytest.fixture(scope="module")
def manager() -> pluggy.PluginManager:
    builtins = ["ratoon.models.flavors.keras", "ratoon.models.flavors.tensorflow"]
    return make_manager(builtins=builtins, installed=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def reads(x: Any, weights: Any) -> Any:
    import tensorflow as tf

    return x + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


def writes(x: Any, weights: Any) -> Any:
    import tensorflow as tf

    tf.io.write_file("ran", "code")
    return x


def prints(x: Any, weights: Any) -> Any:
    import tensorflow as tf

    tf.print("code", output_stream="file://ran")
    return x


def calls_python(x: Any, weights: Any) -> Any:
    import tensorflow as tf

    return tf.py_function(lambda value: value, [x], tf.float32)


def nested(x: Any, weights: Any) -> Any:
    import tensorflow as tf

    return tf.cond(tf.reduce_sum(x) > 0, lambda: reads(x, weights), lambda: x)


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (reads, "ReadFile"),
        (writes, "WriteFile"),
        (prints, "PrintV2"),
        (calls_python, "EagerPyFunc"),
        (nested, "ReadFile"),
    ],
)
def test_a_graph_that_does_more_than_compute_is_refused(
    function: Any,
    operator: str,
    folder: Path,
    manager: pluggy.PluginManager,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder.parent)
    save_model(module(function), folder, manager=manager)
    assert 'trust="code"' in caplog.text
    with pytest.raises(Untrusted, match=rf"'{operator}'.*trust=\"code\""):
        load_folder(folder, manager=manager)
    (need,) = TensorflowFlavor().needs(folder, {"model_type": "tf2-module", "saved_model_dir": "tf2model"})
    assert need.level.value == "trusted-code" and operator in need.reason
    assert not (folder.parent / "ran").exists()
    load_folder(folder, manager=manager, trust="code")


def test_what_only_computes_is_loaded(folder: Path, manager: pluggy.PluginManager) -> None:
    import tensorflow as tf

    def computes(x: Any, weights: Any) -> Any:
        noise = tf.random.normal(tf.shape(x)) * 0
        total = tf.while_loop(lambda i, _: i < 3, lambda i, s: (i + 1, s + 1.0), [0, 0.0])[1]
        return {"product": (x + noise) @ weights, "total": tf.fill([tf.shape(x)[0]], total)}

    save_model(module(computes), folder, manager=manager, input_example=rows())
    outputs = load_folder(folder, manager=manager).predict(rows())
    assert set(outputs) == {"product", "total"} and outputs["total"].tolist() == [3.0] * 7


def test_tables_and_signatures(folder: Path, manager: pluggy.PluginManager) -> None:
    import tensorflow as tf

    class Sums(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "a"), tf.TensorSpec([None], tf.float32, "b")])
        def add(self, a: Any, b: Any) -> Any:
            return {"sum": a + b}

    model = Sums()
    folder.mkdir()
    tf.saved_model.save(model, str(folder / "tf2model"), signatures={"serving_default": model.add})
    config = {"saved_model_dir": "tf2model", "model_type": "tf2-module"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"tensorflow": config}}))
    loaded = load_folder(folder, manager=manager)
    data = {"a": np.ones(3, "float32"), "b": np.ones(3, "float32")}
    assert loaded.predict(data)["sum"].tolist() == [2, 2, 2]
    assert TensorflowFlavor().example_from(loaded.native, [{"a": 1}, data]) is data
    with pytest.raises(InvalidInput, match="give a dict of arrays with 'a', 'b'"):
        loaded.predict(np.ones(3, "float32"))
    with pytest.raises(InvalidInput, match="parameter 'device' is unknown"):
        loaded.predict(data, {"device": "cpu"})
    table = TensorflowFlavor().predict(module(), pd.DataFrame(rows(), index=range(7, 14)))
    assert list(table.index) == list(range(7, 14)) and table.shape == (7, 2)


def test_a_module_without_functions_is_not_saved(folder: Path, manager: pluggy.PluginManager) -> None:
    import tensorflow as tf

    with pytest.raises(InvalidInput, match="has no functions to save"):
        save_model(tf.Module(), folder, manager=manager)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "tf1-estimator", "saved_model_dir": "tfmodel"}, "unknown type 'tf1-estimator'"),
        ({"model_type": "tf2-module", "saved_model_dir": "../x"}, "outside the model"),
        ({"model_type": "tf2-module", "saved_model_dir": "tf2model"}, r"saved_model\.pb' is no SavedModel"),
    ],
)
def test_what_cannot_be_read_is_named(
    config: dict[str, str], message: str, folder: Path, manager: pluggy.PluginManager
) -> None:
    (folder / "tf2model").mkdir(parents=True)
    (folder / "tf2model" / "saved_model.pb").write_bytes(b"\x80nothing")
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"tensorflow": config}}))
    with pytest.raises(Corrupt, match=message):
        load_folder(folder, manager=manager)


@pytest.mark.parametrize("name", ["saved_model.cpb", "saved_model.pbtxt"])
def test_a_second_graph_is_not_taken_for_the_first(name: str, folder: Path, manager: pluggy.PluginManager) -> None:
    save_model(module(), folder, manager=manager)
    (folder / "digests.json").unlink()
    config = {"saved_model_dir": "tf2model", "model_type": "tf2-module"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"tensorflow": config}}))
    load_folder(folder, manager=manager)
    (folder / "tf2model" / name).write_bytes(b"")
    with pytest.raises(Untrusted, match="a form that is not looked through"):
        load_folder(folder, manager=manager)


def test_models_of_keras_that_mlflow_kept_here(folder: Path, manager: pluggy.PluginManager, canary: Any) -> None:
    import keras

    (folder / "data").mkdir(parents=True)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.save(folder / "data" / "model.keras")
    (folder / "data" / "global_custom_objects.cloudpickle").write_bytes(pickle.dumps(canary))
    config = {"model_type": "keras", "data": "data", "save_format": "tf"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"tensorflow": config}}))
    predicted = load_folder(folder, manager=manager).predict(rows())
    np.testing.assert_allclose(predicted, model.predict(rows(), verbose=0), atol=1e-6)
    (folder / "data" / "model.keras").rename(folder / "data" / "model.h5")
    with pytest.raises(Untrusted, match=r"model\.h5"):
        load_folder(folder, manager=manager)
    assert not canary.path.exists()
    with pytest.raises(Corrupt, match="global_custom_objects.* holds no classes"):
        load_folder(folder, manager=manager, trust="code")
    (folder / "data" / "global_custom_objects.cloudpickle").unlink()
    with pytest.raises(RatoonError, match=r"model\.h5' cannot be loaded"):
        load_folder(folder, manager=manager, trust="code")
