"""scikit-learn's estimators: in the skops format, which holds data and names of types but no code.

An estimator that skops cannot write, one with a lambda for example, is pickled and then needs ``trust="code"``. The
keys in the MLmodel file are MLflow's. scikit-learn, skops and numpy are imported on use.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import InvalidInput
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors.features import features_among
from ratoon.models.flavors.sklearn_types import KNOWN_TYPES
from ratoon.models.flavors.skops_format import read_estimator, skops_io, write_skops
from ratoon.models.mlmodel import data_file
from ratoon.models.trust import TrustPolicy, save_pickle

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
        sklearn = _sklearn()
        config = {"sklearn_version": sklearn.__version__, "code": None, "skops_trusted_types": None}
        path = folder / SKOPS_FILE
        try:
            untrusted = write_skops(model, path)
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
        return read_estimator(path, config.get("serialization_format", "pickle"), policy)

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
        return features_among(candidates, names, getattr(model, "n_features_in_", None))


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``sklearn``."""
    register("sklearn", SklearnFlavor())


def _sklearn() -> Any:
    skops_io()
    import sklearn

    return sklearn
