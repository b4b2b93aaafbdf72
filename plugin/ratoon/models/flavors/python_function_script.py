"""Models from code: a script that makes the model, stored as its source.

A script says what its model is in one of three ways: ``mlflow.models.set_model(...)``, a variable ``model``, or a
function ``predict``. Running it is what loading means, so it needs ``trust="code"``.
"""

from __future__ import annotations

import ast
import inspect
import sys
import uuid
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ratoon.errors import InvalidInput, RatoonError
from ratoon.models.flavors import python_function_adapter

VARIABLE = "model"
FUNCTION = "predict"
ENTRY_FILE = "mlflow_model.py"

# MLflow runs a script and takes what the script gives to set_model. The adapter's source stands before this.
_ENTRY = """

def _run(script):
    import sys
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    spec = spec_from_file_location("ratoon_model", Path(__file__).with_name(script))
    module = sys.modules["ratoon_model"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, {variable!r}, None) or getattr(module, {function!r})


def _set_model():
    import mlflow

    class Entry(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            self.adapter = PythonModel(_run({script!r}))
            self.adapter.load_context(context)

        def predict(self, context, model_input, params=None):
            return self.adapter.predict(context, model_input, params)

    mlflow.models.set_model(Entry())


_set_model()
"""


def is_script(model: object) -> bool:
    """Whether the object is the path of an existing Python file."""
    return isinstance(model, Path) and model.suffix == ".py" and model.is_file()


def check_script(path: Path) -> bool:
    """Look whether a script says what its model is; it is not run.

    Returns:
        Whether it says so to MLflow.

    Raises:
        InvalidInput: It does not, or is no Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise InvalidInput(f"script '{path}' cannot be saved ({error}); correct it") from error
    if any(_sets_model(node) for node in ast.walk(tree)):
        return True
    if not any(_defines_model(node) for node in tree.body):
        raise InvalidInput(
            f"script '{path}' does not say what its model is; let it define a variable '{VARIABLE}' or a function "
            f"'{FUNCTION}', or call mlflow.models.set_model"
        )
    return False


def write_entry(script: str, folder: Path) -> None:
    """Write the script by which MLflow runs one that knows nothing of MLflow."""
    adapter = inspect.getsource(python_function_adapter)
    text = adapter + _ENTRY.format(script=script, variable=VARIABLE, function=FUNCTION)
    (folder / ENTRY_FILE).write_text(text, encoding="utf-8")


def run_script(path: Path) -> Any:
    """Run a script and return its model; the caller has asked the policy.

    Raises:
        RatoonError: The script fails, or makes no model.
    """
    _forget_model_of_mlflow()
    module = _run(path)
    for found in (_model_of_mlflow(), getattr(module, VARIABLE, None), getattr(module, FUNCTION, None)):
        if callable(found) or hasattr(found, FUNCTION):
            return found
    raise RatoonError(
        f"script '{path}' made no model; let it define a variable '{VARIABLE}' or a function '{FUNCTION}'"
    )


def _run(path: Path) -> ModuleType:
    name = f"ratoon_model_{uuid.uuid4().hex}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = module_from_spec(spec)
    # Classes of the script are looked up by their module's name when they are pickled or decorated.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a script may raise anything
        del sys.modules[name]
        missing = f"; install {error.name!r}" if isinstance(error, ImportError) and error.name else "; correct it"
        raise RatoonError(f"script '{path}' failed ({type(error).__name__}: {error}){missing}") from error
    return module


def _sets_model(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return getattr(node.func, "id", getattr(node.func, "attr", None)) == "set_model"


def _defines_model(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name == FUNCTION
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == VARIABLE for target in targets)


def _model_of_mlflow() -> Any:
    """What the script gave to MLflow, if it imported MLflow."""
    return getattr(sys.modules.get("mlflow.models.model"), "__mlflow_model__", None)


def _forget_model_of_mlflow() -> None:
    module = sys.modules.get("mlflow.models.model")
    if module is not None:
        module.__dict__["__mlflow_model__"] = None
