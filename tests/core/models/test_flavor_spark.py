"""Spark ML in one local session for the whole module. Java must be installed."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml
from pyspark.ml import Pipeline, PipelineModel, Transformer
from pyspark.ml.classification import LogisticRegression, RandomForestClassifier
from pyspark.ml.feature import Binarizer, SQLTransformer, StandardScaler, VectorAssembler
from pyspark.ml.linalg import Vectors
from pyspark.ml.recommendation import ALS
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import SparkSession

from ratoon.errors import Corrupt, InvalidInput, InvalidSetting, RatoonError, Untrusted
from ratoon.manager import make_manager
from ratoon.models.digests import write_manifest
from ratoon.models.flavors import spark_files, spark_session
from ratoon.models.flavors.spark import SparkFlavor, _load_pyfunc
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import read_mlmodel
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract

pytestmark = [
    pytest.mark.slow,
    # pyspark says so of every pandas since 3.0, wherever it makes a DataFrame of one.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

FLAVORS = ("ratoon.models.flavors.python_function", "ratoon.models.flavors.spark")
ROWS = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) % 3})


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[SparkSession]:
    if shutil.which("java") is None:
        message = "Java is not installed (apt-get install openjdk-17-jre-headless)"
        if os.environ.get("RATOON_REQUIRE_SERVICES"):
            pytest.fail(message)
        pytest.skip(message)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    started = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    started.sparkContext.setLogLevel("OFF")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def fitted(session: SparkSession) -> PipelineModel:
    table = session.createDataFrame(ROWS.assign(label=(ROWS["a"] > 9).astype(int)))
    stages = [VectorAssembler(inputCols=["a", "b"], outputCol="features"), LogisticRegression()]
    return Pipeline(stages=stages).fit(table)


@pytest.fixture(scope="module")
def flavors() -> pluggy.PluginManager:
    return make_manager(builtins=FLAVORS, installed=False)


@pytest.fixture
def folder(fitted: PipelineModel, flavors: pluggy.PluginManager, tmp_path: Path) -> Path:
    save_model(fitted, tmp_path / "model", manager=flavors, input_example=ROWS)
    return tmp_path / "model"


class TestSparkContract(FlavorContract):
    flavor_name = "spark"
    library = "pyspark"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, fitted: PipelineModel) -> PipelineModel:
        return fitted

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> pd.DataFrame:
        return ROWS

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        spark = SparkSession.builder.getOrCreate()
        return [row.prediction for row in model.transform(spark.createDataFrame(data)).collect()]


def change_config(folder: Path, **changes: Any) -> None:
    plain = yaml.safe_load((folder / "MLmodel").read_text())
    plain["flavors"]["spark"] |= changes
    (folder / "MLmodel").write_text(yaml.safe_dump(plain))
    write_manifest(folder)


def as_mlflow_writes(folder: Path) -> Path:
    """What mlflow.spark.save_model leaves: the distributed layout and none of ratoon's keys."""
    shutil.rmtree(folder / "sparkml_local")
    (folder / "digests.json").unlink()
    plain = yaml.safe_load((folder / "MLmodel").read_text())
    del plain["ratoon"]
    spark = plain["flavors"]["spark"]
    plain["flavors"]["spark"] = {key: value for key, value in spark.items() if not key.startswith("ratoon_")}
    (folder / "MLmodel").write_text(yaml.safe_dump(plain))
    return folder


def test_both_layouts_and_all_versions_are_kept(folder: Path) -> None:
    config = read_mlmodel(folder).flavors["spark"]
    assert (config["model_data"], config["ratoon_local"]) == ("sparkml", "sparkml_local")
    assert set(config["ratoon_versions"]) == {"spark", "scala", "hadoop", "java"}
    assert config["pyspark_version"] == config["ratoon_versions"]["spark"]
    assert read_mlmodel(folder).flavors["python_function"]["loader_module"] == "mlflow.spark"
    assert not list(folder.rglob("*.crc"))


def test_spark_itself_reads_the_layout_that_mlflow_reads(folder: Path, fitted: PipelineModel) -> None:
    assert len(PipelineModel.load(str(folder / "sparkml")).stages) == len(fitted.stages)


def test_a_model_of_mlflow_is_read(folder: Path, flavors: pluggy.PluginManager) -> None:
    loaded = load_folder(as_mlflow_writes(folder), manager=flavors)
    assert loaded.flavor_name == "spark" and not loaded.verified
    assert loaded.predict(ROWS)[8:12] == [0.0, 0.0, 1.0, 1.0]


