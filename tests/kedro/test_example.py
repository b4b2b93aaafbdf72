"""The example is what its README says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "kedro_wine"


def test_the_project_does_not_know_ratoon(example: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in example.rglob("*") if path.suffix in (".py", ".yml", ".toml")]
    assert len(texts) > 10
    assert not [text for text in texts if "ratoon" in text.lower()]


def test_the_data_are_the_wines(example: Path) -> None:
    lines = (example / "data" / "01_raw" / "wines.csv").read_text().splitlines()
    assert len(lines) == 179
    assert lines[0].startswith("alcohol,malic_acid,") and lines[0].endswith(",target")


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    done = subprocess.run([sys.executable, EXAMPLE / "create.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"folder '{tmp_path}' is not empty; name another one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_readme_lists_every_file_of_the_overlay() -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    files = [path.relative_to(EXAMPLE / "overlay").as_posix() for path in (EXAMPLE / "overlay").rglob("*.*")]
    missing = [name for name in files if name not in readme and not name.endswith(("__init__.py", ".pyc"))]
    assert missing == []
