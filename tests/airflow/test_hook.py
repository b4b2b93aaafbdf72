"""Connections: where they come from, what they may say, and what is said about those that are not there."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def hook(drive):
    return drive("hook")


def stores(uri: str, root: str) -> dict[str, str]:
    return {"RATOON_TRACKING_URI": uri, "RATOON_REGISTRY_URI": uri, "RATOON_ARTIFACT_ROOT": root}


def test_a_missing_default_connection_says_how_to_define_it(hook):
    assert hook["missing default"] == (
        "connection 'ratoon_default' is not defined (neither in Airflow nor in the environment); "
        "run: airflow connections add ratoon_default --conn-type ratoon "
        """--conn-extra '{"tracking_uri": "sqlite:////data/ratoon.db"}', """
        "or set AIRFLOW_CONN_RATOON_DEFAULT="
        """'{"conn_type": "ratoon", "extra": {"tracking_uri": "sqlite:////data/ratoon.db"}}', """
        "or RATOON_TRACKING_URI alone"
    )


def test_the_environment_of_ratoon_stands_in_for_the_default_connection_alone(hook):
    assert hook["environment"] == stores("sqlite:////from/environment.db", "/from/artifacts")
    for case in ("missing other", "environment, other"):
        assert hook[case].startswith("connection 'lab' is not defined")
        assert "AIRFLOW_CONN_LAB=" in hook[case]
        assert "RATOON_TRACKING_URI" not in hook[case]


def test_the_extra_names_the_stores(hook):
    assert hook["extra"] == stores("sqlite:////a.db", "/files")


def test_relative_places_start_at_the_home_of_airflow(hook):
    assert hook["relative"] == stores(f"sqlite:///{hook['home']}/here.db", f"{hook['home']}/artifacts")


def test_a_host_counts_where_it_is_a_uri(hook):
    assert hook["host"]["RATOON_TRACKING_URI"] == "sqlite:////b.db"
    assert hook["host and port"]["RATOON_TRACKING_URI"] == "http://tracking.example:5000"
    assert hook["host is none"]["RATOON_TRACKING_URI"] == f"sqlite:///{hook['home']}/.ratoon/ratoon.db"


def test_an_unknown_extra_is_named_and_its_value_is_not(hook):
    assert hook["unknown"] == stores("sqlite:////c.db", "/artifacts")
    assert hook["warned"] == [
        "connection 'chatty' has an extra that ratoon does not know (colour, tracking_url) and ignores it; "
        "it knows tracking_uri, registry_uri, artifact_root"
    ]


def test_the_test_button(hook):
    assert hook["works"] == [True, f"sqlite:///{hook['home']}/works.db answered"]
    assert hook["same client"] is True
    answered, why = hook["does not work"]
    assert not answered and "gopher://somewhere" in why
    answered, why = hook["missing, tested"]
    assert not answered and why.startswith("connection 'lab' is not defined")


def test_a_password_is_shown_nowhere(hook):
    answered, why = hook["password, tested"]
    assert not answered and "hush" not in why
    assert hook["password, masked"] == "the password *** means ***"
