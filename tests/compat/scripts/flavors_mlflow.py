"""MLflow's side of the table of flavors: ``python flavors_mlflow.py FOLDER``, after ratoon has saved its models there.

It loads those first, in a process that has made no model yet, and then saves its own.
"""

from __future__ import annotations

import importlib
import pathlib
import sys
from typing import Any

import mlflow
from flavors_zoo import CASES, Case, note, plain, spark_session
from mlflow.models import infer_signature

SCRIPT = pathlib.Path(__file__).with_name("flavors_script_mlflow.py")
# Weights without code have no form in MLflow.
RATOON_ONLY = ("pytorch-class",)
OPTIONS: dict[str, dict[str, Any]] = {
    "sklearn": {"skops_trusted_types": ["sklearn.tree._tree.Tree"]},
    "sklearn-lambda": {"serialization_format": "cloudpickle"},
    "lightgbm": {
        "skops_trusted_types": [
            "collections.OrderedDict",
            "collections.defaultdict",
            "lightgbm.basic.Booster",
            "lightgbm.sklearn.LGBMClassifier",
        ]
    },
    "pytorch-pickle": {"serialization_format": "pickle"},
    "keras-exported": {"save_exported_model": True},
}


# MLflow takes type hints of a model for its schema, so these have none.
class Scaler(mlflow.pyfunc.PythonModel):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, context, model_input, params=None):
        return (model_input["a"] * self.factor).to_numpy()


def doubled(model_input):
    return (model_input["a"] * 2).to_numpy()


PYTHON_MODELS = {"class": Scaler(3.0), "function": doubled, "script": str(SCRIPT)}


def load_with_own(case: Case, folder: pathlib.Path) -> dict[str, Any]:
    if case.flavor == "spark":
        spark_session()  # this loader, unlike pyfunc's, wants one that runs
    library = importlib.import_module(f"mlflow.{case.flavor}")
    return {"predictions": plain(case.predict(library.load_model(str(folder)), case.data()))}


def load_with_pyfunc(case: Case, folder: pathlib.Path) -> dict[str, Any]:
    return {"predictions": plain(mlflow.pyfunc.load_model(str(folder)).predict(case.data()))}


def save(name: str, case: Case, folder: pathlib.Path) -> dict[str, Any]:
    model, data = case.make(), case.data()
    expected = plain(case.predict(model, data))
    # Given requirements keep MLflow from loading each model once more in a process of its own.
    common = {"path": str(folder), "pip_requirements": ["numpy"]}
    if case.flavor == "python_function":
        mlflow.pyfunc.save_model(python_model=PYTHON_MODELS[name], **common)
        return {"predictions": expected}
    if name == "pytorch":
        common["input_example"] = data
    elif case.flavor != "spark":
        common["signature"] = infer_signature(data)
    importlib.import_module(f"mlflow.{case.flavor}").save_model(model, **common, **OPTIONS.get(name, {}))
    return {"predictions": expected}


def main(folder: pathlib.Path) -> None:
    for name, case in CASES.items():
        saved, results = folder / "ratoon" / name, folder / "results" / name
        if (saved / "MLmodel").exists():
            if case.flavor != "python_function":
                note(results / "own.json", lambda case=case, saved=saved: load_with_own(case, saved))
            note(results / "pyfunc.json", lambda case=case, saved=saved: load_with_pyfunc(case, saved))
    for name, case in CASES.items():
        own = folder / "mlflow" / name
        if name not in RATOON_ONLY:
            note(folder / "results" / name / "mlflow.json", lambda name=name, case=case, own=own: save(name, case, own))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
