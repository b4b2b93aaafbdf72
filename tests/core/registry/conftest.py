from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from ratoon.entities import ModelVersion, Verdict
from ratoon.errors import PromotionRefused
from ratoon.manager import BUILTINS
from ratoon.registry.policy import Policy
from ratoon.registry.predictions import Predictions, log_predictions
from ratoon.registry.promotion import promote
from ratoon.tracking.client import Client

# What the clients of tests/core lack.
GATES = tuple(name for name in BUILTINS if name.startswith("ratoon.registry.gates.") and not name.endswith(".metrics"))

FRAME = pd.DataFrame({"sugar": [0.0, 1.0, 0.2, 0.9], "acid": [1.0, 0.0, 0.9, 0.1]})
TARGETS = np.array([0, 1, 0, 1])

MakeClient = Callable[..., Client]
Version = Callable[..., ModelVersion]
Refused = Callable[..., Verdict]


def wine_policy(**gates: Any) -> Policy:
    """A policy for the model wine."""
    return Policy(models={"wine": {"champion": gates}}, source="promotion.yml")


@pytest.fixture(scope="session")
def fitted() -> LogisticRegression:
    return LogisticRegression().fit(FRAME, TARGETS)


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    """A client of a new place of work, with every builtin gate."""
    return make_client(*map(importlib.import_module, GATES))


@pytest.fixture
def add(client: Client, fitted: LogisticRegression) -> Version:
    """Make versions of the model wine, each of a run of its own that logs what the test is about."""

    def make(
        metrics: Mapping[str, float] | None = None,
        *,
        model: object = fitted,
        example: Any = FRAME,
        predictions: Predictions | None = None,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> ModelVersion:
        with client.start_run() as run:
            run.log_metrics(metrics or {})
            if predictions is not None:
                log_predictions(run, predictions)
            run.log_model(model, input_example=example, register_as="wine", **options)
        newest = client.registry.get_registered_model("wine").latest_version
        return client.registry.update_version("wine", newest, tags=tags)

    return make


@pytest.fixture
def refused(client: Client) -> Refused:
    """Promote a version by a policy that refuses it with one verdict; that verdict."""

    def judge(version: int, policy: Policy) -> Verdict:
        before = client.registry.get_registered_model("wine").aliases.get("champion")
        with pytest.raises(PromotionRefused) as caught:
            promote(client, "wine", version, policy=policy)
        assert client.registry.get_registered_model("wine").aliases.get("champion") == before
        against = [verdict for verdict in caught.value.verdicts if not verdict.passed]
        assert len(against) == 1 and against[0].reason in str(caught.value)
        return against[0]

    return judge
