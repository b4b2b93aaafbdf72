"""What installing the plugin costs, and the commands it adds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from conftest import WineProject

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "pandas", "sqlalchemy", "sklearn", "skops")

IMPORTS = f"""
import sys
import kedro.framework.cli
import kedro.framework.hooks
before = set(sys.modules)
from importlib.metadata import entry_points
(hooks,) = entry_points(group="kedro.hooks", name="ratoon")
(commands,) = entry_points(group="kedro.project_commands", name="ratoon")
assert hooks.load().__name__ == "ratoon", hooks.load()
assert set(commands.load().commands) == {{"ratoon"}}
new = set(sys.modules) - before
assert not new & set({HEAVY!r}), new
print(*sorted(name for name in new if "ratoon" in name))
"""


def test_loading_the_entry_points_imports_next_to_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Kedro reports on its logging above it.
    ours = ["ratoon_kedro", "ratoon_kedro.cli", "ratoon_kedro.plugin", "ratoon_kedro.switches"]
    assert done.stdout.splitlines()[-1].split() == ours


def test_the_commands_and_options_of_the_prose_exist() -> None:
    from ratoon_kedro.cli import ratoon
    from ratoon_kedro.options.config import KEYS

    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("kedro_*/README.md")]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    named = {found for text in texts for found in re.findall(r"kedro ratoon ([a-z]+)", text)}
    assert named and named <= set(ratoon.lazy_subcommands)
    page = (ROOT / "docs" / "kedro.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    of_ratoon = [block for block in blocks if not any("type" in entry for entry in block.values() if entry)]
    assert len(of_ratoon) == 2 and set().union(*of_ratoon) <= set(KEYS)


def test_importing_the_package_imports_nothing_at_all() -> None:
    code = "import sys, ratoon_kedro; assert 'kedro' not in sys.modules and 'ratoon' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_entry_point_is_an_instance_even_after_all_modules_are_imported() -> None:
    import ratoon_kedro.lifecycle
    import ratoon_kedro.plugin

    assert isinstance(ratoon_kedro.hooks, ratoon_kedro.RatoonHooks)
    assert ratoon_kedro.hooks is ratoon_kedro.hooks
    assert sorted(ratoon_kedro.__all__) == ["RatoonHooks", "hooks"]


def test_init_writes_a_file_that_changes_nothing_and_keeps_what_is_there(project: WineProject) -> None:
    target = project.path / "conf" / "local" / "ratoon.yml"
    assert project.kedro("ratoon", "init", "--env", "local").returncode == 0
    text = target.read_text(encoding="utf-8")
    assert yaml.safe_load(text) is None
    target.write_text("enabled: false\n")
    refused = project.kedro("ratoon", "init", "--env", "local")
    assert refused.returncode == 1
    assert f"file '{target}' is there already; give --force to overwrite it" in refused.stderr + refused.stdout
    assert project.kedro("ratoon", "init", "--env", "local", "--force").returncode == 0
    assert target.read_text(encoding="utf-8") == text


def test_init_names_the_environment_that_is_not_there(project: WineProject) -> None:
    refused = project.kedro("ratoon", "init", "--env", "prod")
    assert refused.returncode == 1
    assert "environment 'prod' has no folder" in refused.stderr + refused.stdout
