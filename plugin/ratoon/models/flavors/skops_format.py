"""Files of skops: data and names of types, of which only known ones and those that the caller trusts are made.

skops is imported on use.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, RatoonError
from ratoon.models.flavors.libraries import needed_by
from ratoon.models.flavors.sklearn_checks import check_structures
from ratoon.models.flavors.sklearn_types import KNOWN_TYPES
from ratoon.models.trust import TrustPolicy, load_pickle

__all__ = ["KNOWN_TYPES", "read_estimator", "read_skops", "skops_io", "write_skops"]


def write_skops(model: Any, path: Path, *, compressed: bool = False) -> list[str]:
    """Write an object; returns the types in it that skops does not vouch for.

    Raises:
        TypeError: The file could not be read again. Any other exception comes from the object's own class.
    """
    io = skops_io()
    io.dump(model, path, compression=zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED)
    untrusted: list[str] = io.get_untrusted_types(file=path)
    # skops writes functions and classes by name, also those that nobody can import by it: lambdas and local ones, and
    # those of a script, which is another one in the process that loads.
    nameless = [name for name in untrusted if "<" in name or name.startswith("__main__.")]
    if nameless:
        raise TypeError(f"{nameless[0]} cannot be imported by its name")
    return untrusted


def read_estimator(path: Path, serialization: object, policy: TrustPolicy) -> Any:
    """Read an estimator back from what MLflow's key ``serialization_format`` says its file is.

    Raises:
        Untrusted: It is a pickle, or holds types, that the policy does not allow.
        Corrupt: It cannot be read, or is in an unknown format.
    """
    if serialization == "skops":
        return read_skops(path, policy)
    if serialization in ("cloudpickle", "pickle"):
        return load_pickle(path, policy)
    raise Corrupt(
        f"model in '{path.parent}' has the unknown serialization format {serialization!r} "
        "(known are 'skops', 'cloudpickle' and 'pickle'); save it again"
    )


def read_skops(path: Path, policy: TrustPolicy) -> Any:
    """Read an object back, and look into its compiled structures.

    Raises:
        Untrusted: It holds types that neither ratoon nor the policy knows.
        Corrupt: It cannot be read.
    """
    io = skops_io()
    try:
        model = _read(io, path, policy)
    except (RatoonError, ImportError):
        raise
    except Exception as error:  # skops calls into the classes that it restores, which may raise anything
        raise Corrupt(
            f"skops file '{path}' cannot be loaded ({type(error).__name__}: {error}); fetch or save the model again, "
            "with the versions in its requirements.txt"
        ) from error
    check_structures(model, path)
    return model


def _read(io: Any, path: Path, policy: TrustPolicy) -> Any:
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return io.load(path, trusted=sorted(KNOWN_TYPES.union(policy.types)))
    except UntrustedTypesFoundException:
        untrusted = set(io.get_untrusted_types(file=path))
        policy.require_types(f"skops file '{path}'", untrusted - KNOWN_TYPES)
        return io.load(path, trusted=sorted(untrusted))


def skops_io() -> Any:
    """The module ``skops.io``.

    Raises:
        MissingExtra: skops, or scikit-learn, is not installed.
    """
    with needed_by("sklearn"):
        import skops.io as io
    return io
