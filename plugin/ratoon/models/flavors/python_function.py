"""Any object with a method ``predict``, any function, and any script that makes one of them.

Objects and functions are pickled, because nothing else can hold them; scripts are kept as their source. Loading either
runs code and therefore needs ``trust="code"``. What is written is MLflow's own form, so that MLflow loads it where
ratoon is not installed, and what MLflow wrote that way is read where MLflow is not installed.
"""

from __future__ import annotations

import inspect
import logging
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from ratoon.errors import InvalidInput, Untrusted
from ratoon.hookspecs import hookimpl
from ratoon.models.bundle import Bundle, Context
from ratoon.models.flavor import Flavor
from ratoon.models.flavors import GENERIC, python_function_adapter
from ratoon.models.flavors.python_function_adapter import PythonModel
from ratoon.models.flavors.python_function_mlflow import substitute
from ratoon.models.flavors.python_function_script import (
    ENTRY_FILE,
    check_script,
    is_script,
    run_script,
    write_entry,
)
from ratoon.models.imported import missing_at_load, modules_of_the_user
from ratoon.models.kept import keep, release_with
from ratoon.models.mlmodel import data_file, data_folder, data_path
from ratoon.models.needs import Need
from ratoon.models.trust import TrustPolicy, load_pickle, policy_from, save_pickle

FILE_NAME = "python_model.pkl"
ARTIFACTS = "artifacts"
CODE = "code"
MLFLOW_PICKLE = "mlflow.pyfunc.model"
MLFLOW_SCRIPT = "mlflow.pyfunc.loaders.code_model"
# What the models of ratoon's first release name.
OLDER = __name__
LOADERS = (MLFLOW_PICKLE, MLFLOW_SCRIPT, OLDER)

logger = logging.getLogger(__name__)


class PythonFunctionFlavor:
    """The generic flavor, asked when no other one recognises a model."""

    requirements: tuple[str, ...] = ("cloudpickle",)

    def recognises(self, model: object) -> bool:
        """Whether it is a function, an instance with a method ``predict``, or the path of a script."""
        if inspect.isfunction(model) or is_script(model):
            return True
        return not isinstance(model, type) and callable(getattr(model, "predict", None))

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write the pickle or the script, and the files that go with it."""
        bundle = _as_bundle(model)
        config = {"artifacts": _store_artifacts(bundle, folder), "code": _store_code(bundle, folder)}
        if bundle.model_config:
            config["config"] = dict(bundle.model_config)
        config = {key: value for key, value in config.items() if value is not None}
        return {**config, **(_save_script if is_script(bundle.model) else _save_pickle)(bundle.model, folder)}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Unpickle the model or run its script, if it is of a known form and the policy allows code."""
        loader = _known_loader(folder, config)
        policy.require_code(f"model in '{folder}'")
        _check_paths(folder, config)
        _make_code_importable(folder, config)
        if loader == MLFLOW_SCRIPT:
            return _with_context(run_script(_script(folder, config)), folder, config)
        if loader == OLDER:
            return load_pickle(data_file(folder, config.get("data")), policy)
        model = load_pickle(data_file(folder, config.get("python_model")), policy, substitute=substitute)
        return _with_context(model.model if config.get("ratoon_adapter") else model, folder, config)

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the function or the method, with the parameters as it takes them."""
        if isinstance(model, Bundle) or is_script(model):
            model = _as_bundle(model).prepared()
        adapter = model if isinstance(model, PythonModel) else PythonModel(model)
        return adapter.predict(None, data, params)

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """None: nothing is known about what an arbitrary function takes."""
        return None

    def needs(self, folder: Path, config: Mapping[str, Any]) -> Iterable[Need]:
        """What the files tell of themselves; a loader module that is not known is refused here, too."""
        _known_loader(folder, config)
        return ()


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``python_function``."""
    register(GENERIC, PythonFunctionFlavor())


def _known_loader(folder: Path, config: Mapping[str, Any]) -> str:
    loader = config.get("loader_module")
    if loader not in LOADERS:
        # Whatever the caller trusts: a module is imported because it is installed as a plugin, not because a file
        # names it.
        raise Untrusted(
            f"model in '{folder}' is not loaded (it asks for the module {loader!r} to be imported); "
            "install a plugin with a flavor that reads it"
        )
    return str(loader)


def _as_bundle(model: Any) -> Bundle:
    """What is to be saved, with its files; a loaded model keeps those that it was loaded with."""
    if isinstance(model, PythonModel):
        context = model.context or Context({}, {})
        return Bundle(model.model, artifacts=context.artifacts, model_config=context.model_config)
    return model if isinstance(model, Bundle) else Bundle(model)


