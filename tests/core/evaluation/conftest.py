from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import ratoon
from ratoon.tracking.client import Client

FEATURES = ["mean radius", "mean texture", "mean smoothness"]


@pytest.fixture(scope="session")
def tissue() -> pd.DataFrame:
    """Rows of a binary task, with the column of its targets, one to divide it by, and labels of its own."""
    data, targets = load_breast_cancer(return_X_y=True, as_frame=True)
    size = pd.cut(data["mean area"], [0, 400, 800, np.inf], labels=["small", "middle", "large"]).astype(str)
    return data[FEATURES].assign(benign=targets, size=size).set_axis([f"patient {n}" for n in range(len(data))])


@pytest.fixture(scope="session")
def train(tissue: pd.DataFrame) -> pd.DataFrame:
    return tissue.iloc[:300]


@pytest.fixture(scope="session")
def test_rows(tissue: pd.DataFrame) -> pd.DataFrame:
    return tissue.iloc[300:]


def fit(train: pd.DataFrame, **options: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(**options)).fit(train[FEATURES], train["benign"])


@pytest.fixture(scope="session")
def good(train: pd.DataFrame) -> Pipeline:
    return fit(train)


@pytest.fixture(scope="session")
def poor(train: pd.DataFrame) -> Pipeline:
    """One that has seen nothing but the texture."""
    return fit(train.assign(**{"mean radius": 0.0, "mean smoothness": 0.0}))


@pytest.fixture
def registered(client: Client, train: pd.DataFrame, good: Pipeline, poor: Pipeline) -> Client:
    """A client with version 1 (poor, the champion) and version 2 (good) of the model tissue."""
    for model in (poor, good):
        with client.start_run() as run:
            run.log_model(model, input_example=train[FEATURES].head(), register_as="tissue")
    ratoon.set_alias(client, "tissue", "champion", 1)
    return client
