"""The Spark session that a model is saved from or loaded into, and what it can do.

Where a session runs, it is used as it is. Where none runs, loading starts a local one in this process and says so, but
never in an executor, where it would get in the way of the cluster's own, and not if ``RATOON_SPARK_SESSION`` is
``running``. pyspark is imported on use.
"""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Mapping
from typing import Any

from ratoon.errors import InvalidSetting, RatoonError
from ratoon.models.flavors.libraries import needed_by

# A URI that driver and executors share, for models that Spark can only write with its executors.
SHARED_OPTION = "spark.ratoon.shared"
VARIABLE = "RATOON_SPARK_SESSION"

_PARTS = ("spark", "scala", "hadoop", "java")

logger = logging.getLogger(__name__)


def require_pyspark() -> None:
    """Make sure that pyspark can be imported.

    Raises:
        MissingExtra: It is not installed.
    """
    with needed_by("spark"):
        import pyspark.ml  # noqa: F401 - only tried


def running_session() -> Any | None:
    """The session that runs in this process; None if there is none.

    Raises:
        RatoonError: It is a Spark Connect session, which has no JVM to save from or to load into.
    """
    require_pyspark()
    from pyspark import SparkContext
    from pyspark.sql import SparkSession
    from pyspark.sql.utils import is_remote

    if is_remote():
        raise RatoonError(
            "Spark models cannot be saved or loaded through Spark Connect (the model lives in another process); "
            "use a classic session: SparkSession.builder.master(...).getOrCreate()"
        )
    # A session is active for a thread only; the context is there for all of them.
    return SparkSession.builder.getOrCreate() if SparkContext._active_spark_context is not None else None


def session_for_loading() -> Any:
    """The running session, or a local one that is started now.

    Raises:
        RatoonError: None runs and none may be started here, or Java is missing.
    """
    running = running_session()
    if running is not None:
        return running
    from pyspark import TaskContext

    if TaskContext.get() is not None:
        raise RatoonError(
            "Spark models cannot be loaded in an executor (it has no session); load the model in the driver"
        )
    if not _may_start():
        raise RatoonError(
            f"no Spark session runs in this process (and {VARIABLE} is 'running'); start one before the model is loaded"
        )
    return _start()


def versions(session: Any) -> dict[str, str]:
    """The versions of what a session consists of, by name."""
    jvm = session._jvm
    return {
        "spark": str(session.version),
        "scala": str(jvm.scala.util.Properties.versionNumberString()),
        "hadoop": str(jvm.org.apache.hadoop.util.VersionInfo.getVersion()),
        "java": str(jvm.java.lang.System.getProperty("java.version")),
    }


def described(found: Mapping[str, str]) -> str:
    """Versions in words."""
    return ", ".join(f"{name.capitalize()} {found[name]}" for name in _PARTS if name in found)


def is_local(session: Any) -> bool:
    """Whether driver and executors are one process, and so share every disk."""
    master = str(session.sparkContext.master)
    return master == "local" or master.startswith("local[")


def shared_folder(session: Any) -> str | None:
    """A new URI below the one that the session's option names, proved to be shared; None if there is no such option.

    Raises:
        RatoonError: What an executor writes there is not what the driver reads.
    """
    base = session.conf.get(SHARED_OPTION, None)
    if not base:
        return None
    _prove(session, str(base).rstrip("/"))
    return f"{str(base).rstrip('/')}/ratoon-{uuid.uuid4().hex}"


def file_system(session: Any, uri: str) -> tuple[Any, Any]:
    """Hadoop's file system for a URI, and its path there."""
    jvm = session._jvm
    path = jvm.org.apache.hadoop.fs.Path(uri)
    return path.getFileSystem(session._jsc.hadoopConfiguration()), path


def _prove(session: Any, base: str) -> None:
    """Let an executor write a token and the driver read it."""
    token, uri = uuid.uuid4().hex, f"{base}/ratoon-probe-{uuid.uuid4().hex}"
    try:
        read = _written_and_read(session, uri, token)
    except Exception as error:  # Java's exceptions arrive as many types
        raise RatoonError(
            f"option {SHARED_OPTION} is {base!r}, which cannot be used ({short(error)}); give a URI that driver and "
            "executors can write"
        ) from error
    if read != [token]:
        raise RatoonError(
            f"option {SHARED_OPTION} is {base!r}, which driver and executors do not share (the driver does not see "
            "what an executor wrote); give a URI of a file system that both have, such as hdfs: or s3a:"
        )


def _written_and_read(session: Any, uri: str, token: str) -> list[str]:
    system, path = file_system(session, uri)
    try:
        session.sparkContext.parallelize([token], 1).saveAsTextFile(uri)
        names = [str(status.getPath()) for status in system.listStatus(path)]
        return [_content(session, system, name).strip() for name in names if "/part-" in name]
    finally:
        system.delete(path, True)


def _content(session: Any, system: Any, name: str) -> str:
    stream = system.open(session._jvm.org.apache.hadoop.fs.Path(name))
    try:
        return str(session._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
    finally:
        stream.close()


def short(error: BaseException) -> str:
    """The first line of an error, without the trace of the JVM."""
    java = getattr(error, "java_exception", None)
    text = str(java.toString() if java is not None else error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def _may_start() -> bool:
    value = os.environ.get(VARIABLE, "local")
    if value not in ("local", "running"):
        raise InvalidSetting(f"{VARIABLE} is {value!r}; give 'local' or 'running'")
    return value == "local"


def _start() -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("ratoon")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # under spark-submit the master is known already
        # Else stages in Python run in whatever "python3" is on the path, which has other packages.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = (
            builder.master("local[*]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
        )
    logger.info("no Spark session runs: starting a local one in this process, which takes some seconds")
    try:
        return builder.getOrCreate()
    except Exception as error:  # the gateway fails in many ways where Java is missing
        raise RatoonError(
            f"no Spark session could be started ({short(error)}); install Java 17 or later, or set JAVA_HOME"
        ) from error
