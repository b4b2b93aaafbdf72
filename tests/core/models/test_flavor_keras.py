"""Keras is imported in fixtures: it takes seconds, and so would the collection of all tests. Its backend is what the
environment says; one test runs this file once more with another one, in a process of its own.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml

from ratoon.errors import Corrupt, RatoonError, Untrusted
from ratoon.manager import make_manager
from ratoon.models.flavors.keras import KerasFlavor
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import read_mlmodel
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract

# Keras converts its variables in a way that numpy 2 wants to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def network(*layers: Any) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    dense = [keras.layers.Dense(8, activation="relu"), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((4,)), *(layers or dense)])
    model.compile("adam", "mse")
    return model


def rows() -> Any:
    return np.random.default_rng(0).normal(size=(7, 4)).astype("float32")


class TestNetwork(FlavorContract):
    flavor_name = "keras"
    library = "keras"
    tolerance = 1e-6

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> Any:
        return rows()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return network()

    @pytest.mark.slow
    def test_a_fresh_process_predicts_the_same(
        self, model: Any, data: Any, saved: Path, manager: pluggy.PluginManager, tmp_path: Path
    ) -> None:
        super().test_a_fresh_process_predicts_the_same(model, data, saved, manager, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif("RATOON_OTHER_BACKEND" in os.environ, reason="this is the other one")
def test_another_backend_does_as_well() -> None:
    import keras

    other = "tensorflow" if keras.backend.backend() == "torch" else "torch"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "not environment"]
    environment = os.environ | {"KERAS_BACKEND": other, "RATOON_OTHER_BACKEND": other}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.fixture(scope="module")
def manager() -> pluggy.PluginManager:
    return make_manager(builtins=["ratoon.models.flavors.keras", "ratoon.models.flavors.pytorch"], installed=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.fixture
def own_layer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A layer in a module of its own: those of tests cannot be imported by their names."""
    import keras

    class Scale(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs * 2

    module = types.ModuleType("my_layers")
    module.Scale = Scale  # type: ignore[attr-defined]
    monkeypatch.setattr(Scale, "__module__", "my_layers")
    monkeypatch.setitem(sys.modules, "my_layers", module)
    return Scale


def as_of_mlflow(folder: Path) -> Path:
    """The folder as MLflow leaves it: no digests, and no keys of ratoon's."""
    config = {"data": "data", "save_exported_model": False}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"keras": config}}))
    (folder / "digests.json").unlink()
    return folder


