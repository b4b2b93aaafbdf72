from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pluggy
import pytest
import yaml
from sklearn.preprocessing import FunctionTransformer

from ratoon.errors import Corrupt, InvalidInput, RatoonError
from ratoon.hookspecs import hookimpl
from ratoon.manager import make_manager
from ratoon.models.digests import write_manifest
from ratoon.models.imported import names_in_pickle
from ratoon.models.inspection import inspect_folder
from ratoon.models.needs import Need, need_of
from ratoon.models.saving import save_model
from ratoon.models.trust import TrustLevel


def states(folder: Path, manager: pluggy.PluginManager) -> dict[str, str]:
    return {file.path: file.state for file in inspect_folder(folder, manager=manager).files}


def test_a_model_that_is_only_data(saved: Path, manager: pluggy.PluginManager) -> None:
    found = inspect_folder(saved, manager=manager)
    assert (found.flavors, found.loaded_by) == (("python_function", "sklearn"), "sklearn")
    assert (found.level, found.trust, found.verified, found.problems) == (TrustLevel.DATA, None, True, ())
    assert found.made_by.startswith("ratoon ")
    assert {file.state for file in found.files} == {"verified"} and "digests.json" not in {f.path for f in found.files}
    assert any(line.startswith("scikit-learn==") for line in found.requirements)


