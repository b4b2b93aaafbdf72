"""Lineage: both ways over real stores, over HTTP, in circles, and with few questions."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner, Result

from ratoon.cli.lineage import show_lineage
from ratoon.entities import Deployment, LifecycleStage, ModelOutput, ModelStatus, ModelVersion
from ratoon.errors import InvalidInput, NotFound
from ratoon.manager import make_manager
from ratoon.registry.contender import EVALUATION_RUN
from ratoon.registry.lineage import Direction, Lineage, lineage
from ratoon.registry.promotion import set_alias
from ratoon.server.app import make_app
from ratoon.serving.targets.process import ProcessId
from ratoon.serving.targets.records import Record, Records
from ratoon.testing.values import dataset_input, model_of, run_of, version_of
from ratoon.tracking.client import Client

MakeClient = Callable[..., Client]

RAW = dataset_input("raw", "00aa", "input")
TRAIN = dataset_input("train", "11bb", "training")
TEST = dataset_input("test", "22cc", "evaluation")


class Place:
    """A small history: raw → prepare → train → tree (version 1, champion) and forest (version 2), both evaluated."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.experiment = client.experiment("wines").experiment_id
        client.registry.create_registered_model("wine")
        self.prepare = self.run("prepare", RAW, dataset_input("train", "11bb", "output"))
        self.tree, self.forest = (self.run(name, TRAIN) for name in ("tree", "forest"))
        self.models = [self.model(run) for run in (self.tree, self.forest)]
        for run, model in zip((self.tree, self.forest), self.models, strict=True):
            self.version(run, model)
        self.evaluation = self.run("evaluation", TEST)
        client.registry.update_version("wine", 2, tags={EVALUATION_RUN: self.evaluation})
        set_alias(client, "wine", "champion", 1)

    def run(self, name: str, *given: Any) -> str:
        run = self.client.tracking.create_run(run_of(self.experiment, run_name=name))
        self.client.tracking.log_inputs(run.run_id, given)
        return run.run_id

    def model(self, run_id: str) -> str:
        model = self.client.tracking.create_model(model_of(self.client.tracking.get_run(run_id)))
        return self.client.tracking.finalize_model(model.model_id, ModelStatus.READY).model_id

    def version(self, run_id: str | None, model_id: str | None) -> ModelVersion:
        source = f"models:/{model_id}" if model_id else "s3://elsewhere/model"
        given = version_of("wine", run_id=run_id, model_id=model_id, source=source)
        return self.client.registry.create_version(given)

    def names(self, found: Lineage) -> set[str]:
        """The nodes, with names for ids."""
        runs = {getattr(self, name): name for name in ("prepare", "tree", "forest", "evaluation")}
        models = dict(zip(self.models, ("tree's model", "forest's model"), strict=True))
        known = {f"run:{key}": name for key, name in runs.items()}
        known |= {f"model:{key}": name for key, name in models.items()}
        return {known.get(node.id, node.id) for node in found.nodes}


@pytest.fixture
def place(client: Client) -> Place:
    return Place(client)


def deployment(uri: str, version: int | None = None, name: str = "wines") -> Deployment:
    return Deployment(
        name=name,
        target="local",
        model_uri=uri,
        endpoint="http://127.0.0.1:8080",
        created_at=0,
        healthy=True,
        model_name=None if version is None else "wine",
        model_version=version,
    )


RAW_NODE, TRAIN_NODE, TEST_NODE = "dataset:00aa/raw", "dataset:11bb/train", "dataset:22cc/test"
TREE = {"tree", "tree's model", "version:wine/1", "alias:wine@champion", "deployment:local/wines"}
FOREST = {"forest", "forest's model", "version:wine/2", "evaluation"}


