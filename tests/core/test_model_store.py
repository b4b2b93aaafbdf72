from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ratoon.entities import Model, ModelOutput, ModelStatus, ModelVersion
from ratoon.errors import Corrupt, InvalidInput, NotFound, RatoonError, Untrusted
from ratoon.hookspecs import hookimpl
from ratoon.registry.promotion import set_alias
from ratoon.tracking.client import Client
from ratoon.tracking.models import download_model, load_model, register_model, resolve_version

ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.9, 0.1]])
TARGETS = np.array([0, 1, 0, 1])

MakeClient = Callable[..., Client]


@pytest.fixture(scope="module")
def estimator() -> LogisticRegression:
    return LogisticRegression().fit(ROWS, TARGETS)


@pytest.fixture
def logged(client: Client, estimator: LogisticRegression) -> Model:
    """A stored model, which is version 1 of wine and its champion."""
    with client.start_run() as run:
        model = run.log_model(estimator, "folder/model", input_example=ROWS, register_as="wine")
    set_alias(client, "wine", "champion", 1)
    return model


def blobs(client: Client) -> list[Path]:
    root = Path(client.settings.artifact_root) / "blobs"
    return [path for path in root.rglob("*") if path.is_file()]


def test_a_logged_model_belongs_to_its_run(client: Client, logged: Model) -> None:
    assert logged.status == ModelStatus.READY
    assert logged.source_run_id is not None
    assert client.tracking.run_models(logged.source_run_id) == [logged]
    assert client.tracking.get_run(logged.source_run_id).model_outputs == (ModelOutput(model_id=logged.model_id),)


def test_a_model_predicts_the_same_under_each_of_its_uris(
    client: Client, logged: Model, estimator: LogisticRegression
) -> None:
    uris = (
        f"models:/{logged.model_id}",
        f"runs:/{logged.source_run_id}/folder/model",
        "models:/wine@champion",
        "models:/wine/1",
        "models:/wine/latest",
        "models:/wine",
    )
    for uri in uris:
        loaded = load_model(uri, client=client)
        assert loaded.flavor_name == "sklearn"
        assert list(loaded.predict(ROWS)) == list(estimator.predict(ROWS))


def test_a_downloaded_folder_is_a_model(client: Client, logged: Model, tmp_path: Path) -> None:
    folder = download_model(client, "models:/wine@champion", tmp_path / "model")
    assert (folder / "MLmodel").is_file()
    assert list(load_model(str(folder), client=client).predict(ROWS)) == [0, 1, 0, 1]


def test_a_version_knows_where_it_comes_from(client: Client, logged: Model) -> None:
    version = client.registry.get_version("wine", 1)
    assert (version.source, version.model_id) == (f"models:/{logged.model_id}", logged.model_id)
    assert (version.run_id, version.user_id) == (logged.source_run_id, "ada")


def test_a_version_can_be_made_of_each_uri(client: Client, logged: Model) -> None:
    made = [
        register_model(uri, "beer", client=client, tags={"a": "b"}, description="same")
        for uri in ("models:/wine@champion", f"models:/{logged.model_id}", f"runs:/{logged.source_run_id}/folder/model")
    ]
    assert [(version.version, version.model_id) for version in made] == [(n, logged.model_id) for n in (1, 2, 3)]
    assert made[0].tags == {"a": "b"} and made[0].description == "same"


def test_a_uri_is_resolved_to_the_version_it_stands_for_now(client: Client, logged: Model) -> None:
    register_model("models:/wine/1", "wine", client=client)
    wanted = {"models:/wine@champion": 1, "models:/wine/1": 1, "models:/wine/latest": 2, "models:/wine": 2}
    for uri, version in wanted.items():
        assert resolve_version(client, uri) == client.registry.get_version("wine", version)
    for uri in (f"models:/{logged.model_id}", f"runs:/{logged.source_run_id}/folder/model", "some/folder"):
        assert resolve_version(client, uri) is None


