"""What flavors say about the library behind them: that it is missing, and what its class of a model is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ratoon.errors import InvalidInput, MissingExtra

# Packages whose distribution has another name.
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


@contextmanager
def needed_by(flavor: str, extra: str | None = None) -> Iterator[None]:
    """Import a flavor's libraries in the block.

    Args:
        flavor: The name of the flavor.
        extra: The extra of ratoon that installs them; it is called as the flavor if None.

    Raises:
        MissingExtra: One cannot be imported.
    """
    extra = extra or flavor
    try:
        yield
    except ImportError as error:
        missing = (error.name or extra).partition(".")[0]
        raise MissingExtra(f"the flavor {flavor!r}", extra, _DISTRIBUTIONS.get(missing, missing)) from error


def class_name(model: object) -> str:
    """The dotted name of an object's class, as MLmodel files have it."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def not_fitted(model: object) -> InvalidInput:
    """What to raise for an estimator that has not learned anything yet."""
    return InvalidInput(f"model of type '{type(model).__qualname__}' is not fitted; call its method fit first")
