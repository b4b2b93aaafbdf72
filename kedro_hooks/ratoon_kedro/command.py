"""The command line that repeats a run, made from what Kedro says about it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from ratoon_kedro.params import Redactor, join

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


def replayable_command(run_params: Mapping[str, Any], redactor: Redactor, conf_source: str | None = None) -> str:
    """The ``kedro run …`` that does the same again; secrets among its parameters are taken out."""
    runner = runner_name(run_params)
    options = {
        "--env": run_params.get("env"),
        "--conf-source": conf_source,
        **{option: ",".join(_names(run_params.get(key))) for key, option in _LISTS.items()},
        "--load-versions": ",".join(_pairs(run_params.get("load_versions"), ":")),
        "--params": ",".join(_assignments("", redactor.clean("", run_params.get("runtime_params") or {}))),
        "--runner": runner if runner != "SequentialRunner" else None,
    }
    words = [word for option, value in options.items() if value for word in (option, str(value))]
    flags = ["--only-missing-outputs"] if run_params.get("only_missing_outputs") else []
    return shlex.join(["kedro", "run", *words, *flags])


def runner_name(run_params: Mapping[str, Any]) -> str:
    """The runner as ``--runner`` takes it: Kedro's own by class, any other by its dotted name.

    Kedro gives the representation of the object, with its address in memory.
    """
    found = _CLASS.match(str(run_params.get("runner") or ""))
    dotted = found.group(1) if found else ""
    short = dotted.rpartition(".")[2]
    return (short if dotted.startswith("kedro.runner.") else dotted) or "SequentialRunner"


def pipeline_name(run_params: Mapping[str, Any]) -> str:
    """The names of the pipelines that are run, joined by a plus sign."""
    names = _names(run_params.get("pipeline_names")) or _names(run_params.get("pipeline_name"))
    return "+".join(names) or "__default__"


def kedro_run_id(run_params: Mapping[str, Any]) -> str:
    """Kedro's own name of the run, which is also the version of what it saves."""
    return str(run_params.get("run_id") or run_params.get("session_id") or "")


def _names(given: object) -> list[str]:
    if isinstance(given, str):
        return [given]
    return sorted(str(name) for name in given) if isinstance(given, Iterable) else []


def _pairs(given: Mapping[str, object] | None, sign: str) -> list[str]:
    return [f"{name}{sign}{value}" for name, value in (given or {}).items()]


def _assignments(path: str, value: object) -> Iterable[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _assignments(join(path, name), inner)
    elif value is None:
        yield f"{path}=null"
    else:
        yield f"{path}={value if isinstance(value, str) else json.dumps(value, default=str)}"