@pytest.mark.parametrize(
    ("subject", "direction", "found"),
    [
        ("raw", "down", {RAW_NODE, "prepare", TRAIN_NODE} | TREE | FOREST),
        ("00aa", "up", {RAW_NODE}),
        ("11bb", "both", {RAW_NODE, "prepare", TRAIN_NODE} | TREE | FOREST),
        ("dataset:train", "up", {TRAIN_NODE, "prepare", RAW_NODE}),
        ("22cc", "both", {TEST_NODE, "evaluation"}),
        ("{tree}", "down", TREE),
        ("run:{tree}", "up", {"tree", TRAIN_NODE, "prepare", RAW_NODE}),
        ("models:/{models[0]}", "both", TREE | {TRAIN_NODE, "prepare", RAW_NODE}),
        ("runs:/{tree}/model", "both", TREE | {TRAIN_NODE, "prepare", RAW_NODE}),
        ("models:/wine/2", "both", FOREST | {TRAIN_NODE, "prepare", RAW_NODE}),
        ("models:/wine", "down", {"version:wine/2", "evaluation"}),
        ("models:/wine@champion", "up", TREE - {"deployment:local/wines"} | {TRAIN_NODE, "prepare", RAW_NODE}),
        ("models:/wine@champion", "down", {"alias:wine@champion", "deployment:local/wines"}),
        ("wines", "both", TREE | {TRAIN_NODE, "prepare", RAW_NODE}),
        ("deployment:wines", "down", {"deployment:local/wines"}),
        ("{evaluation}", "up", FOREST | {TEST_NODE, TRAIN_NODE, "prepare", RAW_NODE}),
    ],
)
def test_lineage_is_found_from_everything_in_both_directions(
    place: Place, subject: str, direction: Direction, found: set[str]
) -> None:
    asked = subject.format(**vars(place))
    served = [deployment("models:/wine@champion", 1)]
    graph = lineage(place.client, asked, direction=direction, deployments=served)
    assert place.names(graph) == found
    assert not graph.truncated
    ids = {node.id for node in graph.nodes}
    assert all({edge.source, edge.target} <= ids for edge in graph.edges)
    assert len(set(graph.edges)) == len(graph.edges)
    assert graph.subjects == (graph.nodes[0].id,)


def test_edges_say_what_came_of_what(place: Place) -> None:
    graph = lineage(place.client, "models:/wine@champion", deployments=[deployment("models:/wine@champion", 1)])
    assert {(edge.source, edge.relation, edge.target) for edge in graph.edges} == {
        (RAW_NODE, "read by", f"run:{place.prepare}"),
        (f"run:{place.prepare}", "wrote", TRAIN_NODE),
        (TRAIN_NODE, "read by", f"run:{place.tree}"),
        (f"run:{place.tree}", "made", f"model:{place.models[0]}"),
        (f"model:{place.models[0]}", "registered as", "version:wine/1"),
        ("version:wine/1", "holds", "alias:wine@champion"),
        ("alias:wine@champion", "in service as", "deployment:local/wines"),
    }


def test_a_deployment_hangs_on_what_it_serves(place: Place) -> None:
    def served(found: Deployment) -> dict[str, set[str]]:
        """What a deployment comes from, from both ends."""
        graph = lineage(place.client, found.name, direction="up", deployments=[found])
        up = {edge.source for edge in graph.edges if edge.relation == "in service as"}
        whole = lineage(place.client, "raw", deployments=[found])
        return {"up": up, "down": {edge.source for edge in whole.edges if edge.relation == "in service as"}}

    for uri, version, node in (
        ("models:/wine/2", 2, "version:wine/2"),
        ("models:/wine", 2, "version:wine/2"),
        ("models:/wine@champion", 1, "alias:wine@champion"),
        ("models:/wine@champion", None, "alias:wine@champion"),
        # The alias has moved, and what was started goes on.
        ("models:/wine@champion", 2, "version:wine/2"),
        ("models:/wine@gone", 2, "version:wine/2"),
        (f"models:/{place.models[0]}", None, f"model:{place.models[0]}"),
        (f"runs:/{place.forest}/model", None, f"model:{place.models[1]}"),
    ):
        assert served(deployment(uri, version)) == {"up": {node}, "down": {node}}, uri
    for uri in ("/models/wine", "models:/other/1", "models:/wine@gone"):
        assert served(deployment(uri)) == {"up": set(), "down": set()}


