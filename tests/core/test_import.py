"""What ``import ratoon`` costs, and what it gives."""

from __future__ import annotations

import subprocess
import sys

import ratoon

HEAVY = {
    "pandas",
    "numpy",
    "sqlalchemy",
    "alembic",
    "kedro",
    "airflow",
    "sklearn",
    "httpx",
    "click",
    "rich",
    "starlette",
}
MOST_MODULES = 150


def test_import_loads_few_modules_and_nothing_heavy() -> None:
    listing = "import sys; before = set(sys.modules); import ratoon; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "ratoon" in loaded
    assert len(loaded) < MOST_MODULES
    assert not HEAVY & {name.partition(".")[0] for name in loaded}


def test_public_names_are_pinned_and_importable() -> None:
    assert ratoon.__all__ == sorted(ratoon.__all__)
    assert dir(ratoon) == ratoon.__all__
    missing = [name for name in ratoon.__all__ if getattr(ratoon, name, None) is None]
    assert missing == []


def test_every_lazy_name_is_public() -> None:
    assert {*ratoon._HOME_OF, "__version__"} == set(ratoon.__all__)
