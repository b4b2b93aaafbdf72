"""Pipelines as models: made at the end of a run under every runner, used where there is neither project nor Kedro."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ratoon.entities import Model, Run, RunStatus
from ratoon.errors import InvalidInput
from ratoon.models.loading import LoadedModel
from ratoon.tracking.models import download_model, load_model

if TYPE_CHECKING:
    from conftest import WineProject

SERVICE = Path(__file__).parent / "pipelines" / "service"
MLFLOW = "3.17.2"
CHAMPION = "models:/wine-service@champion"


def add_service(project: WineProject) -> WineProject:
    source = project.path / "src" / "wine"
    shutil.copytree(SERVICE, source / "pipelines" / "service", ignore=shutil.ignore_patterns("*.yml", "__pycache__"))
    shutil.move(source / "pipelines" / "service" / "registry.py", source / "pipeline_registry.py")
    shutil.copy(SERVICE / "parameters.yml", project.path / "conf" / "base" / "parameters_service.yml")
    shutil.copy(SERVICE / "ratoon.yml", project.path / "conf" / "base" / "ratoon.yml")
    return project


@pytest.fixture(scope="module")
def shared(example: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    return add_service(fresh(example))


@pytest.fixture
def service(example: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    return add_service(fresh(example))


def run_service(project: WineProject, *arguments: str, env: dict[str, str] | None = None) -> tuple[Run, str]:
    done = project.kedro("run", "--pipelines", "service", *arguments, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    run = project.runs()[0]
    assert run.status is RunStatus.FINISHED
    return run, " ".join((done.stdout + done.stderr).split())


def models_of(project: WineProject, run: Run) -> dict[str, Model]:
    return {model.name: model for model in project.client().tracking.run_models(run.run_id)}


def wines(project: WineProject, rows: int = 4) -> pd.DataFrame:
    return pd.read_csv(project.path / "data" / "01_raw" / "wines.csv").drop(columns="target").iloc[::40][:rows]


def configure(project: WineProject, **changes: Any) -> None:
    """Write a configuration of the model that differs in some keys; None takes a key out."""
    given = {"pipeline": "inference", "input": "features", "output": "answers", **changes}
    told = {key: value for key, value in given.items() if value is not None}
    project.write("conf/base/ratoon.yml", json.dumps({"pipeline_models": {"wine_service": told}}))


@pytest.fixture(scope="module")
def made(shared: WineProject) -> Model:
    run, output = run_service(shared)
    assert shared.complaints(output) == []
    return models_of(shared, run)["wine_service"]


@pytest.fixture(scope="module")
def loaded(shared: WineProject, made: Model) -> LoadedModel:
    """The model in this process, which knows nothing of the project."""
    try:
        return load_model(f"models:/{made.model_id}", trust="code", client=shared.client())
    finally:
        sys.path[:] = [path for path in sys.path if "ratoon-kept-" not in path]


@pytest.fixture(scope="module")
def mlflow_and_kedro(environment_of: Callable[[str, Sequence[str]], Path]) -> Path:
    """The Python of an environment with MLflow's client and Kedro."""
    # Where PyArrow is installed, pandas keeps texts in it, and so does what is pickled.
    names = ["kedro", "pandas", "scikit-learn", *(["pyarrow"] if find_spec("pyarrow") else [])]
    pins = [f"{name}=={version(name)}" for name in names]
    return environment_of("mlflow-kedro", (f"mlflow-skinny=={MLFLOW}", *pins))


