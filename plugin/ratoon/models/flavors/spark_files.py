"""The two layouts in which Spark keeps a model, and how a folder gets them and is read.

The *local* layout is written and read by the driver alone (``saveToLocal``, from Spark 4.1 on): no executor, no shared
disk. Only this Spark reads it. The *distributed* layout is what ``PipelineModel.load`` and MLflow read; executors write
and read it, so that it needs a place that they share with the driver: the disk itself where driver and executors are
one process, else the URI that the session's option ``spark.ratoon.shared`` names. pyspark is imported on use.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, InvalidInput, RatoonError
from ratoon.models.flavors.spark_session import (
    SHARED_OPTION,
    described,
    file_system,
    is_local,
    shared_folder,
    short,
    versions,
)
from ratoon.models.kept import keep, release_with
from ratoon.models.mlmodel import data_folder

DISTRIBUTED = "sparkml"
LOCAL = "sparkml_local"

logger = logging.getLogger(__name__)


def python_stages(model: Any) -> list[Any]:
    """The stages that are written in Python and so have nothing in the JVM."""
    stages = getattr(model, "stages", None)
    if stages is None:
        return [] if hasattr(model, "_to_java") else [model]
    return [found for stage in stages for found in python_stages(stage)]


def check_stages(model: Any) -> list[str]:
    """Make sure that every stage can be saved; returns the names of the classes that are written in Python.

    Raises:
        InvalidInput: A stage cannot be saved, or nobody could find its class again.
    """
    from pyspark.ml.util import MLReadable, MLWritable

    names = set()
    for stage in python_stages(model):
        kind = type(stage)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if not isinstance(stage, MLWritable) or not isinstance(stage, MLReadable):
            raise InvalidInput(
                f"stage '{name}' of the pipeline cannot be saved (it is written in Python and not readable and "
                "writable); derive it from DefaultParamsReadable and DefaultParamsWritable of pyspark.ml.util"
            )
        if kind.__module__ == "__main__" or "<locals>" in name:
            raise InvalidInput(
                f"stage '{name}' of the pipeline cannot be loaded again (Spark finds it by its module's name); move "
                "its class to the top level of a module that is installed"
            )
        names.add(name)
    return sorted(names)


def save_files(model: Any, session: Any, folder: Path, *, in_jvm: bool) -> dict[str, str | None]:
    """Write the layouts that this session can write.

    Returns:
        The folders, by the key under which the flavor's configuration names each; None for one that is not there.

    Raises:
        RatoonError: Neither could be written.
    """
    local = _save_local(model, folder / LOCAL) if in_jvm else False
    distributed = _save_distributed(model, session, folder / DISTRIBUTED)
    if not distributed and not local:
        raise RatoonError(
            f"model cannot be saved from this session (Spark {session.version} writes it with its executors, which "
            f"share no disk with the driver that ratoon knows of); set the session's option {SHARED_OPTION} to a URI "
            "that they share, such as hdfs:///user/me"
        )
    if not distributed:
        logger.warning(
            "MLflow will not read this model (executors share no disk with the driver that ratoon knows of); set the "
            "session's option %s to a URI that they share if it should",
            SHARED_OPTION,
        )
    return {"model_data": DISTRIBUTED if distributed else None, "ratoon_local": LOCAL if local else None}


def load_files(folder: Path, config: Mapping[str, Any], session: Any) -> Any:
    """Read the model, from the local layout if this Spark wrote it.

    Raises:
        RatoonError: This Spark cannot read it; both sides' versions are named.
    """
    here, saved = versions(session), saved_versions(config)
    _check_versions(folder, saved, here)
    name = config.get("ratoon_local")
    try:
        if name and _minor(saved["spark"]) == _minor(here["spark"]) and _has_local(session):
            return _load_local(session, data_folder(folder, name))
        if config.get("model_data"):
            return _load_distributed(session, data_folder(folder, config["model_data"]))
    except RatoonError:
        raise
    except Exception as error:  # whatever the JVM raises
        raise RatoonError(
            f"Spark model in '{folder}' cannot be loaded ({short(error)}); it was saved with {described(saved)}, "
            f"here is {described(here)}: load it with the versions that it was saved with"
        ) from error
    raise RatoonError(
        f"Spark model in '{folder}' cannot be loaded (it is in the layout of Spark {saved['spark']} alone, here is "
        f"{here['spark']}); pip install 'pyspark=={saved['spark']}'"
    )


def saved_versions(config: Mapping[str, Any]) -> dict[str, str]:
    """The versions that a model was saved with; MLflow records Spark's only."""
    recorded = config.get("ratoon_versions") or {"spark": config.get("pyspark_version")}
    if not isinstance(recorded, dict) or not all(isinstance(value, str) for value in recorded.values()):
        raise Corrupt(f"Spark model names the versions {recorded!r}; save the model again")
    return recorded