def test_a_table_of_spark_stays_one(folder: Path, session: SparkSession, flavors: pluggy.PluginManager) -> None:
    answer = load_folder(folder, manager=flavors).predict(session.createDataFrame(ROWS))
    assert "prediction" in answer.columns and answer.count() == len(ROWS)


def test_parameters_reach_the_stages_that_have_them(fitted: PipelineModel) -> None:
    flavor = SparkFlavor()
    assert sum(flavor.predict(fitted, ROWS)) == 10
    assert sum(flavor.predict(fitted, ROWS, {"threshold": 0.0})) == 20
    with pytest.raises(InvalidInput, match="parameter 'treshold' is none of the model's stages'"):
        flavor.predict(fitted, ROWS, {"treshold": 0.0})


def test_a_single_stage_takes_vectors_as_arrays(
    fitted: PipelineModel, session: SparkSession, flavors: pluggy.PluginManager, tmp_path: Path
) -> None:
    table = fitted.stages[0].transform(session.createDataFrame(ROWS.assign(label=(ROWS["a"] > 9).astype(int))))
    forest = RandomForestClassifier(numTrees=5, seed=1).fit(table)
    save_model(forest, tmp_path / "model", manager=flavors)
    loaded = load_folder(tmp_path / "model", manager=flavors)
    expected = [row.prediction for row in forest.transform(table).collect()]
    assert loaded.predict(pd.DataFrame({"features": ROWS.to_numpy().tolist()})) == expected
    assert loaded.predict(ROWS.to_numpy()) == expected
    assert loaded.predict({"features": ROWS.to_numpy()}) == expected


def test_vectors_come_back_as_lists(session: SparkSession) -> None:
    table = session.createDataFrame([(Vectors.dense([1.0, 2.0]),), (Vectors.dense([3.0, 6.0]),)], ["given"])
    scaler = StandardScaler(inputCol="given", outputCol="scaled").fit(table)
    predicted = SparkFlavor().predict(scaler, np.array([[1.0, 2.0], [3.0, 6.0]]))
    np.testing.assert_allclose(predicted, [[0.7071, 0.7071], [2.1213, 2.1213]], atol=1e-4)


def test_rows_keep_their_place(session: SparkSession) -> None:
    statement = "SELECT * FROM __THIS__ WHERE a <> 3 ORDER BY a DESC"
    stages = [SQLTransformer(statement=statement), Binarizer(threshold=10.0, inputCol="a", outputCol="prediction")]
    predicted = SparkFlavor().predict(PipelineModel(stages), ROWS)
    assert predicted == [None if a == 3 else float(a > 10) for a in ROWS["a"]]


def test_rows_that_cannot_be_told_apart_are_refused(session: SparkSession) -> None:
    model = PipelineModel([SQLTransformer(statement="SELECT a AS prediction FROM __THIS__ WHERE a <> 3")])
    with pytest.raises(InvalidInput, match="19 predictions for 20 rows"):
        SparkFlavor().predict(model, ROWS)


@pytest.mark.parametrize("data", [[1, 2], np.zeros((2, 2))])
def test_data_of_another_form_is_refused(data: Any, fitted: PipelineModel) -> None:
    with pytest.raises(InvalidInput, match="does not fit the model"):
        SparkFlavor().predict(fitted, data)


def test_tables_that_are_read_late_are_kept(
    session: SparkSession, flavors: pluggy.PluginManager, tmp_path: Path
) -> None:
    ratings = pd.DataFrame({"user": [0, 0, 1, 1], "item": [0, 1, 0, 1], "rating": [5.0, 1.0, 4.0, 1.0]})
    als = ALS(maxIter=2, rank=2, seed=1).fit(session.createDataFrame(ratings))
    pairs = ratings[["user", "item"]]
    save_model(als, tmp_path / "model", manager=flavors, input_example=pairs)
    expected = SparkFlavor().predict(als, pairs)
    for folder in (tmp_path / "model", as_mlflow_writes(Path(shutil.copytree(tmp_path / "model", tmp_path / "copy")))):
        loaded = load_folder(folder, manager=flavors)
        shutil.rmtree(folder)
        np.testing.assert_allclose(loaded.predict(pairs), expected, rtol=1e-5)


