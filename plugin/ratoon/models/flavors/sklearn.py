"""scikit-learn's estimators: in the skops format, which holds data and names of types but no code.

An estimator that skops cannot write, one with a lambda for example, is pickled and then needs ``trust="code"``. The
keys in the MLmodel file are MLflow's. scikit-learn, skops and numpy are imported on use.
"""

from __future__ import annotations

import logging
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, InvalidInput, MissingExtra, RatoonError
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors.sklearn_checks import check_structures
from ratoon.models.flavors.sklearn_types import KNOWN_TYPES
from ratoon.models.mlmodel import data_file
from ratoon.models.trust import TrustPolicy, load_pickle, save_pickle

SKOPS_FILE = "model.skops"
PICKLE_FILE = "model.pkl"

logger = logging.getLogger(__name__)


class SklearnFlavor:
    """Estimators and pipelines of scikit-learn and of libraries that build on its base classes."""

    requirements: tuple[str, ...] = ("scikit-learn", "skops", "numpy", "scipy", "pandas")

    def recognises(self, model: object) -> bool:
        """Whether it is an estimator; scikit-learn is not imported to find out."""
        base = sys.modules.get("sklearn.base")
        return base is not None and isinstance(model, base.BaseEstimator)

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``model.skops``, or ``model.pkl`` where skops cannot."""
        sklearn, io = _libraries()
        config = {"sklearn_version": sklearn.__version__, "code": None, "skops_trusted_types": None}
        path = folder / SKOPS_FILE
        try:
            untrusted = _dump(io, model, path)
        except Exception as error:  # skops calls into any class, which may raise anything
            path.unlink(missing_ok=True)
            logger.warning(
                "model of type %r is pickled (skops cannot write it: %s); loading it needs trust='code'",
                type(model).__qualname__,
                error,
            )
            save_pickle(model, folder / PICKLE_FILE)
            return {**config, "pickled_model": PICKLE_FILE, "serialization_format": "cloudpickle"}
        foreign = sorted(set(untrusted) - KNOWN_TYPES)
        if foreign:
            logger.warning("model of type %r needs trust=%r to be loaded", type(model).__qualname__, foreign)
        # MLflow loads what this list names; ratoon does not read it, for whoever writes the model writes the list.
        trusted = {"skops_trusted_types": sorted(untrusted) or None}
        return {**config, **trusted, "pickled_model": SKOPS_FILE, "serialization_format": "skops"}

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads these files."""
        if not hasattr(model, "predict"):
            return None
        return {"loader_module": "mlflow.sklearn", "model_path": config["pickled_model"], "predict_fn": "predict"}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Read the estimator; a skops file with types that nobody knows and a pickle are asked of the policy."""
        path = data_file(folder, config.get("pickled_model"))
        serialization = config.get("serialization_format", "pickle")
        if serialization == "skops":
            return _load_skops(path, policy)
        if serialization in ("cloudpickle", "pickle"):
            return load_pickle(path, policy)
        raise Corrupt(
            f"model in '{folder}' has the unknown serialization format {serialization!r} "
            "(known are 'skops', 'cloudpickle' and 'pickle'); save it again"
        )

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the estimator's ``predict``, with the parameters as keywords."""
        predict: Callable[..., Any] | None = getattr(model, "predict", None)
        if predict is None:
            raise InvalidInput(
                f"model of type '{type(model).__qualname__}' cannot predict (it has no such method); use .native"
            )
        return predict(data, **(params or {}))

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first table or matrix with the features that the estimator was fitted with."""
        names = getattr(model, "feature_names_in_", None)
        width = getattr(model, "n_features_in_", None)
        for candidate in candidates:
            columns = getattr(candidate, "columns", None)
            shape: tuple[int, ...] = getattr(candidate, "shape", ())
            if columns is not None and names is not None:
                if list(columns) == list(names):
                    return candidate
            elif hasattr(candidate, "dtype" if columns is None else "dtypes") and len(shape) == 2:
                if width is not None and shape[1] == width:
                    return candidate
        return None


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``sklearn``."""
    register("sklearn", SklearnFlavor())


def _dump(io: Any, model: Any, path: Path) -> list[str]:
    """Write a skops file; returns the types in it that skops does not vouch for."""
    io.dump(model, path)
    untrusted: list[str] = io.get_untrusted_types(file=path)
    # skops writes functions and classes by name, also those that nobody can import by it: lambdas and local ones, and
    # those of a script, which is another one in the process that loads.
    nameless = [name for name in untrusted if "<" in name or name.startswith("__main__.")]
    if nameless:
        raise TypeError(f"{nameless[0]} cannot be imported by its name")
    return untrusted


def _load_skops(path: Path, policy: TrustPolicy) -> Any:
    _, io = _libraries()
    try:
        model = _read_skops(io, path, policy)
    except (RatoonError, ImportError):
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        raise Corrupt(
            f"skops file '{path}' cannot be loaded ({type(error).__name__}: {error}); fetch or save the model again, "
            "with the versions in its requirements.txt"
        ) from error
    check_structures(model, path)
    return model


def _read_skops(io: Any, path: Path, policy: TrustPolicy) -> Any:
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return io.load(path, trusted=sorted(KNOWN_TYPES.union(policy.types)))
    except UntrustedTypesFoundException:
        untrusted = set(io.get_untrusted_types(file=path))
        policy.require_types(f"skops file '{path}'", untrusted - KNOWN_TYPES)
        return io.load(path, trusted=sorted(untrusted))


def _libraries() -> tuple[Any, Any]:
    try:
        import sklearn
        import skops.io as io
    except ImportError as error:
        missing = (error.name or "sklearn").partition(".")[0]
        package = "scikit-learn" if missing == "sklearn" else missing
        raise MissingExtra("the flavor 'sklearn'", "sklearn", package) from error
    return sklearn, io
