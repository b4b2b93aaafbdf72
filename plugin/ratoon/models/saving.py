"""How a model becomes a folder: data files, requirements, an example, the MLmodel file and, last, the digests.

numpy and pandas are imported on use, and only where there is an input example.
"""

from __future__ import annotations

import logging
import platform
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pluggy

from ratoon.errors import InvalidInput
from ratoon.models.digests import write_manifest
from ratoon.models.examples import first_rows, write_example
from ratoon.models.flavor import Flavor, ReadByMlflow, SavedWithExample
from ratoon.models.flavors import GENERIC, flavor_of, registered_flavors
from ratoon.models.inference import infer_schema
from ratoon.models.mlmodel import FORMAT, ModelInfo, write_mlmodel
from ratoon.models.requirements import ENVIRONMENT, brought_by_nobody, captured, write_requirements
from ratoon.models.signature import Schema, Signature, infer_signature
from ratoon.version import __version__

logger = logging.getLogger(__name__)


def save_model(
    model: Any,
    folder: Path,
    *,
    manager: pluggy.PluginManager,
    flavor: str | None = None,
    input_example: Any = None,
    signature: Signature | None = None,
    metadata: Mapping[str, Any] | None = None,
    model_id: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
) -> ModelInfo:
    """Save a model into a folder of its own.

    Args:
        model: The object.
        folder: Where to; it must be empty or not exist, and is as it was before if anything fails.
        manager: Who knows the flavors.
        flavor: The name of a flavor; the first that recognises the model if None.
        input_example: Data that the model can be called with: its first rows are kept, its columns are described.
        signature: What the model takes and returns; inferred from the example if None.
        metadata: Anything plain that is to be kept with the model.
        model_id: Its identifier in the tracking store.
        run_id: The run that made it.
        artifact_path: Where it will be kept.

    Raises:
        InvalidInput: The folder is not empty, no flavor saves such a model, or the model fails on the example.
    """
    name, chosen = _chosen(model, flavor, manager)
    with _new_folder(folder):
        rows = None if input_example is None else first_rows(input_example)
        configs = _configs(name, chosen, model, _saved(chosen, model, folder, rows))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        needed = {*chosen.requirements, *captured(model, folder)}
        if name != GENERIC:
            _warn_of_own_modules(model, folder)
        example_info = None
        if input_example is not None:
            predicts = GENERIC in configs or callable(model) or hasattr(model, "predict")
            signature = signature or _infer(chosen, model, input_example, rows if predicts else None)
            example_info = write_example(rows, folder)
        if signature is not None and not signature.takes_tensors:
            # Columns are brought into the form of the signature in a table.
            needed.add("pandas")
        write_requirements(needed, folder)
        info = ModelInfo(
            flavors=configs,
            artifact_path=artifact_path,
            model_id=model_id,
            model_uuid=model_id or uuid.uuid4().hex,
            run_id=run_id,
            utc_time_created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
            model_size_bytes=size,
            signature=signature.to_mlflow() if signature else None,
            saved_input_example_info=example_info,
            metadata=dict(metadata) if metadata else None,
            ratoon={"format": FORMAT, "version": __version__},
        )
        write_mlmodel(info, folder)
        write_manifest(folder)
    return info


def _chosen(model: object, name: str | None, manager: pluggy.PluginManager) -> tuple[str, Flavor]:
    if name is None:
        return flavor_of(model, manager)
    flavors = registered_flavors(manager)
    if name not in flavors:
        raise InvalidInput(f"flavor {name!r} is unknown; known are: {', '.join(flavors)}")
    return name, flavors[name]


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Make the folder and, if the block fails, leave no trace of it."""
    existed = folder.is_dir()
    if folder.is_symlink() or (folder.exists() and not existed) or (existed and any(folder.iterdir())):
        raise InvalidInput(f"folder '{folder}' cannot hold a model (it is not empty, or no folder); give a new one")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if existed:
            folder.mkdir()
        raise


def _saved(flavor: Flavor, model: Any, folder: Path, rows: Any) -> dict[str, Any]:
    if rows is not None and isinstance(flavor, SavedWithExample):
        return dict(flavor.save_with_example(model, folder, rows))
    return dict(flavor.save(model, folder))


def _configs(name: str, flavor: Flavor, model: Any, saved: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What goes under ``flavors``: the flavor's own entry, and the one by which MLflow's pyfunc reads the model."""
    configs = {name: saved}
    if isinstance(flavor, ReadByMlflow):
        entry = flavor.python_function(model, configs[name])
        if entry is not None:
            configs[GENERIC] = dict(entry)
    if GENERIC in configs:
        configs[GENERIC] |= {"python_version": platform.python_version(), "env": dict(ENVIRONMENT)}
    return configs


def _warn_of_own_modules(model: object, folder: Path) -> None:
    """Say which modules nobody can install; the generic flavor can store them with the model, and says so itself."""
    modules = brought_by_nobody(folder)
    if modules:
        logger.warning(
            "model of type %r imports modules that belong to no installed distribution: %s; loading it elsewhere needs "
            "them, so make a distribution of them and install it",
            type(model).__qualname__,
            ", ".join(modules),
        )


def _infer(flavor: Flavor, model: Any, example: Any, rows: Any) -> Signature:
    """Describe the whole example, so that gaps in any row count, and what the model makes of its first rows, if any."""
    signature = infer_signature(example)
    if rows is None:
        return signature
    # In the form in which a loaded model will get them.
    rows = signature.enforce(rows)
    try:
        outputs = flavor.predict(model, rows)
    except Exception as error:  # a model may raise anything
        raise InvalidInput(
            f"model of type '{type(model).__qualname__}' fails on its own input example "
            f"({type(error).__name__}: {error}); give data that it can be called with, or none"
        ) from error
    return Signature(inputs=signature.inputs, outputs=_describe_outputs(rows, outputs))


def _describe_outputs(rows: Any, outputs: Any) -> Schema | None:
    """The schema of predictions; None for what no schema stands for, which keeps nobody from predicting."""
    import numpy as np
    import pandas as pd

    if isinstance(rows, pd.DataFrame) and isinstance(outputs, np.ndarray) and outputs.ndim == 1:
        # MLflow, too, takes one value a row of a table for a column.
        outputs = pd.Series(outputs)
    try:
        return infer_schema(outputs)
    except InvalidInput as error:
        logger.warning("the model's outputs are not described in its signature: %s", error)
        return None
