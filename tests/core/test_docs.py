"""What the documentation says is what the code does."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ratoon import hookspecs
from ratoon.cli.commands import COMMANDS
from ratoon.cli.plugins import hook_names
from ratoon.settings import KEYS

ROOT = Path(__file__).parents[2]


def hook_rows() -> list[str]:
    rows = []
    for name in hook_names():
        hook = getattr(hookspecs, name)
        arguments = ", ".join(inspect.signature(hook).parameters)
        rows.append(f"| `{name}({arguments})` | {family(name)} | {inspect.getdoc(hook).splitlines()[0]} |")
    return rows


def family(name: str) -> str:
    if getattr(hookspecs, name).ratoon_spec["firstresult"]:
        return "answer"
    return "provide" if name.startswith("register_") else "vote" if name.startswith("judge_") else "observe"


def test_every_hook_is_in_the_table_of_the_docs() -> None:
    documented = [line for line in (ROOT / "docs" / "hooks.md").read_text().splitlines() if line.startswith("| `")]
    assert documented == hook_rows()


def test_every_setting_is_documented() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "concepts.md").read_text(), re.MULTILINE)
    assert documented == list(KEYS)


def test_commands_in_the_prose_exist() -> None:
    texts = [path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
    named = {found for text in texts for found in re.findall(r"(?:\$ |`)ratoon ([a-z]+)", text)}
    assert named and named <= set(COMMANDS)


def test_links_between_pages_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("RATOON_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.stdout.split() == ["[0", "0", "0]"], done.stderr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "ratoon", command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: ratoon {command}")
