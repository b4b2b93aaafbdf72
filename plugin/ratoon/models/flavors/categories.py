"""Gives columns back the type that a table loses on its way through JSON, CSV or a signature: category.

pandas is imported on use.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def as_categories(frame: Any, names: Iterable[object]) -> Any:
    """A table whose named columns are categories; the very same if they are already."""
    import pandas as pd

    odd = [name for name in names if not isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(odd, "category")) if odd else frame