# --- versions


@pytest.mark.parametrize("saved", ["4.99.0", "99.0.1"])
def test_a_model_of_a_later_spark_is_refused_with_both_versions(
    saved: str, folder: Path, session: SparkSession, flavors: pluggy.PluginManager
) -> None:
    change_config(folder, ratoon_versions={"spark": saved}, pyspark_version=saved)
    with pytest.raises(RatoonError, match=f"saved with Spark {saved}, here is the older {session.version}"):
        load_folder(folder, manager=flavors)


def test_another_release_reads_the_distributed_layout(
    folder: Path, flavors: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    change_config(folder, ratoon_versions={"spark": "3.5.1"})
    assert load_folder(folder, manager=flavors).predict(ROWS)[8:12] == [0.0, 0.0, 1.0, 1.0]
    assert "saved with Spark 3.5.1" in caplog.text and "promises nothing across major versions" in caplog.text


def test_another_release_cannot_read_the_local_layout(folder: Path, flavors: pluggy.PluginManager) -> None:
    change_config(folder, ratoon_versions={"spark": "4.1.0"}, model_data=None)
    with pytest.raises(RatoonError, match=r"layout of Spark 4\.1\.0 alone.*pip install 'pyspark==4\.1\.0'"):
        load_folder(folder, manager=flavors)


@pytest.mark.parametrize("versions", [{"spark": "four"}, {"spark": 4}, ["4.3.0"]])
def test_versions_that_are_none_are_refused(versions: Any, folder: Path, flavors: pluggy.PluginManager) -> None:
    change_config(folder, ratoon_versions=versions)
    with pytest.raises(Corrupt, match="save the model again"):
        load_folder(folder, manager=flavors)


def test_a_trace_of_java_becomes_one_line(folder: Path, flavors: pluggy.PluginManager) -> None:
    for path in (folder / "sparkml_local" / "stages").rglob("data"):
        path.write_bytes(b"no data")
    write_manifest(folder)
    with pytest.raises(RatoonError, match=r"cannot be loaded \(.*\); it was saved with Spark .*, Java .*, here is"):
        load_folder(folder, manager=flavors)


def test_pyspark_and_the_jvm_must_be_of_one_release(session: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyspark.__version__", "3.5.1")
    with pytest.raises(RatoonError, match=r"pyspark 3\.5\.1 talks to Spark 4.*pip install 'pyspark==4"):
        SparkFlavor().save(None, Path("unused"))


# --- where driver and executors share no disk


def test_without_a_shared_disk_the_local_layout_is_enough(
    fitted: PipelineModel,
    flavors: pluggy.PluginManager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(spark_files, "is_local", lambda _session: False)
    info = save_model(fitted, tmp_path / "model", manager=flavors)
    assert "MLflow will not read this model" in caplog.text
    assert info.flavors["spark"]["model_data"] is None and not (tmp_path / "model" / "sparkml").exists()
    assert load_folder(tmp_path / "model", manager=flavors).predict(ROWS)[8:12] == [0.0, 0.0, 1.0, 1.0]
    entry = info.flavors["python_function"]
    assert entry["loader_module"] == SparkFlavor.__module__
    assert _load_pyfunc(str(tmp_path / "model" / entry["data"])).predict(ROWS)[8:12] == [0.0, 0.0, 1.0, 1.0]


def test_a_shared_folder_is_proved_and_used(
    fitted: PipelineModel,
    session: SparkSession,
    flavors: pluggy.PluginManager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setattr(spark_files, "is_local", lambda _session: False)
    session.conf.set(spark_session.SHARED_OPTION, shared.as_uri())
    try:
        save_model(fitted, tmp_path / "model", manager=flavors)
        assert list(shared.iterdir()) == []
        loaded = load_folder(as_mlflow_writes(tmp_path / "model"), manager=flavors)
        assert loaded.predict(ROWS)[8:12] == [0.0, 0.0, 1.0, 1.0] and len(list(shared.iterdir())) == 1
        del loaded
        assert list(shared.iterdir()) == []
    finally:
        session.conf.unset(spark_session.SHARED_OPTION)


def test_a_model_of_mlflow_needs_a_shared_folder_on_a_cluster(
    folder: Path, flavors: pluggy.PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_files, "is_local", lambda _session: False)
    with pytest.raises(RatoonError, match=r"set the session's option spark\.ratoon\.shared to a URI that they share"):
        load_folder(as_mlflow_writes(folder), manager=flavors)


def test_a_folder_that_is_not_shared_is_found_out(
    session: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.conf.set(spark_session.SHARED_OPTION, tmp_path.as_uri())
    try:
        assert str(spark_session.shared_folder(session)).startswith(tmp_path.as_uri())
        monkeypatch.setattr(spark_session, "_content", lambda *_: "")
        with pytest.raises(RatoonError, match="the driver does not see what an executor wrote"):
            spark_session.shared_folder(session)
        session.conf.set(spark_session.SHARED_OPTION, "nowhere://a/b")
        with pytest.raises(RatoonError, match="cannot be used"):
            spark_session.shared_folder(session)
    finally:
        session.conf.unset(spark_session.SHARED_OPTION)
    assert list(tmp_path.iterdir()) == []


# --- stages written in Python


class Doubler(Transformer, DefaultParamsReadable, DefaultParamsWritable):  # type: ignore[misc]
    def _transform(self, dataset: Any) -> Any:
        return dataset.withColumn("prediction", dataset["a"] * 2)


class Unwritable(Transformer):  # type: ignore[misc]
    def _transform(self, dataset: Any) -> Any:
        return dataset


def test_a_stage_in_python_needs_to_be_trusted_by_its_name(flavors: pluggy.PluginManager, tmp_path: Path) -> None:
    sys.modules["stages_of_mine"] = sys.modules[__name__]
    Doubler.__module__ = "stages_of_mine"
    info = save_model(PipelineModel([Doubler()]), tmp_path / "model", manager=flavors)
    assert info.flavors["spark"]["ratoon_local"] is None
    assert info.flavors["spark"]["ratoon_python_stages"] == ["stages_of_mine.Doubler"]
    with pytest.raises(Untrusted, match=r"trust=\['stages_of_mine\.Doubler'\]"):
        load_folder(tmp_path / "model", manager=flavors)
    loaded = load_folder(tmp_path / "model", manager=flavors, trust=["stages_of_mine.Doubler"])
    assert loaded.predict(ROWS) == (ROWS["a"] * 2).tolist()


def test_a_stage_that_cannot_come_back_is_refused_at_once(flavors: pluggy.PluginManager, tmp_path: Path) -> None:
    class Local(Doubler):
        pass

    with pytest.raises(InvalidInput, match="Unwritable' of the pipeline cannot be saved .* DefaultParamsReadable"):
        save_model(PipelineModel([Unwritable()]), tmp_path / "model", manager=flavors)
    with pytest.raises(InvalidInput, match="Local' of the pipeline cannot be loaded again"):
        save_model(PipelineModel([Local()]), tmp_path / "model", manager=flavors)
    assert not (tmp_path / "model").exists()


# --- trust


def metadata_of(folder: Path, stage: int) -> Path:
    return next((folder / "sparkml_local" / "stages").glob(f"{stage}_*")) / "metadata"


@pytest.mark.parametrize(
    "name", ["os.system", "org.example.Stage", "pyspark.ml.feature.SQLTransformer", "org.apache.spark.ml;x"]
)
def test_a_class_that_is_not_sparks_own_is_refused(name: str, folder: Path, flavors: pluggy.PluginManager) -> None:
    path = metadata_of(folder, 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"class": name}))
    write_manifest(folder)
    with pytest.raises(Untrusted, match=f"types that nobody vouched for: '{name}'"):
        load_folder(folder, manager=flavors)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda text: text.replace('{"class":', '{"class":"x","class":', 1), "a key occurs twice"),
        (lambda text: "no JSON", "Expecting value"),
        (lambda text: "[]", "no JSON object"),
        (lambda text: text.replace('"class":', '"klass":', 1), "it names no class"),
        (lambda text: text.replace('"uid":"', '"uid":"../', 1), "a uid that Spark does not make"),
    ],
)
def test_metadata_that_spark_did_not_write_is_refused(
    change: Any, cause: str, folder: Path, flavors: pluggy.PluginManager
) -> None:
    path = metadata_of(folder, 0)
    path.write_text(change(path.read_text()))
    write_manifest(folder)
    with pytest.raises(Corrupt, match=cause):
        load_folder(folder, manager=flavors)