@pytest.mark.parametrize(
    ("model_uri", "message"),
    [
        ("models:/wine@nobody", "champion → version 1"),
        ("models:/wine/2", "the newest is 1"),
        ("models:/wine/0", "version 0 of model 'wine' does not exist"),
        ("models:/beer", "'beer' is not registered"),
        (f"models:/m-{'0' * 32}", "does not exist"),
        (f"runs:/{'0' * 32}/model", "run '0+' does not exist"),
    ],
)
def test_a_model_that_is_not_there_is_not_found(client: Client, logged: Model, model_uri: str, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        load_model(model_uri, client=client)


def test_a_run_that_logged_another_model_says_which(client: Client, logged: Model) -> None:
    with pytest.raises(NotFound, match=r"logged no model 'other' \(it logged: folder/model\)"):
        load_model(f"runs:/{logged.source_run_id}/other", client=client)


def test_a_model_logged_twice_is_the_later_one(client: Client, estimator: LogisticRegression) -> None:
    with client.start_run() as run:
        run.log_model(estimator)
        later = run.log_model(estimator)
    version = register_model(f"runs:/{run.run_id}/model", "wine", client=client)
    assert version.model_id == later.model_id


def test_a_flipped_byte_in_any_file_is_refused(client: Client, logged: Model) -> None:
    for blob in blobs(client):
        content = blob.read_bytes()
        blob.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        with pytest.raises(Corrupt):
            load_model("models:/wine@champion", client=client)
        blob.write_bytes(content)
    assert load_model("models:/wine@champion", client=client).flavor_name == "sklearn"


def test_a_lost_or_replaced_file_is_refused(client: Client, logged: Model) -> None:
    root = logged.artifact_uri.removeprefix("mlflow-artifacts:/")
    skops = next(found.path for found in client.artifacts.list(root) if found.path.endswith(".skops"))
    client.artifacts.delete(f"{root}/{skops}")
    with pytest.raises(Corrupt):
        load_model("models:/wine@champion", client=client)


def test_what_no_flavor_knows_is_refused_and_marked(client: Client) -> None:
    with client.start_run() as run, pytest.raises(InvalidInput, match="is no model"):
        run.log_model(object())
    (model,) = client.tracking.run_models(run.run_id)
    assert model.status == ModelStatus.FAILED
    with pytest.raises(NotFound, match="has no complete files.*UPLOAD_FAILED"):
        register_model(f"models:/{model.model_id}", "wine", client=client)
    with pytest.raises(RatoonError):
        load_model(f"models:/{model.model_id}", client=client)


class Breaking:
    """A flavor of strings whose saving breaks off when half is written."""

    requirements: tuple[str, ...] = ()

    def recognises(self, model: object) -> bool:
        return isinstance(model, str)

    def save(self, model: str, folder: Path) -> Mapping[str, Any]:
        (folder / "half").write_text(model)
        raise KeyboardInterrupt

    @hookimpl
    def register_flavors(self, register: Callable[[str, object], None]) -> None:
        register("breaking", self)


def test_a_model_whose_saving_breaks_off_is_marked_and_leaves_no_version(make_client: MakeClient) -> None:
    client = make_client(Breaking())
    with pytest.raises(KeyboardInterrupt), client.start_run() as run:
        run.log_model("text", register_as="wine")
    (model,) = client.tracking.run_models(run.run_id)
    assert model.status == ModelStatus.FAILED
    assert client.registry.search_registered_models().items == ()


@pytest.mark.parametrize("name", ["../up", "/abs", "", "a//b"])
def test_a_name_that_leads_outside_is_refused_before_anything_is_stored(
    client: Client, estimator: LogisticRegression, name: str
) -> None:
    with client.start_run() as run, pytest.raises(InvalidInput):
        run.log_model(estimator, name)
    with client.start_run() as run, pytest.raises(InvalidInput):
        run.log_model(estimator, register_as=name or "a@b")
    assert client.tracking.run_models(run.run_id) == []


def test_a_function_needs_trust(client: Client) -> None:
    with client.start_run() as run:
        model = run.log_model(lambda data: [len(data)], "counter")
    uri = f"models:/{model.model_id}"
    with pytest.raises(Untrusted):
        load_model(uri, client=client)
    assert load_model(uri, trust="code", client=client).predict([1, 2, 3]) == [3]


def test_observers_hear_of_versions(make_client: MakeClient, estimator: LogisticRegression) -> None:
    heard: list[ModelVersion] = []

    class Observer:
        @hookimpl
        def version_registered(self, version: ModelVersion) -> None:
            heard.append(version)

    client = make_client(Observer())
    with client.start_run() as run:
        run.log_model(estimator, register_as="wine")
    assert heard == list(client.registry.search_versions().items)
