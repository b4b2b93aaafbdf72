"""What Airflow learns about the provider, and what that costs."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from ratoon_airflow.get_provider_info import get_provider_info


def test_the_provider_bears_the_name_of_the_distribution():
    (entry_point,) = (
        found
        for found in importlib.metadata.entry_points(group="apache_airflow_provider")
        if found.module.startswith("ratoon_airflow")
    )
    assert entry_point.load() is get_provider_info
    assert get_provider_info()["package-name"] == importlib.metadata.distribution("ratoon").metadata["Name"]


def test_the_answer_fits_the_schema_of_airflow():
    import jsonschema

    airflow = importlib.util.find_spec("airflow")
    schema = json.loads(Path(airflow.origin).with_name("provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_every_module_of_operators_and_hooks_is_listed():
    package = Path(importlib.import_module("ratoon_airflow").__file__).parent
    for kind, not_listed in (("operators", {"__init__", "base"}), ("hooks", {"__init__"})):
        there = {path.stem for path in (package / kind).glob("*.py")} - not_listed
        listed = {name for group in get_provider_info()[kind] for name in group["python-modules"]}
        assert listed == {f"ratoon_airflow.{kind}.{name}" for name in there}


def test_asking_for_it_imports_nothing():
    code = (
        "import sys; before = set(sys.modules); import ratoon_airflow.get_provider_info as info; "
        "info.get_provider_info(); print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - {"__future__"} == {"ratoon_airflow", "ratoon_airflow.get_provider_info"}


def test_the_manager_of_providers_knows_the_connection_type(drive):
    assert drive("providers") == {
        "version": importlib.metadata.version("ratoon"),
        "hook": "ratoon_airflow.hooks.ratoon.RatoonHook",
        "connection_id_attribute": "ratoon_conn_id",
        "connection_testable": True,
        "fields": [f"extra__ratoon__{name}" for name in ("artifact_root", "registry_uri", "tracking_uri")],
        "hidden": ["host", "schema", "login", "password", "port", "extra"],
    }


def test_airflow_lists_it(airflow):
    listed = {provider["package_name"]: provider for provider in airflow("providers", "list", "-o", "json")}
    assert listed["ratoon"]["version"] == importlib.metadata.version("ratoon")
