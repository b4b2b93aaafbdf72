from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml

from ratoon.errors import Corrupt, InvalidInput, Untrusted
from ratoon.models.flavors.python_function import PythonFunctionFlavor, _load_pyfunc
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model

FRAME = pd.DataFrame({"a": [1.0, 2.0]})


def double(data: Any, plus: float = 0) -> Any:
    return data["a"] * 2 + plus


class Doubler:
    def predict(self, data: Any) -> Any:
        return double(data)


@pytest.mark.parametrize("model", [double, Doubler(), lambda data: data["a"] * 2], ids=["function", "object", "lambda"])
def test_functions_and_objects_come_back_if_code_is_trusted(
    model: Any, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    folder = tmp_path / "model"
    save_model(model, folder, manager=manager, input_example=FRAME)
    for trust in (None, ["builtins.int"]):
        with pytest.raises(Untrusted, match='trust="code" or --trust code'):
            load_folder(folder, manager=manager, trust=trust)
    loaded = load_folder(folder, manager=manager, trust="code")
    assert loaded.flavor_name == "python_function" and loaded.predict(FRAME).tolist() == [2.0, 4.0]
    assert loaded.predict([{"a": 3}]).tolist() == [6.0]


def test_parameters_are_keywords(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    save_model(double, tmp_path / "model", manager=manager)
    loaded = load_folder(tmp_path / "model", manager=manager, trust="code")
    assert loaded.predict(FRAME, {"plus": 1}).tolist() == [3.0, 5.0]


def test_the_entry_is_one_that_mlflow_can_follow(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    info = save_model(Doubler(), tmp_path / "model", manager=manager)
    entry = info.flavors["python_function"]
    assert entry["loader_module"] == PythonFunctionFlavor.__module__
    assert entry["env"] == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    assert _load_pyfunc(str(tmp_path / "model" / entry["data"])).predict(FRAME, None).tolist() == [2.0, 4.0]
    assert (tmp_path / "model" / "requirements.txt").read_text().startswith("cloudpickle==")


def test_what_a_function_uses_is_pinned(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    save_model(lambda data: np.asarray(data).sum(), tmp_path / "model", manager=manager)
    pins = (tmp_path / "model" / "requirements.txt").read_text().splitlines()
    assert [pin.partition("==")[0] for pin in pins] == ["cloudpickle", "numpy"]


@pytest.mark.parametrize("trust", [None, "code"])
@pytest.mark.parametrize("loader", ["mlflow.pyfunc.model", "antigravity", None])
def test_a_foreign_loader_is_refused_whatever_is_trusted(
    loader: str | None, trust: str | None, tmp_path: Path, canary: Any, manager: pluggy.PluginManager
) -> None:
    entry = {"loader_module": loader, "data": "python_model.pkl"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry, "unknown": {}}}))
    (tmp_path / "python_model.pkl").write_bytes(pickle.dumps(canary))
    with pytest.raises(Untrusted, match=f"asks for the module {loader!r} to be imported.; install a plugin"):
        load_folder(tmp_path, manager=manager, trust=trust)
    assert not canary.path.exists()


def test_a_pickle_of_ours_without_trust_does_not_run(
    tmp_path: Path, canary: Any, manager: pluggy.PluginManager
) -> None:
    entry = {"loader_module": PythonFunctionFlavor.__module__, "data": "python_model.pkl"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry}}))
    (tmp_path / "python_model.pkl").write_bytes(pickle.dumps(canary))
    with pytest.raises(Untrusted):
        load_folder(tmp_path, manager=manager)
    assert not canary.path.exists()


def test_a_pickle_outside_of_the_folder_is_refused(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    entry = {"loader_module": PythonFunctionFlavor.__module__, "data": "../x.pkl"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry}}))
    with pytest.raises(Corrupt, match="outside the model"):
        load_folder(tmp_path, manager=manager, trust="code")


def test_what_cannot_be_pickled_leaves_nothing_behind(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    model = Doubler()
    with (tmp_path / "log").open("w") as file:
        model.log = file  # type: ignore[attr-defined]
        with pytest.raises(InvalidInput, match="keep open files, connections and locks out"):
            save_model(model, tmp_path / "model", manager=manager)
    assert not (tmp_path / "model").exists()


def test_nothing_is_known_about_what_a_function_takes() -> None:
    assert PythonFunctionFlavor().example_from(double, [FRAME]) is None
