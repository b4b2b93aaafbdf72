"""TensorFlow's modules as SavedModel folders; models of Keras belong to the flavor ``keras``.

A graph that only computes is data; any other needs ``trust="code"`` (:mod:`ratoon.models.flavors.saved_model`). Models
of Keras that MLflow saved under this flavor are read, too. The keys in the MLmodel file are MLflow's. TensorFlow is
imported on use.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, InvalidInput, RatoonError, Untrusted
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors import saved_model
from ratoon.models.flavors.distributions import provider_of
from ratoon.models.flavors.keras_files import FILE_NAME, load_archive, load_older
from ratoon.models.flavors.tensors import first_that_fits
from ratoon.models.mlmodel import data_file, data_folder
from ratoon.models.needs import Need
from ratoon.models.trust import TrustLevel, TrustPolicy

FOLDER = "tf2model"
MODULE = "tf2-module"

logger = logging.getLogger(__name__)


class TensorflowFlavor:
    """``tf.Module``, and what ``tf.saved_model.load`` returns."""

    requirements: tuple[str, ...]

    def __init__(self) -> None:
        self.requirements = (provider_of("tensorflow"), "numpy", "pandas")

    def recognises(self, model: object) -> bool:
        """Whether it is a module of TensorFlow, unless Keras made it; TensorFlow is not imported to find out."""
        tracking = sys.modules.get("tensorflow.python.trackable.autotrackable")
        if tracking is None or not isinstance(model, tracking.AutoTrackable):
            return False
        return all(base.__module__.partition(".")[0] != "keras" for base in type(model).__mro__)

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write the folder ``tf2model``; warns if loading it needs trust."""
        tensorflow = saved_model.library()
        path = folder / FOLDER
        tensorflow.saved_model.save(model, str(path), signatures=getattr(model, "signatures", None) or None)
        graph = saved_model.read_graph(path)
        if graph is not None and not graph.object_graph_def.concrete_functions:
            raise InvalidInput(
                f"model of type '{type(model).__qualname__}' has no functions to save (none was called, or has an "
                "input signature); give its tf.function an input_signature, or call it once"
            )
        try:
            saved_model.check(path)
        except Untrusted as error:
            logger.warning("%s", error)
        return {"saved_model_dir": FOLDER, "model_type": MODULE, "code": None}

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads the folder."""
        return {"loader_module": "mlflow.tensorflow"}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Load the SavedModel, or the model of Keras that MLflow kept in its place."""
        kind = config.get("model_type")
        if kind == "keras":
            return _load_keras(folder, config, policy)
        if kind == MODULE:
            return saved_model.load(data_folder(folder, config.get("saved_model_dir")), policy)
        raise Corrupt(
            f"model in '{folder}' has the unknown type {kind!r} (known are 'keras' and '{MODULE}'); "
            "load it with the version of MLflow that saved it, and save it again"
        )

    def needs(self, folder: Path, config: Mapping[str, Any]) -> Iterable[Need]:
        """What a load does with the graph, for people who decide whom to trust."""
        if config.get("model_type") != MODULE:
            return
        name = config.get("saved_model_dir")
        file, level, reason = f"{name}/{saved_model.GRAPH}", TrustLevel.DATA, ""
        try:
            saved_model.check(data_folder(folder, name))
        except RatoonError as error:
            level, reason = TrustLevel.CODE, str(error)
        yield Need(file=file, format="SavedModel", level=level, reason=reason)

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the module with an array, or its serving signature with a dict of arrays."""
        if params:
            raise InvalidInput(f"parameter {next(iter(params))!r} is unknown to the model; it takes none")
        if hasattr(model, "predict_on_batch"):
            from ratoon.models.flavors.keras import KerasFlavor

            return KerasFlavor().predict(model, data)
        return saved_model.predict(model, data)

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first array, table or dict of arrays that fits the signature."""
        return first_that_fits(candidates, saved_model.input_shapes(model))


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``tensorflow``."""
    register("tensorflow", TensorflowFlavor())


def _load_keras(folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
    data = data_folder(folder, config.get("data"))
    if (data / FILE_NAME).is_file():
        return load_archive(data / FILE_NAME, policy)
    return load_older(data_file(folder, f"{config.get('data')}/model.h5"), policy)