def test_a_model_that_runs_code(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    save_model(FunctionTransformer(lambda rows: rows), tmp_path / "m", manager=manager)
    found = inspect_folder(tmp_path / "m", manager=manager)
    assert (found.level, found.trust) == (TrustLevel.CODE, "code")
    (need,) = [file.need for file in found.files if file.path == "model.pkl"]
    assert need is not None and "sklearn.preprocessing._function_transformer.FunctionTransformer" in need.names


def test_what_became_of_each_file(saved: Path, manager: pluggy.PluginManager) -> None:
    (saved / "model.skops").write_bytes(b"x")
    (saved / "extra.txt").touch()
    (saved / "conda.yaml").unlink()
    (saved / "registered_model_meta").touch()
    found = inspect_folder(saved, manager=manager)
    assert not found.verified
    assert found.problems == (
        "file 'extra.txt' was added after the model was saved",
        "file 'model.skops' was changed after the model was saved",
        "file 'conda.yaml' is missing",
    ) or set(found.problems) == {
        "file 'extra.txt' was added after the model was saved",
        "file 'model.skops' was changed after the model was saved",
        "file 'conda.yaml' is missing",
    }
    assert states(saved, manager)["conda.yaml"] == "missing"


def test_a_model_without_digests(saved: Path, manager: pluggy.PluginManager) -> None:
    (saved / "digests.json").unlink()
    found = inspect_folder(saved, manager=manager)
    assert not found.verified and found.problems == ("file 'digests.json' is missing, so nothing can be verified",)
    plain = yaml.safe_load((saved / "MLmodel").read_text())
    del plain["ratoon"]
    (saved / "MLmodel").write_text(yaml.safe_dump(plain | {"mlflow_version": "3.17.2"}))
    found = inspect_folder(saved, manager=manager)
    assert (found.made_by, found.problems) == ("mlflow 3.17.2", ())


def test_a_model_that_nothing_here_loads(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {prophet: {}}")
    found = inspect_folder(tmp_path, manager=manager)
    assert found.loaded_by is None and found.problems == ("none of its flavors (prophet) is known here",)
    assert found.requirements == ()


def test_a_folder_of_which_nothing_can_be_told(saved: Path, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    with pytest.raises(InvalidInput, match="is no model"):
        inspect_folder(tmp_path / "nowhere", manager=manager)
    (saved / "digests.json").write_text("{")
    with pytest.raises(Corrupt, match=r"digests\.json"):
        inspect_folder(saved, manager=manager)


def test_requirements_that_are_no_text(saved: Path, manager: pluggy.PluginManager) -> None:
    (saved / "requirements.txt").write_bytes(b"\xff")
    with pytest.raises(Corrupt, match=r"requirements\.txt"):
        inspect_folder(saved, manager=manager)


class Talkative:
    """A flavor that knows more about its files than their bytes tell."""

    requirements = ()

    def __init__(self, error: RatoonError | None = None) -> None:
        self.error = error

    def needs(self, folder: Path, config: Mapping[str, Any]) -> Iterable[Need]:
        if self.error:
            raise self.error
        yield Need(file=config["file"], format="special", level=TrustLevel.TYPES, reason="so it is", names=("a.B",))

    @hookimpl
    def register_flavors(self, register: Any) -> None:
        register("talkative", self)


def test_a_flavor_may_say_more(tmp_path: Path) -> None:
    manager = make_manager([Talkative()], builtins=(), installed=False)
    (tmp_path / "MLmodel").write_text("flavors: {talkative: {file: data.bin}}")
    (tmp_path / "data.bin").write_bytes(pickle.dumps(3))
    (tmp_path / "other.txt").touch()
    found = inspect_folder(tmp_path, manager=manager)
    needs = {file.path: file.need for file in found.files}
    assert needs["data.bin"] == Need(
        file="data.bin", format="special", level=TrustLevel.TYPES, reason="so it is", names=("a.B",)
    )
    assert needs["other.txt"] == Need(file="other.txt", format="txt")
    assert (found.level, found.trust) == (TrustLevel.TYPES, ("a.B",))


def test_a_flavor_that_refuses_is_heard(tmp_path: Path) -> None:
    manager = make_manager([Talkative(Corrupt("the file is odd"))], builtins=(), installed=False)
    (tmp_path / "MLmodel").write_text("flavors: {talkative: {}}")
    assert inspect_folder(tmp_path, manager=manager).problems == ("the file is odd",)


# --- files, judged by their bytes


def archive(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)


def test_pickles_are_known_whatever_their_name(tmp_path: Path) -> None:
    for protocol in range(2, 6):
        (tmp_path / "weights.bin").write_bytes(pickle.dumps(print, protocol))
        need = need_of(tmp_path, "weights.bin")
        assert (need.format, need.level) == ("pickle", TrustLevel.CODE)
        assert need.names in (("builtins.print",), ("__builtin__.print",))
    (tmp_path / "weights.bin").write_bytes(b"\x80\x04 is how some numbers begin")
    assert need_of(tmp_path, "weights.bin").level is TrustLevel.DATA
    (tmp_path / "model.pkl").write_bytes(b"no pickle")
    assert need_of(tmp_path, "model.pkl").names == ("?",)


def test_names_are_found_behind_the_memo() -> None:
    class Thing:
        def __reduce__(self) -> Any:
            return eval, ("1",)

    assert names_in_pickle(pickle.dumps([Thing(), Thing(), print], 4)) == ["builtins.eval", "builtins.print"]
    assert names_in_pickle(b"cos\nsystem\n.") == ["os.system"]
    assert names_in_pickle(b"(S'x'\nios\nsystem\n.") == ["os.system"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "C:x"])
def test_archives_that_lead_out(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as file:
        file.writestr(name, b"")
    need = need_of(tmp_path, "model.pt2")
    assert need.level is TrustLevel.CODE and "lead out of the folder" in need.reason


def test_archives_with_a_pickle(tmp_path: Path) -> None:
    archive(tmp_path / "model.pt", **{"archive/data__pkl": pickle.dumps(print, 4), "archive/data/0": b"00"})
    need = need_of(tmp_path, "model.pt")
    assert (need.format, need.level, need.names) == ("archive with a pickle", TrustLevel.CODE, ("builtins.print",))
    archive(tmp_path / "plain.zip", data=b"00")
    assert need_of(tmp_path, "plain.zip").level is TrustLevel.DATA


@pytest.mark.parametrize(
    ("layer", "level", "names"),
    [
        ({"module": "keras.layers", "class_name": "Dense"}, TrustLevel.DATA, ()),
        ({"module": "keras.layers", "class_name": "Lambda"}, TrustLevel.CODE, ("Lambda",)),
        ({"class_name": "__lambda__", "config": {"value": "4wE"}}, TrustLevel.CODE, ("__lambda__",)),
        ({"module": "mine", "class_name": "Layer"}, TrustLevel.TYPES, ("mine.Layer",)),
    ],
)
def test_layers_of_keras(layer: Any, level: TrustLevel, names: tuple[str, ...], tmp_path: Path) -> None:
    plain = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    archive(tmp_path / "model.keras", config__json=json.dumps(plain).encode())
    need = need_of(tmp_path, "model.keras")
    assert (need.level, need.names) == (level, names)


def test_scripts_and_numbers(tmp_path: Path) -> None:
    for name, level in (("code.py", TrustLevel.CODE), ("model.ubj", TrustLevel.DATA), ("empty", TrustLevel.DATA)):
        (tmp_path / name).touch()
        assert need_of(tmp_path, name).level is level


@pytest.mark.parametrize("name", ["model.keras", "model.skops", "model.npz"])
def test_what_cannot_be_looked_through_is_not_called_harmless(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK nothing")
    need = need_of(tmp_path, name)
    assert (need.format, need.level) == ("damaged", TrustLevel.CODE)


def test_types_of_skops_are_told_where_skops_is_missing(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skops.io", None)
    need = need_of(saved, "model.skops")
    assert need.level is TrustLevel.TYPES and "sklearn.pipeline.Pipeline" in need.names


def test_digests_that_were_made_anew_do_not_make_it_harmless(saved: Path, manager: pluggy.PluginManager) -> None:
    (saved / "model.skops").write_bytes(pickle.dumps(print))
    write_manifest(saved)
    found = inspect_folder(saved, manager=manager)
    assert found.verified and found.level is TrustLevel.CODE
