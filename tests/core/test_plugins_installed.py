"""Plugins as they reach users: installed distributions with an entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ratoon.manager import BUILTINS

GATES = [name for name in BUILTINS if name.startswith("ratoon.registry.gates.")]
EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin_confusion"


@pytest.fixture(scope="module")
def site_with_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages into which the example plugin was installed by a real installer."""
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", site, EXAMPLE]
    subprocess.run(install, check=True)
    return site


def ratoon(*arguments: str, site: Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(site), **environment}
    command = [sys.executable, "-m", "ratoon", *arguments]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)


def test_installed_plugin_is_asked_before_the_builtin(site_with_example: Path, tmp_path: Path) -> None:
    listed = json.loads(ratoon("plugins", "--json", site=site_with_example, cwd=tmp_path).stdout)
    assert listed["describe_output"] == ["confusion", "ratoon.tracking.outputs"]
    assert listed["judge_promotion"] == ["confusion", *reversed(GATES)]


def test_table_of_plugins_tells_builtins_from_installed_ones(site_with_example: Path, tmp_path: Path) -> None:
    lines = ratoon("plugins", site=site_with_example, cwd=tmp_path).stdout.splitlines()
    asked = [line.split() for line in lines if line.split()[:1] == ["describe_output"]]
    assert asked == [["describe_output", "confusion"], ["describe_output", "ratoon.tracking.outputs", "(builtin)"]]


def test_blocked_plugin_takes_no_part(site_with_example: Path, tmp_path: Path) -> None:
    done = ratoon("plugins", "--json", site=site_with_example, cwd=tmp_path, RATOON_BLOCK_PLUGINS="confusion")
    assert json.loads(done.stdout)["describe_output"] == ["ratoon.tracking.outputs"]


def test_answer_of_the_installed_plugin_wins(site_with_example: Path, tmp_path: Path) -> None:
    code = (
        "from ratoon.manager import default_manager; from ratoon.tracking.outputs import describe;"
        "print(describe(default_manager(), 'counts', {'tp': 4, 'fp': 1, 'fn': 0, 'tn': 5}).metrics['precision'])"
    )
    environ = {**os.environ, "PYTHONPATH": str(site_with_example)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.stdout.strip() == "0.8", done.stderr


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise RuntimeError('no licence')", "cannot be loaded (RuntimeError('no licence'))"),
        ("import no_such_module_anywhere", "cannot be loaded (ModuleNotFoundError"),
        ("import ratoon\n@ratoon.hookimpl\ndef run_finishd(run): ...", "does not fit the hooks"),
        ("import ratoon\n@ratoon.hookimpl\ndef run_finished(ran): ...", "does not fit the hooks"),
    ],
)
def test_broken_plugin_is_named_with_the_way_out(tmp_path: Path, module: str, said: str) -> None:
    site = tmp_path / "site"
    info = site / "broken_plugin-2.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 2.1\n")
    (info / "entry_points.txt").write_text("[ratoon]\nbroken = broken_plugin\n")
    (site / "broken_plugin.py").write_text(module)

    done = ratoon("plugins", site=site, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert "'broken'" in line and "broken-plugin 2.1" in line and said in line
    assert "RATOON_BLOCK_PLUGINS=broken" in line

    without = ratoon("plugins", "--json", site=site, cwd=tmp_path, RATOON_BLOCK_PLUGINS="broken")
    assert without.returncode == 0, without.stderr
