"""How data is brought into the form of a signature: columns in order, types widened, nothing lost.

Work is done a column at a time, and not at all for data that fits already. Messages name columns and types, never
values: what a model is asked is nobody else's business. numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.models.casting import INTEGERS, WIDTHS, cast_column, widen_integers
from ratoon.models.frames import as_frame
from ratoon.models.inference import refuse_duplicates
from ratoon.models.schema import ColSpec
from ratoon.models.wording import listed

if TYPE_CHECKING:
    import pandas as pd


def enforce_columns(specs: Sequence[ColSpec], data: Any) -> pd.DataFrame:
    """Make a DataFrame with these columns of these types; other columns are dropped, missing optional ones filled.

    Raises:
        InvalidInput: A required column is missing, or one cannot be converted without loss.
    """
    names = _names(specs)
    frame, literal = as_frame(specs, names, data)
    if not frame.columns.is_unique:
        refuse_duplicates(frame.columns)
    if all(spec.name is None for spec in specs) and len(frame.columns) == len(names):
        frame = frame.set_axis(names, axis="columns")
    _refuse_missing(specs, names, frame.columns)
    if list(frame.columns) != names:
        frame = frame.reindex(columns=names)
    dtypes = list(frame.dtypes)
    # A wide frame has many columns and few types: each type is spelt once.
    spelt = {dtype: str(dtype) for dtype in set(dtypes)}
    fitted = [WIDTHS.get(spec.type) == spelt[dtype] for spec, dtype in zip(specs, dtypes, strict=True)]
    if all(fitted):
        return frame
    odd = [(name, spec) for name, spec, fits in zip(names, specs, fitted, strict=True) if not fits]
    whole = {name for name, dtype in zip(names, dtypes, strict=True) if spelt[dtype] in INTEGERS}
    return _cast(frame, odd, [name for name, spec in odd if spec.type == "double" and name in whole], literal)


def _cast(frame: pd.DataFrame, odd: Sequence[tuple[Any, ColSpec]], whole: list[Any], literal: bool) -> pd.DataFrame:
    """Convert the odd columns; those that hold integers and are to hold doubles all at once."""
    import pandas as pd

    widened = widen_integers(frame, whole) if whole else None
    if widened is not None and len(whole) == len(frame.columns):
        return widened
    changed = {} if widened is None else dict(widened.items())
    for name, spec in odd:
        if name not in changed:
            column = frame[name]
            converted = cast_column(column, name, spec, literal)
            if converted is not column:
                changed[name] = converted
    if not changed:
        return frame
    return pd.DataFrame({name: changed.get(name, frame[name]) for name in frame.columns}, copy=False)


def _names(specs: Sequence[ColSpec]) -> list[Any]:
    """The labels of the columns: positions where the signature has no names."""
    return [position if spec.name is None else spec.name for position, spec in enumerate(specs)]


def _refuse_missing(specs: Sequence[ColSpec], names: list[Any], given: Iterable[Any]) -> None:
    present = set(given)
    missing = [name for name, spec in zip(names, specs, strict=True) if spec.required and name not in present]
    if missing:
        raise InvalidInput(
            f"column {listed(missing)} of the model's input is missing (given: {listed(given)}); add what is missing"
        )
