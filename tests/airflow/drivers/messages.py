"""What operators raise: each case is executed, and its exception kept as (class, message)."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout

from ratoon.clock import now_ms
from ratoon.entities import Model, ModelStatus
from ratoon.tracking.client import Client
from ratoon_airflow.operators.kedro import KedroOperator
from ratoon_airflow.operators.registry import PromoteOperator, RegisterOperator, RollbackOperator
from ratoon_airflow.operators.serving import DeployOperator, UndeployOperator

HOME = Path(os.environ["AIRFLOW_HOME"], "messages")
HOME.mkdir()
URI = f"sqlite:///{HOME}/ratoon.db"
os.environ["AIRFLOW_CONN_RATOON_DEFAULT"] = json.dumps({"conn_type": "ratoon", "extra": {"tracking_uri": URI}})
BaseOperator.allow_nested_operators = True
answer: dict[str, Any] = {"project": str(HOME)}


def context(task_id: str, try_number: int = 1) -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id=task_id, map_index=-1, try_number=try_number)
    return {"ti": ti}


def case(name: str, make: Callable[..., BaseOperator], try_number: int = 1, **arguments: Any) -> None:
    operator = make(task_id=re.sub(r"\W", "_", name, flags=re.ASCII), **arguments)
    try:
        value = operator.execute(context(operator.task_id, try_number))
    except (AirflowException, AirflowTaskTimeout) as error:
        answer[name] = [type(error).__name__, str(error)]
    else:
        answer[name] = ["value", value]


def stand_in(name: str, code: str) -> str:
    """An interpreter that answers ``-m kedro run`` with a script of ours."""
    path = HOME / name
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)
    return str(path)


case("no connection", RegisterOperator, run_id="0" * 32, model_name="wine", ratoon_conn_id="nowhere")

case("unknown run", RegisterOperator, run_id="0" * 32, model_name="wine")
case("unknown model", PromoteOperator, model_name="wine", version=1, metric="accuracy")
case("unknown model to roll back", RollbackOperator, model_name="wine")
case("unknown model to deploy", DeployOperator, model_uri="models:/wine@champion")
case("unknown target", DeployOperator, model_uri="models:/wine@champion", target="moon")
case("unknown deployment", UndeployOperator, deployment="wine")
case("deployment gone at a second try", UndeployOperator, try_number=2, deployment="wine")
for text in ("two", "", "-1", "0", "1.0", "None", "²", True):
    case(f"version {text!r}", PromoteOperator, model_name="wine", version=text, metric="accuracy")

with Client(tracking_uri=URI).start_run(run_name="no model") as run:
    run.log_metric("accuracy", 0.5)
case("run without that model", RegisterOperator, run_id=run.run_id, model_name="wine")


def log_model(name: str) -> None:
    """The record of a model without its files: registering does not read them."""
    model = Model(
        model_id=f"m-{uuid4().hex}",
        experiment_id=run.experiment_id,
        name=name,
        source_run_id=run.run_id,
        artifact_uri="mlflow-artifacts:/nowhere",
        status=ModelStatus.READY,
        creation_timestamp=now_ms(),
        last_updated_timestamp=now_ms(),
    )
    Client(tracking_uri=URI).tracking.create_model(model)


log_model("model")
case("registered", RegisterOperator, run_id=run.run_id, model_name="apple")
case("registered again", RegisterOperator, try_number=2, run_id=run.run_id, model_name="apple")
case("registered elsewhere", RegisterOperator, run_id=run.run_id, model_name="pear")
log_model("other")
case("another one registered", RegisterOperator, run_id=run.run_id, model_name="apple", artifact="other")
case("unknown version", PromoteOperator, model_name="apple", version="7", metric="accuracy")
case("no such choice", PromoteOperator, model_name="apple", version="1", metric="accuracy", on_refusal="ignore")
case("no such metric", PromoteOperator, model_name="apple", version="1", metric="auc")

case("no project", KedroOperator, project_path=str(HOME))
(HOME / "pyproject.toml").touch()
case("no interpreter", KedroOperator, project_path=str(HOME), python="/no/such/python")
case("no list", KedroOperator, project_path=str(HOME), runtime_params={"model": {"columns": ["a", "b"]}})
shouts = stand_in("shouts", "import sys\nprint('all is well')\nprint('no, it is not', file=sys.stderr)\nsys.exit(7)\n")
case("kedro fails", KedroOperator, project_path=str(HOME), python=shouts)
case("kedro records nothing", KedroOperator, project_path=str(HOME), python=stand_in("silent", ""))

tracks = stand_in(
    "tracks",
    """
import os, sys
from ratoon.clock import now_ms
from ratoon.entities import Model, ModelStatus
from ratoon.tracking.client import Client
run = Client().start_run(run_id=os.environ["RATOON_RUN_ID"])
run.log_metrics({"auc": float("nan"), "loss": float("inf"), "accuracy": 0.75})
run.log_params({"arguments": " ".join(sys.argv[1:]), "folder": os.path.basename(os.getcwd())})
run.flush()
os._exit(int(os.environ["EXIT_CODE"]))  # as if its machine had failed: the run is not ended
""",
)
for code, name in (("0", "kedro forgets the end"), ("9", "kedro dies")):
    os.environ["EXIT_CODE"] = code
    params = {"a": {"b": 1}, "c": None}
    case(name, KedroOperator, project_path=str(HOME), python=tracks, env="prod", runtime_params=params)

sleeps = stand_in(
    "sleeps",
    """
import os, time
from ratoon.clock import now_ms
from ratoon.entities import Model, ModelStatus
from ratoon.tracking.client import Client
Client().start_run(run_id=os.environ["RATOON_RUN_ID"])
print("asleep", flush=True)
time.sleep(60)
""",
)


class Interrupted(KedroOperator):
    """Is interrupted as soon as its process says something."""

    def _tell(self, line: str) -> None:
        self.interrupt()


class Killed(Interrupted):
    def interrupt(self) -> None:
        self.on_kill()


class TimedOut(Interrupted):
    def interrupt(self) -> None:
        raise AirflowTaskTimeout("too slow")


case("killed", Killed, project_path=str(HOME), python=sleeps)
case("timed out", TimedOut, project_path=str(HOME), python=sleeps)

answer["runs"] = {
    run.run_id: {
        "status": run.status,
        "ended": run.end_time is not None,
        "tags": {key: value for key, value in run.tags.items() if key.startswith("airflow.")},
    }
    for run in Client(tracking_uri=URI).tracking.search_runs().items
}
print(f"ANSWER {json.dumps(answer, allow_nan=False)}")
