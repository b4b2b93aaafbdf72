"""What a training does with MLflow's own client, from the experiment to the version that holds an alias.

It is the same client whichever server it talks to: the first argument is a folder, the second the server.
"""

from __future__ import annotations

import sys
from itertools import count

import mlflow
import mlflow.sklearn
import numpy
import pandas
from asked import Figures, answer, cpu
from mlflow.entities import Metric, Param, RunTag
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(sys.argv[2])
client = mlflow.MlflowClient()
numbers = count()
rows = pandas.DataFrame(numpy.random.default_rng(7).normal(size=(200, 4)), columns=list("abcd"))
kinds = rows["a"] + rows["b"] > 0
model = LogisticRegression().fit(rows, kinds)


def train(name: str) -> str:
    """A run with everything that a run records; the model's URI."""
    with mlflow.start_run(run_name=name, tags={"team": "red"}) as run:
        mlflow.log_params({f"p{number}": number for number in range(10)})
        mlflow.log_input(mlflow.data.from_pandas(rows, name="rows"), context="training")
        for step in range(100):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        for step in range(20):
            mlflow.log_metrics({"auc": step / 20, "recall": step / 30}, step=step)
        points = [Metric("many", 0.5, 1_700_000_000_000 + step, step) for step in range(1000)]
        client.log_batch(run.info.run_id, points[:900], [Param("late", "yes")], [RunTag("mood", "good")])
        mlflow.log_text("a note " * 1000, "notes/note.txt")
        mlflow.log_dict({"depth": 3}, "settings.json")
        # What the environment needs is said, so that the client does not look for it in another process.
        logged = mlflow.sklearn.log_model(model, name="clf", input_example=rows.head(3), pip_requirements=["x"])
    found = client.get_run(run.info.run_id)
    assert found.info.status == "FINISHED" and found.data.params["late"] == "yes"
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 100
    uri: str = logged.model_uri
    return uri


def release(name: str, uri: str) -> None:
    """Register the model, give it an alias, and predict with what the alias names."""
    version = mlflow.register_model(uri, name)
    client.set_registered_model_alias(name, "champion", version.version)
    loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert (loaded.predict(rows) == model.predict(rows)).all()
    assert [each.version for each in client.search_model_versions(f"name = '{name}'")] == [version.version]


def session() -> Figures:
    def work() -> None:
        name = f"session-{next(numbers)}"
        experiment_id = mlflow.set_experiment(name).experiment_id
        uris = [train(f"run-{number}") for number in range(3)]
        best = client.search_runs([experiment_id], "metrics.auc > 0.5", order_by=["metrics.auc DESC"])
        assert len(best) == 3
        client.list_artifacts(best[0].info.run_id)
        release(name, uris[0])

    return cpu(work, 1)


answer({"session": session})
