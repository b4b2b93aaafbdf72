"""The target ``local`` and the functions over all targets, with real servers."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ratoon.entities import Deployment
from ratoon.errors import DeploymentFailed, InvalidInput, NotFound
from ratoon.hookspecs import hookimpl
from ratoon.manager import make_manager
from ratoon.serving.deployments import deploy, list_deployments, undeploy
from ratoon.serving.targets.local import LocalTarget
from ratoon.serving.targets.protocol import DeployRequest
from ratoon.settings import Settings
from ratoon.tracking.client import Client

URI = "models:/iris@champion"


class Observer:
    """A plugin that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    @hookimpl
    def deployment_changed(self, deployment: Deployment, event: str) -> None:
        self.seen.append((deployment.name, event))


@pytest.fixture
def observer(registered: Client) -> Observer:
    observer = Observer()
    registered.manager.register(observer)
    return observer


@pytest.fixture
def cleared(registered: Client) -> Iterator[Client]:
    """The client with the registered classifier; what it deploys is stopped in the end."""
    yield registered
    for deployment in list_deployments(registered):
        undeploy(registered, deployment.name)


def prediction_of(deployment: Deployment, rows: Any) -> Any:
    body = {"dataframe_records": rows.head(2).to_dict("records")}
    return httpx.post(f"{deployment.endpoint}/invocations", json=body).json()


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_deployment_is_made_listed_replaced_and_removed(cleared: Client, observer: Observer, rows: Any) -> None:
    first = deploy(cleared, URI)
    assert (first.name, first.target, first.model_name, first.model_version) == ("iris", "local", "iris", 1)
    assert first.healthy
    assert prediction_of(first, rows) == {"predictions": ["setosa", "versicolor"]}
    assert list_deployments(cleared) == [first]

    second = deploy(cleared, "models:/iris/1", name="iris")
    assert second.endpoint != first.endpoint
    assert list_deployments(cleared) == [second]
    assert not running(first.details["pid"])
    assert prediction_of(second, rows) == {"predictions": ["setosa", "versicolor"]}

    removed = undeploy(cleared, "iris")
    assert not removed.healthy and removed.endpoint == second.endpoint
    assert list_deployments(cleared) == [] and not running(second.details["pid"])
    assert observer.seen == [("iris", "deployed"), ("iris", "deployed"), ("iris", "removed")]
    with pytest.raises(NotFound, match="deployment 'iris' does not exist; list the deployments"):
        undeploy(cleared, "iris")


@pytest.mark.slow
def test_a_deployment_that_fails_says_why_and_the_old_one_stays(cleared: Client, rows: Any) -> None:
    before = deploy(cleared, URI)
    with pytest.raises(DeploymentFailed) as caught:
        deploy(cleared, "models:/m-" + "0" * 32, name="iris")
    message = str(caught.value)
    assert "deployment 'iris' did not come into service (its process ended)" in message
    assert before.details["log"] in message and "ratoon: model" in message
    assert list_deployments(cleared) == [before]
    assert prediction_of(before, rows) == {"predictions": ["setosa", "versicolor"]}


@pytest.mark.slow
def test_a_server_that_does_not_answer_in_time_is_killed(cleared: Client) -> None:
    with pytest.raises(DeploymentFailed, match=r"it did not answer within 0\.05 seconds"):
        deploy(cleared, URI, options={"timeout": "0.05"})
    assert list_deployments(cleared) == []


@pytest.mark.slow
def test_a_model_that_needs_trust_gets_it_by_the_option(registered: Client) -> None:
    with registered.start_run() as run:
        run.log_model(lambda data: [word.upper() for word in data], register_as="shout")
    registered.close()
    with pytest.raises(DeploymentFailed, match=r"is not loaded \(it could run any code"):
        deploy(registered, "models:/shout/1")
    try:
        deployment = deploy(registered, "models:/shout/1", options={"trust": "code"})
        answer = httpx.post(f"{deployment.endpoint}/invocations", json={"instances": ["b"]})
        assert answer.json() == {"predictions": ["B"]}
    finally:
        undeploy(registered, "shout")


