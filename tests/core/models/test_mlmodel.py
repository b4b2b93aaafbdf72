from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ratoon.errors import Corrupt, InvalidInput
from ratoon.models.mlmodel import MAX_BYTES, ModelInfo, data_file, read_mlmodel, write_mlmodel

BY_MLFLOW = """\
flavors:
  sklearn:
    code: null
    pickled_model: model.skops
    serialization_format: skops
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_id: null
model_size_bytes: 32122
model_uuid: 0a8c4abe41ce4a94a31d3dade0e3d804
prompts: null
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}]'
  outputs: null
  params: null
utc_time_created: '2026-11-23 14:50:33.426511'
"""


def written(folder: Path, text: str | bytes) -> Path:
    (folder / "MLmodel").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_a_file_of_mlflow_survives_the_round_trip(tmp_path: Path) -> None:
    info = read_mlmodel(written(tmp_path, BY_MLFLOW))
    assert info.model_size_bytes == 32122
    assert info.extra == {"is_signature_from_type_hint": False, "mlflow_version": "3.17.2", "prompts": None}
    write_mlmodel(info, tmp_path)
    before, after = yaml.safe_load(BY_MLFLOW), yaml.safe_load((tmp_path / "MLmodel").read_text())
    assert after == {key: value for key, value in before.items() if key != "model_id"}
    assert read_mlmodel(tmp_path) == info


def test_keys_are_sorted(tmp_path: Path) -> None:
    write_mlmodel(ModelInfo(flavors={"b": {}, "a": {}}, run_id="r", artifact_path="p"), tmp_path)
    assert (tmp_path / "MLmodel").read_text() == "artifact_path: p\nflavors:\n  a: {}\n  b: {}\nrun_id: r\n"


def test_a_value_that_occurs_twice_is_written_without_an_alias(tmp_path: Path) -> None:
    shared = {"team": ["fraud"]}
    write_mlmodel(ModelInfo(flavors={}, metadata={"one": shared, "two": shared}), tmp_path)
    assert read_mlmodel(tmp_path).metadata == {"one": shared, "two": shared}


def test_a_time_without_quotes_is_a_string(tmp_path: Path) -> None:
    info = read_mlmodel(written(tmp_path, "flavors: {}\nutc_time_created: 2020-01-02 03:04:05.000006\n"))
    assert info.utc_time_created == "2020-01-02 03:04:05.000006"


def test_a_folder_without_the_file_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no model .* give the folder"):
        read_mlmodel(tmp_path)


@pytest.mark.parametrize("text", ["flavors: &a {x: {}}\n", "flavors: {}\nmetadata: {a: &x [1], b: *x}\n"])
def test_anchors_and_aliases_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Corrupt, match=r"MLmodel' has a YAML anchor or alias in line \d"):
        read_mlmodel(written(tmp_path, text))


def test_a_yaml_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(Corrupt, match="anchor"):
        read_mlmodel(written(tmp_path, "\n".join(lines)))


def test_a_file_over_one_mebibyte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="too large"):
        read_mlmodel(written(tmp_path, "flavors: {}\n#" + "x" * MAX_BYTES))


@pytest.mark.parametrize(
    "text",
    [
        "flavors: !!python/object/apply:os.system [echo]",
        "flavors: [",
        "a: 2020-13-45",
        "flavors: {}\nx: " + "9" * 5000,
        "a: " + "[" * 5000,
        "\0",
    ],
)
def test_what_is_no_plain_yaml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Corrupt, match="MLmodel' is no plain YAML"):
        read_mlmodel(written(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "just text",
        "run_id: x",
        "flavors: []",
        "flavors: {a: 1}",
        "flavors: {}\nrun_id: [1]",
        "flavors: {1: {}}",
    ],
)
def test_what_lacks_flavors_or_has_wrong_types_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Corrupt, match="MLmodel' is no MLmodel file"):
        read_mlmodel(written(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="not UTF-8"):
        read_mlmodel(written(tmp_path, b"\xff\xfe"))


def test_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("flavors: {}")
    (tmp_path / "MLmodel").symlink_to(tmp_path / "real")
    with pytest.raises(Corrupt, match="is a symlink"):
        read_mlmodel(tmp_path)


def test_a_later_format_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="format 2 .* update ratoon"):
        read_mlmodel(written(tmp_path, "flavors: {}\nratoon: {format: 2}\n"))


@pytest.mark.parametrize("value", [object(), {1, 2}.__iter__()])
def test_metadata_without_a_plain_form_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(InvalidInput, match="no plain YAML form"):
        write_mlmodel(ModelInfo(flavors={}, metadata={"x": value}), tmp_path)


def test_what_would_be_too_large_to_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="give arrays instead of data frames"):
        write_mlmodel(ModelInfo(flavors={}, metadata={"x": "y" * MAX_BYTES}), tmp_path)
    assert not (tmp_path / "MLmodel").exists()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "..\\x"])
def test_a_data_file_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Corrupt, match="outside the model"):
        data_file(tmp_path, name)


@pytest.mark.parametrize("name", [None, "", 3, ["a"]])
def test_a_data_file_must_be_named(tmp_path: Path, name: object) -> None:
    with pytest.raises(Corrupt, match="does not say which file"):
        data_file(tmp_path, name)


def test_a_data_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match=r"'model\.skops' .* is missing"):
        data_file(tmp_path, "model.skops")
    (tmp_path / "model.skops").touch()
    assert data_file(tmp_path, "model.skops") == tmp_path / "model.skops"
