"""What is logged of the values that nodes return, and how a project says what it wants of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratoon.entities import Run
from ratoon.tracking.locations import artifact_key
from ratoon_kedro.recording.outputs import model_name

if TYPE_CHECKING:
    from conftest import WineProject

SHOP = """
from decimal import Decimal

import matplotlib
import numpy as np
import pandas as pd
from kedro.pipeline import Pipeline, node
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image
from sklearn.linear_model import LinearRegression


def make():
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]})
    return table[["a"]], table["b"], table, "note"


def fit(features, target):
    north = LinearRegression().fit(features, target)
    south = LinearRegression().fit(-features, target)
    return north, {"north": north, "south": south}, [north], north, LinearRegression().fit(features, target)


def pass_on(model):
    return model


def fit_again(model, features, target):
    return model.fit(features * 2, target)


def numbers():
    return Decimal("1.5"), {"a": np.float32(0.5), "b": 2}, {"a": 1, "b": 2}, {"a": 3}, True, None or False


def trained():
    frame = pd.DataFrame({"loss": [3.0, 2.0]}, index=pd.Index([10, 20], name="epoch"))
    return {"loss": [0.5, 0.25], "lr": [1, 1]}, [0.5, 0.75], frame


def figures():
    import altair
    import plotly.graph_objects as go

    figure, axes = pyplot.subplots(figsize=(1, 1))
    axes.plot([1, 2])
    chart = altair.Chart(pd.DataFrame({"x": [1]})).mark_point().encode(x="x")
    return figure, go.Figure(go.Scatter(y=[1, 2])), chart, Image.new("RGB", (2, 2)), {"a": Figure(), "b": Figure()}


def still_open(figure):
    assert pyplot.fignum_exists(figure.number)
    return {"best": "north", "api_key": "s3same", "table": {"x": [1, "y"]}}, "https://anna:hunter2@shop/x"


def create_pipeline(**_):
    return Pipeline([
        node(make, None, ["features", "target", "table", "quiet"], name="make"),
        node(fit, ["features", "target"], ["model", "regional", "listed", "unwanted", "silent"], name="fit"),
        node(pass_on, "model", "same_model", name="pass_on"),
        node(fit_again, ["model", "features", "target"], "refitted", name="fit_again"),
        node(numbers, None, ["price", "scores", "private", "hushed", "flag", "never"], name="numbers"),
        node(trained, None, ["history", "losses", "steps"], name="trained"),
        node(figures, None, ["plot", "plotly", "chart", "picture", "plots"], name="figures"),
        node(still_open, "plot", ["judgement", "address"], name="still_open"),
    ])
"""

CATALOG = """
plot: {type: MemoryDataset, copy_mode: assign}
quiet: {type: MemoryDataset, metadata: {ratoon: {log: false}}}
silent: {type: MemoryDataset, metadata: {ratoon: {model: false}}}
hushed: {type: MemoryDataset, metadata: {ratoon: {metrics: false}}}
price: {type: MemoryDataset, metadata: {ratoon: {name: cost}}}
table:
  type: wine.datasets.CSVTable
  filepath: data/02_intermediate/table.csv
  versioned: true
judgement:
  type: wine.datasets.JSONReport
  filepath: data/08_reporting/judgement.json
