"""How arrays are brought into the form of a signature that is made of tensors.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.models.foreign import is_sparse, native
from ratoon.models.schema import TensorSpec
from ratoon.models.wording import listed, shape_text

if TYPE_CHECKING:
    import numpy as np

# The largest integer up to which a double counts every integer.
_EXACT = 2**53


def enforce_tensors(specs: Sequence[TensorSpec], data: Any) -> Any:
    """Make an array of the type and shape; a dict of arrays where the tensors have names.

    Raises:
        InvalidInput: A tensor is missing, has another shape, or cannot be converted without loss.
    """
    if specs[0].name is None:
        return _tensor(specs[0], "the model's input", data)
    if not isinstance(data, Mapping):
        data = _arrays_of(native(data))
    if not isinstance(data, Mapping):
        raise InvalidInput(
            f"data of type '{type(data).__name__}' does not fit the model (it takes arrays by name); "
            f"give a dict with {listed(spec.name for spec in specs)}"
        )
    missing = [spec.name for spec in specs if spec.name not in data]
    if missing:
        raise InvalidInput(f"array {missing[0]!r} of the model's input is missing (given: {listed(data)}); add it")
    return {spec.name: _tensor(spec, f"array {spec.name!r}", data[spec.name]) for spec in specs}


def _arrays_of(data: Any) -> Any:
    """The columns of a DataFrame as arrays by name, lists in a column as rows of an array; anything else as it is."""
    import numpy as np
    import pandas as pd

    if not isinstance(data, pd.DataFrame):
        return data
    arrays = {name: column.to_numpy() for name, column in data.items()}
    nested = (list, np.ndarray)
    return {
        name: array.tolist() if array.dtype == object and len(array) and isinstance(array[0], nested) else array
        for name, array in arrays.items()
    }


def _tensor(spec: TensorSpec, what: str, data: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    literal = isinstance(data, list | tuple)
    try:
        array = data if isinstance(data, np.ndarray) else _array(np, data)
        wanted = np.dtype(spec.dtype)
    except (ValueError, TypeError):  # the message of numpy's error quotes values
        raise InvalidInput(f"{what} is no array (rows differ in length or type); give rows of equal length") from None
    if len(array.shape) != len(spec.shape) or any(
        want not in (-1, have) for want, have in zip(spec.shape, array.shape, strict=True)
    ):
        raise InvalidInput(
            f"{what} has the wrong shape (expected {shape_text(spec.shape)}, given {shape_text(array.shape)}); "
            "reshape it"
        )
    if array.dtype == wanted or (wanted.kind in "US" and array.dtype.kind == wanted.kind):
        return array
    as_float = literal and wanted.kind == "f" and array.dtype.kind in "iuf" and _in_float(array)
    fits_integers = literal and wanted.kind in "iu" and array.dtype.kind in "iu" and _in_range(array, wanted)
    if as_float or fits_integers or _widens(np, array.dtype, wanted):
        return array.astype(wanted)
    raise InvalidInput(
        f"{what} has the wrong type (expected {wanted.name}, given {array.dtype.name}); "
        f"convert it, for example array.astype('{wanted.name}'), if nothing that matters is lost"
    )


def _array(np: Any, data: Any) -> Any:
    """An array of numpy, or a sparse one as it is."""
    data = native(data)
    return data if is_sparse(data) else np.asarray(data)


def _widens(np: Any, given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether every value survives; numpy counts numbers as texts, and truth values as numbers, we do not."""
    if wanted.kind == "O":
        return True
    return given.kind in "iuf" and wanted.kind in "iufc" and bool(np.can_cast(given, wanted, "safe"))


def _in_float(array: np.ndarray[Any, Any]) -> bool:
    """Whether integers are counted by the floats that they become."""
    return array.dtype.kind == "f" or array.size == 0 or bool(-_EXACT <= array.min() and array.max() <= _EXACT)


def _in_range(array: np.ndarray[Any, Any], wanted: np.dtype[Any]) -> bool:
    import numpy as np

    limits = np.iinfo(wanted)
    return array.size == 0 or bool(limits.min <= array.min() and array.max() <= limits.max)
