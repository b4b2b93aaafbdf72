"""How ``.keras`` archives and older files of Keras are read under a policy. Keras is imported on use."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, RatoonError
from ratoon.models.flavors.keras_checks import Custom, check_archive
from ratoon.models.flavors.libraries import needed_by
from ratoon.models.trust import TrustPolicy, load_pickle

DATA = "data"
FILE_NAME = "model.keras"
# MLflow's flavor 'tensorflow' pickles classes here: those it was given, and all that were registered with Keras.
PICKLES = ("custom_objects.cloudpickle", "global_custom_objects.cloudpickle")

logger = logging.getLogger(__name__)


def library() -> Any:
    """Keras 3, with the backend that the environment or its configuration names."""
    with needed_by("keras"):
        import keras
    if int(keras.__version__.partition(".")[0]) < 3:
        raise RatoonError(f"Keras {keras.__version__} is too old for the flavor 'keras'; pip install 'keras>=3.6'")
    return keras


def save_archive(model: Any, path: Path) -> dict[str, str]:
    """Write the archive; warns if loading it needs trust.

    Returns:
        The dotted names of the user's own classes and functions, by the names under which Keras looks them up.
    """
    model.save(path)
    try:
        customs = check_archive(path)
    except RatoonError as error:
        logger.warning("%s", error)
        return {}
    if not customs:
        return {}
    keras = library()
    defined = {custom.registered: _home(keras, model, custom) for custom in customs}
    logger.warning("model needs trust=%r to be loaded", sorted(defined.values()))
    return defined


def load_archive(path: Path, policy: TrustPolicy, homes: Mapping[str, Any] | None = None) -> Any:
    """Read an archive for predictions.

    Args:
        path: The archive.
        policy: What the caller allows.
        homes: The dotted names of the user's classes, as the MLmodel file has them: which to ask the policy for.
    """
    if policy.allows_code:
        objects = _trusted(path, policy, homes or {})
    else:
        objects = _vouched(path, check_archive(path), policy, homes or {})
    return _load(path, objects, safe_mode=not policy.allows_code)


def load_older(path: Path, policy: TrustPolicy) -> Any:
    """Read a model in one HDF5 file, whose layers no safe mode looks at."""
    policy.require_code(f"HDF5 file '{path}'")
    return _load(path, _trusted(path, policy, {}), safe_mode=False)


def _load(path: Path, objects: dict[str, Any], *, safe_mode: bool) -> Any:
    try:
        return library().saving.load_model(str(path), custom_objects=objects, compile=False, safe_mode=safe_mode)
    except RatoonError:
        raise
    except Exception as error:  # Keras raises whatever its layers raise
        raise Corrupt(
            f"file '{path}' cannot be loaded ({type(error).__name__}: {error}); install the versions in the model's "
            "requirements.txt and the package of its own layers, or save it again"
        ) from error


def _vouched(path: Path, customs: tuple[Custom, ...], policy: TrustPolicy, homes: Mapping[str, Any]) -> dict[str, Any]:
    names = {custom: _dotted(custom, policy, homes) for custom in customs}
    policy.require_types(f".keras archive '{path}'", names.values())
    objects: dict[str, Any] = {}
    for custom, name in names.items():
        objects[custom.registered] = objects[custom.name] = _imported(name)
    return objects


def _dotted(custom: Custom, policy: TrustPolicy, homes: Mapping[str, Any]) -> str:
    """The name to ask the policy for: that which was kept, or of what the caller vouches for the one that ends so."""
    kept = homes.get(custom.registered)
    if isinstance(kept, str):
        return kept
    candidates = [name for name in policy.types if name.rpartition(".")[2] == custom.name]
    return candidates[0] if candidates else f"{custom.module or 'its_module'}.{custom.name}"


def _trusted(path: Path, policy: TrustPolicy, homes: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller who trusts the model's code wants to be there: pickled by MLflow, or importable."""
    objects: dict[str, Any] = {}
    for name in PICKLES:
        file = path.parent / name
        if file.is_file():
            found = load_pickle(file, policy)
            if not isinstance(found, dict):
                raise Corrupt(f"file '{file}' holds no classes by their names; fetch or save the model again")
            objects |= found
    for registered, dotted in homes.items():
        if isinstance(dotted, str) and not dotted.startswith("__main__."):
            objects[registered] = objects[dotted.rpartition(".")[2]] = _imported(dotted)
    return objects


def _imported(name: str) -> Any:
    """Import what the caller vouched for."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RatoonError(
            f"'{name}' of the model cannot be imported ({error}); install the package that it is in"
        ) from error


def _home(keras: Any, model: Any, custom: Custom) -> str:
    found = keras.saving.get_registered_object(custom.registered)
    if found is None:
        found = next((type(part) for part in model._flatten_layers() if type(part).__name__ == custom.name), None)
    module = getattr(inspect.getmodule(found), "__name__", None) if found is not None else None
    return f"{module or custom.module or '__main__'}.{custom.name}"
