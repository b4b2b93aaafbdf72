"""XGBoost's boosters and estimators, in its own binary JSON: numbers and texts, no code.

The keys in the MLmodel file are MLflow's; ``ratoon_params`` holds what XGBoost leaves out of its file, such as the
value that stands for a missing one. XGBoost, numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, InvalidInput
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors.categories import as_categories
from ratoon.models.flavors.features import features_among
from ratoon.models.flavors.libraries import class_name, needed_by, not_fitted
from ratoon.models.flavors.plain import plain_params
from ratoon.models.mlmodel import data_file
from ratoon.models.trust import TrustPolicy

FILE_NAME = "model.ubj"
_BOOSTER = "xgboost.core.Booster"
_ESTIMATORS = {
    f"xgboost.sklearn.{name}": name
    for name in ("XGBModel", "XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
}


class XGBoostFlavor:
    """``xgboost.Booster`` and the estimators of XGBoost itself; a class derived from them may hold more."""

    requirements: tuple[str, ...] = ("xgboost", "numpy", "pandas", "scipy")

    def recognises(self, model: object) -> bool:
        """Whether its class is one of XGBoost's, by name."""
        return class_name(model) in (_BOOSTER, *_ESTIMATORS)

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``model.ubj``."""
        xgboost = _library()
        booster = _booster(model)
        model.save_model(folder / FILE_NAME)
        params = {} if booster is model else plain_params(model.get_params())
        return {
            "xgb_version": xgboost.__version__,
            "data": FILE_NAME,
            "model_class": class_name(model),
            "model_format": "ubj",
            "code": None,
            "ratoon_params": params,
        }

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads these files."""
        return {"loader_module": "mlflow.xgboost", "data": config["data"]}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Read the booster or estimator; its class is one that is known here, whatever the file names."""
        path = data_file(folder, config.get("data"))
        xgboost = _library()
        model = _empty(xgboost, config, folder)
        try:
            model.load_model(path)
        except (ValueError, TypeError, KeyError, OSError) as error:  # XGBoostError is a ValueError
            cause = str(error).strip().partition("\n")[0]
            raise Corrupt(
                f"file '{path}' cannot be loaded by XGBoost {xgboost.__version__} ({cause}); "
                "fetch or save the model again, with the version in its requirements.txt"
            ) from error
        return model

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the estimator, or the booster with a matrix of the data; parameters are keywords of ``predict``."""
        booster = _booster(model)
        data = _restore_categories(booster, data)
        if booster is not model:
            return model.predict(data, **(params or {}))
        named = hasattr(data, "columns")
        names = None if named else booster.feature_names
        types = None if named else booster.feature_types
        matrix = _library().DMatrix(data, feature_names=names, feature_types=types, enable_categorical=True)
        return booster.predict(matrix, **(params or {}))

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first table or matrix with the features that the booster was trained with."""
        booster = _booster(model)
        return features_among(candidates, booster.feature_names, booster.num_features())


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``xgboost``."""
    register("xgboost", XGBoostFlavor())


def _booster(model: Any) -> Any:
    if class_name(model) == _BOOSTER:
        return model
    if not model.__sklearn_is_fitted__():
        raise not_fitted(model)
    return model.get_booster()


def _empty(xgboost: Any, config: Mapping[str, Any], folder: Path) -> Any:
    """An object of the class that the configuration names, with the parameters in it that the class knows."""
    # MLflow before 1.22 saved boosters only, and did not say so.
    name = config.get("model_class", _BOOSTER)
    if name == _BOOSTER:
        return xgboost.Booster()
    if name not in _ESTIMATORS:
        raise Corrupt(
            f"model in '{folder}' is of the class {name!r} (known are {_BOOSTER}, {', '.join(_ESTIMATORS)}); "
            "save it with one of these, or install a plugin with a flavor that reads it"
        )
    estimator = getattr(xgboost, _ESTIMATORS[name])()
    given = plain_params(config.get("ratoon_params") or {})
    return estimator.set_params(**{key: given[key] for key in estimator.get_params() if key in given})


def _restore_categories(booster: Any, data: Any) -> Any:
    """Make categories of the columns that were categories in training, if this version of XGBoost knows which."""
    if not hasattr(data, "columns") or not booster.feature_names:
        return data
    typed = zip(booster.feature_names, booster.feature_types or (), strict=False)
    names = [name for name, kind in typed if kind == "c" and name in data.columns]
    restored = as_categories(data, names)
    if restored is not data and not _keeps_categories(booster):
        raise InvalidInput(
            f"columns {', '.join(map(repr, names))} of the model's input are no categories (the model does not hold "
            "those it was trained with); give columns of the type category, or train it with XGBoost 3.1 or newer"
        )
    return restored


def _keeps_categories(booster: Any) -> bool:
    return hasattr(booster, "get_categories") and not booster.get_categories().empty()


def _library() -> Any:
    with needed_by("xgboost"):
        import xgboost
    return xgboost
