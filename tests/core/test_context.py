from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from ratoon.tracking.context import git_state, random_name, surroundings


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "Größe repo"
    folder.mkdir()
    git(folder, "init")
    (folder / "train.py").write_text("fit()\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Begin")
    return folder


def test_a_clean_tree(repository: Path) -> None:
    assert git_state(repository) == {
        "mlflow.source.git.commit": git(repository, "rev-parse", "HEAD"),
        "mlflow.source.git.branch": "main",
        "ratoon.git.dirty": "false",
    }


def test_a_changed_file_makes_the_tree_dirty(repository: Path) -> None:
    (repository / "train.py").write_text("fit(better=True)\n")
    assert git_state(repository)["ratoon.git.dirty"] == "true"


def test_a_staged_file_makes_the_tree_dirty(repository: Path) -> None:
    (repository / "new.py").write_text("")
    git(repository, "add", "new.py")
    assert git_state(repository)["ratoon.git.dirty"] == "true"


def test_a_file_that_git_does_not_know_changes_nothing(repository: Path) -> None:
    (repository / "notes.txt").write_text("")
    assert git_state(repository)["ratoon.git.dirty"] == "false"


def test_a_subfolder_belongs_to_its_repository(repository: Path) -> None:
    (repository / "src").mkdir()
    assert git_state(repository / "src")["mlflow.source.git.branch"] == "main"


def test_a_detached_head_and_a_stash_are_understood(repository: Path) -> None:
    git(repository, "config", "status.showStash", "true")
    (repository / "train.py").write_text("other\n")
    git(repository, "stash")
    git(repository, "checkout", "--detach")
    assert git_state(repository)["mlflow.source.git.branch"] == "(detached)"
    assert git_state(repository)["ratoon.git.dirty"] == "false"


def test_a_branch_without_a_commit_has_no_state(tmp_path: Path) -> None:
    git(tmp_path, "init")
    assert git_state(tmp_path) == {}


def test_outside_of_a_repository_there_is_no_state(tmp_path: Path) -> None:
    assert git_state(tmp_path) == {}
    assert git_state(tmp_path / "not-there") == {}


def test_without_git_there_is_no_state(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert git_state(repository) == {}


def test_the_surroundings_say_who_what_and_where(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr("sys.argv", ["train.py", "--name", "two words", "x" * 9000])
    found = surroundings("ada")
    assert found["mlflow.user"] == "ada"
    assert found["mlflow.source.name"] == "train.py"
    assert found["ratoon.command"].startswith("train.py --name 'two words' xxx")
    assert len(found["ratoon.command"]) == 8000
    assert found["mlflow.source.git.branch"] == "main"
    assert set(map(type, found.values())) == {str}


def test_a_secret_among_several_pairs_is_left_out_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["kedro", "run", "--params", "n=0.1,db.password=LEAK,m=2", "--token=a,b"])
    words = shlex.split(surroundings("ada")["ratoon.command"])
    assert words == ["kedro", "run", "--params", "n=0.1,db.password=…,m=2", "--token=…"]


def test_names_of_runs_can_be_said() -> None:
    names = {random_name() for _ in range(100)}
    assert len(names) > 90
    assert all(name.isascii() and name.count("-") == 2 for name in names)
