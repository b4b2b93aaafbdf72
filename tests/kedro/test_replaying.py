"""What a run says about how to repeat it."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import pytest

from ratoon.entities import Run, RunStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon.tracking.client import Client
from ratoon.tracking.locations import artifact_key
from ratoon_kedro.describing.patching import DIRTY, PATCH, keep_patch, secret_in, working_patch
from ratoon_kedro.recording.params import Redactor
from ratoon_kedro.replaying.clones import bring_data
from ratoon_kedro.replaying.recorded import differences, parse_params, recorded, with_params


def run_with(**tags: str) -> Run:
    named = {key.replace("_", ".", 1): value for key, value in tags.items()}
    return Run(
        run_id="r1",
        run_name="x",
        experiment_id="0",
        user_id="anna",
        status=RunStatus.FINISHED,
        start_time=0,
        artifact_uri="",
        tags=named,
    )


def test_the_command_is_read() -> None:
    run = run_with(kedro_command="kedro run --pipelines a --params 'b.c=log loss'")
    found = recorded(run, {})
    assert found.words == ("kedro", "run", "--pipelines", "a", "--params", "b.c=log loss")
    assert (found.commit, found.dirty) == (None, False)


def test_a_run_of_something_else_is_refused() -> None:
    with pytest.raises(NotFound, match="has no 'kedro run' recorded"):
        recorded(run_with(ratoon_command="train.py"), {})


def test_what_was_redacted_must_be_given() -> None:
    run = run_with(
        kedro_command="kedro run --params 'db.password=[redacted],x=1'",
        kedro_command_incomplete="parameter 'db.password'; parameter 'key'",
    )
    with pytest.raises(InvalidInput, match="--params 'db.password=…,key=…'"):
        recorded(run, {})
    assert recorded(run, {"db.password": "p", "key": "k"}).words[-1] == "db.password=p,x=1,key=k"


def test_what_cannot_be_given_is_refused() -> None:
    run = run_with(kedro_command="kedro run", kedro_command_incomplete="node name 'a,b'")
    with pytest.raises(InvalidInput, match="does not tell node name 'a,b'"):
        recorded(run, {})


def test_parameters_are_replaced_or_added() -> None:
    assert with_params(["kedro", "run"], {}) == ["kedro", "run"]
    assert with_params(["kedro", "run"], {"a": "1"}) == ["kedro", "run", "--params", "a=1"]
    assert with_params(["kedro", "run", "--params", "a=1,b=2", "--async"], {"a": "3"})[3] == "a=3,b=2"


def test_params_are_assignments() -> None:
    assert parse_params(["a=1, b.c=x=y", "d="]) == {"a": "1", "b.c": "x=y", "d": ""}
    with pytest.raises(InvalidInput, match="parameter 'a' is no assignment"):
        parse_params(["a"])


def test_metrics_differ_beyond_the_tolerance() -> None:
    nan = float("nan")
    before = {"a": 1.0, "n": nan, "kedro/seconds/x": 1.0, "system/cpu": 2.0, "gone": 3.0}
    after = {"a": 1.001, "n": nan, "kedro/seconds/x": 9.0, "new": 1.0}
    assert differences(before, after) == [
        "a: 1.0 before, 1.001 now",
        "gone: 3.0 before, missing now",
        "new: missing before, 1.0 now",
    ]
    assert [line[0] for line in differences(before, after, 0.01)] == ["g", "n"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with everything committed that may be."""
    folder = tmp_path / "repository"
    for path in ("conf/local/a.yml", "conf/base/credentials.yml", "p/conf/local/a.yml", "conf/base/parameters.yml"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("depth: 1\n")
    author = ("-c", "user.name=anna", "-c", "user.email=anna@example.org")
    for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "all")):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


def test_credentials_and_what_is_local_are_in_no_patch(repository: Path) -> None:
    for path in repository.rglob("*.yml"):
        path.write_text("depth: 2\n")
    for folder in (repository, repository / "p"):
        patch = (working_patch(folder) or b"").decode()
        named = [line for line in patch.splitlines() if line.startswith("+++")]
        assert named == ["+++ b/conf/base/parameters.yml"]


@pytest.mark.parametrize("text", ["depth: 2\n", "depth: 1\ndb:\n  hidden: s3cret\n"])
def test_a_patch_with_a_secret_is_not_kept(
    repository: Path, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (repository / "conf/base/parameters.yml").write_text(text)
    client = Client(tracking_uri=f"sqlite:///{tmp_path}/x.db", artifact_root=str(tmp_path / "files"))
    with caplog.at_level(logging.WARNING), client.start_run(tags={DIRTY: "true"}) as run:
        keep_patch(run, repository, Redactor(["hidden"]))
    try:
        kept = b"".join(client.artifacts.read(f"{artifact_key(run.info.artifact_uri)}/{PATCH}"))
    except NotFound:
        kept = b""
    secret = "hidden" in text
    assert (b"+depth: 2" in kept) is not secret
    client.close()
    assert ["db.hidden" in each.message and "s3cret" not in each.message for each in caplog.records] == [True] * secret


@pytest.mark.parametrize(
    ("path", "line", "key"),
    [
        ("conf/a.yml", "+password: x", "password"),
        ("conf/a.yml", "-  # - user_password: x", "user_password"),
        ("conf/a.yml", " secrets:\n+  one: x", "secrets.one"),
        ("conf/a.yml", " secrets:\n+  - x", "secrets"),
        ("conf/a.yml", "+private_key: |\n+  x", "private_key"),
        ("conf/a.yml", "+db: {user: a, password: x}", "db.password"),
        ("conf/a.yml", "+con: sql://anna:x@host", "con"),
        ("conf/a.json", '+  "password": "x",', "password"),
        ("src/a.py", '+    "password": "x",', "password"),
        ("src/a.py", "+    token: str", None),
        ("conf/a.yml", "+password: ${oc.env:PASSWORD}", None),
        ("conf/a.yml", "+password:", None),
        ("conf/a.yml", " password: x\n+depth: 1", None),
        ("conf/catalog.yml", "+  credentials: dev_s3", None),
        ("conf/a.yml", "+max_tokens: 5", None),
    ],
)
def test_secrets_in_a_patch_are_found_by_their_key(path: str, line: str, key: str | None) -> None:
    patch = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n{line}\n"
    assert secret_in(patch.encode(), Redactor()) == key


def test_links_that_lead_nowhere_are_left_out_and_what_cannot_be_copied_is_one_line(tmp_path: Path) -> None:
    data, clone = tmp_path / "project" / "data", tmp_path / "clone"
    data.mkdir(parents=True)
    (data / "nowhere").symlink_to("gone")
    (data / "file").write_text("x")
    (data / "link").symlink_to("file")
    bring_data(data.parent, clone, "copy")
    assert {path.name: path.is_symlink() for path in (clone / "data").iterdir()} == {"file": False, "link": False}
    (tmp_path / "other").write_text("no folder")
    with pytest.raises(InvalidInput, match="cannot be brought into the clone"):
        bring_data(data.parent, tmp_path / "other", "copy")