def rewritten(folder: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    path = folder / "data" / "model.keras"
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    change(records)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def with_layer(layer: dict[str, Any]) -> Callable[[dict[str, bytes]], None]:
    def change(records: dict[str, bytes]) -> None:
        config = json.loads(records["config.json"])
        config["config"]["layers"].append(layer)
        records["config.json"] = json.dumps(config).encode()

    return change


def test_the_keys_are_those_of_mlflow(folder: Path, manager: pluggy.PluginManager) -> None:
    import keras

    save_model(network(), folder, manager=manager)
    info = read_mlmodel(folder)
    entry = info.flavors["keras"]
    assert entry == {
        "data": "data",
        "keras_version": keras.__version__,
        "keras_backend": keras.backend.backend(),
        "save_exported_model": False,
        "ratoon_custom_objects": None,
    }
    assert info.flavors["python_function"]["loader_module"] == "mlflow.keras"
    pinned = (folder / "requirements.txt").read_text()
    assert keras.backend.backend() in pinned


def test_a_model_of_mlflow_is_read_and_called_with_a_table(folder: Path, manager: pluggy.PluginManager) -> None:
    model = network()
    save_model(model, folder, manager=manager)
    loaded = load_folder(as_of_mlflow(folder), manager=manager)
    table = loaded.predict(pd.DataFrame(rows().astype("float64"), index=range(7, 14)))
    assert list(table.index) == list(range(7, 14))
    np.testing.assert_allclose(table.to_numpy(), model.predict(rows(), verbose=0), atol=1e-6)


def test_several_inputs_and_outputs_have_names(folder: Path, manager: pluggy.PluginManager) -> None:
    import keras

    left, right = keras.Input((1,), name="left"), keras.Input((1,), name="right")
    model = keras.Model([left, right], {"sum": left + right, "difference": left - right})
    data = {"left": np.ones((3, 1), "float32"), "right": np.ones((3, 1), "float32")}
    save_model(model, folder, manager=manager, input_example=data)
    outputs = load_folder(folder, manager=manager).predict(data)
    assert outputs["sum"].tolist() == [[2], [2], [2]] and outputs["difference"].tolist() == [[0], [0], [0]]
    assert KerasFlavor().example_from(model, [{"left": 1}, data]) is data


def test_layers_of_ones_own_need_to_be_named(
    own_layer: Any, folder: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    model = network(own_layer())
    info = save_model(model, folder, manager=manager)
    assert "trust=['my_layers.Scale']" in caplog.text
    assert info.flavors["keras"]["ratoon_custom_objects"] == {"Scale": "my_layers.Scale"}
    for trust in (None, ["other.Layer"]):
        with pytest.raises(Untrusted, match=r"'my_layers\.Scale'"):
            load_folder(folder, manager=manager, trust=trust)
    for trust in (["my_layers.Scale"], "code"):
        loaded = load_folder(folder, manager=manager, trust=trust)
        np.testing.assert_array_equal(loaded.predict(rows()), rows() * 2)
    as_of_mlflow(folder)
    with pytest.raises(Untrusted, match="Scale"):
        load_folder(folder, manager=manager)
    loaded = load_folder(folder, manager=manager, trust=["my_layers.Scale"])
    np.testing.assert_array_equal(loaded.predict(rows()), rows() * 2)


def test_a_lambda_needs_trust(folder: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture) -> None:
    import keras

    save_model(network(keras.layers.Lambda(lambda x: x * 2)), folder, manager=manager)
    assert "it holds a 'Lambda'" in caplog.text
    with pytest.raises(Untrusted, match=r'model\.keras.*trust="code"'):
        load_folder(folder, manager=manager)
    np.testing.assert_array_equal(load_folder(folder, manager=manager, trust="code").predict(rows()), rows() * 2)


EVIL = {
    "a function that fetches files": {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    },
    "a function of another module": {
        "module": "os",
        "class_name": "function",
        "config": "system",
        "registered_name": "system",
    },
    "a class of another module": {"module": "antigravity", "class_name": "Layer", "config": {}},
    "a class that nobody registered": {"module": None, "class_name": "Layer", "config": {}, "registered_name": "a>B"},
    "a hidden path in a name": {"module": "keras.layers", "class_name": "..utils.get_file", "config": {}},
    "a lambda": {"class_name": "__lambda__", "config": {"value": "4wAA"}},
    "a program": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},
    "a nested lambda": {
        "module": "keras.layers",
        "class_name": "Wrapper",
        "config": {"layer": {"module": "keras.layers", "class_name": "Lambda", "config": {}}},
    },
    "a file to read": {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"vocabulary": "/etc/passwd"},
    },
}


@pytest.mark.parametrize("what", EVIL)
def test_a_configuration_that_would_run_code_is_refused(what: str, folder: Path, manager: pluggy.PluginManager) -> None:
    save_model(network(), folder, manager=manager)
    rewritten(as_of_mlflow(folder), with_layer(EVIL[what]))
    with pytest.raises(Untrusted, match=r"model\.keras"):
        load_folder(folder, manager=manager)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("name", ["../x", "/x", "model.weights.npz", "assets/../../x", "x.py"])
def test_foreign_records_are_refused(name: str, folder: Path, manager: pluggy.PluginManager) -> None:
    save_model(network(), folder, manager=manager)
    rewritten(as_of_mlflow(folder), lambda records: records.update({name: b"x"}))
    with pytest.raises(Untrusted, match="it has the record"):
        load_folder(folder, manager=manager)


@pytest.mark.parametrize("kind", ["link", "dataset"])
def test_weights_in_other_files_are_not_read(kind: str, folder: Path, manager: pluggy.PluginManager) -> None:
    import h5py

    (folder.parent / "secret").write_bytes(bytes(64))
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        if kind == "link":
            weights["layers"] = h5py.ExternalLink("/etc/secret.h5", "/")
        else:
            weights.create_dataset("w", (8,), "f4", external=[(str(folder.parent / "secret"), 0, 32)])
    save_model(network(), folder, manager=manager)
    rewritten(as_of_mlflow(folder), lambda records: records.update({"model.weights.h5": file.getvalue()}))
    with pytest.raises(Untrusted, match="in another (place|file)"):
        load_folder(folder, manager=manager)


def test_what_is_no_archive_is_named(folder: Path, manager: pluggy.PluginManager, canary: Any) -> None:
    save_model(network(), folder, manager=manager)
    (as_of_mlflow(folder) / "data" / "model.keras").write_bytes(pickle.dumps(canary))
    with pytest.raises(Corrupt, match=r"model\.keras' is no \.keras archive"):
        load_folder(folder, manager=manager)
    with pytest.raises(RatoonError, match=r"model\.keras' cannot be loaded"):
        load_folder(folder, manager=manager, trust="code")
    assert not canary.path.exists()