def _save_pickle(model: Any, folder: Path) -> dict[str, Any]:
    logger.warning("model of type %r is pickled; loading it needs trust='code'", type(model).__qualname__)
    path = folder / FILE_NAME
    modules = modules_of_the_user(model)
    version = save_pickle(PythonModel(model), path, by_value=(python_function_adapter, *modules))
    stored = {name.removesuffix(".py") for name in _names_below(folder / CODE)}
    missing = sorted(missing_at_load(path) - stored)
    if missing:
        logger.warning(
            "model of type %r imports modules that belong to no installed distribution: %s; store them with the model: "
            "Bundle(model, code=[...])",
            type(model).__qualname__,
            ", ".join(missing),
        )
    return {
        "loader_module": MLFLOW_PICKLE,
        "python_model": FILE_NAME,
        "cloudpickle_version": version,
        "ratoon_adapter": True,
    }


def _save_script(script: Path, folder: Path) -> dict[str, Any]:
    for_mlflow = check_script(script)
    if script.name == ENTRY_FILE:
        raise InvalidInput(f"script '{script}' cannot be saved (its name is taken by a file of ratoon's); rename it")
    logger.warning("script '%s' is stored as it is; loading it runs it and needs trust='code'", script.name)
    shutil.copyfile(script, folder / script.name)
    if not for_mlflow:
        write_entry(script.name, folder)
    return {
        "loader_module": MLFLOW_SCRIPT,
        "model_code_path": script.name if for_mlflow else ENTRY_FILE,
        "ratoon_script": script.name,
    }


def _store_artifacts(bundle: Bundle, folder: Path) -> dict[str, dict[str, str]] | None:
    """Copy the artifacts; returns where each is and where it was, in MLflow's form."""
    entries = {}
    for number, (name, source) in enumerate(bundle.artifacts.items()):
        # Two artifacts may have one file name.
        relative = f"{ARTIFACTS}/{number}/{source.name}"
        _copy(source, folder / relative)
        entries[name] = {"path": relative, "uri": source.name}
    return entries or None


def _store_code(bundle: Bundle, folder: Path) -> str | None:
    for source in bundle.code:
        _copy(source, folder / CODE / source.name)
    return CODE if bundle.code else None


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        raise InvalidInput(f"file '{source}' of the model does not exist; correct its path")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    else:
        shutil.copyfile(source, target)


def _names_below(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _check_paths(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse every name that leads out of the folder, also of files that only MLflow reads."""
    if config.get("ratoon_script"):
        data_file(folder, config.get("model_code_path"))
    for entry in (config.get("artifacts") or {}).values():
        data_path(folder, entry.get("path"))


def _script(folder: Path, config: Mapping[str, Any]) -> Path:
    """The script; MLflow writes the path that it had on the machine of who saved it, and stores it by its last part."""
    own = config.get("ratoon_script")
    return data_file(folder, own or PureWindowsPath(str(config.get("model_code_path"))).name)


def _make_code_importable(folder: Path, config: Mapping[str, Any]) -> None:
    if config.get("code"):
        kept = keep(data_folder(folder, config["code"]))
        release_with(_make_code_importable, kept)  # what was imported stays imported
        sys.path.insert(0, str(kept))


def _with_context(model: Any, folder: Path, config: Mapping[str, Any]) -> Any:
    """Give the model its files; returns the model itself where it needs nothing more at each prediction."""
    entries = {name: data_path(folder, entry["path"]) for name, entry in (config.get("artifacts") or {}).items()}
    kept = {name: keep(path) for name, path in entries.items()}
    context = Context({name: str(path) for name, path in kept.items()}, config.get("config") or {})
    adapter = PythonModel(model)
    for path in kept.values():
        release_with(adapter, path)
    adapter.load_context(context)
    return adapter if context.artifacts or context.model_config or _takes_context(model) else model


def _takes_context(model: Any) -> bool:
    return "context" in inspect.signature(getattr(model, "predict", model)).parameters


class _Predictor:
    """The form in which MLflow calls a model of ratoon's first release."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Predict as the flavor does."""
        return PythonFunctionFlavor().predict(self._model, data, params)


def _load_pyfunc(path: str) -> _Predictor:
    """Load such a model for MLflow, which has applied its own policy before it imported this module."""
    return _Predictor(load_pickle(Path(path), policy_from("code")))