def test_a_column_made_of_a_pickle_is_refused(
    folder: Path, session: SparkSession, flavors: pluggy.PluginManager
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (data,) = (folder / "sparkml").rglob("*.parquet")
    kind = {"type": "udt", "class": None, "pyClass": "x.Y", "serializedClass": "gASV", "sqlType": "long"}
    schema = {"type": "struct", "fields": [{"name": "x", "type": kind, "nullable": True, "metadata": {}}]}
    text = json.dumps(schema).replace("serialized", "\\u0073erialized")
    table = pa.table({"x": [1]}).replace_schema_metadata({"org.apache.spark.sql.parquet.row.metadata": text})
    pq.write_table(table, data)
    write_manifest(folder)
    with pytest.raises(Untrusted, match=r"'a pickle in part-.*parquet', 'x\.Y'"):
        load_folder(folder, manager=flavors)


def test_models_of_spark_connect_are_refused(folder: Path, flavors: pluggy.PluginManager) -> None:
    change_config(folder, model_class="pyspark.ml.connect.classification.LogisticRegressionModel")
    with pytest.raises(InvalidInput, match=r"one of pyspark\.ml\.connect"):
        load_folder(folder, manager=flavors)


def test_a_model_without_files_is_refused(folder: Path, flavors: pluggy.PluginManager) -> None:
    change_config(folder, ratoon_local=None, model_data=None)
    with pytest.raises(Corrupt, match="names no folder with Spark's files"):
        load_folder(folder, manager=flavors)
    change_config(folder, ratoon_local="sparkml_local/stages")
    with pytest.raises(Corrupt, match="holds no Spark model"):
        load_folder(folder, manager=flavors)


# --- sessions


def in_a_new_process(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], env={**os.environ, **environ}, capture_output=True, text=True
    )


