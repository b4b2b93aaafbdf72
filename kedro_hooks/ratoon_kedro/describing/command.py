"""The command line that repeats a run, made from what Kedro says about it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ratoon_kedro.describing.command_params import params_option
from ratoon_kedro.recording.params import Redactor

DEFAULT_PIPELINE = "__default__"
DEFAULT_RUNNER = "SequentialRunner"

_CLASS = re.compile(r"<?([\w.]+)")

# Key of run_params -> option of `kedro run`.
_LISTS = {
    "pipeline_names": "--pipelines",
    "tags": "--tags",
    "node_names": "--nodes",
    "from_nodes": "--from-nodes",
    "to_nodes": "--to-nodes",
    "from_inputs": "--from-inputs",
    "to_outputs": "--to-outputs",
    "namespaces": "--namespaces",
}
# Kedro leaves a comma alone that stands in brackets in the values of these.
_BRACKETED = frozenset(("node_names", "from_nodes", "to_nodes", "namespaces"))


def replayable_command(
    run_params: Mapping[str, Any], redactor: Redactor, conf_source: str | None = None
) -> tuple[str, list[str]]:
    """The ``kedro run …`` that does the same again, and what about the run it cannot say.

    Args:
        run_params: What Kedro tells about the run.
        redactor: What takes secrets out of the parameters.
        conf_source: Where the configuration lies, if not in its usual place.

    Returns:
        The command; for each thing that it does not repeat, a few words. None if it repeats everything.
    """
    missing: list[str] = []
    params, lost = params_option(run_params.get("runtime_params") or {}, redactor)
    missing += [f"parameter {key!r}" for key in lost]
    runner = runner_name(run_params)
    runner_params, lost = params_option(_runner_params(), redactor)
    missing += [f"runner parameter {key!r}" for key in lost]
    options = {
        "--env": run_params.get("env"),
        "--conf-source": conf_source,
        **{option: _listed(run_params, key, missing) for key, option in _LISTS.items()},
        "--load-versions": _load_versions(run_params.get("load_versions") or {}, missing),
        "--params": params,
        "--runner": runner if runner != DEFAULT_RUNNER else None,
        "--runner-params": runner_params,
    }
    words = [word for option, value in options.items() if value for word in (option, str(value))]
    flags = ["--only-missing-outputs"] if run_params.get("only_missing_outputs") else []
    return shlex.join(["kedro", "run", *words, *flags]), missing


def runner_name(run_params: Mapping[str, Any]) -> str:
    """The runner as ``--runner`` takes it: Kedro's own by class, any other by its dotted name.

    Kedro gives the representation of the object, with its address in memory.
    """
    found = _CLASS.match(str(run_params.get("runner") or ""))
    dotted = found.group(1) if found else ""
    short = dotted.rpartition(".")[2]
    name = short if dotted.startswith("kedro.runner.") else dotted
    return DEFAULT_RUNNER if name in ("", "None") else name


def pipeline_names(run_params: Mapping[str, Any]) -> list[str]:
    """The registered pipelines that are run."""
    return _names(run_params.get("pipeline_names")) or _names(run_params.get("pipeline_name")) or [DEFAULT_PIPELINE]


def pipeline_name(run_params: Mapping[str, Any]) -> str:
    """The names of the pipelines that are run, joined by a plus sign."""
    return "+".join(pipeline_names(run_params))


def kedro_run_id(run_params: Mapping[str, Any]) -> str:
    """Kedro's own name of the run, which is also the version of what it saves."""
    return str(run_params.get("run_id") or run_params.get("session_id") or "")


def _names(given: object) -> list[str]:
    if isinstance(given, str):
        return [given]
    return sorted(str(name) for name in given) if isinstance(given, Iterable) else []


def _listed(run_params: Mapping[str, Any], key: str, missing: list[str]) -> str:
    names = _names(run_params.get(key))
    for name in names:
        text = re.sub(r"\[.*\]", "", name) if key in _BRACKETED else name
        if "," in text or name != name.strip():
            missing.append(f"{key.removesuffix('s').replace('_', ' ')} {name!r}")
    return ",".join(names)


def _load_versions(given: Mapping[str, object], missing: list[str]) -> str:
    for name, version in given.items():
        if ":" in name or "," in f"{name}{version}":
            missing.append(f"load version of {name!r}")
    return ",".join(f"{name}:{version}" for name, version in given.items())


def _runner_params() -> dict[str, Any]:
    """How the runner was configured, if ``kedro run`` started it: Kedro tells its hooks only the class."""
    click = sys.modules.get("click")
    current = click.get_current_context(silent=True) if click is not None else None
    # A packaged project's command has the name of its program, and that of a sweep's trial another one.
    if current is None or (current.command.name != "run" and "runner_params" not in current.params):
        return {}
    given = current.params.get("runner_params")
    asynchronous = {"is_async": True} if current.params.get("is_async") else {}
    return asynchronous | (dict(given) if isinstance(given, Mapping) else {})
