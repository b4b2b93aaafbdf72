"""Reads models that MLflow pickled, where MLflow is not installed.

Every pickle of MLflow's names its base class and a few functions that check type hints. Those names get stand-ins here:
the base class is as good as MLflow's, for it has no behaviour of its own, and anything else tells what is missing as
soon as it is used.
"""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from typing import Any, NoReturn

from ratoon.errors import RatoonError


def substitute(module: str, name: str) -> Any:
    """What stands in for a name of MLflow's; None for all other names, and where MLflow is installed."""
    if module.partition(".")[0] != "mlflow" or find_spec("mlflow") is not None:
        return None
    known: dict[tuple[str, str], type] = {
        ("mlflow.pyfunc.model", "PythonModel"): MlflowPythonModel,
        ("mlflow.pyfunc.model", "_FunctionPythonModel"): MlflowFunctionModel,
    }
    return known.get((module, name)) or type(name, (_Missing,), {"_ratoon_name": f"{module}.{name}"})


class MlflowPythonModel:
    """Stands in for the base class of Python models."""

    def load_context(self, context: Any) -> None:
        """Nothing, as in MLflow."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        # MLflow wraps ``predict`` in a check of type hints, which only MLflow can do.
        return inspect.unwrap(found.__func__).__get__(self) if name == "predict" else found


class MlflowFunctionModel:
    """Stands in for the class that MLflow makes of a function."""

    func: Any

    def predict(self, model_input: Any) -> Any:
        """Call the function."""
        return inspect.unwrap(self.func)(model_input)


class _Missing:
    """Stands in for anything else; it can be unpickled and not used."""

    _ratoon_name = ""

    def __new__(cls, *_arguments: Any, **_options: Any) -> _Missing:
        return super().__new__(cls)

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._fail()

    def __call__(self, *_arguments: Any, **_options: Any) -> NoReturn:
        self._fail()

    def __iter__(self) -> Any:
        self._fail()

    def _fail(self) -> NoReturn:
        raise RatoonError(f"the model uses '{self._ratoon_name}', which is not installed here; pip install mlflow")
