"""What may be stored: names, sizes and numbers, checked before anything is written.

Whatever passes here reads back equal from every store. The sizes are MLflow's, where it has them, so that nothing
recorded here is too long for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from ratoon.entities import DatasetInput, Metric, Model, ModelVersion, Run, RunBatch
from ratoon.errors import InvalidInput

MAX_KEY = 250
MAX_PARAM = 6000
MAX_TAG = 8000
MAX_NAME = 500
# For what nobody searches: descriptions, sources, locations. MLflow's column of a dataset's source has this size.
MAX_TEXT = 65_535
MAX_DOCUMENT = 16_777_215
MAX_USER = 256
MAX_DIGEST = 64
# MLflow's, for clients that still call them; an alias says more.
STAGES = ("None", "Staging", "Production", "Archived")
INT64 = 2**63

_KEY = re.compile(r"[\w\-. :/]+")
_ALIAS = re.compile(r"[\w-]{1,255}")
_VERSION_LIKE = re.compile(r"v?\d+|latest", re.IGNORECASE)


def check_batch(batch: RunBatch) -> None:
    """Refuse a batch that holds anything which could not be read back as it is."""
    check_metrics(batch.metrics)
    check_params(batch.params)
    check_tags(batch.tags)


def check_params(params: Mapping[str, str]) -> None:
    """Refuse params that could not be read back as they are."""
    for key, value in params.items():
        check_key("param", key)
        check_text(f"value of param {key!r}", value, MAX_PARAM)


def check_tags(tags: Mapping[str, str | None]) -> None:
    """Refuse tags that could not be read back as they are; a value of None stands for one that is taken away."""
    for key, value in tags.items():
        check_key("tag", key)
        if value is not None:
            check_text(f"value of tag {key!r}", value, MAX_TAG)


def check_run(run: Run) -> None:
    """Refuse a run that could not be read back as it is."""
    check_name("run", run.run_name)
    check_text("run id", run.run_id, 32)
    check_text("user", run.user_id, MAX_USER)
    check_text("artifact URI", run.artifact_uri, MAX_TEXT)
    check_int64("start time", run.start_time)
    check_int64("end time", run.end_time)
    check_batch(RunBatch(run_id=run.run_id, params=run.params, tags=run.tags))


def check_input(given: DatasetInput) -> None:
    """Refuse a dataset that could not be read back as it is."""
    dataset = given.dataset
    check_name("dataset", dataset.name)
    check_text("digest of a dataset", dataset.digest, MAX_DIGEST)
    check_text("source type of a dataset", dataset.source_type, MAX_DIGEST)
    check_text("source of a dataset", dataset.source, MAX_TEXT)
    check_text("schema of a dataset", dataset.schema or "", MAX_DOCUMENT)
    check_text("profile of a dataset", dataset.profile or "", MAX_DOCUMENT)
    check_tags(given.tags)


def check_model(model: Model) -> None:
    """Refuse a model that could not be read back as it is."""
    check_name("model", model.name)
    check_text("model id", model.model_id, 36)
    check_text("source run id", model.source_run_id or "", 32)
    check_text("artifact URI", model.artifact_uri, MAX_TEXT)
    check_text("model type", model.model_type, MAX_NAME)
    check_text("status message", model.status_message, MAX_TEXT)
    check_params(model.params)
    check_tags(model.tags)


def check_version(version: ModelVersion) -> None:
    """Refuse a version that could not be read back as it is."""
    check_text("source", version.source, MAX_TEXT)
    check_text("run id", version.run_id or "", 32)
    check_text("model id", version.model_id or "", 36)
    check_text("user", version.user_id, MAX_USER)
    check_text("description", version.description, MAX_TEXT)
    check_text("run link", version.run_link, MAX_TEXT)
    check_tags(version.tags)


def check_metrics(metrics: Iterable[Metric]) -> None:
    """Refuse metrics that could not be stored exactly; a key is looked at once."""
    known: set[str] = set()
    for metric in metrics:
        step, timestamp = metric.step, metric.timestamp
        # Exact types: a boolean is an integer, and a key need not be hashable. What is left is looked at closely.
        plain = type(metric.value) is float and type(step) is int and type(timestamp) is int and type(metric.key) is str
        if not (plain and metric.key in known and -INT64 <= step < INT64 and -INT64 <= timestamp < INT64):
            check_metric(metric)
            known.add(metric.key)
        elif metric.model_id is not None:
            check_metric(metric)


def check_metric(metric: Metric) -> None:
    """Refuse a metric whose key, value, step or timestamp cannot be stored exactly."""
    check_key("metric", metric.key)
    if isinstance(metric.value, bool) or not isinstance(metric.value, (int, float)):
        raise InvalidInput(f"metric {metric.key!r} has the value {metric.value!r}; give a number")
    if isinstance(metric.value, int) and not _is_exact(metric.value):
        raise InvalidInput(f"metric {metric.key!r} has an integer that no float is equal to; give float(value)")
    for what, number in (("step", metric.step), ("timestamp", metric.timestamp)):
        if isinstance(number, bool) or not isinstance(number, int) or not -INT64 <= number < INT64:
            raise InvalidInput(f"metric {metric.key!r} has the {what} {number!r}; give an integer of 64 bits")
    if metric.model_id is not None:
        check_text("model id of a metric", metric.model_id, 36)
        check_text("dataset name of a metric", metric.dataset_name or "", MAX_NAME)
        check_text("dataset digest of a metric", metric.dataset_digest or "", MAX_DIGEST)


def check_int64(what: str, number: int | None) -> None:
    """Refuse a number that a database has no column for."""
    if number is not None and (not isinstance(number, int) or not -INT64 <= number < INT64):
        raise InvalidInput(f"{what} is {number!r}; give an integer of 64 bits")


def check_key(kind: str, key: str) -> None:
    """Refuse a key of a param, metric or tag that MLflow could not hold or that looks like a way out of a folder."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidInput(
            f"{kind} key {key!r} is not allowed; use letters, digits, spaces and the characters _ - . : /"
        )
    if len(key) > MAX_KEY:
        raise InvalidInput(f"{kind} key {key[:40]!r}… has {len(key)} characters; {MAX_KEY} are allowed")
    if key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")):
        raise InvalidInput(f"{kind} key {key!r} is not allowed (it reads as a path); remove the empty or dotted parts")