@pytest.mark.slow
class TestModel:
    def test_it_is_logged_beside_the_runs_own_models_and_registered(self, shared: WineProject, made: Model) -> None:
        assert set(models_of(shared, shared.runs()[-1])) == {"classifier", "scaler", "wine_service"}
        version = shared.client().registry.version_by_alias("wine-service", "champion")
        assert version.model_id == made.model_id

    def test_its_signature_is_that_of_the_pipeline(self, loaded: LoadedModel) -> None:
        signature = loaded.signature
        assert signature is not None and signature.inputs and signature.outputs and signature.params
        assert len(signature.inputs) == 13
        assert [(spec.name, spec.type) for spec in signature.outputs] == [("grower", "string"), ("sure", "double")]
        assert [(spec.name, spec.default) for spec in signature.params] == [("decision.sure", 0.0), ("widen", 0.5)]

    def test_parameters_that_are_named_may_be_changed(self, shared: WineProject, loaded: LoadedModel) -> None:
        assert set(loaded.predict(wines(shared))["grower"]) <= {"Barolo", "Grignolino", "Barbera"}
        assert set(loaded.predict(wines(shared), {"decision.sure": 1.1})["grower"]) == {"unknown"}
        assert "unknown" not in set(loaded.predict(wines(shared))["grower"])
        with pytest.raises(InvalidInput, match="did you mean 'decision.sure'"):
            loaded.predict(wines(shared), {"decision.sur": 1.0})

    def test_a_function_that_changes_its_tables_changes_no_other_answer(
        self, shared: WineProject, loaded: LoadedModel
    ) -> None:
        request = wines(shared)
        first = loaded.predict(request)
        pd.testing.assert_frame_equal(request, wines(shared))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: loaded.predict(wines(shared)), range(64)))
        for answer in answers:
            pd.testing.assert_frame_equal(answer, first)

    def test_the_project_is_not_needed_nor_tracked_when_it_predicts(
        self, shared: WineProject, made: Model, loaded: LoadedModel, tmp_path: Path
    ) -> None:
        download_model(shared.client(), f"models:/{made.model_id}", tmp_path / "model")
        wines(shared).to_csv(tmp_path / "wines.csv", index=False)
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE], cwd=tmp_path, env=shared.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == list(loaded.predict(wines(shared))["grower"])
        assert not (tmp_path / ".ratoon").exists()

    def test_mlflow_loads_it_where_there_is_no_ratoon(
        self, shared: WineProject, made: Model, loaded: LoadedModel, mlflow_and_kedro: Path, tmp_path: Path
    ) -> None:
        download_model(shared.client(), f"models:/{made.model_id}", tmp_path / "model")
        wines(shared).to_csv(tmp_path / "wines.csv", index=False)
        done = subprocess.run(
            [mlflow_and_kedro, "-c", IN_MLFLOW], cwd=tmp_path, env=shared.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        answers, changed = json.loads(done.stdout.splitlines()[-1])
        assert answers == list(loaded.predict(wines(shared))["grower"])
        assert set(changed) == {"unknown"}

    def test_it_answers_under_serve(self, shared: WineProject, made: Model, loaded: LoadedModel) -> None:
        command = [sys.executable, "-m", "ratoon", "serve", CHAMPION, "--port", "0", "--trust", "code"]
        with subprocess.Popen(
            command, cwd=shared.path, env=shared.environment(), stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stderr is not None
                url = next(found[0] for line in process.stderr if (found := re.search(r"http://[\d.:]+", line)))
                body = {"dataframe_split": wines(shared).to_dict(orient="split"), "params": {"decision.sure": 0.5}}
                request = urllib.request.Request(
                    f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
                )
                with urllib.request.urlopen(request, timeout=60) as response:
                    answer = json.load(response)["predictions"]
            finally:
                process.terminate()
                process.communicate(timeout=60)
        assert [row["grower"] for row in answer] == list(loaded.predict(wines(shared))["grower"])

    @pytest.mark.parametrize(
        ("runner", "start_method"),
        [
            ("ThreadRunner", None),
            ("ParallelRunner", "fork"),
            ("ParallelRunner", "spawn"),
            ("ParallelRunner", "forkserver"),
        ],
    )
    def test_every_runner_makes_the_same(
        self, shared: WineProject, loaded: LoadedModel, runner: str, start_method: str | None
    ) -> None:
        env = {"KEDRO_MP_CONTEXT": start_method} if start_method else None
        run, output = run_service(shared, "--runner", runner, env=env)
        assert shared.complaints(output) == []
        model = models_of(shared, run)["wine_service"]
        again = load_model(f"models:/{model.model_id}", trust="code", client=shared.client())
        pd.testing.assert_frame_equal(again.predict(wines(shared, 9)), loaded.predict(wines(shared, 9)))
        assert again.signature == loaded.signature


IN_MLFLOW = """
import json
from importlib.util import find_spec
import mlflow
import pandas as pd

assert find_spec("ratoon") is None and find_spec("ratoon_kedro") is None
model = mlflow.pyfunc.load_model("model")
wines = pd.read_csv("wines.csv")
print(json.dumps([list(model.predict(wines, params=each)["grower"]) for each in (None, {"decision.sure": 1.1})]))
"""

ELSEWHERE = """
import json, sys
from pathlib import Path
import pandas as pd
from ratoon.manager import default_manager
from ratoon.models.loading import load_folder

model = load_folder(Path("model"), manager=default_manager(), trust="code")
answer = model.predict(pd.read_csv("wines.csv"))
assert "ratoon_kedro.plugin" not in sys.modules
print(json.dumps(list(answer["grower"])))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pipeline": "inferense"}, "is 'inferense', which is not registered; did you mean 'inference'?"),
        ({"input": "feature"}, "is 'feature', which is no free input of the pipeline; did you mean 'features'?"),
        ({"output": "answer"}, "is 'answer', which is no output of the pipeline; did you mean 'answers'?"),
        ({"output": None}, "has 2 free outputs: answers, count); name the one that a request gets"),
        ({"parameters": ["decision.sur"]}, "parameter 'decision.sur' of the pipeline model 'wine_service' cannot be"),
        ({"example": "grower"}, "pipeline 'inference' fails on rows of the dataset 'grower'"),
    ],
)
def test_a_model_that_cannot_be_made_costs_a_warning(service: WineProject, changes: dict[str, Any], said: str) -> None:
    configure(service, **changes)
    run, output = run_service(service)
    assert said in output
    assert "the pipeline goes on" in output
    assert "wine_service" not in models_of(service, run)


@pytest.mark.slow
def test_a_fitted_dataset_that_is_gone_is_named_with_the_way_out(service: WineProject) -> None:
    service.write(
        "conf/base/catalog_service.yml",
        "".join(f"{name}: {{type: ratoon_kedro.datasets.ModelDataset}}\n" for name in ("classifier", "scaler"))
        + "features: {type: wine.datasets.CSVTable, filepath: data/features.csv}\n",
    )
    configure(service, after="service")
    run, output = run_service(service)
    assert service.complaints(output) == []
    assert {"classifier", "scaler", "wine_service"} == set(models_of(service, run))
    # Only the last node: what it needs is stored, what the model needs beside that is not.
    run, output = run_service(service, "--from-nodes", "check")
    assert "dataset 'limits' of the pipeline 'inference' is not there" in output
    assert "give it an entry in catalog.yml" in output
    assert models_of(service, run) == {}


@pytest.mark.slow
def test_secrets_are_not_frozen_into_a_model(service: WineProject) -> None:
    service.write("conf/base/parameters_service.yml", "widen: 0.5\ndecision: {sure: 0.0, api_token: t0p-s3cret}\n")
    run, output = run_service(service)
    assert "parameter 'decision.api_token' of the pipeline 'inference' is a secret" in output
    assert "wine_service" not in models_of(service, run)
    content = b"".join(path.read_bytes() for path in (service.path / ".ratoon").rglob("*") if path.is_file())
    assert b"t0p-s3cret" not in content


@pytest.mark.slow
def test_only_runs_that_make_something_the_model_needs_make_it(service: WineProject) -> None:
    done = service.kedro("run", "--pipelines", "training")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wine_service" not in models_of(service, service.runs()[0])
    configure(service, after=["training"])
    run, output = run_service(service)
    assert "wine_service" not in models_of(service, run), output
