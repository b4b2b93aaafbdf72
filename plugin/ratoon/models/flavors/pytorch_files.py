"""The three forms in which the flavor ``pytorch`` keeps a model. PyTorch and safetensors are imported on use."""

from __future__ import annotations

import importlib
import logging
import pickle
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from ratoon.errors import Corrupt, InvalidInput, RatoonError
from ratoon.models.flavors.libraries import needed_by
from ratoon.models.flavors.pt2_checks import check_archive
from ratoon.models.mlmodel import data_file
from ratoon.models.needs import Need
from ratoon.models.trust import TrustLevel, TrustPolicy

DATA = "data"
PROGRAM_FILE = "model.pt2"
WEIGHTS_FILE = "model.safetensors"
PICKLE_FILE = "model.pth"
PICKLE_MODULE_FILE = "pickle_module_info.txt"
# MLflow imports it to unpickle; it is cloudpickle under another name. Nothing here imports it.
PICKLE_MODULE = "mlflow.pytorch.pickle_module"

logger = logging.getLogger(__name__)


class Recipe(Struct, frozen=True):
    """How a module is made before it gets its weights: ``class_name(**arguments)``."""

    class_name: str
    arguments: dict[str, Any]


def format_of(folder: Path, config: Mapping[str, Any]) -> str:
    """One of ``pt2``, ``safetensors`` and ``pickle``; a model of MLflow's shows it by its files.

    Raises:
        Corrupt: The format is unknown.
    """
    kind = config.get("ratoon_format")
    if kind is None:
        names = data_name(config, PICKLE_FILE), config.get("model_data")
        old = any(isinstance(name, str) and (folder / name).is_file() for name in names)
        return "pickle" if old else "pt2"
    if kind not in ("pt2", "safetensors", "pickle"):
        raise Corrupt(f"model in '{folder}' has the unknown format {kind!r}; update ratoon, or save the model again")
    return str(kind)


def needs(folder: Path, config: Mapping[str, Any]) -> Iterator[Need]:
    """What loading does with the file that holds the model."""
    kind = format_of(folder, config)
    if kind == "pickle":
        name = data_name(config, PICKLE_FILE)
        name = name if (folder / name).exists() else str(config.get("model_data"))
        yield Need(file=name, format="PyTorch pickle", level=TrustLevel.CODE, reason="a pickle runs any code")
    elif kind == "safetensors":
        names = (str(config.get("ratoon_class")),)
        name, reason = data_name(config, WEIGHTS_FILE), "the class of the model is imported and called"
        yield Need(file=name, format="safetensors", level=TrustLevel.TYPES, reason=reason, names=names)
    else:
        yield _program_need(folder, data_name(config, PROGRAM_FILE))


def _program_need(folder: Path, name: str) -> Need:
    try:
        foreign = tuple(sorted(check_archive(data_file(folder, name))))
    except RatoonError as error:
        return Need(file=name, format="exported graph", level=TrustLevel.CODE, reason=str(error))
    if foreign:
        reason = "operators of other libraries are called"
        return Need(file=name, format="exported graph", level=TrustLevel.TYPES, reason=reason, names=foreign)
    return Need(file=name, format="exported graph")


def data_name(config: Mapping[str, Any], name: str) -> str:
    """The path of a file of the model, relative to its folder."""
    return f"{config.get('model_data')}/{name}"


def save_program(torch: Any, program: Any, folder: Path) -> dict[str, Any]:
    """Write ``model.pt2``; warns if it holds what loading must be trusted for."""
    path = folder / DATA / PROGRAM_FILE
    torch.export.save(program, path)
    try:
        foreign = check_archive(path)
    except RatoonError as error:
        logger.warning("%s", error)
    else:
        if foreign:
            logger.warning("model needs trust=%r to be loaded (operators of other libraries)", sorted(foreign))
    return {"ratoon_format": "pt2"}


