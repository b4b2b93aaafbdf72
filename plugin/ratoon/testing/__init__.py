"""Contracts for plugin authors: test classes that say what a store or a flavor must do.

Subclass the contract of what you wrote and give it a fixture ``store`` that returns a new, empty one::

    import pytest
    from ratoon.testing import TrackingStoreContract

    class TestMyStore(TrackingStoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

pytest then runs every rule against what you wrote; the name of a test that fails is the rule that is broken. What
ratoon ships passes the same classes. A store that cannot do everything, because it speaks to a service of somebody
else, says what it cannot with ``limits``; see :mod:`ratoon.testing.limits`. A subclass of :class:`FlavorContract` gives
the name of the flavor, a fitted model and data to predict on. This package needs pytest and is for tests
only: nothing else in ratoon imports it.
"""

from __future__ import annotations

import pytest

# Before the imports, so that a broken rule is reported with the values on both sides of its assertion.
pytest.register_assert_rewrite(
    "ratoon.testing.artifact_store",
    "ratoon.testing._aliases",
    "ratoon.testing._batches",
    "ratoon.testing._flavored",
    "ratoon.testing._fresh",
    "ratoon.testing._lifecycle",
    "ratoon.testing._models",
    "ratoon.testing._registered",
    "ratoon.testing._searching",
    "ratoon.testing.flavor",
    "ratoon.testing.paging",
    "ratoon.testing.registry",
    "ratoon.testing.tracking_store",
)

from ratoon.testing.artifact_store import ArtifactStoreContract  # noqa: E402  (see above)
from ratoon.testing.flavor import FlavorContract  # noqa: E402
from ratoon.testing.limits import Limit  # noqa: E402
from ratoon.testing.registry import RegistryContract  # noqa: E402
from ratoon.testing.tracking_store import TrackingStoreContract  # noqa: E402

__all__ = ["ArtifactStoreContract", "FlavorContract", "Limit", "RegistryContract", "TrackingStoreContract"]
