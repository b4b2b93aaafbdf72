"""Garbage collection: what was deleted goes, what is in use stays."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ratoon.cli.gc import seconds_of
from ratoon.entities import LifecycleStage, ModelStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon.testing.values import model_of, version_of
from ratoon.tracking.client import Client
from ratoon.tracking.garbage import collect_garbage


def a_run(client: Client, experiment: str, content: str) -> str:
    with client.start_run(experiment=experiment) as run:
        run.log_metric("auc", 0.5)
        run.log_text(content, "notes.txt")
    return run.run_id


def a_model(client: Client, run_id: str, *, registered: bool) -> str:
    run = client.tracking.get_run(run_id)
    model = client.tracking.create_model(model_of(run, status=ModelStatus.READY))
    client.artifacts.write(f"{run.experiment_id}/models/{model.model_id}/artifacts/MLmodel", io.BytesIO(b"flavors: {}"))
    if registered:
        client.registry.create_registered_model("wine")
        client.registry.create_version(version_of("wine", model_id=model.model_id, run_id=run_id))
    return model.model_id


def blobs(client: Client) -> int:
    return sum(1 for path in Path(client.settings.artifact_root, "blobs").rglob("*") if path.is_file())


def test_a_deleted_run_goes_with_its_files_and_the_others_stay(client: Client) -> None:
    kept, gone = a_run(client, "wines", "kept"), a_run(client, "wines", "gone")
    client.tracking.move_run(gone, LifecycleStage.DELETED)
    assert blobs(client) == 2

    dry = collect_garbage(client, older_than=0, grace=0, dry_run=True)
    assert (dry.runs, blobs(client)) == (1, 2)
    assert client.tracking.get_run(gone).lifecycle_stage == LifecycleStage.DELETED

    garbage = collect_garbage(client, older_than=0, grace=0)
    assert (garbage.runs, garbage.experiments, garbage.blobs, garbage.freed) == (1, 0, 1, len("gone"))
    with pytest.raises(NotFound):
        client.tracking.get_run(gone)
    folder = f"{client.tracking.get_run(kept).experiment_id}/{kept}/artifacts"
    assert b"".join(client.artifacts.read(f"{folder}/notes.txt")) == b"kept"
    assert len(client.tracking.metric_history(kept, "auc")) == 1


def test_what_was_deleted_a_moment_ago_stays(client: Client) -> None:
    run_id = a_run(client, "wines", "x")
    client.tracking.move_run(run_id, LifecycleStage.DELETED)
    assert collect_garbage(client, older_than=3600, grace=0).runs == 0
    assert client.tracking.get_run(run_id)


def test_an_experiment_goes_with_its_runs_and_models(client: Client) -> None:
    run_id = a_run(client, "wines", "x")
    model_id = a_model(client, run_id, registered=False)
    client.tracking.move_experiment(client.tracking.get_run(run_id).experiment_id, LifecycleStage.DELETED)
    garbage = collect_garbage(client, older_than=-1, grace=0)
    assert (garbage.experiments, garbage.runs, garbage.models, blobs(client)) == (1, 1, 1, 0)
    with pytest.raises(NotFound):
        client.tracking.get_model(model_id)
    assert client.tracking.find_experiment("wines") is None


def test_a_registered_model_keeps_its_files_and_its_experiment(client: Client) -> None:
    run_id = a_run(client, "wines", "x")
    model_id = a_model(client, run_id, registered=True)
    client.tracking.move_experiment(client.tracking.get_run(run_id).experiment_id, LifecycleStage.DELETED)
    garbage = collect_garbage(client, older_than=-1, grace=0)
    assert (garbage.experiments, garbage.models) == (0, 0)
    assert client.tracking.get_model(model_id).status == ModelStatus.READY


def test_debris_of_a_broken_write_goes_after_its_time(client: Client) -> None:
    incoming = Path(client.settings.artifact_root, "incoming")
    incoming.mkdir(parents=True)
    old, young = incoming / "old", incoming / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    collect_garbage(client, older_than=0, grace=3600)
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2_592_000), ("1d12h", 129_600), ("90s", 90), ("2w", 1_209_600)])
def test_durations_are_read(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "1x", "1d ", "-1d", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="write for example 12h"):
        seconds_of(text)


def test_the_commands_speak_of_what_they_did(tmp_path: Path) -> None:
    def ratoon(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ratoon", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    before = json.loads(ratoon("db", "version", "--json").stdout)
    assert list(before["found"].values()) == [None]
    assert before["needed"] in ratoon("db", "upgrade").stdout
    assert json.loads(ratoon("db", "version", "--json").stdout)["found"] != before["found"]
    assert ratoon("gc").stdout == "removed 0 experiments, 0 runs, 0 models and 0 unused files (0.0 MB)\n"
    refused = ratoon("--tracking-uri", "https://user:pass@host", "db", "upgrade")
    assert (refused.returncode, "pass" in refused.stderr) == (2, False)