def load_program(torch: Any, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
    """Read ``model.pt2`` as an exported program, if there is nothing in it that the policy does not allow."""
    path = data_file(folder, data_name(config, PROGRAM_FILE))
    if not policy.allows_code:
        policy.require_types(f".pt2 archive '{path}'", check_archive(path))
    try:
        return torch.export.load(path)
    except Exception as error:  # any class of error, from a reader that is under development
        raise RatoonError(
            f"file '{path}' cannot be loaded ({type(error).__name__}: {error}); "
            "install the versions in the model's requirements.txt, or save it again"
        ) from error


def recipe_of(torch: Any, model: Any) -> Recipe | None:
    """How to make such a module again; None if its class cannot be imported, or what it makes differs."""
    kind = type(model)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__ == "__main__" or "<" in name or _resolved(name, sys.modules.get(kind.__module__)) is not kind:
        return None
    given = getattr(model, "init_args", None) or getattr(model, "hparams", None) or {}
    arguments = dict(given) if isinstance(given, Mapping) else {}
    try:
        with torch.device("meta"):
            fresh = kind(**arguments).state_dict()
    except Exception as error:  # a constructor may raise anything
        logger.info("model of type %r cannot be made again (%s: %s)", name, type(error).__name__, error)
        return None
    state = model.state_dict()
    plain = all(isinstance(value, str | int | float | bool | list | dict | None) for value in arguments.values())
    same = {key: value.shape for key, value in fresh.items()} == {key: value.shape for key, value in state.items()}
    return Recipe(name, arguments) if plain and same else None


def save_weights(model: Any, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Write ``model.safetensors``."""
    _safetensors().save_model(model, str(folder / DATA / WEIGHTS_FILE))
    logger.warning("model of type %r needs trust=[%r] to be loaded", type(model).__qualname__, recipe.class_name)
    return {
        "ratoon_format": "safetensors",
        "ratoon_class": recipe.class_name,
        "ratoon_arguments": recipe.arguments or None,
    }


def load_weights(folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
    """Make the module by its class, which the caller must vouch for, and give it its weights."""
    path = data_file(folder, data_name(config, WEIGHTS_FILE))
    name, arguments = config.get("ratoon_class"), config.get("ratoon_arguments") or {}
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise Corrupt(f"model in '{folder}' does not say which class it is of; save it again")
    policy.require_types(f"model in '{folder}'", [name])
    module = _class(name)(**arguments)
    try:
        _safetensors().load_model(module, str(path), strict=True)
    except Exception as error:  # safetensors raises its own error, PyTorch a RuntimeError
        raise Corrupt(
            f"file '{path}' does not fit the class '{name}' ({type(error).__name__}: {error}); "
            "install the version of the class that the model was trained with"
        ) from error
    return module.eval()


def save_pickled(torch: Any, model: Any, folder: Path) -> dict[str, Any]:
    """Write ``model.pth`` as MLflow does, or a scripted module as TorchScript."""
    path = folder / DATA / PICKLE_FILE
    try:
        if isinstance(model, torch.jit.ScriptModule):
            torch.jit.save(model, path)
        else:
            torch.save(model, path, pickle_module=_cloudpickle())
    except Exception as error:  # pickling calls into any class
        raise InvalidInput(
            f"model of type '{type(model).__qualname__}' cannot be saved ({type(error).__name__}: {error}); keep open "
            "files, connections and locks out of it"
        ) from error
    (folder / DATA / PICKLE_MODULE_FILE).write_text(PICKLE_MODULE)
    logger.warning(
        "model of type %r is pickled (no input example that it can be exported with, and no class that can be called "
        "without arguments); loading it needs trust='code'",
        type(model).__qualname__,
    )
    return {"ratoon_format": "pickle"}


def load_pickled(torch: Any, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
    """Unpickle a module, or load TorchScript, whose files are zip archives with pickles, too."""
    name = data_name(config, PICKLE_FILE)
    path = data_file(folder, name if (folder / name).exists() else config.get("model_data"))
    policy.require_code(f"pickle file '{path}'")
    try:
        if _is_scripted(path):
            return torch.jit.load(path, map_location="cpu").eval()
        return torch.load(path, map_location="cpu", weights_only=False).eval()
    except ImportError as error:
        raise RatoonError(
            f"pickle file '{path}' cannot be loaded (no module named {error.name!r} here); "
            "install what the model's requirements.txt lists and the code that it was made with"
        ) from error
    except (RuntimeError, EOFError, AttributeError, pickle.UnpicklingError) as error:
        raise Corrupt(
            f"pickle file '{path}' cannot be loaded ({type(error).__name__}: {error}); fetch or save the model again"
        ) from error


def _is_scripted(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _class(name: str) -> Any:
    """Import a class that the caller vouched for."""
    module, _, _ = name.rpartition(".")
    try:
        found = _resolved(name, importlib.import_module(module))
    except ImportError as error:
        raise RatoonError(
            f"class '{name}' of the model cannot be imported ({error}); install the package that it is in"
        ) from error
    if not isinstance(found, type):
        raise RatoonError(f"class '{name}' of the model is not in its module; install the version that has it")
    return found


def _resolved(name: str, module: Any) -> Any:
    return getattr(module, name.rpartition(".")[2], None)


def _safetensors() -> Any:
    with needed_by("pytorch", "torch"):
        import safetensors.torch
    return safetensors.torch


def _cloudpickle() -> Any:
    """What ``torch.save`` calls to pickle: the standard library's, with a pickler for lambdas and local classes."""
    import cloudpickle

    module = types.ModuleType(cloudpickle.__name__)
    module.__dict__.update({"Pickler": cloudpickle.CloudPickler, "dump": cloudpickle.dump, "dumps": cloudpickle.dumps})
    return module
