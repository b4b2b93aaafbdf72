"""Values as plain JSON: what a task hands to the next one.

Airflow refuses NaN and the infinities in what a task returns, and fails the task after its work is done; an object of a
class that the receiver may not deserialise fails the receiver. Neither can happen to what :func:`plain` returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from enum import Enum
from numbers import Integral, Real

from msgspec import Struct, structs

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def plain(value: object) -> Plain:
    """Reduce a value to None, bool, int, float, str, lists and dictionaries with text keys.

    NaN and the infinities become None. What has no counterpart in JSON becomes its text.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Struct):
        return plain(structs.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | Set):
        return [plain(item) for item in value]
    return str(value)
