"""How tables and arrays become the tensors that a library computes with, and tensors become arrays.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ratoon.errors import InvalidInput


def as_matrix(data: Any) -> Any:
    """The values of a DataFrame as 32-bit floats, as MLflow gives them to a network; arrays as they are.

    Raises:
        InvalidInput: A column holds no numbers, or the data is neither a DataFrame nor an array.
    """
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame | pd.Series):
        try:
            return data.to_numpy(dtype=np.float32)
        except (ValueError, TypeError):  # the message of numpy's error quotes values
            raise InvalidInput("columns of the model's input are not all numbers; encode the others first") from None
    if isinstance(data, np.ndarray):
        return data
    if isinstance(data, list | tuple):
        return np.asarray(data)
    raise InvalidInput(
        f"data of type '{type(data).__name__}' cannot be given to the model; give a DataFrame, an array, or a dict of "
        "arrays"
    )


def as_table(data: Any, predictions: Any) -> Any:
    """A DataFrame of the predictions where the data was one, with its index; everything else as it is."""
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame) and isinstance(predictions, np.ndarray) and 0 < predictions.ndim <= 2:
        return pd.DataFrame(predictions, index=data.index)
    return predictions


def plain_outputs(outputs: Any, to_array: Callable[[Any], Any]) -> Any:
    """Arrays in place of tensors: one, or a dict of them; several without names are called ``output_0`` and so on."""
    if isinstance(outputs, Mapping):
        return {str(name): plain_outputs(value, to_array) for name, value in outputs.items()}
    if isinstance(outputs, list | tuple):
        if len(outputs) == 1:
            return plain_outputs(outputs[0], to_array)
        return {f"output_{position}": plain_outputs(value, to_array) for position, value in enumerate(outputs)}
    return to_array(outputs)


def first_that_fits(candidates: Iterable[object], shapes: Mapping[str, tuple[int | None, ...]]) -> object | None:
    """The first table, array or dict of arrays whose shapes are those that a model takes.

    Args:
        candidates: What a training got.
        shapes: The shape of each input by its name, batch first; None for any length. Empty if nothing is known.
    """
    only = next(iter(shapes.values())) if len(shapes) == 1 else None
    for candidate in candidates:
        if isinstance(candidate, Mapping):
            if (
                shapes
                and set(candidate) == set(shapes)
                and all(_fits(candidate[name], shapes[name]) for name in shapes)
            ):
                return candidate
        elif only is not None and _fits(candidate, only):
            return candidate
    return None


def _fits(value: object, shape: tuple[int | None, ...]) -> bool:
    given: tuple[int, ...] = getattr(value, "shape", ())
    if not hasattr(value, "dtype") and not hasattr(value, "dtypes"):
        return False
    return len(given) == len(shape) and all(want in (None, have) for want, have in zip(shape, given, strict=True))
