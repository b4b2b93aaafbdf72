from __future__ import annotations

import importlib
import platform
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cloudpickle
import lightgbm
import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ratoon.models.requirements import captured, named_in_pickle, pinned, write_requirements
from ratoon.models.saving import save_model


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


def test_a_local_version_label_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "built_here-2.13.0+cpu.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: built-here\nVersion: 2.13.0+cpu\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert pinned(["built-here"]) == ["built-here==2.13.0"]


def test_a_package_of_another_distribution_is_pinned_as_that() -> None:
    assert pinned(["yaml"]) == [f"pyyaml=={version('PyYAML')}"]


def test_a_text_that_happens_to_be_a_module_is_none(tmp_path: Path) -> None:
    assert "pytest" in sys.modules
    path = tmp_path / "model.pkl"
    path.write_bytes(cloudpickle.dumps({"columns": ["pytest", "yaml"], "values": np.zeros(3)}))
    assert named_in_pickle(path) == {"numpy"}


def test_what_a_function_imports_when_it_is_called_is_captured(tmp_path: Path) -> None:
    def predict(rows: Any) -> Any:
        import sklearn.preprocessing

        return sklearn.preprocessing.scale(rows)

    (tmp_path / "model.pkl").write_bytes(cloudpickle.dumps(predict))
    predict(np.eye(3))
    assert captured(predict, tmp_path) == {"cloudpickle", "scikit-learn"}


def test_what_code_beside_the_model_imports_is_captured(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(
        "import json\nimport yaml.nodes\nfrom numpy import zeros\nfrom . import x\n"
    )
    (tmp_path / "code" / "broken.py").write_text("import pandas\n)")
    assert captured(object(), tmp_path) == {"numpy", "pyyaml"}


def test_the_libraries_inside_a_pipeline_are_captured(wine: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    model = make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=2, verbose=-1)).fit(*wine)
    save_model(model, tmp_path / "model", manager=manager)
    pins = (tmp_path / "model" / "requirements.txt").read_text().splitlines()
    assert [pin.partition("==")[0] for pin in pins] == ["lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "skops"]


@pytest.mark.parametrize("flavor", ["sklearn", "pickle"])
def test_a_module_of_the_users_own_is_named(
    flavor: str,
    wine: Any,
    tmp_path: Path,
    manager: pluggy.PluginManager,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "my_scaling.py").write_text(
        "from sklearn.preprocessing import StandardScaler\nclass MyScaler(StandardScaler): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_scaling", raising=False)
    scaler = importlib.import_module("my_scaling").MyScaler()
    steps = [scaler] if flavor == "sklearn" else [scaler, FunctionTransformer(lambda rows: rows)]
    save_model(make_pipeline(*steps).fit(wine[0]), tmp_path / "model", manager=manager)
    assert "belong to no installed distribution: my_scaling; loading it elsewhere needs them" in caplog.text


def test_a_package_that_several_distributions_share_is_told_by_its_file() -> None:
    from google.protobuf import message

    assert captured(message.Message(), Path("nowhere")) == {"protobuf"}


@pytest.mark.parametrize("content", [b"", b"\x80\x04no pickle", b"PK\x03\x04", b"\x80"])
def test_files_that_only_look_like_something_name_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(content)
    assert captured(object(), tmp_path) == set()


def test_an_archive_of_another_kind_names_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("schema.json", "no json")
        archive.writestr("data.json", "{}")
    assert captured(object(), tmp_path) == set()


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
