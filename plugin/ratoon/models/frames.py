"""How data of any form becomes a DataFrame, before its columns are looked at.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.models.foreign import native
from ratoon.models.schema import ColSpec
from ratoon.models.value_types import NESTED, is_single
from ratoon.models.wording import listed, shape_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# Types whose values may be lists or dicts themselves.
_OPEN = (*NESTED, "any", "sparkml_vector")
# The largest integer up to which a float counts every integer.
_EXACT = 2**53
# Up to so many rows looking at the values is faster than asking pandas.
_FEW = 100


def as_frame(specs: Sequence[ColSpec], names: list[Any], data: Any) -> tuple[pd.DataFrame, bool]:
    """A DataFrame of the data, and whether it was made of Python's own values, whose width means nothing.

    Args:
        specs: What the model takes.
        names: The labels of these columns.
        data: A table or an array of any library, a list of records, of rows or of the values of a single column, a
            dict of lists, a dict that is one row, or a single value.

    Raises:
        InvalidInput: It has no such form.
    """
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data, False
    if isinstance(data, list | dict):
        return _of_plain(specs, names, data), True
    data = native(data)
    if isinstance(data, pd.DataFrame):
        return data, False
    if isinstance(data, pd.Series):
        return data.to_frame(), False
    if isinstance(data, np.ndarray):
        return _of_array(specs, names, data), False
    return _of_plain(specs, names, data), True


def _of_plain(specs: Sequence[ColSpec], names: list[Any], data: Any) -> pd.DataFrame:
    import pandas as pd

    values = _of_one_column(specs[0], data) if len(specs) == 1 else None
    if values is not None:
        return _framed(specs, names, {names[0]: values})
    if isinstance(data, Mapping):
        return _framed(specs, names, _table(specs, names, data))
    if not isinstance(data, list) or not data:
        raise _formless(data)
    if all(isinstance(row, Mapping) for row in data):
        frame = _built(names, lambda: pd.DataFrame(data))
        return _exact(names, frame, lambda name: [row.get(name) for row in data])
    if not all(isinstance(row, list | tuple) for row in data):
        raise _formless(data)
    frame = _built(names, lambda: pd.DataFrame(data, columns=names))
    places = {name: place for place, name in enumerate(names)}
    return _exact(names, frame, lambda name: [row[places[name]] for row in data])


def _of_one_column(spec: ColSpec, data: Any) -> list[Any] | None:
    """The values of the only column, where the data is nothing but these; None if it is something else."""
    if isinstance(data, list):
        if not data or any(isinstance(value, Mapping | list | tuple) for value in data):
            return data if data and spec.name is None and spec.type in _OPEN else None
        return data
    if spec.name is not None or data is None:
        return None
    if isinstance(data, Mapping):
        return [data] if spec.type in _OPEN and list(data) != [0] else None
    return [data] if is_single(data) else None


def _table(specs: Sequence[ColSpec], names: list[Any], data: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A dict of columns; one of values is a single row."""
    import numpy as np
    import pandas as pd

    if not all(isinstance(value, list | np.ndarray) for value in data.values()):
        data = {name: native(value) for name, value in data.items()}
    if not all(isinstance(value, list | np.ndarray | pd.Series) for value in data.values()):
        return _row(specs, names, data)
    takes_arrays = any(spec.type == "array" for spec in specs)
    if takes_arrays and any(
        _is_single_array(data.get(name)) for name, spec in zip(names, specs, strict=True) if spec.type == "array"
    ):
        return _row(specs, names, data)
    return data


def _is_single_array(values: Any) -> bool:
    """Whether the values of an array, rather than arrays, were given."""
    if values is None or not len(values):
        return False
    return not any(value is None or isinstance(value, list | tuple) or getattr(value, "ndim", 0) for value in values)


def _row(specs: Sequence[ColSpec], names: list[Any], data: Mapping[Any, Any]) -> dict[Any, list[Any]]:
    """One row as columns of a single value; a list with this value stands for it."""
    opened = {name for name, spec in zip(names, specs, strict=True) if spec.type in _OPEN}
    return {
        name: value if isinstance(value, list) and len(value) == 1 and name not in opened else [value]
        for name, value in data.items()
    }


def _framed(specs: Sequence[ColSpec], names: list[Any], columns: Mapping[Any, Any]) -> pd.DataFrame:
    import pandas as pd

    opened = [name for name, spec in zip(names, specs, strict=True) if spec.type in _OPEN and name in columns]
    if opened:
        # As objects, or pandas would take the values apart.
        columns = {**columns, **{name: _objects(columns[name]) for name in opened}}
    frame = _built(names, lambda: pd.DataFrame(columns))
    return _exact(names, frame, lambda name: columns.get(name, ()))


def _objects(values: Any) -> pd.Series:
    import pandas as pd

    return pd.Series(list(values), dtype=object)


def _exact(names: list[Any], frame: pd.DataFrame, values_of: Callable[[Any], Any]) -> pd.DataFrame:
    """Undo what pandas did to integers beside gaps or fractions, where floats do not count them any more."""
    if len(frame) <= _FEW:
        suspects = [name for name in names if _has_large(values_of(name))]
    else:
        floats = {name for name, dtype in zip(frame.columns, frame.dtypes, strict=True) if dtype.kind == "f"}
        suspects = [name for name in names if name in floats and bool((frame[name].abs() >= _EXACT).any())]
    rounded = {
        name: _objects(values_of(name))
        for name in suspects
        if frame[name].dtype.kind == "f" and _has_large(values_of(name))
    }
    if not rounded:
        return frame
    import pandas as pd

    return pd.DataFrame({name: rounded.get(name, frame[name]) for name in frame.columns})


def _has_large(values: Any) -> bool:
    return any(type(value) is int and not -_EXACT <= value <= _EXACT for value in values)


def _built(names: list[Any], build: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    try:
        return build()
    except (ValueError, TypeError):  # the message of pandas' error may quote values
        raise InvalidInput(
            f"columns of the model's input differ in length, or are not {len(names)}; give lists of equal length"
        ) from None


def _of_array(specs: Sequence[ColSpec], names: list[Any], array: np.ndarray[Any, Any]) -> pd.DataFrame:
    import pandas as pd

    alone = specs[0].type if len(specs) == 1 and not array.dtype.names else None
    if alone == "array" and array.ndim > 1:
        return pd.DataFrame({names[0]: _objects(array)})
    if alone is not None and array.ndim <= 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise InvalidInput(
            f"array of shape {shape_text(array.shape)} does not fit the model (it takes {len(names)} columns: "
            f"{listed(names)}); give an array of shape {shape_text((-1, len(names)))}, a row for each prediction"
        )
    return pd.DataFrame(array, columns=names, copy=False)


def _formless(data: Any) -> InvalidInput:
    return InvalidInput(
        f"data of type '{type(data).__name__}' does not fit the model; "
        "give a DataFrame, a list of records, a dict of lists or an array with a column for each feature"
    )
