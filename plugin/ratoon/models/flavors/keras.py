"""Keras 3: the ``.keras`` archive, under any of its backends.

An archive of Keras's own layers is data. One with layers or functions of the user's needs their names, as in
``trust=["my_package.layers.Scale"]``, and one with a lambda ``trust="code"``; what an archive holds is looked at before
Keras reads it (:mod:`ratoon.models.flavors.keras_checks`). Models come back without their optimizer, because that ties
them to a backend. The keys in the MLmodel file are MLflow's, those with the prefix ``ratoon_`` excepted. Keras is
imported on use.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import InvalidInput
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors import saved_model
from ratoon.models.flavors.distributions import provider_of
from ratoon.models.flavors.keras_files import DATA, FILE_NAME, library, load_archive, save_archive
from ratoon.models.flavors.tensors import as_matrix, as_table, first_that_fits, plain_outputs
from ratoon.models.mlmodel import data_file, data_folder
from ratoon.models.trust import TrustPolicy


class KerasFlavor:
    """Models of Keras 3."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """Keras and the backend that it runs on here; every backend reads the archive, but one must be there."""
        backend = library().backend.backend()
        return ("keras", "numpy", "pandas", provider_of(backend))

    def recognises(self, model: object) -> bool:
        """Whether it is a Keras model; Keras is not imported to find out."""
        keras = sys.modules.get("keras")
        return hasattr(keras, "Model") and isinstance(model, keras.Model)  # type: ignore[union-attr]

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``data/model.keras``."""
        keras = library()
        (folder / DATA).mkdir()
        homes = save_archive(model, folder / DATA / FILE_NAME)
        (folder / DATA / "keras_module.txt").write_text("keras")
        return {
            "data": DATA,
            "keras_version": keras.__version__,
            "keras_backend": keras.backend.backend(),
            "save_exported_model": False,
            "ratoon_custom_objects": homes or None,
        }

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads the archive."""
        return {"loader_module": "mlflow.keras"}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Read the archive without what training needs, or the graph that MLflow exported in its place."""
        if config.get("save_exported_model"):
            return saved_model.load(data_folder(folder, f"{config.get('data')}/model"), policy)
        homes = config.get("ratoon_custom_objects") or {}
        path = data_file(folder, f"{config.get('data')}/{FILE_NAME}")
        return load_archive(path, policy, homes if isinstance(homes, Mapping) else {})

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the model's ``predict``, with the parameters as keywords; a DataFrame for a DataFrame."""
        if not hasattr(model, "predict"):
            return saved_model.predict(model, data)
        given = (
            {name: as_matrix(value) for name, value in data.items()} if isinstance(data, Mapping) else as_matrix(data)
        )
        outputs = model.predict(given, **{"verbose": 0, **(params or {})})
        names = getattr(model, "output_names", None)
        if isinstance(outputs, list) and names and len(names) == len(outputs) > 1:
            outputs = dict(zip(names, outputs, strict=True))
        return as_table(data, plain_outputs(outputs, _as_array))

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first array, table or dict of arrays that has the shapes of the model's inputs."""
        inputs: Any = getattr(model, "inputs", None) or ()
        return first_that_fits(candidates, {tensor.name: tuple(tensor.shape) for tensor in inputs})


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``keras``."""
    # To a type checker a property is not the attribute that the protocol has.
    register("keras", KerasFlavor())


def _as_array(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.ndarray):
        return value
    raise InvalidInput(f"the model returned a value of type '{type(value).__qualname__}' (no array); use .native")
