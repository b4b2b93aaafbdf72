"""ratoon's side of the table of flavors: ``python flavors_ratoon.py save FOLDER``, and ``load FOLDER`` at the end."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from typing import Any

from flavors_zoo import CASES, Case, note, plain

from ratoon.errors import Untrusted
from ratoon.manager import make_manager
from ratoon.models.inspection import inspect_folder
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model

MANAGER = make_manager(installed=False)
# ratoon has one way to save a network of Keras; MLflow has three.
MLFLOW_ONLY = ("keras-exported", "keras-tensorflow")


def save(name: str, case: Case, folder: pathlib.Path) -> dict[str, Any]:
    model, data = case.make(), case.data()
    # Without an example a module is not exported.
    example = None if name in ("pytorch-class", "pytorch-pickle") else data
    info = save_model(model, folder, manager=MANAGER, input_example=example)
    assert case.flavor in info.flavors, info.flavors
    return {"predictions": plain(case.predict(model, data)), **_trust(folder)}


def load(case: Case, folder: pathlib.Path) -> dict[str, Any]:
    """Load a model of MLflow's with no more trust than a look at it asks for."""
    needed = _trust(folder)
    if needed["trust"]:
        try:
            load_folder(folder, manager=MANAGER)
        except Untrusted:
            pass
        else:
            raise AssertionError("it was loaded without the trust that it is said to need")
    loaded = load_folder(folder, manager=MANAGER, trust=needed["trust"])
    assert loaded.flavor_name == case.flavor
    return {"predictions": plain(loaded.predict(case.data())), **needed}


def _trust(folder: pathlib.Path) -> dict[str, Any]:
    return {"trust": inspect_folder(folder, manager=MANAGER).trust}


def main(step: str, folder: pathlib.Path) -> None:
    assert importlib.util.find_spec("mlflow") is None, "this side must do without MLflow"
    for name, case in CASES.items():
        results = folder / "results" / name
        if step == "save" and name not in MLFLOW_ONLY:
            own = folder / "ratoon" / name
            note(results / "ratoon.json", lambda name=name, case=case, own=own: save(name, case, own))
        saved = folder / "mlflow" / name
        if step == "load" and saved.exists():
            note(results / "back.json", lambda case=case, saved=saved: load(case, saved))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
