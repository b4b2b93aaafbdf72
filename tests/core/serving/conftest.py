from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn

from ratoon.entities import ModelVersion
from ratoon.manager import make_manager
from ratoon.models.loading import LoadedModel, load_folder
from ratoon.models.saving import save_model
from ratoon.registry.promotion import set_alias
from ratoon.serving.app import make_app
from ratoon.settings import load_settings
from ratoon.tracking.client import Client

COLUMNS = ["sepal length", "sepal width", "petal length"]
ROWS = pd.DataFrame([[5.1, 3.5, 1.4], [6.2, 2.9, 4.3], [6.9, 3.1, 5.4], [4.9, 3.0, 1.4]], columns=COLUMNS)
SPECIES = np.array(["setosa", "versicolor", "virginica", "setosa"])

POINTS = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 3.0]])

Serve = Callable[..., "contextlib.AbstractContextManager[httpx.Client]"]


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A classifier that was saved and loaded, with a signature of columns and an input example."""
    from sklearn.tree import DecisionTreeClassifier

    model = DecisionTreeClassifier(random_state=0).fit(ROWS, SPECIES)
    return saved(model, tmp_path_factory.mktemp("iris") / "model", ROWS.head(2))


@pytest.fixture(scope="session")
def regression() -> Any:
    """A regression on arrays, as it comes out of training."""
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(POINTS, [1.0, 2.0, 5.0])


@pytest.fixture(scope="session")
def tensors(tmp_path_factory: pytest.TempPathFactory, regression: Any) -> LoadedModel:
    """The regression, saved and loaded: its signature is made of tensors."""
    return saved(regression, tmp_path_factory.mktemp("tensors") / "model", POINTS)


@pytest.fixture
def rows() -> pd.DataFrame:
    """What the classifier was trained with."""
    return ROWS


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client of an empty project."""
    (tmp_path / "project" / ".ratoon").mkdir(parents=True)
    settings = load_settings(start=tmp_path / "project", environ={})
    return Client(settings, manager=make_manager(installed=False))


@pytest.fixture
def registered(client: Client) -> Client:
    """A client whose registry has the classifier as version 1 of ``iris``, the champion."""
    from sklearn.tree import DecisionTreeClassifier

    with client.start_run() as run:
        model = DecisionTreeClassifier(random_state=0).fit(ROWS, SPECIES)
        run.log_model(model, input_example=ROWS.head(2), register_as="iris")
    set_alias(client, "iris", "champion", 1)
    client.close()
    return client


def saved(model: Any, folder: Path, example: Any) -> LoadedModel:
    manager = make_manager(builtins=["ratoon.models.flavors.sklearn"], installed=False)
    save_model(model, folder, manager=manager, input_example=example)
    return load_folder(folder, manager=manager, trust="code")


@pytest.fixture
def serve() -> Serve:
    """Serve an app of a model from a real uvicorn on a free port."""

    @contextlib.contextmanager
    def serving(model: LoadedModel, version: ModelVersion | None = None, **options: Any) -> Iterator[httpx.Client]:
        app = make_app(model, model_uri="models:/iris@champion", version=version, **options)
        server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            deadline = time.monotonic() + 10
            while not server.started:
                assert time.monotonic() < deadline and thread.is_alive()
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()

    return serving