def check_text(what: str, value: str, limit: int) -> None:
    """Refuse text that is too long or that not every database can hold."""
    if not isinstance(value, str):
        raise InvalidInput(f"{what} is {value!r}; give a string")
    if len(value) > limit:
        raise InvalidInput(f"{what} has {len(value)} characters; {limit} are allowed, log it as an artifact instead")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(f"{what} holds a NUL or a lone surrogate; remove it, or log the value as an artifact")


def check_name(kind: str, name: str) -> str:
    """Refuse a name of an experiment, model or run that could be mistaken for another; returns it normalised (NFC)."""
    check_text(f"{kind} name", name, MAX_NAME)
    normalised = unicodedata.normalize("NFC", name)
    if not normalised.strip() or normalised != normalised.strip():
        raise InvalidInput(f"{kind} name {name!r} is empty or begins or ends with a space; give another one")
    if any(unicodedata.category(character) in ("Cc", "Cf") for character in normalised):
        raise InvalidInput(f"{kind} name {name!r} holds a control character; remove it")
    return normalised


def normalised(name: str) -> str:
    """A name as it is stored: two spellings that look the same are one name (Unicode's NFC)."""
    return unicodedata.normalize("NFC", name) if isinstance(name, str) else name


def check_model_name(name: str) -> str:
    """Refuse a name that a ``models:/name@alias`` URI could not hold; returns it normalised."""
    name = check_name("model", name)
    if any(character in name for character in "/:@%#?"):
        raise InvalidInput(f"model name {name!r} is not allowed; leave out the characters / : @ % # ?")
    return name


def check_stage(stage: str) -> str:
    """Refuse a stage that MLflow does not know."""
    if stage not in STAGES:
        raise InvalidInput(f"stage {stage!r:.80} is unknown; give one of {', '.join(STAGES)}")
    return stage


def check_alias(alias: str) -> None:
    """Refuse an alias that could be mistaken for a version."""
    if not _ALIAS.fullmatch(alias):
        raise InvalidInput(f"alias {alias!r} is not allowed; use letters, digits, _ and -, at most 255")
    if _VERSION_LIKE.fullmatch(alias):
        raise InvalidInput(f"alias {alias!r} is not allowed (it reads as a version); choose a word such as 'champion'")


def _is_exact(value: int) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False
