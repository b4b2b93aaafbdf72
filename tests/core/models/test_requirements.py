from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import yaml

from ratoon.models.requirements import named_in_pickle, pinned, write_requirements


def test_versions_are_those_installed_here_sorted_and_once() -> None:
    assert pinned(["scikit-learn", "numpy", "numpy"]) == [
        f"numpy=={version('numpy')}",
        f"scikit-learn=={version('scikit-learn')}",
    ]


def test_what_is_not_installed_is_not_pinned() -> None:
    assert pinned(["no-such-distribution"]) == ["no-such-distribution"]


def test_a_pickle_is_looked_through_and_not_loaded(tmp_path: Path, canary: Any) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(cloudpickle.dumps([lambda rows: np.asarray(rows).sum(), pd.Timestamp(0), canary, "no.module"]))
    assert named_in_pickle(path) >= {"cloudpickle", "numpy", "pandas"}
    assert not canary.path.exists()


def test_the_three_files_of_mlflow(tmp_path: Path) -> None:
    write_requirements(["numpy"], tmp_path)
    pin = f"numpy=={version('numpy')}"
    assert (tmp_path / "requirements.txt").read_text() == pin
    environment = yaml.safe_load((tmp_path / "python_env.yaml").read_text())
    assert environment["python"] == platform.python_version()
    assert environment["dependencies"] == ["-r requirements.txt"]
    assert [tool.partition("==")[0] for tool in environment["build_dependencies"]] == ["pip", "setuptools", "wheel"]
    conda = yaml.safe_load((tmp_path / "conda.yaml").read_text())
    assert conda["channels"] == ["conda-forge"] and conda["name"] == "mlflow-env"
    assert conda["dependencies"][0] == f"python={platform.python_version()}"
    assert conda["dependencies"][1].startswith("pip")
    assert conda["dependencies"][2] == {"pip": [pin]}