def test_a_circle_comes_to_an_end(place: Place) -> None:
    # A run that reads what it writes, and goes on with the model that came of it.
    tracking = place.client.tracking
    tracking.log_inputs(place.prepare, [TRAIN], [place.models[0]])
    tracking.log_outputs(place.prepare, [ModelOutput(model_id=place.models[0])])
    for subject in ("raw", "train", place.prepare, "models:/wine/1"):
        assert {"prepare", TRAIN_NODE, "tree's model"} <= place.names(lineage(place.client, subject))
    both = {(edge.source, edge.target) for edge in lineage(place.client, place.prepare).edges}
    assert {
        (f"model:{place.models[0]}", f"run:{place.prepare}"),
        (f"run:{place.prepare}", f"model:{place.models[0]}"),
    } <= both


def test_a_version_whose_model_is_gone_hangs_on_its_run(place: Place) -> None:
    place.client.tracking.delete_model(place.models[0])
    place.version(None, None)
    for subject in (place.tree, "models:/wine/1"):
        graph = lineage(place.client, subject)
        relations = {(edge.source, edge.target) for edge in graph.edges}
        assert (f"run:{place.tree}", "version:wine/1") in relations
    assert [node.id for node in lineage(place.client, "models:/wine/3").nodes] == ["version:wine/3"]


def test_deleted_runs_are_part_of_the_story(place: Place) -> None:
    place.client.tracking.move_run(place.tree, LifecycleStage.DELETED)
    graph = lineage(place.client, "models:/wine/1")
    (node,) = [node for node in graph.nodes if node.id == f"run:{place.tree}"]
    assert node.details["lifecycle_stage"] == "deleted" and TRAIN_NODE in place.names(graph)


def test_a_name_may_have_several_digests(place: Place) -> None:
    later = place.run("later", dataset_input("train", "33dd"))
    graph = lineage(place.client, "train", direction="down")
    assert set(graph.subjects) == {TRAIN_NODE, "dataset:33dd/train"}
    assert f"run:{later}" in {node.id for node in graph.nodes}
    # Two datasets may have one digest: only what was asked for is followed.
    place.run("other", dataset_input("copy", "00aa"))
    assert set(lineage(place.client, "00aa", direction="down").subjects) == {RAW_NODE, "dataset:00aa/copy"}


def test_what_cannot_be_told_apart_is_refused(place: Place) -> None:
    served = [deployment("models:/wine/1", 1, name="train")]
    with pytest.raises(InvalidInput, match="'train' is a dataset and a deployment; say which: 'dataset:train' or"):
        lineage(place.client, "train", deployments=served)
    assert lineage(place.client, "deployment:train", deployments=served).subjects == ("deployment:local/train",)
    for subject in ("nothing", "run:train", "run:" + "0" * 32, "deployment:wines", "dataset:it's"):
        with pytest.raises(NotFound, match="nothing is called"):
            lineage(place.client, subject)
    for uri in ("models:/wine/9", "models:/wine@best", "models:/beer", f"runs:/{place.tree}/other"):
        with pytest.raises(NotFound):
            lineage(place.client, uri)
    with pytest.raises(InvalidInput, match="model URI 'models:/' cannot be read"):
        lineage(place.client, "models:/")
    for options in ({"direction": "left"}, {"limit": 0}):
        with pytest.raises(InvalidInput):
            lineage(place.client, "train", **options)  # type: ignore[arg-type]


class Counting:
    """Counts the questions to a store."""

    def __init__(self, store: Any, calls: Counter[str]) -> None:
        self._store = store
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._store, name)


def counted(client: Client, **options: Any) -> tuple[Lineage, int]:
    """The lineage of ``train``, and how many questions it took."""
    calls: Counter[str] = Counter()
    counting = Client(client.settings, manager=client.manager)
    counting._stores = {
        "open_tracking_store": Counting(client.tracking, calls),
        "open_registry": Counting(client.registry, calls),
    }
    return lineage(counting, "train", **options), calls.total()


def test_questions_do_not_grow_with_the_runs_of_an_experiment(place: Place) -> None:
    few, questions = counted(place.client)
    for number in range(60):
        run_id = place.run(f"run {number}", TRAIN)
        place.version(run_id, place.model(run_id))
    for _ in range(60):
        place.run("stranger")
    many, more = counted(place.client)
    assert len(many.nodes) == len(few.nodes) + 3 * 60
    assert more == questions < 25


