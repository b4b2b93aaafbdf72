"""What may be stored: names, sizes and numbers, checked before anything is written.

Whatever passes here reads back equal from every store. The sizes are MLflow's, where it has them, so that nothing
recorded here is too long for it.
"""

from __future__ import annotations

import re
import unicodedata

from ratoon.entities import Metric, RunBatch
from ratoon.errors import InvalidInput

MAX_KEY = 250
MAX_PARAM = 6000
MAX_TAG = 8000
MAX_NAME = 500
INT64 = 2**63

_KEY = re.compile(r"[\w\-. :/]+")
_ALIAS = re.compile(r"[\w-]{1,255}")
_VERSION_LIKE = re.compile(r"v?\d+|latest", re.IGNORECASE)


def check_batch(batch: RunBatch) -> None:
    """Refuse a batch that holds anything which could not be read back as it is."""
    for metric in batch.metrics:
        check_metric(metric)
    for key, value in batch.params.items():
        check_key("param", key)
        check_text(f"value of param {key!r}", value, MAX_PARAM)
    for key, value in batch.tags.items():
        check_key("tag", key)
        check_text(f"value of tag {key!r}", value, MAX_TAG)


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
