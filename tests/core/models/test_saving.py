from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest

from ratoon.errors import InvalidInput
from ratoon.models.digests import verify_manifest
from ratoon.models.mlmodel import read_mlmodel
from ratoon.models.saving import save_model
from ratoon.models.signature import ColSpec, Signature
from ratoon.version import __version__


def test_the_files_of_a_model(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [
        "MLmodel",
        "conda.yaml",
        "digests.json",
        "input_example.json",
        "model.skops",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    ]
    assert verify_manifest(saved)
    pins = (saved / "requirements.txt").read_text().splitlines()
    assert [pin.partition("==")[0] for pin in pins] == ["numpy", "pandas", "scikit-learn", "scipy", "skops"]


def test_what_the_mlmodel_file_says(pipeline: Any, wine: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    info = save_model(
        pipeline,
        tmp_path / "model",
        manager=manager,
        metadata={"team": "fraud"},
        model_id="m-0123",
        run_id="4567",
        artifact_path="model",
    )
    assert read_mlmodel(tmp_path / "model") == info
    assert (info.model_id, info.model_uuid, info.run_id, info.artifact_path) == ("m-0123", "m-0123", "4567", "model")
    assert info.metadata == {"team": "fraud"} and info.ratoon == {"format": 1, "version": __version__}
    assert info.model_size_bytes == (tmp_path / "model" / "model.skops").stat().st_size
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", info.utc_time_created or "")
    assert info.signature is None and info.saved_input_example_info is None


def test_the_signature_comes_from_the_example_and_the_models_own_predictions(saved: Path, wine: Any) -> None:
    signature = Signature.from_mlflow(read_mlmodel(saved).signature or {})
    assert signature.inputs == tuple(ColSpec(type="double", name=name) for name in wine[0].columns)
    assert signature.outputs == (ColSpec(type="long"),)


def test_five_rows_of_the_example_are_kept(saved: Path, wine: Any) -> None:
    split = json.loads((saved / "input_example.json").read_text())
    assert split == {"columns": list(wine[0].columns), "data": wine[0].head().to_numpy().tolist()}


def test_a_gap_below_the_fifth_row_counts(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    frame = pd.DataFrame({"a": [1.0] * 9 + [np.nan]})
    info = save_model(lambda data: data["a"], tmp_path / "model", manager=manager, input_example=frame)
    assert info.signature is not None and '"required": false' in info.signature["inputs"]


def test_a_given_signature_wins(pipeline: Any, wine: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    given = Signature(inputs=(ColSpec(type="double", name="a"),))
    info = save_model(pipeline, tmp_path / "m", manager=manager, input_example=wine[0], signature=given)
    assert info.signature == given.to_mlflow()


def test_a_flavor_may_be_named(pipeline: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    assert list(save_model(pipeline, tmp_path / "m", manager=manager, flavor="python_function").flavors) == [
        "python_function"
    ]
    with pytest.raises(InvalidInput, match="flavor 'torch' is unknown; known are: sklearn, python_function"):
        save_model(pipeline, tmp_path / "n", manager=manager, flavor="torch")


def test_an_empty_folder_will_do(pipeline: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    (tmp_path / "model").mkdir()
    save_model(pipeline, tmp_path / "model", manager=manager)
    assert verify_manifest(tmp_path / "model")


def test_missing_parents_are_made(pipeline: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    save_model(pipeline, tmp_path / "a" / "b", manager=manager)
    assert verify_manifest(tmp_path / "a" / "b")


def test_a_folder_in_use_is_refused_and_left_alone(pipeline: Any, saved: Path, manager: pluggy.PluginManager) -> None:
    with pytest.raises(InvalidInput, match="cannot hold a model .it is not empty"):
        save_model(pipeline, saved, manager=manager)
    assert verify_manifest(saved)


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_what_is_no_folder_is_refused(kind: str, pipeline: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    (tmp_path / "empty").mkdir()
    if kind == "file":
        (tmp_path / "model").touch()
    else:
        (tmp_path / "model").symlink_to(tmp_path / "empty")
    with pytest.raises(InvalidInput, match="cannot hold a model"):
        save_model(pipeline, tmp_path / "model", manager=manager)
    assert (tmp_path / "model").exists()


@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_leaves_no_trace(existed: bool, pipeline: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    folder = tmp_path / "model"
    if existed:
        folder.mkdir()
    with pytest.raises(InvalidInput, match="no plain YAML form"):
        save_model(pipeline, folder, manager=manager, metadata={"x": object()})
    assert folder.exists() is existed and not any(tmp_path.rglob("*.*"))


def test_a_model_that_fails_on_its_example_is_refused(
    pipeline: Any, wine: Any, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    with pytest.raises(InvalidInput, match="'Pipeline' fails on its own input example .ValueError"):
        save_model(pipeline, tmp_path / "model", manager=manager, input_example=wine[0].iloc[:, :3])
    assert not (tmp_path / "model").exists()


def test_outputs_that_no_schema_stands_for_are_left_out(
    tmp_path: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    info = save_model(lambda data: {1.0}, tmp_path / "m", manager=manager, input_example=[{"a": 1}])
    assert info.signature is not None and info.signature["outputs"] is None
    assert "the model's outputs are not described" in caplog.text


def test_the_example_is_tried_in_the_form_that_a_loaded_model_gets(
    tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    info = save_model(lambda data: data["a"] * 2, tmp_path / "m", manager=manager, input_example={"a": [1, 2]})
    assert info.signature is not None
    assert info.signature["outputs"] == '[{"type": "long", "name": "a", "required": true}]'
