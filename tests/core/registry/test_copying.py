"""Copies between registries: the files byte for byte, what is said about them, and once only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ratoon.entities import ModelStatus
from ratoon.errors import Corrupt, InvalidInput, NotFound, RatoonError
from ratoon.manager import make_manager
from ratoon.registry.approvals import approve
from ratoon.registry.copying import copy_version, folder_digest, settings_of_target
from ratoon.registry.promotion import set_alias
from ratoon.stores.sql.database import open_database
from ratoon.tracking.client import Client
from ratoon.tracking.models import download_model, load_model

from ..server.conftest import serve  # noqa: F401 - a fixture
from .conftest import FRAME, Version

PLUGINS = ("ratoon.stores.sql.plugin", "ratoon.stores.rest.plugin", "ratoon.artifacts.plugin")


@pytest.fixture
def target(tmp_path: Path, client: Client) -> Iterator[Client]:
    """A place of work of its own."""
    settings = settings_of_target(client.settings, f"sqlite:///{tmp_path}/other/ratoon.db")
    yield Client(settings, manager=client.manager)
    open_database(settings.tracking_uri).close()


def files(client: Client, uri: str, folder: Path) -> dict[str, bytes]:
    download_model(client, uri, folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_has_the_files_the_tags_the_description_and_its_origin(
    client: Client, target: Client, add: Version, tmp_path: Path
) -> None:
    version = add({"auc": 0.9}, tags={"owner": "ada"})
    client.registry.update_version("wine", 1, description="the first one", tags={"ratoon.evaluation_run": "0" * 32})
    set_alias(client, "wine", "champion", 1)
    approve(client, "wine", 1, reason="in the test registry")
    copied = copy_version(client, "models:/wine@champion", target, alias="challenger")
    assert copied.made and copied.alias == "challenger"
    assert copied.version == target.registry.version_by_alias("wine", "challenger")
    assert copied.version.description == "the first one"
    assert copied.version.tags == {
        "owner": "ada",
        "ratoon.source.registry": client.settings.registry_uri,
        "ratoon.source.name": "wine",
        "ratoon.source.version": "1",
        "ratoon.source.run_id": version.run_id,
        "ratoon.source.model_id": version.model_id,
        "ratoon.source.user": "ada",
        "ratoon.source.digest": copied.digest,
    }
    there = tmp_path / "there"
    assert files(target, "models:/wine/1", there) == files(client, "models:/wine/1", tmp_path / "here")
    assert folder_digest(there) == copied.digest
    answers = load_model("models:/wine@challenger", client=target).predict(FRAME)
    assert answers.tolist() == load_model("models:/wine/1", client=client).predict(FRAME).tolist()
    (move,) = target.registry.alias_history("wine", "challenger")
    assert (move.to_version, move.reason) == (1, "copied from models:/wine@champion")


def test_a_second_copy_changes_nothing_and_says_so(client: Client, target: Client, add: Version) -> None:
    add()
    add(model=lambda frame: frame["sugar"], flavor="python_function")
    first = copy_version(client, "models:/wine/1", target, alias="champion")
    again = copy_version(client, "models:/wine/1", target, alias="champion")
    assert (again.made, again.alias, again.version) == (False, None, first.version)
    moved = copy_version(client, "models:/wine/1", target, alias="challenger")
    assert (moved.made, moved.alias, moved.version.version) == (False, "challenger", 1)
    assert copy_version(client, "models:/wine/2", target).version.version == 2
    other = copy_version(client, "models:/wine/1", target, name="cider")
    assert (other.made, other.version.name, other.version.version) == (True, "cider", 1)


def test_a_file_that_was_changed_is_not_copied(client: Client, target: Client, add: Version) -> None:
    version = add()
    root = client.tracking.get_model(str(version.model_id)).artifact_uri.split(":/")[1].strip("/")
    client.artifacts.write(f"{root}/requirements.txt", io.BytesIO(b"evil\n"))
    with pytest.raises(Corrupt, match=r"requirements\.txt"):
        copy_version(client, "models:/wine/1", target)
    with pytest.raises(NotFound):
        target.registry.get_registered_model("wine")


def test_a_copy_that_breaks_off_leaves_no_version(client: Client, target: Client, add: Version, tmp_path: Path) -> None:
    add()

    (tmp_path / "file").touch()
    settings = settings_of_target(client.settings, target.settings.tracking_uri, artifact_root=f"{tmp_path}/file/x")
    broken = Client(settings, manager=client.manager)
    with pytest.raises((OSError, RatoonError), match="file/x"):
        copy_version(client, "models:/wine/1", broken)
    assert [model.status for model in target.tracking.search_models().items] == [ModelStatus.FAILED]
    with pytest.raises(NotFound):
        target.registry.get_registered_model("wine")


def test_only_versions_are_copied_and_only_where_files_can_go(client: Client, target: Client, add: Version) -> None:
    version = add()
    for uri in (f"models:/{version.model_id}", f"runs:/{version.run_id}/model", "some/folder"):
        with pytest.raises(InvalidInput, match="names no version"):
            copy_version(client, uri, target)
    with pytest.raises(NotFound, match="held by no version"):
        copy_version(client, "models:/wine@champion", target)
    with pytest.raises(InvalidInput, match="'postgresql://…@h/db' does not say where files are kept"):
        settings_of_target(client.settings, "postgresql://u:secret@h/db")
    given = settings_of_target(client.settings, "postgresql://h/db", artifact_root="/data/files")
    assert (given.artifact_root, given.registry_uri) == ("/data/files", "postgresql://h/db")


def test_a_copy_goes_to_a_server(
    client: Client,
    target: Client,
    add: Version,
    serve: Any,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    add(tags={"owner": "ada"})
    api = serve(target)
    remote = Client(
        settings_of_target(client.settings, api.url),
        manager=make_manager(builtins=PLUGINS, installed=False),
    )
    copied = copy_version(client, "models:/wine/1", remote, alias="champion")
    assert copied.made and copied.version.tags["owner"] == "ada"
    assert files(target, "models:/wine@champion", tmp_path / "there") == files(
        client, "models:/wine/1", tmp_path / "here"
    )
    assert not copy_version(client, "models:/wine/1", remote, alias="champion").made
