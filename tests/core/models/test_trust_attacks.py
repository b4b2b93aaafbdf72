"""Folders that somebody made to hurt whoever loads them: each is refused with a message, and nothing in them runs.

A canary is a file that is written as soon as anything runs; no test leaves one.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pluggy
import pytest
import yaml

from ratoon.errors import Corrupt, RatoonError, Untrusted
from ratoon.models.digests import write_manifest
from ratoon.models.inspection import inspect_folder
from ratoon.models.loading import load_folder
from ratoon.models.trust import TrustLevel


@pytest.fixture(autouse=True)
def nothing_ran(canary: Any) -> Iterator[None]:
    yield
    assert not canary.path.exists(), "something in the folder ran"


def change(folder: Path, **flavor: Any) -> None:
    """Rewrite the MLmodel file and, as whoever replaces a folder can, the digests."""
    plain = yaml.safe_load((folder / "MLmodel").read_text())
    plain["flavors"]["sklearn"] |= flavor
    (folder / "MLmodel").write_text(yaml.safe_dump(plain))
    write_manifest(folder)


def rewrite_archive(path: Path, edit: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    edit(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("trust", [None, "code"])
@pytest.mark.parametrize("name", ["model.skops", "MLmodel", "requirements.txt", "conda.yaml"])
def test_a_flipped_byte(name: str, trust: str | None, saved: Path, manager: pluggy.PluginManager) -> None:
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(Corrupt, match=name):
        load_folder(saved, manager=manager, trust=trust)


def test_a_flipped_byte_in_the_digests(saved: Path, manager: pluggy.PluginManager) -> None:
    whole = (saved / "digests.json").read_bytes()
    for position in range(0, len(whole), 29):
        changed = bytearray(whole)
        changed[position] ^= 1
        (saved / "digests.json").write_bytes(changed)
        with pytest.raises(Corrupt):
            load_folder(saved, manager=manager, trust="code")


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_a_command(
    protocol: int, saved: Path, canary: Any, manager: pluggy.PluginManager
) -> None:
    (saved / "model.skops").write_bytes(pickle.dumps(canary, protocol))
    for serialization in ("skops", "pickle", "cloudpickle", "joblib"):
        change(saved, serialization_format=serialization)
        with pytest.raises((Untrusted, Corrupt)):
            load_folder(saved, manager=manager)


def test_a_pickle_that_an_mlmodel_file_calls_trusted(saved: Path, canary: Any, manager: pluggy.PluginManager) -> None:
    (saved / "model.pkl").write_bytes(pickle.dumps(canary))
    change(
        saved,
        pickled_model="model.pkl",
        serialization_format="pickle",
        skops_trusted_types=["pathlib.Path"],
        trust="code",
        trusted=True,
    )
    with pytest.raises(Untrusted, match='trust="code"'):
        load_folder(saved, manager=manager)


@pytest.mark.parametrize("loader", ["antigravity", "os", "canary_module", "mlflow.sklearn;os", "ratoon.models.trust"])
def test_a_foreign_loader_module(
    loader: str, tmp_path: Path, canary: Any, manager: pluggy.PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "canary_module.py").write_text(f"open({str(canary.path)!r}, 'w').write('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "model"
    folder.mkdir()
    entry = {"loader_module": loader, "data": ".", "code": ".", "env": "conda.yaml"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry}}))
    for trust in (None, ["os.system"], "code"):
        with pytest.raises(Untrusted, match="asks for the module"):
            load_folder(folder, manager=manager, trust=trust)
    assert "canary_module" not in sys.modules
    assert "asks for the module" in inspect_folder(folder, manager=manager).problems[0]


def test_code_beside_the_model_is_not_imported(saved: Path, canary: Any, manager: pluggy.PluginManager) -> None:
    (saved / "code").mkdir()
    for name in ("sklearn.py", "numpy.py", "sitecustomize.py"):
        (saved / "code" / name).write_text(f"open({str(canary.path)!r}, 'w').write('imported')")
    change(saved, code="code")
    before = list(sys.path)
    load_folder(saved, manager=manager)
    assert sys.path == before


@pytest.mark.parametrize("name", ["../outside.pkl", "/etc/passwd", "..", "a/../../outside.pkl", "..\\outside.pkl", "."])
def test_a_name_that_leads_out_of_the_folder(name: str, saved: Path, manager: pluggy.PluginManager) -> None:
    (saved.parent / "outside.pkl").write_bytes((saved / "model.skops").read_bytes())
    change(saved, pickled_model=name)
    with pytest.raises(Corrupt):
        load_folder(saved, manager=manager, trust="code")


@pytest.mark.parametrize("where", ["top", "inside", "folder"])
def test_a_symlink(where: str, saved: Path, manager: pluggy.PluginManager) -> None:
    (saved.parent / "outside").mkdir()
    (saved.parent / "outside" / "model.skops").write_bytes((saved / "model.skops").read_bytes())
    if where == "top":
        (saved / "model.skops").unlink()
        (saved / "model.skops").symlink_to(saved.parent / "outside" / "model.skops")
    elif where == "inside":
        (saved / "deep").mkdir()
        (saved / "deep" / "link").symlink_to("/etc/passwd")
    else:
        (saved / "deep").symlink_to(saved.parent / "outside", target_is_directory=True)
    for act in (load_folder, inspect_folder):
        with pytest.raises(Corrupt, match="is a symlink"):
            act(saved, manager=manager)


def test_a_yaml_bomb(saved: Path, manager: pluggy.PluginManager) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    (saved / "MLmodel").write_text("\n".join([*lines, "flavors: {sklearn: {}}"]))
    write_manifest(saved)
    with pytest.raises(Corrupt, match="anchor or alias"):
        load_folder(saved, manager=manager)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch CANARY']",
        "flavors: !!python/object/new:pathlib.Path [CANARY]",
        "flavors: " + "[" * 5000,
        "flavors: {sklearn: {x: " + "9" * 5000 + "}}",
        "flavors: {a: 2026-13-45}",
        "flavors: " + "x" * (1024 * 1024),
    ],
)
def test_yaml_that_is_not_plain(text: str, saved: Path, canary: Any, manager: pluggy.PluginManager) -> None:
    (saved / "MLmodel").write_text(text.replace("CANARY", str(canary.path)))
    write_manifest(saved)
    with pytest.raises(Corrupt):
        load_folder(saved, manager=manager)


def test_a_skops_file_with_types_that_nobody_knows(saved: Path, canary: Any, manager: pluggy.PluginManager) -> None:
    def edit(members: dict[str, bytes]) -> None:
        schema = json.loads(members["schema.json"])
        schema |= {"__module__": "os", "__class__": "system"}
        members["schema.json"] = json.dumps(schema).encode()

    rewrite_archive(saved / "model.skops", edit)
    change(saved, skops_trusted_types=["os.system"])
    with pytest.raises(Untrusted, match=r"'os\.system'"):
        load_folder(saved, manager=manager)
    found = inspect_folder(saved, manager=manager)
    assert (found.level, found.trust) == (TrustLevel.TYPES, ("os.system",))


@pytest.mark.parametrize("name", ["../escaped.npy", "/tmp/escaped.npy", "a/../../escaped.npy"])
def test_an_archive_with_names_that_lead_out(name: str, saved: Path, manager: pluggy.PluginManager) -> None:
    def edit(members: dict[str, bytes]) -> None:
        (first, *_) = [member for member in members if member.endswith(".npy")]
        members[name] = members.pop(first)
        members["schema.json"] = members["schema.json"].replace(first.encode(), name.encode())

    before = set(saved.parent.rglob("*"))
    rewrite_archive(saved / "model.skops", edit)
    write_manifest(saved)
    try:
        load_folder(saved, manager=manager)  # skops reads members and never writes one
    except RatoonError:
        pass
    assert set(saved.parent.rglob("*")) == before and not Path("/tmp/escaped.npy").exists()


def array_with_a_pickle(canary: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([canary], dtype=object), allow_pickle=True)
    return stream.getvalue()


def test_a_pickle_inside_of_an_array_in_an_archive(saved: Path, canary: Any, manager: pluggy.PluginManager) -> None:
    def edit(members: dict[str, bytes]) -> None:
        for name in members:
            if name.endswith(".npy"):
                members[name] = array_with_a_pickle(canary)

    rewrite_archive(saved / "model.skops", edit)
    write_manifest(saved)
    with pytest.raises(RatoonError):
        load_folder(saved, manager=manager)


def test_a_pickle_inside_of_an_array_is_shown(saved: Path, canary: Any, manager: pluggy.PluginManager) -> None:
    (saved / "plain.npy").write_bytes(b"")
    np.save(saved / "plain.npy", np.arange(3))
    (saved / "objects.npy").write_bytes(array_with_a_pickle(canary))
    np.savez(saved / "plain.npz", a=np.arange(3))
    np.savez(saved / "objects.npz", a=np.arange(3), b=np.array([None], dtype=object))
    write_manifest(saved)
    needs = {file.path: file.need for file in inspect_folder(saved, manager=manager).files if file.need}
    for form in ("npy", "npz"):
        assert needs[f"plain.{form}"].level is TrustLevel.DATA
        assert needs[f"objects.{form}"].level is TrustLevel.CODE


def test_an_archive_that_is_a_bomb_is_not_unpacked(saved: Path, manager: pluggy.PluginManager) -> None:
    with zipfile.ZipFile(saved / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 2**20 + b"not json")
    write_manifest(saved)
    with pytest.raises(RatoonError):
        load_folder(saved, manager=manager)
    need = next(file.need for file in inspect_folder(saved, manager=manager).files if file.path == "model.skops")
    assert need is not None and need.format == "damaged"
