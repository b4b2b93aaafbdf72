"""Any object with a method ``predict``, and any function: pickled, because nothing else can hold them.

Loading runs code and therefore needs ``trust="code"``. MLflow can load these models where ratoon is installed:
``loader_module`` names this module, whose :func:`_load_pyfunc` is what MLflow calls. MLflow's own loader module would
need a subclass of its PythonModel, so models that MLflow saved that way are not read here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Untrusted
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors import GENERIC
from ratoon.models.mlmodel import data_file
from ratoon.models.trust import TrustPolicy, load_pickle, policy_from, save_pickle

FILE_NAME = "python_model.pkl"


class PythonFunctionFlavor:
    """The generic flavor, asked when no other one recognises a model."""

    requirements: tuple[str, ...] = ("cloudpickle",)

    def recognises(self, model: object) -> bool:
        """Whether it is a function, or an instance with a method ``predict``."""
        return inspect.isfunction(model) or (not isinstance(model, type) and callable(getattr(model, "predict", None)))

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``python_model.pkl``."""
        version = save_pickle(model, folder / FILE_NAME)
        return {"loader_module": __name__, "data": FILE_NAME, "cloudpickle_version": version}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Unpickle the model, if it is one of ours and the policy allows code."""
        loader = config.get("loader_module")
        if loader != __name__:
            # Whatever the caller trusts: a module is imported because it is installed as a plugin, not because a file
            # names it.
            raise Untrusted(
                f"model in '{folder}' is not loaded (it asks for the module {loader!r} to be imported); "
                "install a plugin with a flavor that reads it"
            )
        policy.require_code(f"model in '{folder}'")
        return load_pickle(data_file(folder, config.get("data")), policy)

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the function or the method, with the parameters as keywords."""
        function = model if inspect.isfunction(model) else model.predict
        return function(data, **(params or {}))

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """None: nothing is known about what an arbitrary function takes."""
        return None


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``python_function``."""
    register(GENERIC, PythonFunctionFlavor())


class _Predictor:
    """The form in which MLflow calls a model."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Predict as the flavor does."""
        return PythonFunctionFlavor().predict(self._model, data, params)


def _load_pyfunc(path: str) -> _Predictor:
    """Load a model for MLflow, which has applied its own policy before it imported this module."""
    return _Predictor(load_pickle(Path(path), policy_from("code")))
