from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from ratoon.errors import Corrupt, NotFound
from ratoon.models.checking import Requirement, check_requirements


def check(folder: Path, text: str) -> list[Requirement]:
    (folder / "requirements.txt").write_text(text)
    return check_requirements(folder)


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (f"numpy=={version('numpy')}", "same"),
        (f"numpy=={version('numpy').rpartition('.')[0]}.*", "same"),
        (f"numpy === {version('numpy')}", "same"),
        ("numpy", "same"),
        ("NumPy", "same"),
        ("numpy==0.1", "other"),
        ("numpy==0.*", "other"),
        ("numpy[extra]==0.1", "other"),
        ("no-such-thing==1.0", "missing"),
        ("no-such-thing", "missing"),
        ("numpy>=1", "unclear"),
        ("numpy==1.0; python_version < '3'", "unclear"),
        ("git+https://example.org/x.git", "unclear"),
        ("-r other.txt", "unclear"),
        ("mlflow==3.17.2", "not needed"),
    ],
)
def test_each_line_is_compared(line: str, state: str, tmp_path: Path) -> None:
    (found,) = check(tmp_path, f"# what it needs\n\n{line}\n")
    assert found.state == state
    assert found.differs == (state in ("other", "missing"))


def test_both_versions_are_told(tmp_path: Path) -> None:
    (found,) = check(tmp_path, "numpy==0.1")
    assert (found.name, found.wanted, found.found) == ("numpy", "0.1", version("numpy"))


def test_a_local_build_is_the_same_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratoon.models.checking.version", lambda name: "2.13.0+cpu")
    assert [each.state for each in check(tmp_path, "torch==2.13.0\ntorch==2.13.0+cpu\ntorch==2.1")] == [
        "same",
        "same",
        "other",
    ]


@pytest.mark.parametrize(
    ("wanted", "states"), [(platform.python_version(), ["same"]), ("3.9.1", ["other"]), ("''", []), ("null", [])]
)
def test_python_is_compared_without_its_patch_release(wanted: str, states: list[str], tmp_path: Path) -> None:
    (tmp_path / "python_env.yaml").write_text(f"python: {wanted}")
    assert [each.state for each in check(tmp_path, "")] == states


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"has no 'requirements\.txt'"):
        check_requirements(tmp_path)
    (tmp_path / "requirements.txt").write_bytes(b"\xff")
    with pytest.raises(Corrupt, match=r"requirements\.txt"):
        check_requirements(tmp_path)
    (tmp_path / "python_env.yaml").write_text("python: [")
    with pytest.raises(Corrupt, match=r"python_env\.yaml"):
        check(tmp_path, "")
