"""``ratoon models inspect`` and ``check``, and which registries are trusted without being asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.preprocessing import FunctionTransformer

from ratoon.errors import MissingExtra, RatoonError, Untrusted
from ratoon.hookspecs import hookimpl
from ratoon.manager import make_manager
from ratoon.models.loading import load_folder
from ratoon.tracking.client import Client
from ratoon.tracking.models import load_model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in whose registry a model is a pickle."""
    folder = tmp_path_factory.mktemp("place")
    client = client_for(folder)
    with client.start_run() as run:
        run.log_model(FunctionTransformer(lambda rows: rows), name="doubtful", register_as="doubtful")
    client.close()
    return folder


def uri_of(place: Path) -> str:
    return f"sqlite:///{place}/.ratoon/ratoon.db"


def client_for(place: Path, **given: Any) -> Client:
    from ratoon.settings import load_settings

    return Client(load_settings(place, {}, tracking_uri=uri_of(place), **given))


def ratoon(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("RATOON_")}
    command = [sys.executable, "-m", "ratoon", *arguments]
    return subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True)


def test_a_folder_is_inspected(saved: Path) -> None:
    done = ratoon(saved, "models", "inspect", str(saved))
    assert "trust:     data (runs no code)" in done.stdout and "digests:   every file is what was saved" in done.stdout
    found = json.loads(ratoon(saved, "models", "inspect", str(saved), "--json").stdout)
    assert (found["loaded_by"], found["level"], found["trust"]) == ("sklearn", "data", None)


def test_a_registered_model_is_inspected(place: Path) -> None:
    done = ratoon(place, "models", "inspect", "models:/doubtful/1")
    assert 'trust:     trusted-code (needs trust="code")' in done.stdout
    assert "model.pkl" in done.stdout and "a pickle runs any code" in done.stdout


def test_what_is_wrong_is_printed(saved: Path) -> None:
    (saved / "model.skops").write_bytes(b"x")
    (saved / "conda.yaml").unlink()
    done = ratoon(saved, "models", "inspect", str(saved))
    assert "digests:   NOT verified" in done.stdout
    assert "problem: file 'model.skops' was changed after the model was saved" in done.stdout
    assert "problem: file 'conda.yaml' is missing" in done.stdout


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    done = ratoon(tmp_path, "models", "inspect", str(tmp_path))
    assert done.returncode == 2 and "is no model" in done.stderr


def test_an_environment_that_fits(saved: Path) -> None:
    done = ratoon(saved, "models", "check", str(saved))
    assert done.returncode == 0 and "everything is as the model wants it" in done.stdout


def test_an_environment_that_differs(saved: Path) -> None:
    with (saved / "requirements.txt").open("a") as file:
        file.write("\nno-such-thing==1.0\n")
    done = ratoon(saved, "models", "check", str(saved))
    assert done.returncode == 1 and "no-such-thing" in done.stdout and "1 of " in done.stdout
    answer = ratoon(saved, "models", "check", str(saved), "--json")
    found = json.loads(answer.stdout)
    assert answer.returncode == 1 and found["differs"]
    assert {"name": "no-such-thing", "wanted": "1.0", "found": None, "state": "missing"} in found["requirements"]


def test_a_version_of_a_trusted_registry_may_run_code(place: Path) -> None:
    with pytest.raises(Untrusted):
        load_model("models:/doubtful/1", client=client_for(place))
    trusting = client_for(place, trusted_registries=[uri_of(place)])
    assert load_model("models:/doubtful/1", client=trusting).flavor_name == "sklearn"
    # What the caller says still counts, and a model that nobody registered is none of the registry's.
    with pytest.raises(Untrusted):
        load_model("models:/doubtful/1", client=trusting, trust=["a.B"])
    model_id = trusting.registry.get_version("doubtful", 1).model_id
    with pytest.raises(Untrusted):
        load_model(f"models:/{model_id}", client=trusting)


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (ImportError("x", name="no_such_library.core"), MissingExtra, r"pip install 'ratoon\[absent\]'"),
        (ImportError("cannot import name 'x'", name="json"), RatoonError, "install what its requirements.txt lists"),
    ],
)
def test_a_flavor_without_its_library(raised: ImportError, kind: type, message: str, tmp_path: Path) -> None:
    class Absent:
        requirements = ()

        def load(self, *_: Any) -> Any:
            raise raised

        @hookimpl
        def register_flavors(self, register: Any) -> None:
            register("absent", self)

    (tmp_path / "MLmodel").write_text("flavors: {absent: {}}")
    with pytest.raises(kind, match=message):
        load_folder(tmp_path, manager=make_manager([Absent()], builtins=(), installed=False))
