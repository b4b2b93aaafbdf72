from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml

from ratoon.errors import Corrupt, InvalidInput, RatoonError, Untrusted
from ratoon.models.bundle import Bundle, Context
from ratoon.models.digests import write_manifest
from ratoon.models.flavors.python_function import PythonFunctionFlavor, _load_pyfunc
from ratoon.models.flavors.python_function_mlflow import MlflowFunctionModel, MlflowPythonModel, substitute
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.models.trust import save_pickle
from ratoon.testing import FlavorContract

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0]})


def double(data: Any, plus: float = 0) -> Any:
    return data["a"].to_numpy() * 2 + plus


class Doubler:
    def predict(self, data: Any) -> Any:
        return double(data)


class WordCounter:
    """Takes what MLflow gives to a PythonModel."""

    def load_context(self, context: Context) -> None:
        self.words = Path(context.artifacts["words"]).read_text().split()

    def predict(self, context: Context, model_input: Any, params: Any = None) -> Any:
        plus = context.model_config.get("plus", 0) + (params or {}).get("plus", 0)
        return model_input["a"].to_numpy() + len(self.words) + plus


SCRIPT = """
from dataclasses import dataclass

@dataclass
class Scaler:
    factor: float

    def predict(self, data, plus=0):
        return data["a"].to_numpy() * self.factor + plus

model = Scaler(4.0)
"""


class _Generic(FlavorContract):
    __test__ = False
    flavor_name = "python_function"
    library = "cloudpickle"
    trust = "code"
    finds_example = False

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> pd.DataFrame:
        return FRAME


class TestObject(_Generic):
    __test__ = True

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return Doubler()


class TestFunction(_Generic):
    __test__ = True

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return double


class TestScript(_Generic):
    __test__ = True

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("script") / "scaling.py"
        path.write_text(SCRIPT)
        return path


class TestBundle(_Generic):
    __test__ = True

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
        words = tmp_path_factory.mktemp("files") / "words.txt"
        words.write_text("a few words")
        return Bundle(WordCounter(), artifacts={"words": words}, model_config={"plus": 10})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.mark.parametrize("model", [double, Doubler(), lambda data: data["a"] * 2], ids=["function", "object", "lambda"])
def test_the_object_itself_comes_back(model: Any, folder: Path, manager: pluggy.PluginManager) -> None:
    save_model(model, folder, manager=manager, input_example=FRAME)
    for trust in (None, ["builtins.int"]):
        with pytest.raises(Untrusted, match='trust="code" or --trust code'):
            load_folder(folder, manager=manager, trust=trust)
    loaded = load_folder(folder, manager=manager, trust="code")
    assert type(loaded.native).__name__ == type(model).__name__
    assert loaded.predict([{"a": 3}]).tolist() == [6.0]


def test_parameters_are_keywords_or_a_mapping(folder: Path, manager: pluggy.PluginManager, tmp_path: Path) -> None:
    save_model(double, folder, manager=manager)
    assert load_folder(folder, manager=manager, trust="code").predict(FRAME[:1], {"plus": 1}).tolist() == [3.0]
    (tmp_path / "words").write_text("x y")
    bundle = Bundle(WordCounter(), artifacts={"words": tmp_path / "words"})
    assert PythonFunctionFlavor().predict(bundle, FRAME[:1], {"plus": 1}).tolist() == [4.0]
    assert bundle.predict(FRAME[:1], plus=2).tolist() == [5.0]


def test_a_compiled_function_that_does_not_tell_its_parameters_is_called(folder: Path) -> None:
    class Largest:
        predict = staticmethod(max)

    assert PythonFunctionFlavor().predict(Largest(), [1, 3, 2]) == 3


def test_what_a_function_uses_is_pinned(folder: Path, manager: pluggy.PluginManager) -> None:
    save_model(lambda data: np.asarray(data).sum(), folder, manager=manager)
    pins = (folder / "requirements.txt").read_text().splitlines()
    assert {"cloudpickle", "numpy"} <= {pin.partition("==")[0] for pin in pins}


def test_what_cannot_be_pickled_leaves_nothing_behind(
    folder: Path, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    model = Doubler()
    with (tmp_path / "log").open("w") as file:
        model.log = file  # type: ignore[attr-defined]
        with pytest.raises(InvalidInput, match="keep open files, connections and locks out"):
            save_model(model, folder, manager=manager)
    assert not folder.exists()


def test_the_entry_is_mlflows_own(folder: Path, manager: pluggy.PluginManager) -> None:
    entry = save_model(Doubler(), folder, manager=manager).flavors["python_function"]
    assert (entry["loader_module"], entry["python_model"]) == ("mlflow.pyfunc.model", "python_model.pkl")
    assert entry["env"] == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}


