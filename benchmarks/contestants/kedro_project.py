"""A Kedro project of fifty nodes and two hundred parameters, run by whatever hooks its environment has.

The same project whoever runs it: the only argument is the folder that it is made in.
"""

from __future__ import annotations

import logging
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from asked import Figures, answer

NODES = 50
KEYS = "abcd"

PIPELINES = """
from kedro.pipeline import Pipeline, node


def begin(a, b, c, d):
    return a + b + c + d


def go_on(before, a, b, c, d):
    return before + a * b + c * d


def register_pipelines():
    nodes = [node(begin, [f"params:node0.{key}" for key in "abcd"], "out0", name="node0")]
    for number in range(1, 50):
        params = [f"params:node{number}.{key}" for key in "abcd"]
        nodes.append(node(go_on, [f"out{number - 1}", *params], f"out{number}", name=f"node{number}"))
    return {"__default__": Pipeline(nodes)}
"""

FILES = {
    "pyproject.toml": '[tool.kedro]\npackage_name = "fifty"\nproject_name = "fifty"\nkedro_init_version = "1.0.0"\n',
    "src/fifty/__init__.py": "",
    "src/fifty/settings.py": "",
    "src/fifty/pipeline_registry.py": PIPELINES,
    "conf/base/parameters.yml": "".join(
        f"node{number}: {{{', '.join(f'{key}: {number + place}' for place, key in enumerate(KEYS))}}}\n"
        for number in range(NODES)
    ),
    "conf/base/catalog.yml": "".join(
        f"out{number}: {{type: kedro_datasets.json.JSONDataset, filepath: data/out{number}.json}}\n"
        for number in range(9, NODES, 10)
    ),
    # kedro-mlflow's own default, a folder of files, is refused by MLflow since 3.13. The others do not read this.
    "conf/base/mlflow.yml": "server:\n  mlflow_tracking_uri: sqlite:///mlflow.db\n",
    "conf/local/credentials.yml": "",
}


def make_project() -> None:
    for name, text in FILES.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def cpu_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def of_children(*arguments: str) -> Callable[[], Figures]:
    """A fresh process; with all that it starts and waits for."""

    def measure() -> Figures:
        before = cpu_seconds(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "kedro", *arguments], check=True, stdout=sys.stderr)
        return {"cpu": cpu_seconds(resource.RUSAGE_CHILDREN) - before}

    return measure


def warm(*, quiet: bool) -> Figures:
    """A run in a process that has run the project before; ``quiet`` without Kedro's nine lines of log a node."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(Path.cwd())
    logging.disable(logging.INFO if quiet else logging.NOTSET)

    def run() -> float:
        before = cpu_seconds(resource.RUSAGE_SELF) + cpu_seconds(resource.RUSAGE_CHILDREN)
        with KedroSession.create() as session:
            session.run()
        return cpu_seconds(resource.RUSAGE_SELF) + cpu_seconds(resource.RUSAGE_CHILDREN) - before

    run()
    return {"cpu": run()}


def tracked() -> Figures:
    """How many params the runs so far have; both plugins keep them in a table of this name."""
    counts = []
    for path in Path.cwd().rglob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            counts += database.execute("SELECT count(*) FROM params").fetchone()
    return {"params": sum(counts)}


os.environ |= {"KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
make_project()
answer(
    {
        "cold": of_children("run"),
        "warm": partial(warm, quiet=False),
        "warm_quiet": partial(warm, quiet=True),
        "version": of_children("--version"),
        "tracked": tracked,
    }
)
