"""Results of statsmodels: pickled, because statsmodels has no other format; loading them needs ``trust="code"``.

Results hold the data that they were estimated from. It is taken out of what is saved wherever predictions do without
it; where they do not, as with time series, a warning says that the file holds it. The keys in the MLmodel file are
MLflow's. statsmodels, numpy and pandas are imported on use.
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
from ratoon.models.flavors.libraries import needed_by
from ratoon.models.mlmodel import data_file
from ratoon.models.trust import TrustPolicy, load_pickle, policy_from, save_pickle

FILE_NAME = "model.statsmodels"
ROWS = 5

logger = logging.getLogger(__name__)


class StatsmodelsFlavor:
    """What ``fit`` returns in statsmodels."""

    requirements: tuple[str, ...] = ("statsmodels", "numpy", "pandas", "scipy", "cloudpickle")

    def recognises(self, model: object) -> bool:
        """Whether it is a result, wrapped or bare; statsmodels is not imported to find out."""
        wrapper, base = sys.modules.get("statsmodels.base.wrapper"), sys.modules.get("statsmodels.base.model")
        wrapped = wrapper is not None and isinstance(model, wrapper.ResultsWrapper)
        return wrapped or (base is not None and isinstance(model, base.Results))

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``model.statsmodels``, without the training data if the model predicts the same without."""
        version = _library().__version__
        path = folder / FILE_NAME
        save_pickle(model, path)
        bare = _without_data(model, path)
        if bare is not None:
            save_pickle(bare, path)
        logger.warning(
            "model of type %r is pickled (statsmodels has no other format); loading it needs trust='code'",
            type(model).__qualname__,
        )
        if bare is None:
            logger.warning(
                "model of type %r holds its training data (it cannot predict without); keep the file as private as "
                "the data",
                type(model).__qualname__,
            )
        return {
            "statsmodels_version": version,
            "data": FILE_NAME,
            "code": None,
            "ratoon_holds_training_data": bare is None,
        }

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads these files, where pickles are allowed."""
        return {"loader_module": "mlflow.statsmodels", "data": config["data"]}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Unpickle the result, if the policy allows code."""
        path = data_file(folder, config.get("data", FILE_NAME))
        policy.require_code(f"pickle file '{path}'")
        _library()
        return load_pickle(path, policy)

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the result's ``predict``.

        Args:
            model: The result.
            data: The explanatory variables; for a time series a table with one row, ``start`` and ``end``.
            params: Keywords of ``predict``.
        """
        if not _is_time_series(model):
            return model.predict(data, **(params or {}))
        columns = getattr(data, "columns", ())
        if len(data) != 1 or "start" not in columns or "end" not in columns:
            raise InvalidInput(
                "data does not fit the model (a time series is predicted from a start to an end); give a table of one "
                "row with the columns 'start' and 'end'"
            )
        return model.predict(start=data["start"].iloc[0], end=data["end"].iloc[0], **(params or {}))

    def example_from(self, model: Any, candidates: Iterable[object]) -> object | None:
        """The first table with the explanatory variables; None for a time series, which is not called with data."""
        if _is_time_series(model):
            return None
        if getattr(model.model, "formula", None) is not None:
            return next((each for each in candidates if _fits_formula(model, each)), None)
        names = getattr(model.model, "exog_names", None)
        return features_among(candidates, names, len(names) if names else None)


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``statsmodels``."""
    register("statsmodels", StatsmodelsFlavor())


def _is_time_series(model: Any) -> bool:
    series = sys.modules.get("statsmodels.tsa.base.tsa_model")
    return series is not None and isinstance(model.model, series.TimeSeriesModel)


def _without_data(model: Any, path: Path) -> Any | None:
    """A copy without training data, made from the pickle; None unless it was seen to predict the same."""
    import numpy as np

    if _is_time_series(model):
        return None
    bare = load_pickle(path, policy_from("code"))
    try:
        # The explanatory variables are laid out already, also where the model has a formula.
        given = {"transform": False} if getattr(model.model, "formula", None) is not None else {}
        rows = np.asarray(model.model.exog)[:ROWS]
        bare.remove_data()
        same = np.array_equal(bare.predict(rows, **given), model.predict(rows, **given), equal_nan=True)
    except Exception as error:  # each of some fifty classes fails in its own way
        logger.debug("training data of %r cannot be removed: %r", type(model).__qualname__, error)
        return None
    return bare if same else None


def _fits_formula(model: Any, candidate: object) -> bool:
    if not hasattr(candidate, "columns") or not hasattr(candidate, "iloc"):
        return False
    try:
        model.predict(candidate.iloc[:1])
    except Exception:  # whatever a formula raises on a table without its variables
        return False
    return True


def _library() -> Any:
    with needed_by("statsmodels"):
        import statsmodels
    return statsmodels
