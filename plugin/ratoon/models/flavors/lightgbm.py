"""LightGBM's boosters and estimators, in its own text format: numbers and names, no code.

A booster knows neither the labels of the classes nor which estimator it was in: both are kept in the MLmodel file,
under keys of ratoon's own. The other keys are MLflow's, which reads an estimator as a skops file: that is written
beside the text, and read here only where there is no text. LightGBM, numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors.features import features_among
from ratoon.models.flavors.libraries import class_name, needed_by, not_fitted
from ratoon.models.flavors.lightgbm_estimators import CLASSES, describe_estimator, make_estimator, restore_categories
from ratoon.models.flavors.skops_format import read_estimator, write_skops
from ratoon.models.mlmodel import data_file
from ratoon.models.trust import TrustPolicy

FILE_NAME = "model.lgb"
SKOPS_FILE = "model.skops"
_BOOSTER = "lightgbm.basic.Booster"


class LightGBMFlavor:
    """``lightgbm.Booster`` and the estimators of LightGBM itself; a class derived from them may hold more."""

    requirements: tuple[str, ...] = ("lightgbm", "numpy", "pandas", "scipy")

    def recognises(self, model: object) -> bool:
        """Whether its class is one of LightGBM's, by name."""
        return class_name(model) in (_BOOSTER, *CLASSES)

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``model.lgb``, and ``model.skops`` if it is an estimator."""
        lightgbm = _library()
        booster = _booster(model)
        booster.save_model(folder / FILE_NAME)
        config = {
            "lgb_version": lightgbm.__version__,
            "model_class": class_name(model),
            "data": FILE_NAME,
            "code": None,
            "skops_trusted_types": None,
        }
        if booster is model:
            return config
        trusted = write_skops(model, folder / SKOPS_FILE, compressed=True)
        # MLflow loads what this list names; ratoon does not read it, for whoever writes the model writes the list.
        for_mlflow = {"data": SKOPS_FILE, "serialization_format": "skops", "skops_trusted_types": sorted(trusted)}
        return {**config, **for_mlflow, "ratoon_data": FILE_NAME, "ratoon_estimator": describe_estimator(model)}

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads these files."""
        return {"loader_module": "mlflow.lightgbm", "data": config["data"]}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Read the text and, for an estimator, put it into one; or what MLflow saved: a skops file, or a pickle."""
        name = config.get("model_class", _BOOSTER)
        if name != _BOOSTER and "ratoon_data" not in config:
            return _load_from_mlflow(folder, config, policy)
        path = data_file(folder, config.get("ratoon_data", config.get("data")))
        booster = _read_booster(path)
        if name == _BOOSTER:
            return booster
        if name not in CLASSES:
            raise Corrupt(
                f"model in '{folder}' is of the class {name!r} (known are {_BOOSTER}, {', '.join(CLASSES)}); "
                "save it with one of these, or install a plugin with a flavor that reads it"
            )
        return make_estimator(name, booster, config.get("ratoon_estimator"), folder)

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the model's ``predict``, with the parameters as keywords."""
        return model.predict(restore_categories(_booster(model), data), **(params or {}))

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first table or matrix with the features that the booster was trained with."""
        booster = _booster(model)
        names = booster.feature_name()
        unnamed = names == [f"Column_{position}" for position in range(len(names))]
        return features_among(candidates, None if unnamed else names, len(names))


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``lightgbm``."""
    register("lightgbm", LightGBMFlavor())


def _booster(model: Any) -> Any:
    if class_name(model) == _BOOSTER:
        return model
    if not model.__sklearn_is_fitted__():
        raise not_fitted(model)
    return model.booster_


def _read_booster(path: Path) -> Any:
    lightgbm = _library()
    try:
        return lightgbm.Booster(model_file=path)
    except (lightgbm.basic.LightGBMError, ValueError, OSError) as error:
        raise Corrupt(
            f"file '{path}' cannot be loaded by LightGBM {lightgbm.__version__} ({error}); "
            "fetch or save the model again, with the version in its requirements.txt"
        ) from error


def _load_from_mlflow(folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
    path = data_file(folder, config.get("data"))
    _library()
    return read_estimator(path, config.get("serialization_format", "cloudpickle"), policy)


def _library() -> Any:
    with needed_by("lightgbm"):
        import lightgbm
    return lightgbm