def check_python_side(session: Any) -> None:
    """Make sure that pyspark and the JVM are of one release.

    Raises:
        RatoonError: They are not.
    """
    import pyspark

    if _minor(pyspark.__version__) != _minor(session.version):
        raise RatoonError(
            f"pyspark {pyspark.__version__} talks to Spark {session.version}; pip install 'pyspark=={session.version}'"
        )


def _save_local(model: Any, target: Path) -> bool:
    writer = model._to_java().write()
    if not hasattr(writer, "saveToLocal"):
        return False
    try:
        writer.saveToLocal(str(target.absolute()))
    except Exception as error:  # a stage of another library may not know how
        logger.info("model is kept in the distributed layout only (%s)", short(error))
        return False
    return True


def _save_distributed(model: Any, session: Any, target: Path) -> bool:
    shared = None if is_local(session) else shared_folder(session)
    if shared is None and not is_local(session):
        return False
    try:
        model.write().session(session).save(shared or target.absolute().as_uri())
        if shared is not None:
            system, path = file_system(session, shared)
            system.copyToLocalFile(True, path, file_system(session, target.absolute().as_uri())[1], True)
    except Exception as error:  # whatever the JVM raises
        raise RatoonError(f"model cannot be saved by Spark {session.version} ({short(error)}); see its log") from error
    for checksum in target.rglob(".*.crc"):
        checksum.unlink()  # of no use beside digests.json, and a hidden file is easily lost
    return True


def _has_local(session: Any) -> bool:
    return hasattr(session._jvm.org.apache.spark.ml.PipelineModel.read(), "loadFromLocal")


def _load_local(session: Any, source: Path) -> Any:
    from pyspark.ml import PipelineModel

    reader = session._jvm.org.apache.spark.ml.PipelineModel.read()
    return PipelineModel._from_java(reader.loadFromLocal(str(source.absolute())))


def _load_distributed(session: Any, source: Path) -> Any:
    from pyspark.ml import PipelineModel

    if is_local(session):
        # Some models read their tables when they are first used.
        kept = keep(source)
        model = PipelineModel.read().session(session).load(kept.as_uri())
        release_with(model, kept)
        return model
    shared = shared_folder(session)
    if shared is None:
        raise RatoonError(
            f"Spark model in '{source}' cannot be loaded (executors read it, and share no disk with the driver that "
            f"ratoon knows of); set the session's option {SHARED_OPTION} to a URI that they share"
        )
    system, path = file_system(session, shared)
    system.copyFromLocalFile(False, True, file_system(session, source.absolute().as_uri())[1], path)
    model = PipelineModel.read().session(session).load(shared)
    weakref.finalize(model, _delete, system, path)
    return model


def _delete(system: Any, path: Any) -> None:
    try:
        system.delete(path, True)
    except Exception:  # the JVM may be gone before
        logger.debug("%s was not removed", path, exc_info=True)


def _check_versions(folder: Path, saved: Mapping[str, str], here: Mapping[str, str]) -> None:
    if _minor(here["spark"]) < _minor(saved["spark"]):
        raise RatoonError(
            f"Spark model in '{folder}' cannot be loaded (it was saved with Spark {saved['spark']}, here is the older "
            f"{here['spark']}); pip install 'pyspark=={saved['spark']}', or start a session of that version"
        )
    if _minor(here["spark"])[0] > _minor(saved["spark"])[0]:
        logger.warning(
            "Spark model in '%s' was saved with %s, here is %s: Spark promises nothing across major versions",
            folder,
            described(saved),
            described(here),
        )


def _minor(version: str) -> tuple[int, int]:
    parts = version.split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (ValueError, IndexError) as error:
        raise Corrupt(f"Spark model names the version {version!r} of Spark; save the model again") from error
