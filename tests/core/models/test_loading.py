from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pluggy
import pytest
import yaml
from msgspec import structs

from ratoon.errors import Corrupt, InvalidInput
from ratoon.models.digests import write_manifest
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import read_mlmodel, write_mlmodel
from ratoon.models.saving import save_model
from ratoon.models.signature import ColSpec, Signature


def test_importing_costs_no_heavy_library() -> None:
    code = (
        "import sys, ratoon.models.loading, ratoon.models.saving, ratoon.models.flavors.sklearn\n"
        "import ratoon.models.flavors.python_function\n"
        "sys.exit(', '.join({'numpy', 'pandas', 'sklearn', 'skops', 'cloudpickle'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_is_loaded_in_a_fresh_process(saved: Path, pipeline: Any, wine: Any, tmp_path: Path) -> None:
    wine[0].to_csv(tmp_path / "wine.csv", index=False)
    code = f"""
import pandas as pd
from pathlib import Path
from ratoon.manager import make_manager
from ratoon.models.loading import load_folder
manager = make_manager(builtins=["ratoon.models.flavors.sklearn"], installed=False)
model = load_folder(Path({str(saved)!r}), manager=manager)
print(*model.predict(pd.read_csv({str(tmp_path / "wine.csv")!r})))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [int(word) for word in result.stdout.split()] == pipeline.predict(wine[0]).tolist()


def test_what_a_loaded_model_tells(saved: Path, manager: pluggy.PluginManager) -> None:
    loaded = load_folder(saved, manager=manager)
    assert repr(loaded) == "<LoadedModel of flavor 'sklearn': Pipeline>"
    assert loaded.info.ratoon is not None and loaded.verified and loaded.signature is not None


def test_every_form_of_data_gets_the_same_answer(
    saved: Path, pipeline: Any, wine: Any, manager: pluggy.PluginManager
) -> None:
    frame = wine[0]
    expected = pipeline.predict(frame)
    loaded = load_folder(saved, manager=manager)
    for data in (
        frame,
        frame[frame.columns[::-1]].assign(extra=1),
        frame.to_numpy(),
        frame.to_dict("records"),
        frame.to_dict("list"),
        frame.to_numpy().tolist(),
    ):
        np.testing.assert_array_equal(loaded.predict(data), expected)


def test_data_that_does_not_fit_is_refused(saved: Path, wine: Any, manager: pluggy.PluginManager) -> None:
    loaded = load_folder(saved, manager=manager)
    with pytest.raises(InvalidInput, match="column 'ash' of the model's input is missing"):
        loaded.predict(wine[0].drop(columns="ash"))
    with pytest.raises(InvalidInput, match="column 'ash' .*expected double, given string"):
        loaded.predict(wine[0].astype({"ash": str}))


@pytest.mark.parametrize("name", ["model.skops", "MLmodel", "requirements.txt", "input_example.json"])
def test_one_changed_byte_is_refused_with_the_files_name(name: str, saved: Path, manager: pluggy.PluginManager) -> None:
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(Corrupt, match=f"'{name}' .* was changed"):
        load_folder(saved, manager=manager, trust="code")


def test_a_list_stays_one_where_a_type_hint_of_mlflow_says_so(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    def shout(model_input: list[str]) -> list[str]:
        return [each.upper() for each in model_input]

    folder = tmp_path / "model"
    save_model(shout, folder, manager=manager, signature=Signature(inputs=(ColSpec(type="string"),)))
    hinted = structs.replace(read_mlmodel(folder), extra={"is_signature_from_type_hint": True})
    write_mlmodel(hinted, folder)
    write_manifest(folder)
    model = load_folder(folder, manager=manager, trust="code")
    assert model.predict(["a", "b"]) == ["A", "B"]
    with pytest.raises(InvalidInput, match="string"):
        model.predict([1, 2])


def test_a_symlink_is_refused(saved: Path, manager: pluggy.PluginManager) -> None:
    (saved / "code").symlink_to("/etc")
    with pytest.raises(Corrupt, match="'code' .* is a symlink"):
        load_folder(saved, manager=manager)


def test_a_model_of_ours_that_lost_its_digests_is_refused(saved: Path, manager: pluggy.PluginManager) -> None:
    (saved / "digests.json").unlink()
    with pytest.raises(Corrupt, match=r"'digests\.json' .* is missing"):
        load_folder(saved, manager=manager)


def test_a_model_of_mlflow_needs_no_digests(saved: Path, wine: Any, manager: pluggy.PluginManager) -> None:
    (saved / "digests.json").unlink()
    plain = yaml.safe_load((saved / "MLmodel").read_text())
    del plain["ratoon"]
    (saved / "MLmodel").write_text(yaml.safe_dump(plain | {"mlflow_version": "3.17.2"}))
    loaded = load_folder(saved, manager=manager)
    assert not loaded.verified and loaded.flavor_name == "sklearn"
    assert len(loaded.predict(wine[0])) == len(wine[0])


def test_the_librarys_own_flavor_is_preferred_and_no_loader_imported(
    saved: Path, manager: pluggy.PluginManager
) -> None:
    (saved / "digests.json").unlink()
    plain = yaml.safe_load((saved / "MLmodel").read_text())
    del plain["ratoon"]
    plain["flavors"]["python_function"]["loader_module"] = "antigravity"
    (saved / "MLmodel").write_text(yaml.safe_dump(plain))
    assert load_folder(saved, manager=manager).flavor_name == "sklearn"
    assert "antigravity" not in sys.modules


def test_a_model_of_unknown_flavors_is_refused(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {prophet: {}, spark: {}}")
    with pytest.raises(
        InvalidInput, match="its flavors are 'prophet', 'spark', known are 'sklearn', 'python_function'"
    ):
        load_folder(tmp_path, manager=manager)


def test_a_signature_that_cannot_be_read_is_refused(saved: Path, manager: pluggy.PluginManager) -> None:
    (saved / "digests.json").unlink()
    plain = yaml.safe_load((saved / "MLmodel").read_text())
    del plain["ratoon"]
    (saved / "MLmodel").write_text(yaml.safe_dump(plain | {"signature": {"inputs": "{"}}))
    with pytest.raises(Corrupt, match="signature of the model cannot be read"):
        load_folder(saved, manager=manager)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        load_folder(tmp_path / "nowhere", manager=manager)
    with pytest.raises(InvalidInput, match="is no model"):
        load_folder(tmp_path, manager=manager)


def test_trust_is_checked_before_anything_is_read(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    with pytest.raises(InvalidInput, match="trust 'all' cannot be used"):
        load_folder(tmp_path, manager=manager, trust="all")