@pytest.mark.slow
def test_health_is_what_it_is_now_and_a_dead_deployment_can_be_removed_or_replaced(cleared: Client) -> None:
    port = free_port()
    deployment = deploy(cleared, URI, options={"port": str(port)})
    assert deployment.endpoint == f"http://127.0.0.1:{port}"
    with pytest.raises(InvalidInput, match=f"port {port} is held by the deployment 'iris' itself"):
        deploy(cleared, URI, options={"port": str(port)})
    os.kill(deployment.details["pid"], signal.SIGSTOP)
    assert [found.healthy for found in list_deployments(cleared)] == [False]
    os.kill(deployment.details["pid"], signal.SIGCONT)
    os.kill(deployment.details["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while running(deployment.details["pid"]):
        assert [found.healthy for found in list_deployments(cleared)] == [False]
        assert time.monotonic() < deadline
    again = deploy(cleared, URI, options={"port": str(port)})
    assert again.healthy and again.details["pid"] != deployment.details["pid"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def request(settings: Settings, name: str = "iris", **options: str) -> DeployRequest:
    return DeployRequest(name=name, model_uri=URI, settings=settings, options=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ports": "1"}, "option 'ports' is unknown to the target 'local'; known are port, timeout, trust"),
        ({"port": "http"}, "option 'port' is 'http'; give a number"),
        ({"port": "70000"}, "option 'port' is '70000'; give a number from 1 to 65535"),
        ({"port": "1.5"}, "option 'port' is '1.5'; give a number from 1 to 65535"),
        ({"timeout": "0"}, "option 'timeout' is '0'; give a number of seconds above 0"),
        ({"timeout": "nan"}, "option 'timeout' is 'nan'; give a number"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, str], message: str, client: Client) -> None:
    with pytest.raises(InvalidInput, match=message):
        LocalTarget().deploy(request(client.settings, **options))


def test_a_port_that_somebody_else_has_is_refused(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with pytest.raises(InvalidInput, match=f"port {port} cannot be used .*; choose another"):
            LocalTarget().deploy(request(client.settings, port=port))


@pytest.mark.parametrize("name", ["../x", "", "a b"])
def test_names_are_checked_before_anything_starts(name: str, client: Client) -> None:
    with pytest.raises(InvalidInput, match="deployment name .* is not allowed"):
        LocalTarget().deploy(request(client.settings, name=name))
    with pytest.raises(InvalidInput, match="deployment name .* is not allowed"):
        LocalTarget().remove(name, client.settings)


def test_what_is_not_deployed_cannot_be_removed(client: Client) -> None:
    with pytest.raises(NotFound, match="deployment 'iris' does not exist here"):
        LocalTarget().remove("iris", client.settings)


def test_unknown_targets_are_refused_with_the_known_ones(client: Client) -> None:
    with pytest.raises(InvalidInput, match="deploy target 'moon' is not registered; known targets are local"):
        deploy(client, URI, target="moon")


def test_a_model_without_a_name_needs_one_for_its_deployment(registered: Client) -> None:
    version = registered.registry.get_version("iris", 1)
    with pytest.raises(InvalidInput, match="has no registered name to deploy it under; give one"):
        deploy(registered, f"models:/{version.model_id}")


class MemoryTarget:
    """A target of a third party: it serves nothing and remembers all."""

    def __init__(self) -> None:
        self.deployed: dict[str, Deployment] = {}

    def deploy(self, request: DeployRequest) -> Deployment:
        deployment = Deployment(
            name=request.name, target="memory", model_uri=request.model_uri, endpoint="", created_at=1, healthy=True
        )
        self.deployed[request.name] = deployment
        return deployment

    def list(self, settings: Settings) -> list[Deployment]:
        return list(self.deployed.values())

    def remove(self, name: str, settings: Settings) -> Deployment:
        return self.deployed.pop(name)


class MemoryPlugin:
    def __init__(self) -> None:
        self.targets = {"memory": MemoryTarget(), "attic": MemoryTarget()}

    @hookimpl
    def register_deploy_targets(self, register: Any) -> None:
        for name, target in self.targets.items():
            register(name, target)


def test_targets_of_plugins_take_part(registered: Client) -> None:
    client = Client(registered.settings, manager=make_manager([MemoryPlugin()], installed=False))
    deploy(client, URI, name="b", target="memory")
    deploy(client, URI, target="memory")
    deploy(client, URI, target="attic")
    assert [deployment.name for deployment in list_deployments(client)] == ["b", "iris", "iris"]
    with pytest.raises(InvalidInput, match="deployment 'iris' exists on attic and memory; name the target"):
        undeploy(client, "iris")
    undeploy(client, "iris", target="attic")
    undeploy(client, "iris")
    assert [deployment.name for deployment in list_deployments(client)] == ["b"]
