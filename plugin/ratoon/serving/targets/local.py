"""The deploy target ``local``: a server on this machine that lives on when the command that started it has ended.

Nothing of the serving stack is imported here: this module is loaded with every plugin manager.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from ratoon.entities import Deployment
from ratoon.errors import DeploymentFailed, InvalidInput, NotFound
from ratoon.hookspecs import hookimpl
from ratoon.serving.targets import process
from ratoon.serving.targets.protocol import DeployRequest, DeployTarget
from ratoon.serving.targets.records import Record, Records
from ratoon.settings import Settings

TARGET = "local"
HOST = "127.0.0.1"
START_SECONDS = 60.0
HEALTH_SECONDS = 2.0
POLL_SECONDS = 0.1
LOG_LINES = 20
OPTIONS = ("port", "timeout", "trust")


@hookimpl
def register_deploy_targets(register: Callable[[str, DeployTarget], None]) -> None:
    """Provide the target ``local``."""
    register(TARGET, LocalTarget())


class LocalTarget:
    """One server process a deployment, on a loopback port.

    Options: ``port`` (default: one that is free), ``timeout`` (seconds until it must answer, default 60), ``trust``
    (what loading the model may run). All servers of one name write to one log, which outlives them.
    """

    def deploy(self, request: DeployRequest) -> Deployment:
        """Start a server; the one that runs under the name is stopped when the new one answers."""
        options = _read_options(request.options)
        records = _records(request.settings)
        with records.locked(request.name):
            before = records.get(request.name)
            record, log_start = _start(request, options, before, records)
            try:
                _wait_until_healthy(record, options.timeout, log_start)
                records.put(record)
            except BaseException:  # an interrupted wait must not leave a server behind that nobody knows
                process.stop(record.process)
                raise
            if before is not None:
                process.stop(before.process)
        return _deployment(record, healthy=True)

    def list(self, settings: Settings) -> list[Deployment]:
        """What was deployed and not removed; healthy is what runs and answers."""
        return [_deployment(record, healthy=_healthy(record)) for record in _records(settings).all()]

    def remove(self, name: str, settings: Settings) -> Deployment:
        """Stop the server and forget it; its log stays."""
        records = _records(settings)
        with records.locked(name):
            record = records.get(name)
            if record is None:
                raise NotFound(f"deployment {name!r} does not exist here; list the deployments to see those that do")
            process.stop(record.process)
            records.remove(name)
        return _deployment(record, healthy=False)


class _Options(Struct, frozen=True):
    port: int | None
    timeout: float
    trust: str | None


def _read_options(given: Mapping[str, str]) -> _Options:
    for name in given:
        if name not in OPTIONS:
            raise InvalidInput(f"option {name!r} is unknown to the target 'local'; known are {', '.join(OPTIONS)}")
    port = _number(given, "port", "0")
    timeout = _number(given, "timeout", str(START_SECONDS))
    if not 0 <= port <= 65535 or port != int(port):
        raise InvalidInput(f"option 'port' is {given['port']!r}; give a number from 1 to 65535, or 0 for a free one")
    if timeout <= 0:
        raise InvalidInput(f"option 'timeout' is {given['timeout']!r}; give a number of seconds above 0")
    return _Options(int(port) or None, timeout, given.get("trust"))


def _number(given: Mapping[str, str], name: str, default: str) -> float:
    try:
        number = float(given.get(name, default))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"option {name!r} is {given[name]!r}; give a number")
    return number


def _start(request: DeployRequest, options: _Options, before: Record | None, records: Records) -> tuple[Record, int]:
    """Start the server; returns its record and where in the log its own lines begin."""
    port = _take_port(options.port, before)
    command = [sys.executable, "-m", "ratoon", "serve", "--host", HOST, "--port", str(port)]
    if options.trust is not None:
        command += ["--trust", options.trust]
    command += ["--", request.model_uri]
    with records.open_log(request.name) as log:
        log_start = log.tell()
        started = process.start(command, _environment(request.settings), log.fileno())
        path = str(log.name)
    record = Record(
        name=request.name,
        model_uri=request.model_uri,
        port=port,
        process=started,
        created_at=time.time_ns() // 1_000_000,
        log=path,
        model_name=request.model_name,
        model_version=request.model_version,
    )
    return record, log_start


def _environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "RATOON_TRACKING_URI": settings.tracking_uri,
        "RATOON_REGISTRY_URI": settings.registry_uri,
        "RATOON_ARTIFACT_ROOT": settings.artifact_root,
        "RATOON_BLOCK_PLUGINS": ",".join(settings.block_plugins),
        "PYTHONUNBUFFERED": "1",
    }


def _take_port(wanted: int | None, before: Record | None) -> int:
    if wanted is not None and before is not None and before.port == wanted and process.alive(before.process):
        raise InvalidInput(
            f"port {wanted} is held by the deployment {before.name!r} itself (it answers until the new one does); "
            "leave out the option 'port', or remove the deployment first"
        )
    try:
        with socket.create_server((HOST, wanted or 0)) as probe:
            port: int = probe.getsockname()[1]
    except OSError as error:
        raise InvalidInput(
            f"port {wanted} cannot be used ({error.strerror}); choose another, or leave it out"
        ) from error
    return port


def _wait_until_healthy(record: Record, timeout: float, log_start: int) -> None:
    deadline = time.monotonic() + timeout
    cause = f"it did not answer within {timeout:g} seconds"
    while (left := deadline - time.monotonic()) > 0:
        if not process.alive(record.process):
            cause = "its process ended"
            break
        if _healthy(record, min(left, HEALTH_SECONDS)):
            return
        time.sleep(min(left, POLL_SECONDS))
    log = Path(record.log).read_bytes()[log_start:].decode("utf-8", "replace")
    last = "\n".join(log.splitlines()[-LOG_LINES:]) or "(nothing)"
    raise DeploymentFailed(
        f"deployment {record.name!r} did not come into service ({cause}); correct what its log says, "
        f"{record.log}, which ends with:\n{last}"
    )


def _healthy(record: Record, timeout: float = HEALTH_SECONDS) -> bool:
    """Whether the process runs and answers for this model: after its end the port may be somebody else's."""
    if not process.alive(record.process):
        return False
    connection = http.client.HTTPConnection(HOST, record.port, timeout=timeout)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        answer = json.loads(response.read(65536))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return response.status == 200 and isinstance(answer, dict) and answer.get("model_uri") == record.model_uri


def _deployment(record: Record, *, healthy: bool) -> Deployment:
    return Deployment(
        name=record.name,
        target=TARGET,
        model_uri=record.model_uri,
        endpoint=f"http://{HOST}:{record.port}",
        created_at=record.created_at,
        healthy=healthy,
        model_name=record.model_name,
        model_version=record.model_version,
        details={"pid": record.process.pid, "log": record.log},
    )


def _records(settings: Settings) -> Records:
    return Records(settings.home / "deployments")
