"""Spark ML: fitted pipelines, in Spark's own layouts. See ``spark_files`` for those and ``spark_session`` for sessions.

The keys in the MLmodel file are MLflow's. Nothing in a folder is given to Spark before its classes were looked at
(``spark_checks``). pyspark is imported on use.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, InvalidInput, RatoonError
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors.spark_checks import foreign_classes
from ratoon.models.flavors.spark_files import check_python_side, check_stages, load_files, save_files
from ratoon.models.flavors.spark_predicting import inputs_of, predict_frame, transform
from ratoon.models.flavors.spark_session import require_pyspark, running_session, session_for_loading, versions
from ratoon.models.mlmodel import data_folder
from ratoon.models.needs import Need
from ratoon.models.trust import TrustLevel, TrustPolicy, policy_from

FLAVOR = "spark"


class SparkFlavor:
    """Fitted pipelines and single transformers of Spark ML; the latter are saved as pipelines of one stage."""

    requirements: tuple[str, ...] = ("pyspark", "numpy", "pandas", "pyarrow")

    def recognises(self, model: object) -> bool:
        """Whether it is a transformer of Spark ML; pyspark is not imported to find out."""
        base = sys.modules.get("pyspark.ml.base")
        return base is not None and isinstance(model, base.Transformer)

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``sparkml_local`` and ``sparkml``, each where the session can."""
        session = running_session()
        if session is None:
            raise RatoonError("model cannot be saved (its Spark session was stopped); save it before session.stop()")
        check_python_side(session)
        import pyspark
        from pyspark.ml import PipelineModel

        pipeline = model if isinstance(model, PipelineModel) else PipelineModel([model])
        in_python = check_stages(pipeline)
        files = save_files(pipeline, session, folder, in_jvm=not in_python)
        return {
            **files,
            "pyspark_version": pyspark.__version__,
            "code": None,
            "model_class": "pyspark.ml.pipeline.PipelineModel",
            "ratoon_versions": versions(session),
            "ratoon_python_stages": in_python,
        }

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads the distributed layout; ratoon's, where ratoon is installed, the local one."""
        if config["model_data"]:
            return {"loader_module": "mlflow.spark", "data": config["model_data"], "code": None}
        return {"loader_module": __name__, "data": config["ratoon_local"], "code": None}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Read the pipeline into the running session, or into a local one that is started for it."""
        if str(config.get("model_class") or "").startswith("pyspark.ml.connect."):
            raise InvalidInput(
                f"model in '{folder}' cannot be loaded (it is one of pyspark.ml.connect, which ratoon does not read); "
                "train it with pyspark.ml"
            )
        require_pyspark()
        foreign = _foreign(folder, config)
        if foreign:
            policy.require_types(f"Spark model in '{folder}'", set().union(*foreign.values()))
        session = session_for_loading()
        check_python_side(session)
        return load_files(folder, config, session)

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Transform the data: a list of predictions, one a row; a Spark DataFrame for a Spark DataFrame."""
        if hasattr(data, "sparkSession"):
            return transform(model, data, params)
        return predict_frame(model, data, session_for_loading(), params or {})

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first table with the columns that the stages need.

        A Spark DataFrame is none: taking rows of it would compute it once more.
        """
        needed = set(inputs_of(model))
        for candidate in candidates:
            columns = getattr(candidate, "columns", None)
            if columns is not None and hasattr(candidate, "iloc") and needed and needed.issubset(columns):
                return candidate
        return None

    def needs(self, folder: Path, config: Mapping[str, Any]) -> Iterable[Need]:
        """The classes that are not Spark's own, and those that run SQL."""
        for path, names in _foreign(folder, config).items():
            yield Need(
                file=path.relative_to(folder).as_posix(),
                format="Spark metadata",
                level=TrustLevel.TYPES,
                reason="Spark makes objects of classes that are not its own, or run SQL",
                names=tuple(sorted(names)),
            )


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``spark``."""
    register(FLAVOR, SparkFlavor())


def _foreign(folder: Path, config: Mapping[str, Any]) -> dict[Path, set[str]]:
    folders = [data_folder(folder, config[key]) for key in ("ratoon_local", "model_data") if config.get(key)]
    if not folders:
        raise Corrupt(f"model in '{folder}' names no folder with Spark's files; save the model again")
    return {path: names for each in folders for path, names in foreign_classes(each).items()}


class _Predictor:
    """The form in which MLflow calls a model that is in the local layout only."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Predict as the flavor does."""
        return SparkFlavor().predict(self._model, data, params)


def _load_pyfunc(path: str) -> _Predictor:
    from ratoon.models.mlmodel import read_mlmodel

    folder = Path(path).parent
    config = read_mlmodel(folder).flavors[FLAVOR]
    return _Predictor(SparkFlavor().load(folder, config, policy_from(None)))
