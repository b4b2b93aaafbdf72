"""The contracts of stores over MLflow's own server: what ratoon's client keeps there, and what that server cannot do.

One server serves all rules; its database is emptied before each of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ratoon.entities import Model
from ratoon.remote.connection import Connection
from ratoon.stores.rest.registry import RestRegistry
from ratoon.stores.rest.tracking import RestTrackingStore
from ratoon.testing import Limit, RegistryContract, TrackingStoreContract
from ratoon.testing.limits import Rules, added, left_out
from ratoon.testing.values import model_of, run_of

from .conftest import MlflowServer

pytestmark = pytest.mark.slow


@pytest.fixture
def connection(mlflow_server: MlflowServer) -> Iterator[Connection]:
    mlflow_server.empty()
    connection = Connection(mlflow_server.uri, environ={})
    yield connection
    connection.client.close()


class TestTracking(TrackingStoreContract):
    limits = frozenset(
        {
            Limit.GIVEN_IDS,
            Limit.INFINITE_VALUES,
            Limit.EARLY_TIMES,
            Limit.SECOND_ROLES,
            Limit.DATASETS_AT_A_STEP,
            Limit.MISSING_IS_UNEQUAL,
            Limit.LISTS_OF_NAMES,
            Limit.TIES_BY_AGE,
            Limit.BINS,
            Limit.NAN_BEHIND,
            Limit.STATUS_OF_MODELS,
            Limit.DATASETS_BY_NAME,
            Limit.STEADY_PAGES,
        }
    )

    @pytest.fixture
    def store(self, connection: Connection) -> RestTrackingStore:
        return RestTrackingStore(connection)


class TestRegistry(RegistryContract):
    limits = frozenset(
        {
            Limit.STEADY_PAGES,
            Limit.AUTHORS,
            Limit.TIMES_OF_NAMES,
            Limit.PROMPTS,
            Limit.ALIAS_HISTORY,
            Limit.ATOMIC_MOVES,
        }
    )

    @pytest.fixture
    def store(self, connection: Connection) -> RestRegistry:
        return RestRegistry(connection)

    @pytest.fixture
    def model_id(self, connection: Connection) -> str:
        tracking = RestTrackingStore(connection)
        run = tracking.create_run(run_of(tracking.create_experiment("wine").experiment_id))
        made: Model = tracking.create_model(model_of(run))
        return made.model_id


@pytest.mark.parametrize("contract", [TestTracking, TestRegistry])
def test_what_is_left_out_has_its_reason_and_its_place_is_taken(contract: type[Rules]) -> None:
    reasons = {limit for limits in left_out(contract).values() for limit in limits}
    assert reasons == set(added(contract).values()) == contract.limits
