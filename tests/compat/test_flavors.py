"""Which models pass from ratoon to MLflow and back: each cell of the table in ``docs/models.md`` is a test.

Three processes save and load everything, each library imported once in each: ratoon saves; MLflow loads that and saves;
ratoon loads that. What happens in them is in ``scripts/flavors_*.py``. ``RATOON_WRITE_DOCS=1`` writes the table.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SCRIPTS = Path(__file__).parent / "scripts"
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- both ways: begin -->\n", "<!-- both ways: end -->\n"
HEAD = (
    "| model | flavor | ratoon saves, `mlflow.<flavor>` loads | ratoon saves, `mlflow.pyfunc` loads "
    "| MLflow saves, ratoon loads without MLflow |",
    "|---|---|---|---|---|",
)
WAYS = {"own": "ratoon", "pyfunc": "ratoon", "back": "mlflow"}
EQUAL, CODE, NOTHING = "equal", 'equal, with `trust="code"`', "–"

pytestmark = pytest.mark.slow


class No(NamedTuple):
    """A cell that is impossible: how the table says so, and what the error says."""

    shown: str
    message: str


class Row(NamedTuple):
    """A model, and what is to be seen of it in each of the three cells."""

    title: str
    flavor: str
    own: str | No = EQUAL
    pyfunc: str | No = EQUAL
    back: str | No = EQUAL


ROWS = {
    "sklearn": Row("scikit-learn, a forest in a pipeline", "sklearn"),
    "sklearn-lambda": Row("scikit-learn with a lambda, pickled", "sklearn", back=CODE),
    "xgboost": Row("XGBoost, an estimator", "xgboost"),
    "xgboost-booster": Row("XGBoost, a booster", "xgboost"),
    "lightgbm": Row("LightGBM, an estimator", "lightgbm"),
    "lightgbm-booster": Row("LightGBM, a booster", "lightgbm"),
    "catboost": Row("CatBoost", "catboost"),
    "statsmodels": Row("statsmodels, pickled", "statsmodels", back=CODE),
    "pytorch": Row("PyTorch, exported", "pytorch"),
    "pytorch-class": Row(
        "PyTorch, weights and the name of the class",
        "pytorch",
        No("no: it reads no weights alone", r"No such file or directory: .*model\.pt2"),
        No("no: it reads no weights alone", 'Model does not have the "python_function" flavor'),
        NOTHING,
    ),
    "pytorch-pickle": Row("PyTorch, pickled", "pytorch", back=CODE),
    "keras": Row("Keras 3", "keras"),
    "keras-exported": Row("Keras 3, MLflow's `save_exported_model`", "keras", NOTHING, NOTHING),
    "keras-tensorflow": Row("Keras 3, saved by `mlflow.tensorflow`", "tensorflow", NOTHING, NOTHING),
    "tensorflow": Row("TensorFlow, a `tf.Module`", "tensorflow"),
    "onnx": Row("ONNX", "onnx"),
    "transformers": Row("Transformers, a pipeline", "transformers"),
    "spark": Row("Spark ML, a pipeline", "spark"),
    "class": Row("an object with `predict`; MLflow's `PythonModel`", "python_function", NOTHING, back=CODE),
    "function": Row("a function", "python_function", NOTHING, back=CODE),
    "script": Row(
        "a script (models from code)",
        "python_function",
        NOTHING,
        back=No("no: the script imports MLflow", r"script '.*' failed .*; install 'mlflow'"),
    ),
}
CELLS = [(name, way) for name, row in ROWS.items() for way in WAYS if getattr(row, way) != NOTHING]


@pytest.fixture(scope="module")
def results(mlflow_flavors_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the three processes noted, by row and by who did it."""
    folder = tmp_path_factory.mktemp("flavors")
    run([sys.executable, SCRIPTS / "flavors_ratoon.py", "save", folder], folder)
    run([mlflow_flavors_python, SCRIPTS / "flavors_mlflow.py", folder], folder)
    run([sys.executable, SCRIPTS / "flavors_ratoon.py", "load", folder], folder)
    return {
        row.name: {path.stem: json.loads(path.read_text()) for path in row.iterdir()}
        for row in (folder / "results").iterdir()
    }


def run(command: list[str | Path], folder: Path) -> None:
    own = ("MLFLOW_", "RATOON_", "KERAS_", "SPARK_", "PYSPARK_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    environment |= {
        "CUDA_VISIBLE_DEVICES": "",
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "HF_HUB_OFFLINE": "1",
        "KERAS_BACKEND": "tensorflow",
        "MLFLOW_DFS_TMP": str(folder / "dfs"),
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]


def equal(one: Any, other: Any) -> bool:
    """Whether predictions are the same but for the order in which threads add numbers."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-7)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and bool(one == other)


def seen(of_row: dict[str, Any], name: str, way: str) -> str:
    """A cell as the table has it; the message of an error that nobody expects."""
    wanted, saved, found = getattr(ROWS[name], way), of_row.get(WAYS[way]), of_row.get(way)
    if found is None or saved is None:
        return NOTHING
    if "error" in found:
        text = f"{found['error']}: {found['message']}"
        return wanted.shown if isinstance(wanted, No) and re.search(wanted.message, text) else text
    if not equal(found["predictions"], saved.get("predictions")):
        return f"{found['predictions']} is not {saved.get('predictions', saved)}"
    trust = found.get("trust")
    return EQUAL if trust is None else f"{EQUAL}, with `trust={json.dumps(trust)}`"


def test_every_row_was_tried(results: dict[str, dict[str, Any]]) -> None:
    assert set(results) == set(ROWS)
    failed = {
        (name, who): result["trace"]
        for name, row in results.items()
        for who, result in row.items()
        if who in ("ratoon", "mlflow") and "error" in result
    }
    assert not failed


@pytest.mark.parametrize(("name", "way"), CELLS)
def test_a_model_passes(name: str, way: str, results: dict[str, dict[str, Any]]) -> None:
    wanted = getattr(ROWS[name], way)
    found = seen(results[name], name, way)
    assert found == (wanted.shown if isinstance(wanted, No) else wanted), results[name][way].get("trace")


def test_the_table_of_the_docs_is_what_was_seen(results: dict[str, dict[str, Any]]) -> None:
    lines = list(HEAD)
    for name, row in ROWS.items():
        cells = " | ".join(seen(results[name], name, way) for way in WAYS)
        lines.append(f"| {row.title} | `{row.flavor}` | {cells} |")
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    documented, end, after = rest.partition(END)
    assert begin and end, f"{PAGE.name} has no place for the table"
    if os.environ.get("RATOON_WRITE_DOCS"):
        documented = "\n".join(["", *lines, "", ""])
        PAGE.write_text(before + BEGIN + documented + END + after)
    assert documented.strip().splitlines() == lines