def test_the_pickle_needs_neither_ratoon_nor_this_module(folder: Path, manager: pluggy.PluginManager) -> None:
    """MLflow unpickles it, gives it a context and asks for type hints."""
    save_model(Doubler(), folder, manager=manager)
    code = f"""
import pickle, sys
sys.modules["ratoon"] = None
model = pickle.load(open({str(folder / "python_model.pkl")!r}, "rb"))
model.load_context(None)
assert model.predict_type_hints.input is None
import pandas as pd
print(model.predict(None, pd.DataFrame({{"a": [4.0]}}), None))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.stdout.strip() == "[8.]", done.stderr


# --- files beside the model


def test_artifacts_stay_where_the_model_finds_them(folder: Path, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    class Reader:
        def predict(self, context: Context, data: Any) -> Any:
            return [Path(path, "words").read_text() for path in context.artifacts.values()]

    for name in ("one", "two"):
        (tmp_path / name / "set").mkdir(parents=True)
        (tmp_path / name / "set" / "words").write_text(name)
    artifacts = {name: tmp_path / name / "set" for name in ("one", "two")}
    save_model(Bundle(Reader(), artifacts=artifacts), folder, manager=manager)
    loaded = load_folder(folder, manager=manager, trust="code")
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert loaded.predict(None) == ["one", "two"]
    kept = Path(loaded.native.context.artifacts["one"])
    assert kept.exists()
    del loaded
    assert not kept.exists()


def test_code_of_the_models_own_can_be_imported(folder: Path, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    (tmp_path / "own_code_of_a_model.py").write_text("FACTOR = 7\n")
    script = tmp_path / "uses_code.py"
    script.write_text("def predict(data):\n    from own_code_of_a_model import FACTOR\n    return FACTOR\n")
    save_model(Bundle(script, code=[tmp_path / "own_code_of_a_model.py"]), folder, manager=manager)
    (tmp_path / "own_code_of_a_model.py").unlink()
    assert load_folder(folder, manager=manager, trust="code").predict(None) == 7
    sys.path.remove(str(Path(sys.modules["own_code_of_a_model"].__file__ or "").parent))


def test_code_that_was_left_out_is_named(
    folder: Path,
    tmp_path: Path,
    manager: pluggy.PluginManager,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "left_out.py").write_text("def triple(x):\n    return x * 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    from left_out import triple  # type: ignore[import-not-found]

    save_model(lambda data: triple(data), folder, manager=manager)
    assert "belong to no installed distribution: left_out; store them with the model" in caplog.text
    caplog.clear()
    save_model(Bundle(lambda data: triple(data), code=[tmp_path / "left_out.py"]), tmp_path / "m", manager=manager)
    assert "left_out" not in caplog.text
    # The module of the model itself travels inside the pickle.
    save_model(triple, tmp_path / "n", manager=manager)
    assert "left_out" not in caplog.text


def test_a_file_that_does_not_exist_is_named(folder: Path, manager: pluggy.PluginManager) -> None:
    with pytest.raises(InvalidInput, match=r"file 'nowhere\.txt' of the model does not exist"):
        save_model(Bundle(double, artifacts={"x": "nowhere.txt"}), folder, manager=manager)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("artifacts", {"words": {"path": "../words.txt"}}),
        ("artifacts", {"words": {"path": "/etc/passwd"}}),
        ("code", "../code"),
        ("python_model", "../x.pkl"),
    ],
)
def test_files_outside_of_the_folder_are_refused(
    key: str, value: Any, folder: Path, manager: pluggy.PluginManager
) -> None:
    save_model(double, folder, manager=manager)
    plain = yaml.safe_load((folder / "MLmodel").read_text())
    plain["flavors"]["python_function"][key] = value
    (folder / "MLmodel").write_text(yaml.safe_dump(plain))
    write_manifest(folder)
    with pytest.raises(Corrupt, match="outside the model"):
        load_folder(folder, manager=manager, trust="code")


# --- models from code


def script_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scripted.py"
    path.write_text(text)
    return path


def test_a_script_is_stored_as_it_is_and_not_run_to_be_saved(
    folder: Path, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    script = script_of(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef predict(data):\n    return 1\n")
    save_model(script, folder, manager=manager)
    assert (folder / "scripted.py").read_text() == script.read_text()
    with pytest.raises(Untrusted):
        load_folder(folder, manager=manager)
    assert not (tmp_path / "ran").exists()
    assert load_folder(folder, manager=manager, trust="code").predict(None) == 1
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "cause"),
    [("def predict(:", "invalid syntax"), ("x = 1", "does not say what its model is"), ("\0", "null")],
)
def test_a_script_without_a_model_is_refused_when_it_is_saved(
    text: str, cause: str, folder: Path, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    with pytest.raises(InvalidInput, match=cause):
        save_model(script_of(tmp_path, text), folder, manager=manager)


def test_a_name_that_ratoon_needs_is_refused(folder: Path, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    (tmp_path / "mlflow_model.py").write_text("model: object = None")
    with pytest.raises(InvalidInput, match="rename it"):
        save_model(tmp_path / "mlflow_model.py", folder, manager=manager)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("model = None", "made no model"),
        ("import no_such_module_here\nmodel = 1", "install 'no_such_module_here'"),
        ("model = 1 / 0", "failed .ZeroDivisionError: division by zero.; correct it"),
    ],
)
def test_a_script_that_fails_says_why(
    text: str, cause: str, folder: Path, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    save_model(script_of(tmp_path, text), folder, manager=manager)
    with pytest.raises(RatoonError, match=cause):
        load_folder(folder, manager=manager, trust="code")


def test_a_script_of_mlflow_is_found_by_the_last_part_of_its_path(
    tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    for path in ("/home/me/scripted.py", "C:\\Users\\me\\scripted.py"):
        entry = {"loader_module": "mlflow.pyfunc.loaders.code_model", "model_code_path": path}
        (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry}}))
        script_of(tmp_path, SCRIPT)
        assert load_folder(tmp_path, manager=manager, trust="code").predict(FRAME[:1]).tolist() == [4.0]


def test_what_a_script_gives_to_mlflow_counts(
    folder: Path, tmp_path: Path, manager: pluggy.PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow" / "models").mkdir(parents=True)
    (tmp_path / "mlflow" / "__init__.py").touch()
    (tmp_path / "mlflow" / "models" / "__init__.py").write_text("from .model import set_model")
    (tmp_path / "mlflow" / "models" / "model.py").write_text(
        "__mlflow_model__ = None\ndef set_model(model):\n    globals()['__mlflow_model__'] = model\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = "from mlflow.models import set_model\nset_model(lambda data: NUMBER)\n"
    try:
        for number in (1, 2):
            script = script_of(tmp_path, text.replace("NUMBER", str(number)))
            info = save_model(script, folder / str(number), manager=manager)
            assert info.flavors["python_function"]["model_code_path"] == "scripted.py"
            assert load_folder(folder / str(number), manager=manager, trust="code").predict(None) == number
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
            del sys.modules[name]


# --- models of others


@pytest.mark.parametrize("trust", [None, "code"])
@pytest.mark.parametrize("loader", ["mlflow.pyfunc.loaders.chat_model", "antigravity", None])
def test_a_foreign_loader_is_refused_whatever_is_trusted(
    loader: str | None, trust: str | None, tmp_path: Path, canary: Any, manager: pluggy.PluginManager
) -> None:
    entry = {"loader_module": loader, "data": "python_model.pkl", "python_model": "python_model.pkl"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry, "unknown": {}}}))
    save_pickle(canary, tmp_path / "python_model.pkl")
    with pytest.raises(Untrusted, match=f"asks for the module {loader!r} to be imported.; install a plugin"):
        load_folder(tmp_path, manager=manager, trust=trust)
    assert not canary.path.exists()


def test_models_of_the_first_release_are_read(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    entry = {"loader_module": PythonFunctionFlavor.__module__, "data": "python_model.pkl"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry}}))
    save_pickle(Doubler(), tmp_path / "python_model.pkl")
    assert load_folder(tmp_path, manager=manager, trust="code").predict(FRAME[:1]).tolist() == [2.0]
    assert _load_pyfunc(str(tmp_path / "python_model.pkl")).predict(FRAME[:1], None).tolist() == [2.0]


def test_mlflows_base_classes_have_stand_ins() -> None:
    assert substitute("mlflow.pyfunc.model", "PythonModel") is MlflowPythonModel
    assert substitute("mlflow.pyfunc.model", "_FunctionPythonModel") is MlflowFunctionModel
    assert substitute("builtins", "int") is None


def test_anything_else_of_mlflow_tells_what_is_missing_when_it_is_used() -> None:
    thing = substitute("mlflow.types.schema", "Schema")(1, name="x")
    thing.__setstate__({"a": 1})
    with pytest.raises(AttributeError):
        thing.__html__  # noqa: B018 - the lookup is what is tried
    for use in (lambda: thing(), lambda: list(thing), lambda: thing.inputs):
        with pytest.raises(RatoonError, match=r"the model uses 'mlflow\.types\.schema\.Schema'.*pip install mlflow"):
            use()


def test_what_mlflow_wrapped_around_predict_is_taken_off(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    import functools

    def checked(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*_: Any) -> Any:
            raise AssertionError("only MLflow can do this")

        return wrapper

    class Model(MlflowPythonModel):
        @checked
        def predict(self, context: Any, model_input: Any) -> Any:
            return model_input["a"].to_numpy()

    function = MlflowFunctionModel()
    function.func = checked(double)
    entry = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry}}))
    for model, expected in ((Model(), 1.0), (function, 2.0)):
        save_pickle(model, tmp_path / "python_model.pkl")
        assert load_folder(tmp_path, manager=manager, trust="code").predict(FRAME[:1]).tolist() == [expected]


def test_who_saves_is_told_once_what_loading_needs(
    folder: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        save_model(double, folder, manager=manager)
    assert [record.getMessage() for record in caplog.records] == [
        "model of type 'function' is pickled; loading it needs trust='code'"
    ]