def test_more_than_the_limit_is_left_out_and_told(place: Place) -> None:
    for number in range(20):
        place.run(f"run {number}", TRAIN)
    graph, questions = counted(place.client, direction="down", limit=10)
    assert graph.truncated and len(graph.nodes) == 10 and questions < 25
    ids = {node.id for node in graph.nodes}
    assert all({edge.source, edge.target} <= ids for edge in graph.edges)


def test_lineage_on_postgresql(make_client: MakeClient, postgresql_uri: str) -> None:
    place = Place(make_client(tracking_uri=postgresql_uri))
    assert place.names(lineage(place.client, "raw")) == {RAW_NODE, "prepare", TRAIN_NODE} | FOREST | TREE - {
        "deployment:local/wines"
    }
    assert TEST_NODE in place.names(lineage(place.client, place.evaluation))


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: Client) -> Iterator[Client]:
    """A client of a ratoon server; what it could not send would lie in the test's folder."""
    monkeypatch.chdir(tmp_path)
    config = uvicorn.Config(make_app(client), port=0, lifespan="off", log_level="warning", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    manager = make_manager(builtins=("ratoon.stores.rest.plugin", "ratoon.artifacts.plugin"), installed=False)
    yield Client(tracking_uri=f"http://127.0.0.1:{port}", user="ada", manager=manager)
    server.should_exit = True
    thread.join(30)


def test_lineage_over_http_is_the_same(client: Client, remote: Client) -> None:
    place = Place(remote)
    served = [deployment("models:/wine@champion", 1)]
    for subject in ("raw", "11bb", place.tree, "models:/wine/2", "models:/wine@champion", "wines", place.evaluation):
        near, far = (lineage(each, subject, deployments=served) for each in (client, remote))
        assert {node.id for node in far.nodes} == {node.id for node in near.nodes}
        assert set(far.edges) == set(near.edges)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Place) -> Callable[..., Result]:
    """Call the command where a deployment of the champion is recorded that does not run any more."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".ratoon" / "deployments"
    folder.mkdir(parents=True)
    Records(folder).put(
        Record(
            name="wines",
            model_uri="models:/wine@champion",
            port=1,
            process=ProcessId(pid=2**22 - 1, started="another boot"),
            created_at=0,
            log="",
            model_name="wine",
            model_version=1,
        )
    )
    settings = {"tracking_uri": place.client.settings.tracking_uri}
    return lambda *arguments: CliRunner().invoke(show_lineage, arguments, obj=settings)


def test_a_tree_for_people(cli: Callable[..., Result], place: Place) -> None:
    lines = [line.strip(" │├└─") for line in cli("models:/wine/1").output.splitlines()]
    tree, model = place.tree[:8], place.models[0][:10]
    assert lines == [
        "wine version 1  made of",
        f"registered from model model ({model})",
        f"made by run tree ({tree})",
        "read dataset train (11bb)",
        f"written by run prepare ({place.prepare[:8]})",
        "read dataset raw (00aa)",
        "wine version 1  became",
        "holds alias wine@champion",
        "in service as deployment wines",
    ]
    assert "made of" not in cli("models:/wine/1", "--down").output
    assert "became" not in cli("models:/wine/1", "--up").output
    assert cli("raw", "--up").output == "dataset raw (00aa)  made of: -\n"


def test_a_circle_is_drawn_once(cli: Callable[..., Result], place: Place) -> None:
    place.client.tracking.log_inputs(place.prepare, [], [place.models[0]])
    drawn = cli("train", "--up").output
    assert drawn.count("(shown elsewhere)") == 1 and drawn.count("written by run prepare") == 1


def test_nodes_and_edges_as_json(cli: Callable[..., Result], place: Place) -> None:
    found = json.loads(cli("models:/wine@champion", "--json").output)
    assert found["subjects"] == ["alias:wine@champion"] and found["truncated"] is False
    served = [node for node in found["nodes"] if node["kind"] == "deployment"]
    assert [node["label"] for node in served] == ["wines"] and served[0]["details"]["healthy"] is False
    assert {"source": "version:wine/1", "target": "alias:wine@champion", "relation": "holds"} in found["edges"]
    assert "more than 2 nodes; see more of it with --limit 20" in cli("raw", "--limit", "2").output
