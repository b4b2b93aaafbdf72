"""Connections of every kind, as the hook reads them. The working folder is one that nothing must depend on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.exceptions import AirflowNotFoundException
from structlog.testing import capture_logs

from ratoon_airflow.hooks.ratoon import RatoonHook, environment

HOME = Path(os.environ["AIRFLOW_HOME"])


def define(conn_id: str, **fields: object) -> RatoonHook:
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps({"conn_type": "ratoon", **fields})
    return RatoonHook(conn_id)


def message(hook: RatoonHook) -> str:
    try:
        hook.get_settings()
    except AirflowNotFoundException as error:
        return str(error)
    return "no error"


def settings(hook: RatoonHook) -> Mapping[str, str]:
    return environment(hook.get_settings())


answer: dict[str, object] = {"home": str(HOME)}
answer["missing default"] = message(RatoonHook())
answer["missing other"] = message(RatoonHook("lab"))

os.environ["RATOON_TRACKING_URI"] = "sqlite:////from/environment.db"
answer["environment"] = settings(RatoonHook())
answer["environment, other"] = message(RatoonHook("lab"))
del os.environ["RATOON_TRACKING_URI"]

answer["extra"] = settings(define("full", extra={"tracking_uri": "sqlite:////a.db", "artifact_root": "/files"}))
answer["relative"] = settings(define("relative", extra={"tracking_uri": "sqlite:///here.db"}))
answer["host"] = settings(define("host", host="sqlite:////b.db"))
answer["host and port"] = settings(define("port", host="http://tracking.example", port=5000))
answer["host is none"] = settings(define("no_uri", host="tracking.example"))

hook = define("chatty", extra={"tracking_uri": "sqlite:////c.db", "tracking_url": "s3cret-value", "colour": "green"})
with capture_logs() as logged:
    answer["unknown"] = settings(hook)
answer["warned"] = [entry["event"] for entry in logged if entry["log_level"] == "warning"]

works = define("works", extra={"tracking_uri": f"sqlite:///{HOME}/works.db"})
answer["works"] = works.test_connection()
answer["same client"] = works.get_conn().settings == works.get_client().settings
answer["does not work"] = define("wrong", extra={"tracking_uri": "gopher://somewhere"}).test_connection()
answer["missing, tested"] = RatoonHook("lab").test_connection()

with_password = define("locked", extra={"tracking_uri": "gopher://me:hush%21hush@somewhere/x"})
answer["password, tested"] = with_password.test_connection()
answer["password, masked"] = redact("the password hush%21hush means hush!hush")
print(f"ANSWER {json.dumps(answer)}")