_LOADS = """
import logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO, format="%(message)s")
logging.getLogger("py4j").setLevel(logging.ERROR)
import pandas as pd
from ratoon.errors import RatoonError
from ratoon.manager import make_manager
from ratoon.models.loading import load_folder
manager = make_manager(builtins=["ratoon.models.flavors.spark"], installed=False)
try:
    print(load_folder(Path(FOLDER), manager=manager).predict(pd.DataFrame({"a": [1.0, 15.0], "b": [0.0, 0.0]})))
except RatoonError as error:
    print(error)
"""


def test_without_a_session_a_local_one_is_started_and_announced(folder: Path) -> None:
    done = in_a_new_process(_LOADS.replace("FOLDER", repr(str(folder))))
    assert done.stdout.strip().endswith("[0.0, 1.0]"), done.stderr
    assert "no Spark session runs: starting a local one in this process" in done.stderr


def test_starting_one_can_be_forbidden(folder: Path) -> None:
    done = in_a_new_process(_LOADS.replace("FOLDER", repr(str(folder))), RATOON_SPARK_SESSION="running")
    assert "no Spark session runs in this process (and RATOON_SPARK_SESSION is 'running')" in done.stdout


def test_without_java_one_line_says_so(folder: Path, tmp_path: Path) -> None:
    done = in_a_new_process(_LOADS.replace("FOLDER", repr(str(folder))), JAVA_HOME=str(tmp_path))
    assert "no Spark session could be started" in done.stdout and "install Java" in done.stdout


def test_an_executor_starts_nothing(folder: Path, session: SparkSession) -> None:
    def load(_: int) -> str:
        from ratoon.errors import RatoonError
        from ratoon.models.flavors.spark_session import session_for_loading

        try:
            session_for_loading()
        except RatoonError as error:
            return str(error)
        return "started"

    (answer,) = session.sparkContext.parallelize([0], 1).map(load).collect()
    assert "cannot be loaded in an executor" in answer


def test_the_variable_has_two_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATOON_SPARK_SESSION", "maybe")
    with pytest.raises(InvalidSetting, match="RATOON_SPARK_SESSION is 'maybe'"):
        spark_session._may_start()


def test_another_thread_uses_the_session_that_runs(folder: Path, flavors: pluggy.PluginManager) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: load_folder(folder, manager=flavors).predict(ROWS)).result()[9:11] == [0.0, 1.0]


def test_no_stage_hides_what_it_needs(fitted: PipelineModel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    flavor = SparkFlavor()
    assert flavor.example_from(fitted, [ROWS[["a"]], ROWS]) is ROWS
    assert flavor.example_from(fitted, [ROWS[["b"]]]) is None
