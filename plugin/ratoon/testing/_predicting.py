"""Loads a model and predicts: run as a script by :mod:`ratoon.testing._fresh`, by an interpreter that may lack pytest.

Tables cross from one process to the other as arrays and lists, because pandas pickles them with whatever other library
it found, which need not be there on the other side.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ratoon.models.trust import load_pickle, policy_from, save_pickle

_FRAME, _SERIES = "a pandas.DataFrame", "a pandas.Series"


def write_data(value: Any, path: Path) -> None:
    """Write data or predictions for another process."""
    save_pickle(_taken_apart(value), path)


def read_data(path: Path) -> Any:
    """Read what a process that we started, or that started us, has written."""
    return _put_together(load_pickle(path, policy_from("code")))


def _taken_apart(value: Any) -> Any:
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    if kind == "pandas.DataFrame":
        return (_FRAME, list(value.columns), [_column(value.iloc[:, number]) for number in range(value.shape[1])])
    if kind == "pandas.Series":
        return (_SERIES, value.name, _column(value))
    if isinstance(value, Mapping):
        return {name: _taken_apart(each) for name, each in value.items()}
    return value


def _column(column: Any) -> tuple[Any, ...]:
    if str(column.dtype) == "category":
        categories = column.cat.categories
        return ("category", categories.tolist(), column.cat.codes.to_numpy(), column.cat.ordered)
    simple = isinstance(column.dtype, type(column.to_numpy().dtype)) and column.dtype.kind != "O"
    return (str(column.dtype), column.to_numpy() if simple else column.to_numpy(dtype=object).tolist())


def _put_together(value: Any) -> Any:
    if isinstance(value, tuple) and value[:1] == (_FRAME,):
        import pandas as pd

        columns = dict(enumerate(map(_series, value[2])))
        return pd.DataFrame(columns).set_axis(value[1], axis="columns")
    if isinstance(value, tuple) and value[:1] == (_SERIES,):
        return _series(value[2]).rename(value[1])
    if isinstance(value, Mapping):
        return {name: _put_together(each) for name, each in value.items()}
    return value


def _series(column: tuple[Any, ...]) -> Any:
    import pandas as pd

    if column[0] == "category":
        _, categories, codes, ordered = column
        return pd.Series(pd.Categorical.from_codes(codes, categories=categories, ordered=ordered))
    return pd.Series(column[1], dtype=column[0])


def main(arguments: Sequence[str]) -> None:
    """Predict with a model.

    Args:
        arguments: The model's folder, the files with the data and for the predictions, the trust as JSON, and the
            dotted names of plugins.
    """
    folder, given, answer, trust, *plugins = arguments
    # So that an import of it fails.
    sys.modules["mlflow"] = None  # type: ignore[assignment]
    from ratoon.manager import make_manager
    from ratoon.models.loading import load_folder

    manager = make_manager([importlib.import_module(name) for name in plugins])
    loaded = load_folder(Path(folder), manager=manager, trust=json.loads(trust))
    write_data(loaded.predict(read_data(Path(given))), Path(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