"""

CONFIG = """
metrics: {exclude: [private.*]}
models: {exclude: [unwanted]}
datasets: {exclude: [target], profile: false}
artifacts: {include: ["*"], exclude: [judgement]}
params: {exclude: ["*"]}
"""


@pytest.fixture(scope="module")
def shop(template: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    project = fresh(template)
    (project.path / "src" / "wine" / "pipelines" / "shop").mkdir()
    project.write("src/wine/pipelines/shop/__init__.py", SHOP)
    project.write("conf/base/catalog_shop.yml", CATALOG)
    project.write("conf/base/ratoon.yml", CONFIG)
    done = project.kedro("run", "--pipelines", "shop")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert project.complaints(output) == []
    return project


@pytest.fixture(scope="module")
def run(shop: WineProject) -> Run:
    return shop.only_run()


def paths(project: WineProject, run: Run, folder: str) -> list[str]:
    root = artifact_key(run.artifact_uri)
    found = project.client().artifacts.list(f"{root}/{folder}")
    return sorted(entry.path.rpartition("/")[2] for entry in found)


@pytest.mark.parametrize(("dataset", "name"), [("model", "model"), ("fr.model", "fr.model"), ("m@pickle", "m")])
def test_models_are_named_after_their_dataset(dataset: str, name: str) -> None:
    assert model_name(dataset) == name


def test_metrics_and_their_histories(run: Run) -> None:
    metrics = {key: (each.step, each.value) for key, each in run.metrics.items() if "seconds" not in key}
    assert metrics == {
        "cost": (0, 1.5),
        "scores.a": (0, 0.5),
        "scores.b": (0, 2.0),
        "history.loss": (1, 0.25),
        "history.lr": (1, 1.0),
        "losses": (1, 0.75),
        "steps.loss": (20, 2.0),
    }


def test_models_alone_and_together_but_not_twice(shop: WineProject, run: Run) -> None:
    models = [model.name for model in shop.client().tracking.run_models(run.run_id)]
    assert sorted(models) == ["listed.0", "model", "refitted", "regional.north", "regional.south"]


def test_figures_in_their_forms(shop: WineProject, run: Run) -> None:
    assert paths(shop, run, "kedro/figures") == [
        *("chart.json", "picture.png", "plot.png", "plotly.html", "plotly.json", "plots.a.png", "plots.b.png"),
    ]
    assert "$schema" in json.loads(shop.read_artifact(run, "kedro/figures/chart.json"))


def test_small_values_without_their_secrets(shop: WineProject, run: Run) -> None:
    assert paths(shop, run, "kedro/values") == ["address.json", "judgement.json"]
    judgement = json.loads(shop.read_artifact(run, "kedro/values/judgement.json"))
    assert judgement == {"best": "north", "api_key": "[redacted]", "table": {"x": [1, "y"]}}
    assert json.loads(shop.read_artifact(run, "kedro/values/address.json")) == "https://[redacted]@shop/x"


def test_files_of_datasets_that_the_project_wants(shop: WineProject, run: Run) -> None:
    assert paths(shop, run, "kedro/datasets") == ["table"]
    assert shop.read_artifact(run, "kedro/datasets/table/table.csv").startswith(b"a,b\n")


def test_datasets_that_the_project_wants(run: Run) -> None:
    datasets = {each.dataset.name: each.dataset for each in run.inputs}
    assert "target" not in datasets
    assert json.loads(datasets["features"].profile or "") == {"num_rows": 3, "num_columns": 1, "num_elements": 3}
    assert json.loads(datasets["table"].source)["version"] == run.tags["kedro.run_id"]
    assert run.params == {}


VANISHING = """
from wine.datasets import JSONReport


class Gone:
    def _strip_protocol(self, path):
        return path

    def isfile(self, path):
        return True

    def open(self, path, mode):
        raise OSError("the network is down")


class Vanishing(JSONReport):
    def save(self, data):
        super().save(data)
        self._fs = Gone()
"""


def test_an_upload_that_fails_is_one_warning(project: WineProject) -> None:
    project.write("src/wine/vanishing.py", VANISHING)
    place = "{type: wine.vanishing.Vanishing, filepath: doubled.json, metadata: {ratoon: {artifact: true}}}"
    project.write("conf/base/catalog_doubled.yml", f"doubled: {place}\n")
    done = project.kedro("run", "--pipelines", "light")
    assert done.returncode == 0, done.stdout + done.stderr
    (complaint,) = project.complaints(done.stdout + done.stderr)
    assert "keep the files of dataset 'doubled' (OSError: the network is down)" in complaint
    assert (project.path / "doubled.json").read_text() == "5.0"
