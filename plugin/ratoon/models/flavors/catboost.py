"""CatBoost's models, in its own binary format (``.cbm``): numbers, texts and class labels, no code.

The keys in the MLmodel file are MLflow's. CatBoost is imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors.features import features_among
from ratoon.models.flavors.libraries import needed_by, not_fitted
from ratoon.models.mlmodel import data_file
from ratoon.models.trust import TrustPolicy

FILE_NAME = "model.cb"
_MODULE = "catboost.core"
_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
# CatBoost exports to others, too, and does not read those back, or not as the same model.
_FORMATS = ("cbm", "json")


class CatBoostFlavor:
    """CatBoost's own classes; a class derived from them may hold more than its file."""

    requirements: tuple[str, ...] = ("catboost", "numpy", "pandas", "scipy")

    def recognises(self, model: object) -> bool:
        """Whether its class is one of CatBoost's, by name."""
        return type(model).__module__ == _MODULE and type(model).__qualname__ in _CLASSES

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``model.cb``."""
        catboost = _library()
        if not model.is_fitted():
            raise not_fitted(model)
        model.save_model(str(folder / FILE_NAME))
        return {
            "catboost_version": catboost.__version__,
            "model_type": type(model).__name__,
            "save_format": "cbm",
            "data": FILE_NAME,
            "code": None,
        }

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads these files."""
        return {"loader_module": "mlflow.catboost", "data": config["data"]}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Read the model; its class is one that is known here, whatever the file names."""
        path = data_file(folder, config.get("data", FILE_NAME))
        catboost = _library()
        name, kind = config.get("model_type"), config.get("save_format") or "cbm"
        for given, known in ((name, _CLASSES), (kind, _FORMATS)):
            if given not in known:
                raise Corrupt(
                    f"model in '{folder}' is of the class or format {given!r} (known are {', '.join(known)}); "
                    "save it with one of these"
                )
        model = getattr(catboost, str(name))()
        try:
            model.load_model(str(path), format=kind)
        except catboost.CatBoostError as error:
            cause = str(error).strip().partition("\n")[0]
            raise Corrupt(
                f"file '{path}' cannot be loaded by CatBoost {catboost.__version__} ({cause}); "
                "fetch or save the model again, with the version in its requirements.txt"
            ) from error
        return model

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the model's ``predict``, with the parameters as keywords."""
        return model.predict(data, **(params or {}))

    def example_from(self, model: Any, candidates: Iterable[object]) -> object | None:
        """The first table or matrix with the features that the model was trained with."""
        names = model.feature_names_ or []
        # Columns without a name are called by their position.
        unnamed = names == [str(position) for position in range(len(names))]
        return features_among(candidates, None if unnamed else names, len(names))


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``catboost``."""
    register("catboost", CatBoostFlavor())


def _library() -> Any:
    with needed_by("catboost"):
        import catboost
    return catboost
