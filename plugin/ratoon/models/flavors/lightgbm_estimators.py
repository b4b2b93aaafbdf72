"""What LightGBM's text does not hold: the estimator around a booster, its class labels, which columns were categories.

LightGBM, numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

from ratoon.errors import Corrupt, InvalidInput
from ratoon.models.flavors.categories import as_categories
from ratoon.models.flavors.plain import plain_params

CLASSES = {f"lightgbm.sklearn.{name}": name for name in ("LGBMModel", "LGBMClassifier", "LGBMRegressor", "LGBMRanker")}

_categorical: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()


def describe_estimator(estimator: Any) -> dict[str, Any]:
    """What goes under ``ratoon_estimator`` in the MLmodel file.

    Raises:
        InvalidInput: The labels of the classes are neither numbers nor texts.
    """
    described = {
        "params": plain_params(estimator.get_params()),
        "objective": None if callable(estimator.objective_) else estimator.objective_,
        "named_features": hasattr(estimator, "feature_names_in_"),
        "best_iteration": estimator.best_iteration_,
    }
    if not hasattr(estimator, "classes_"):
        return described
    labels = estimator.classes_.tolist()
    if not all(isinstance(label, str | int | float) for label in labels):
        raise InvalidInput(
            f"model of type '{type(estimator).__qualname__}' cannot be saved (a label of its classes is of type "
            f"'{type(labels[0]).__name__}'); fit it with labels that are numbers or texts"
        )
    return {**described, "classes": labels, "classes_dtype": estimator.classes_.dtype.str}


def make_estimator(name: str, booster: Any, described: Any, folder: Path) -> Any:
    """An estimator that holds a booster and predicts as the one that was saved.

    Args:
        name: One of ``CLASSES``.
        booster: What was in it.
        described: What ``describe_estimator`` returned.
        folder: The model's, for messages.
    """
    import lightgbm

    try:
        estimator = getattr(lightgbm, CLASSES[name])()
        given = plain_params(described["params"])
        estimator.set_params(**{key: given[key] for key in estimator.get_params() if key in given})
        _fill(estimator, booster, described)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Corrupt(
            f"file 'MLmodel' of the model in '{folder}' does not describe a {CLASSES[name]} "
            f"({type(error).__name__}: {error}); save the model again"
        ) from error
    return estimator


def _fill(estimator: Any, booster: Any, described: Mapping[str, Any]) -> None:
    """Set what ``fit`` sets; LightGBM has no method for that."""
    objective = described["objective"]
    estimator._Booster = booster
    estimator._n_features = estimator._n_features_in = booster.num_feature()
    estimator._best_iteration = described["best_iteration"]
    # Only whether there was a function is asked when a model predicts: then scores are left as they are.
    estimator._objective = _not_kept if objective is None else str(objective)
    estimator._fitted_with_feature_names = bool(described["named_features"])
    estimator.fitted_ = True
    if "classes" in described:
        _label(estimator, described)


def _label(estimator: Any, described: Mapping[str, Any]) -> None:
    import numpy as np
    from lightgbm.compat import _LGBMLabelEncoder

    labels = np.array(described["classes"], dtype=np.dtype(described["classes_dtype"]))
    encoder = _LGBMLabelEncoder()
    encoder.classes_ = labels
    estimator._le = encoder
    estimator._classes, estimator._n_classes = labels, len(labels)
    estimator._class_map = dict(zip(labels, range(len(labels)), strict=True))


def _not_kept(truth: object, scores: object) -> NoReturn:
    raise InvalidInput("the objective of the model is a function, which is not saved; set it again to fit again")


def restore_categories(booster: Any, data: Any) -> Any:
    """A table with categories where the booster was trained with them, which a signature has made texts or numbers.

    Raises:
        InvalidInput: It cannot be told which columns these were.
    """
    known: list[Any] = booster.pandas_categorical or []
    if not known or not hasattr(data, "columns"):
        return data
    present = [str(dtype) == "category" for dtype in data.dtypes]
    if sum(present) == len(known):
        return data
    names = [name for name in _categorical_features(booster) if name in data.columns]
    if len(names) != len(known):
        # Ordered categories are numbers to LightGBM; texts can only have been categories.
        names = [name for name, dtype in data.dtypes.items() if dtype.kind not in "biuf"]
    if len(names) != len(known):
        raise InvalidInput(
            f"data does not fit the model (it was trained with {len(known)} columns of the type category, given are "
            f"{sum(present)}); convert them, for example data[name].astype('category')"
        )
    return as_categories(data, names)


def _categorical_features(booster: Any) -> list[str]:
    """The features that LightGBM splits by category, from the head of its text."""
    if booster not in _categorical:
        head = booster.model_to_string(num_iteration=1).splitlines()
        infos = next(line for line in head if line.startswith("feature_infos=")).partition("=")[2].split(" ")
        # A range of numbers is in brackets, a list of categories is not; a constant column has neither.
        features = zip(booster.feature_name(), infos, strict=True)
        _categorical[booster] = [name for name, info in features if not info.startswith("[") and info != "none"]
    return _categorical[booster]
